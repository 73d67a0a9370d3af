"""Answers in Chat Completions, made up; and what becomes of them in translation, checked against the grammar each time.

Knows the shape of chunks and completions. Refuses to know what a translation should say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ccproxy.protocol import sse
from ccproxy.protocol.demotion import unstreamed
from ccproxy.protocol.message import build
from ccproxy.protocol.openai.stream import ChatStream
from tests.support import well_formed

Object = dict[str, Any]

MESSAGE_ID = "msg_0123456789abcdef0123456789abcdef"
ASKED_FOR = "claude-sonnet-4-5"
MODEL = "gpt-4o-2024-08-06"
DONE = b"data: [DONE]\n\n"


def chunk(delta: Object | None = None, finish: str | None = None, *, index: int = 0, **more: Any) -> Object:
    """Return one chunk with one choice; `more` are further members of the chunk."""
    choice = {"index": index, "delta": delta or {}, "logprobs": None, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": MODEL, "choices": [choice], **more}


def counted(**usage: Any) -> Object:
    """Return the chunk without choices that has the counts."""
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": MODEL, "choices": [], "usage": usage}


def called(index: int | None, arguments: Any = None, *, id_: Any = None, name: str | None = None) -> Object:
    """Return the delta with one fragment of one call; members that are None are not there."""
    function = {"name": name, "arguments": arguments}
    fragment = {"index": index, "id": id_, "function": {k: v for k, v in function.items() if v is not None}}
    return {"tool_calls": [{k: v for k, v in fragment.items() if v is not None}]}


def framed(*payloads: Object | bytes, done: bool = True) -> bytes:
    """Return a stream of chunks; bytes are put in as they are."""
    parts = [
        payload if isinstance(payload, bytes) else b"data: %s\n\n" % json.dumps(payload).encode()
        for payload in payloads
    ]
    return b"".join(parts) + (DONE if done else b"")


def completion(message: Object, finish: str | None = "stop", **more: Any) -> bytes:
    """Return a whole answer."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "logprobs": None, "finish_reason": finish}
    return json.dumps({"object": "chat.completion", "model": MODEL, "choices": [choice], **more}).encode()


@dataclass(frozen=True, slots=True)
class Translated:
    """What became of a stream: its bytes, its payloads, the message they build (None after an error), the translator."""

    data: bytes
    events: list[Object]
    message: Object | None
    stream: ChatStream

    @property
    def content(self) -> list[Object]:
        """The message's blocks."""
        assert self.message is not None, self.stream.error
        found: list[Object] = self.message["content"]
        return found

    @property
    def calls(self) -> list[tuple[str, str, Any]]:
        """The id, the name and the input of each call."""
        return [(block["id"], block["name"], block["input"]) for block in self.content if block["type"] == "tool_use"]

    @property
    def text(self) -> str:
        """All text."""
        return "".join(block["text"] for block in self.content if block["type"] == "text")


def translated(
    *pieces: bytes, names: Mapping[str, str] | None = None, provider: str = "", broken: str | None = None
) -> Translated:
    """Translate a stream that comes in these pieces. Fails where the result breaks the grammar."""
    stream = ChatStream(MESSAGE_ID, ASKED_FOR, names, provider)
    data = b"".join([stream.open(), *map(stream.feed, pieces), stream.close(broken)])
    events = well_formed.check(data)
    assert stream.complete == (events[-1]["type"] == "message_stop")
    assert (stream.error is None) == stream.complete
    assert len(stream.losses) == len(set(stream.losses))
    builder = build(sse.Decoder().feed(data))
    assert builder.problems == []
    assert builder.unknown == []
    message = unstreamed(builder.message or {}) if stream.complete else None
    return Translated(data, events, message, stream)
