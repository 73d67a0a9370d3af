"""A captured answer, taken apart: the message it comes to, its usage, and the time of each event.

Fills the columns of an entry whose request is known. Refuses to judge: what is not a message is kept as bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import msgspec

from ccproxy.ingest import headers as header_lists
from ccproxy.ingest import timing
from ccproxy.ingest.encodings import ContentDecoder
from ccproxy.ingest.memory import Memory
from ccproxy.ingest.request import add_node
from ccproxy.protocol import sse
from ccproxy.protocol.message import MessageBuilder
from ccproxy.protocol.parts import json_value
from ccproxy.protocol.usage import tokens
from ccproxy.records import Body, Captured, Entry, State, Timeline
from ccproxy.stores import compression

_NO_CONTENT = frozenset({"message_delta", "signature_delta"})
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class _Stream:
    """What a stream of events comes to."""

    builder: MessageBuilder = field(default_factory=MessageBuilder)
    arrivals: list[int] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    content: list[int] = field(default_factory=list)  # arrival of each piece of content
    first_token: int | None = None

    def take(self, at: int, events: list[sse.Event | sse.Comment]) -> None:
        """Take the events that a piece of the body completed."""
        for event in events:
            self.arrivals.append(at)
            if isinstance(event, sse.Comment):
                self.kinds.append("comment")
                self.sizes.append(len(event.text))
                continue
            kind = self.builder.feed(event)
            self.kinds.append(kind)
            self.sizes.append(len(event.data))
            if kind.endswith("_delta") and kind not in _NO_CONTENT:
                self.content.append(at)
                if self.first_token is None and self.builder.has_content:
                    self.first_token = at

    def timeline(self, start: int) -> Timeline:
        """Return the events as the store keeps them."""
        gaps = [later - earlier for earlier, later in pairwise([start, *self.arrivals])]
        runs: list[Any] = []
        for kind in self.kinds:
            if runs and runs[-1][0] == kind:
                runs[-1][1] += 1
            else:
                runs.append([kind, 1])
        return Timeline(gaps, runs, self.sizes)


def add_response(entry: Entry, captured: Captured, memory: Memory) -> None:
    """Complete the entry with the answer and with how the exchange ended."""
    columns = entry.columns
    _add_ending(columns, captured)
    if captured.attempts:
        columns["attempts"] = _encode(captured.attempts).decode()
    if captured.heading:
        columns["status"] = captured.heading.status
        columns["head_ms"] = timing.since(captured.opened_at, captured.head_at)
        headers, template = header_lists.split("response", captured.heading.headers)
        entry.headers.append(headers)
        entry.parts.append(template)
        names = {name.lower(): value for name, value in captured.heading.headers}
        columns["request_id"] = names.get("request-id") or names.get("x-request-id")
        _add_body(entry, captured, memory, names)


def _add_ending(columns: dict[str, Any], captured: Captured) -> None:
    ending = captured.ending
    columns["state"] = ending.state if ending else State.INTERRUPTED
    columns["ended_at"] = captured.ended_at
    columns["duration_ms"] = timing.since(captured.opened_at, captured.ended_at)
    columns["error"] = ending.error if ending else "the proxy died while this exchange was running"
    columns["error_kind"] = ending.error_kind if ending else None
    if captured.cut:
        _note(columns, "the journal could not be written, so the end of this record is missing")


def _add_body(entry: Entry, captured: Captured, memory: Memory, names: dict[str, str]) -> None:
    raw = b"".join(data for _, data in captured.chunks)
    columns = entry.columns
    columns["response_bytes"] = len(raw)
    if not raw:
        return
    columns["first_byte_ms"] = timing.since(captured.opened_at, captured.chunks[0][0])
    decoder = ContentDecoder(names.get("content-encoding"))
    kind = names.get("content-type", "").lower()
    if "event-stream" in kind:
        _add_stream(entry, captured, decoder, memory)
    elif "json" in kind:
        body = b"".join(decoder.feed(data) for _, data in captured.chunks)
        _add_payload(entry, json_value(body), memory)
    if decoder.problem:
        _note(columns, decoder.problem)
    entry.bodies.append(_body(raw, entry))


def _body(raw: bytes, entry: Entry) -> Body:
    """Return the answer's bytes as stored: most of them stand in the message that they came to."""
    if entry.columns.get("reply") is not None:
        message = entry.parts[-1].text
        patch = compression.patch(raw, message)
        if len(patch) < len(raw) and compression.apply(patch, message) == raw:
            return Body("response", "reply", patch, len(raw))
    encoding, data = compression.compress(raw)
    return Body("response", encoding, data, len(raw))


