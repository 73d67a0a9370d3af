"""Answers in OpenAI's Chat Completions, for a stand-in that plays such a provider.

Knows the shape of chunks, whole completions and errors. Refuses to know what they become.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tests.support.standin_answers import Answer, Request, Step

ANSWERING_MODEL = "gpt-4o-2024-08-06"
USAGE = {
    "prompt_tokens": 1200,
    "completion_tokens": 34,
    "total_tokens": 1234,
    "prompt_tokens_details": {"cached_tokens": 1000},
    "completion_tokens_details": {"reasoning_tokens": 10},
}
DONE = b"data: [DONE]\n\n"
_FRAME = {"id": "chatcmpl-1", "created": 1700000000, "model": ANSWERING_MODEL, "system_fingerprint": "fp"}


def chunk(delta: dict[str, Any], finish: str | None = None, **members: Any) -> bytes:
    """Return one event of a stream."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return _event({**_FRAME, "object": "chat.completion.chunk", "choices": [choice], **members})


def usage_chunk(usage: dict[str, Any] = USAGE) -> bytes:
    """Return the event with the counts, which has no choices."""
    return _event({**_FRAME, "object": "chat.completion.chunk", "choices": [], "usage": usage})


def text_chunks(*pieces: str) -> list[Step]:
    """Return a stream that says a text in these pieces."""
    said: list[Step] = [chunk({"content": piece}) for piece in pieces]
    return [chunk({"role": "assistant", "content": ""}), *said, chunk({}, "stop"), usage_chunk(), DONE]


def call_chunks(name: str, arguments: dict[str, Any], call_id: str = "call_1") -> list[Step]:
    """Return a stream that calls one tool, its arguments in two pieces."""
    text = json.dumps(arguments)
    half = len(text) // 2
    first = {"index": 0, "id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}
    pieces = [{"index": 0, "function": {"arguments": piece}} for piece in (text[:half], text[half:])]
    said: list[Step] = [chunk({"tool_calls": [piece]}) for piece in pieces]
    begin = chunk({"role": "assistant", "content": None, "tool_calls": [first]})
    return [begin, *said, chunk({}, "tool_calls"), usage_chunk(), DONE]


def completion(content: str | None, calls: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """Return a whole completion."""
    message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": None}
    if calls:
        message["tool_calls"] = list(calls)
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "tool_calls" if calls else "stop"}
    return {**_FRAME, "object": "chat.completion", "choices": [choice], "usage": USAGE}


def chat_answer(chunks: Sequence[Step], **fields: Any) -> Answer:
    """Return a stream as OpenAI sends it; the keywords are those of `Answer`."""
    headers = [("Content-Type", "text/event-stream; charset=utf-8"), ("x-request-id", "req_openai")]
    return Answer(headers=headers, chunks=chunks, **fields)


def chat_error(status: int, message: str, kind: str, code: str | None = None, **fields: Any) -> Answer:
    """Return an error as OpenAI sends it."""
    body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    headers = (("Content-Type", "application/json"), *fields.pop("headers", ()))
    return Answer(status, headers, [json.dumps(body).encode()], framing="length", **fields)


def messages_of(request: Request) -> list[dict[str, Any]]:
    """Return the messages of a request in Chat Completions."""
    found: list[dict[str, Any]] = request.json()["messages"]
    return found


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"
