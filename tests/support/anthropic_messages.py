"""Messages as the Anthropic API answers them, made up: the content blocks, the JSON form, the event stream, errors.

Knows the wire's small habits: events padded with spaces before their closing brace, usage that `message_delta`
repeats in full. Everything is a function of its arguments, so a test can build the same answer again and compare.
Refuses to know who asks and how the bytes travel.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Block = dict[str, Any]

MODEL = "claude-sonnet-4-5"


@dataclass(frozen=True, slots=True)
class Usage:
    """The token figures of one message."""

    input: int = 11
    output: int = 7
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0

    @classmethod
    def numbered(cls, number: int) -> Usage:
        """Return figures that no other number below 1000 has in any field, so that sums tell what was counted."""
        return cls(1000 + number, 2000 + number, 3000 + number, 4000 + number, 5000 + number)

    def __add__(self, other: Usage) -> Usage:
        """Return the sum, field by field."""
        return Usage(
            self.input + other.input,
            self.output + other.output,
            self.cache_read + other.cache_read,
            self.cache_write_5m + other.cache_write_5m,
            self.cache_write_1h + other.cache_write_1h,
        )

    @property
    def cache_write(self) -> int:
        """The tokens written to the cache, for whatever time."""
        return self.cache_write_5m + self.cache_write_1h

    def as_json(self) -> dict[str, Any]:
        """Return the `usage` object of the API."""
        return {
            "input_tokens": self.input,
            "cache_creation_input_tokens": self.cache_write,
            "cache_read_input_tokens": self.cache_read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": self.cache_write_5m,
                "ephemeral_1h_input_tokens": self.cache_write_1h,
            },
            "output_tokens": self.output,
            "service_tier": "standard",
        }


NO_TOKENS = Usage(0, 0)
SMALL = Usage()


def text(words: str) -> Block:
    """Return a text block."""
    return {"type": "text", "text": words}


def thinking(words: str, signature: str = "c2lnbmF0dXJl") -> Block:
    """Return a thinking block with its signature."""
    return {"type": "thinking", "thinking": words, "signature": signature}


def redacted_thinking(data: str = "cmVkYWN0ZWQ=") -> Block:
    """Return a thinking block that only the API can read."""
    return {"type": "redacted_thinking", "data": data}


def tool_use(name: str, input: dict[str, Any], id: str = "toolu_1") -> Block:  # noqa: A002 - the API's own names
    """Return a call of a tool."""
    return {"type": "tool_use", "id": id, "name": name, "input": input}


def tool_uses(calls: Sequence[tuple[str, dict[str, Any]]]) -> list[Block]:
    """Return one call block per (name, input), with ids `toolu_1`, `toolu_2`, …"""
    return [tool_use(name, given, f"toolu_{number}") for number, (name, given) in enumerate(calls, start=1)]


def message(
    blocks: Sequence[Block],
    *,
    usage: Usage = SMALL,
    model: str = MODEL,
    id: str = "msg_1",  # noqa: A002 - the API's own name
    stop_reason: str | None = None,
) -> dict[str, Any]:
    """Return the message as the API gives it to a request that does not stream."""
    calls = any(block["type"] == "tool_use" for block in blocks)
    return {
        "id": id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": list(blocks),
        "stop_reason": stop_reason or ("tool_use" if calls else "end_turn"),
        "stop_sequence": None,
        "usage": usage.as_json(),
    }


def stream_of(finished: dict[str, Any], *, pieces: int = 3) -> list[bytes]:
    """Return the event stream that amounts to a `message`, one entry per event; texts come in that many `pieces`."""
    return [event_bytes(name, data) for name, data in _events(finished, pieces)]


def event_bytes(name: str, data: dict[str, Any], *, padding: int | None = None) -> bytes:
    """Return one server-sent event, padded before its last brace as the API pads most of them."""
    written = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    if padding is None:
        padding = len(written) % 16
    return f"event: {name}\ndata: {written[:-1]}{' ' * padding}}}\n\n".encode()


PING = b'event: ping\ndata: {"type": "ping"}\n\n'


def text_stream(words: str, **message_fields: Any) -> list[bytes]:
    """Return the stream of a message that is one text; the keywords are those of `message`."""
    return stream_of(message([text(words)], **message_fields))


def tool_stream(calls: Sequence[tuple[str, dict[str, Any]]], **message_fields: Any) -> list[bytes]:
    """Return the stream of a message that calls these tools; the keywords are those of `message`."""
    return stream_of(message(tool_uses(calls), **message_fields))


def thinking_stream(thoughts: str, words: str, **message_fields: Any) -> list[bytes]:
    """Return the stream of a message that thinks before it speaks; the keywords are those of `message`."""
    return stream_of(message([thinking(thoughts), text(words)], **message_fields))


def error(type: str, sentence: str, request_id: str = "req_1") -> dict[str, Any]:  # noqa: A002 - the API's own name
    """Return the body of an error, which is also the data of an `error` event."""
    return {"type": "error", "error": {"type": type, "message": sentence}, "request_id": request_id}


def error_event(type: str, sentence: str) -> bytes:  # noqa: A002 - the API's own name
    """Return an error as it comes in the middle of a stream, or as its only event."""
    return event_bytes("error", error(type, sentence))


def _events(finished: dict[str, Any], pieces: int) -> Iterator[tuple[str, dict[str, Any]]]:
    blocks = finished["content"]
    at_first = {**finished["usage"], "output_tokens": 1}
    opened = {**finished, "content": [], "stop_reason": None, "usage": at_first}
    yield "message_start", {"type": "message_start", "message": opened}
    for index, block in enumerate(blocks):
        started, deltas = _block_parts(block, pieces)
        yield "content_block_start", {"type": "content_block_start", "index": index, "content_block": started}
        if index == 0:
            yield "ping", {"type": "ping"}
        for delta in deltas:
            yield "content_block_delta", {"type": "content_block_delta", "index": index, "delta": delta}
        yield "content_block_stop", {"type": "content_block_stop", "index": index}
    stop = {"stop_reason": finished["stop_reason"], "stop_sequence": finished["stop_sequence"]}
    spent = {name: count for name, count in finished["usage"].items() if isinstance(count, int)}
    yield "message_delta", {"type": "message_delta", "delta": stop, "usage": spent}
    yield "message_stop", {"type": "message_stop"}


def _block_parts(block: Block, pieces: int) -> tuple[Block, list[dict[str, Any]]]:
    """Return a block as it starts, and the deltas that complete it; a block of any other type comes whole."""
    match block["type"]:
        case "text":
            deltas = [{"type": "text_delta", "text": piece} for piece in _cut(block["text"], pieces)]
            return {**block, "text": ""}, deltas
        case "thinking":
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in _cut(block["thinking"], pieces)]
            signed = {"type": "signature_delta", "signature": block["signature"]}
            return {**block, "thinking": "", "signature": ""}, [*deltas, signed]
        case "tool_use":
            written = json.dumps(block["input"]) if block["input"] else ""
            given = [{"type": "input_json_delta", "partial_json": piece} for piece in ["", *_cut(written, pieces)]]
            return {**block, "input": {}}, given
        case _:
            return block, []


def _cut(words: str, pieces: int) -> list[str]:
    size = max(1, -(-len(words) // pieces))
    return [words[at : at + size] for at in range(0, len(words), size)]