def _add_stream(entry: Entry, captured: Captured, decoder: ContentDecoder, memory: Memory) -> None:
    lines, stream = sse.Decoder(), _Stream()
    for at, data in captured.chunks:
        stream.take(at, lines.feed(decoder.feed(data) if decoder.encoded else data))
    stream.take(captured.chunks[-1][0], lines.close())
    columns, builder = entry.columns, stream.builder
    entry.timeline = stream.timeline(captured.opened_at)
    columns["events"] = len(stream.arrivals)
    columns["first_token_ms"] = timing.since(captured.opened_at, stream.first_token)
    found = timing.gaps(stream.content)
    columns["gap_p50_ms"], columns["gap_p99_ms"], columns["gap_max_ms"] = found.p50, found.p99, found.longest
    if builder.error:
        _add_error(columns, builder.error)
    message = builder.message
    if message is not None:
        _add_message(entry, message, memory)
        columns["tokens_per_second"] = timing.rate(columns.get("output_tokens"), stream.content)
    if builder.problems:
        _note(columns, "; ".join(builder.problems[:3]))
    if builder.unknown:
        _note(columns, "unknown to this version: " + ", ".join(sorted(set(builder.unknown))))
    if columns["state"] is State.COMPLETE and message is not None and not builder.complete and not builder.error:
        _note(columns, "the stream ended without message_stop")


def _add_payload(entry: Entry, payload: Any, memory: Memory) -> None:
    if not isinstance(payload, dict):
        return
    if payload.get("type") == "error":
        _add_error(entry.columns, payload)
    elif payload.get("type") == "message":
        _add_message(entry, payload, memory)


def _add_error(columns: dict[str, Any], payload: dict[str, Any]) -> None:
    error = payload.get("error")
    if isinstance(error, dict):
        columns["api_error"] = _string(error.get("type"))
        columns["error"] = columns.get("error") or _string(error.get("message"))


def _add_message(entry: Entry, message: dict[str, Any], memory: Memory) -> None:
    columns = entry.columns
    columns["message_id"] = _string(message.get("id"))
    columns["response_model"] = _string(message.get("model"))
    columns["stop_reason"] = _string(message.get("stop_reason"))
    columns["stop_sequence"] = _string(message.get("stop_sequence"))
    usage = message.get("usage")
    if isinstance(usage, dict):
        columns["usage"] = _encode(usage).decode()
        counted = tokens(usage)
        columns["input_tokens"], columns["output_tokens"] = counted.input, counted.output
        columns["cache_read_tokens"], columns["cache_write_tokens"] = counted.cache_read, counted.cache_write
        columns["cache_write_5m_tokens"] = counted.cache_write_5m
        columns["cache_write_1h_tokens"] = counted.cache_write_1h
        columns["web_searches"] = counted.web_searches
    content = message.get("content")
    if content and columns.get("tip") is not None:
        _add_reply(entry, content, memory)


def _add_reply(entry: Entry, content: Any, memory: Memory) -> None:
    """Hang the answer below the request's last message, in the form in which the client will send it back."""
    part = memory.seen(_encode({"role": "assistant", "content": content})).part
    entry.parts.append(part)
    entry.columns["reply"] = add_node(entry, memory, entry.columns["tip"], part, "assistant", entry.depth)


def _note(columns: dict[str, Any], note: str) -> None:
    columns["capture_note"] = "; ".join(filter(None, [columns.get("capture_note"), note]))


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None
