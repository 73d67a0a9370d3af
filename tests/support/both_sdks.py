"""What the official SDKs of OpenAI and Anthropic read from bytes, said in the same words.

Knows how to give each SDK an answer without a server, and how its result is laid out. Refuses to know how one becomes the other.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import anthropic
import httpx2
import openai

EVENT_STREAM = {"content-type": "text/event-stream"}
QUESTION: list[Any] = [{"role": "user", "content": "?"}]


@dataclass(slots=True)
class Read:
    """What an answer says. `calls` are ids, names and inputs; `finish` is in the words of the SDK it was read by."""

    text: str = ""
    refusal: str = ""
    reasoning: str = ""
    calls: list[tuple[str, str, Any]] = field(default_factory=list)
    finish: str | None = None
    usage: dict[str, Any] | None = None
    error: str | None = None


def _transport(stream: bytes) -> httpx2.MockTransport:
    return httpx2.MockTransport(lambda _: httpx2.Response(200, headers=EVENT_STREAM, content=stream))


def by_openai(stream: bytes) -> Read:
    """Return what the SDK of OpenAI reads from a stream: of the first choice, all its deltas."""
    read = Read()
    calls: dict[int, dict[str, str]] = {}
    with httpx2.Client(transport=_transport(stream)) as http:
        client = openai.OpenAI(api_key="k", base_url="https://provider.test/v1", http_client=http, max_retries=0)
        try:
            for chunk in client.chat.completions.create(model="m", messages=QUESTION, stream=True):
                _add(read, calls, chunk.to_dict(warnings=False))  # Mistral sends content in parts
        except openai.APIError as error:
            read.error = error.message
    read.calls = [(call["id"], call["name"], json.loads(call["arguments"] or "{}")) for call in calls.values()]
    return read


def _add(read: Read, calls: dict[int, dict[str, str]], chunk: dict[str, Any]) -> None:
    groq = chunk.get("x_groq") or {}
    read.usage = chunk.get("usage") or groq.get("usage") or read.usage
    for choice in chunk.get("choices") or []:
        if choice["index"] != 0:
            continue
        delta = choice.get("delta") or {}  # Azure: a choice that only tells of its filters
        read.finish = choice.get("finish_reason") or read.finish
        read.refusal += delta.get("refusal") or ""
        content = delta.get("content") or ""
        if isinstance(content, str):
            read.text += content
        else:  # Mistral: the SDK passes the list of parts on as it is
            read.text += "".join(part["text"] for part in content if part["type"] == "text")
            thoughts = [thought for part in content if part["type"] == "thinking" for thought in part["thinking"]]
            read.reasoning += "".join(thought["text"] for thought in thoughts)
        details = [detail.get("text") or "" for detail in delta.get("reasoning_details") or []]
        read.reasoning += delta.get("reasoning_content") or delta.get("reasoning") or "".join(details)
        for fragment in delta.get("tool_calls") or []:
            index = fragment.get("index", 0)  # Mistral leaves the index of a single call out
            call = calls.setdefault(index, {"id": "", "name": "", "arguments": ""})
            call["id"] = call["id"] or fragment.get("id") or ""
            call["name"] = call["name"] or fragment["function"].get("name") or ""
            call["arguments"] += fragment["function"].get("arguments") or ""


def by_anthropic(stream: bytes) -> Read:
    """Return what the SDK of Anthropic makes of a stream, by its own stream helper."""
    read = Read()
    with httpx2.Client(transport=_transport(stream)) as http:
        client = anthropic.Anthropic(api_key="k", base_url="https://proxy.test", http_client=http, max_retries=0)
        try:
            with client.messages.stream(model="claude-x", max_tokens=1, messages=QUESTION) as events:
                message = events.get_final_message().to_dict()
        except anthropic.APIStatusError as error:
            read.error = str(error.body["error"]["message"] if isinstance(error.body, dict) else error)
            return read
    content: Any = message["content"]
    read.text = "".join(block["text"] for block in content if block["type"] == "text")
    read.reasoning = "".join(block["thinking"] for block in content if block["type"] == "thinking")
    read.calls = [(block["id"], block["name"], block["input"]) for block in content if block["type"] == "tool_use"]
    read.finish, read.usage = str(message["stop_reason"]), dict(message["usage"])  # type: ignore[call-overload]
    return read
