"""One answer as it is being said: bytes in, events out.

However the bytes are cut, the pieces of a block join to the same text. Knows the stream events of the Messages API and the
answers that are one JSON message. Nothing here raises: what is unknown or malformed becomes an event `other`. Refuses to
know frames, files and listeners.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ccproxy.ingest import chat
from ccproxy.ingest.encodings import ContentDecoder
from ccproxy.live.blocks import KEPT_CHARACTERS, Blocks, OpenBlock
from ccproxy.live.events import Block, Event, LiveError, LiveMessage, Other, Piece, Stop, usage_of
from ccproxy.protocol import sse
from ccproxy.protocol.openai.stream import ChatStream
from ccproxy.protocol.parts import json_value
from ccproxy.protocol.usage import Tokens, merge, tokens
from ccproxy.records import Ending, Heading, Sending

MAX_EVENT_BYTES = 16 << 20
MAX_JSON_BYTES = 16 << 20
SLICE_BYTES = 1 << 14  # what a few packed bytes come to is looked at piece by piece

# The delta types whose text is a piece: the delta's key, the event's name, and the block type it belongs to.
_PIECES = {
    "text_delta": ("text", "text", "text"),
    "thinking_delta": ("thinking", "thinking", "thinking"),
    "input_json_delta": ("partial_json", "tool_input", "tool_use"),
}
_OTHER_DELTAS = {"citations_delta": "text", "signature_delta": "thinking", "compaction_delta": "compaction"}
_BLOCKS = frozenset({
    "text", "thinking", "redacted_thinking", "mcp_list_tools", "container_upload", "compaction", "fallback", "image",
    "document", "tool_result", "tool_reference", "search_result",
})  # fmt: skip
_BLOCK_ENDINGS = ("tool_use", "_tool_result")
_SAID_ELSEWHERE = {"type", "text", "thinking", "signature"}  # of a text or thinking block, by the pieces or by deltas
_SILENT = frozenset({"ping", "message_stop"})

_encode = msgspec.json.Encoder().encode


class Answer:
    """What one answer says. `model` and `usage` are as far as they are known; `message` is None until there is one."""

    def __init__(
        self,
        exchange: str,
        heading: Heading,
        limit: int = KEPT_CHARACTERS,
        sending: Sending | None = None,
        model: str | None = None,
    ) -> None:
        """Begin an answer; `limit` is how many characters of it are kept for the snapshot.

        `sending` tells of another provider, and `model` is the one that the client asked for.
        """
        names = {name.lower(): value for name, value in heading.headers}
        kind = names.get("content-type", "").lower()
        self.message: LiveMessage | None = None
        self.usage = Tokens()
        self.stop: Stop | None = None
        self.error: LiveError | None = None
        self.blocks = Blocks(limit)
        self._exchange = exchange
        self._limit = limit
        self._status = heading.status
        self._sending = sending or Sending()
        self._model = model
        self._counts: dict[str, Any] = {}
        self._decoder = ContentDecoder(None if heading.plain else names.get("content-encoding"))
        self._told_problem = False
        is_chat = chat.is_chat(self._sending)
        streamed = chat.is_streamed(heading.status, kind) if is_chat else "event-stream" in kind
        self._kind = kind
        self._lines = sse.Decoder(MAX_EVENT_BYTES) if streamed else None
        self._chat = chat.chat_stream(exchange, self._sending, model) if is_chat and self._lines is not None else None
        self._begun = False
        self._json: bytearray | None = bytearray() if self._lines is None and ("json" in kind or is_chat) else None

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes of the body and return what they said."""
        if self._lines is None and self._json is None:
            return []
        found: list[Event] = []
        for place in range(0, len(data), SLICE_BYTES):
            found += self._take(self._decoder.feed(data[place : place + SLICE_BYTES]))
        if self._decoder.problem and not self._told_problem:
            self._told_problem = True
            found.append(self._other("undecodable", self._decoder.problem))
        return found

    def close(self, ending: Ending | None = None) -> list[Event]:
        """Say that the body is over, and how, where that is known; return what that completed."""
        if self._lines is not None:
            told = [] if self._chat is None else self._events(self._lines.feed(chat.close(self._chat, ending)))
            return told + self._events(self._lines.close())
        if not self._json:
            return []
        body, self._json = bytes(self._json), None
        return list(self._whole_body(body))

    def _take(self, data: bytes) -> list[Event]:
        if self._lines is not None:
            return self._events(self._lines.feed(data if self._chat is None else self._translated(self._chat, data)))
        if self._json is not None:
            self._json += data
            if len(self._json) > MAX_JSON_BYTES:
                self._json = None
                return [self._other("too_large", f"the answer is larger than {MAX_JSON_BYTES >> 20} MB")]
        return []

    def _translated(self, stream: ChatStream, data: bytes) -> bytes:
        """Return what the client was given for a piece of Chat Completions."""
        opened = b"" if self._begun else stream.open()
        self._begun = True
        return opened + stream.feed(data)

    def _events(self, lines: list[sse.Event | sse.Comment]) -> list[Event]:
        return [said for line in lines if isinstance(line, sse.Event) for said in self._event(line)]

    def _event(self, event: sse.Event) -> Iterator[Event]:
        payload = _value(event.data)
        if not isinstance(payload, dict):
            if event.data.strip() != b"[DONE]":
                yield self._other("malformed", event.data.decode("utf-8", "replace"))
            return
        kind = payload.get("type")
        match kind:
            case "message_start":
                yield from self._begin(payload.get("message"))
            case "content_block_start":
                yield from self._start(payload.get("content_block"), _index(payload))
            case "content_block_delta":
                yield from self._delta(payload)
            case "content_block_stop":
                yield from self._stop(self.blocks.get(_index(payload)))
            case "message_delta":
                yield from self._change(payload)
            case "error":
                yield self._fail(payload.get("error"))
            case _ if kind not in _SILENT:
                yield self._other(kind if isinstance(kind, str) else event.name, payload, event.data)

    def _whole_body(self, body: bytes) -> Iterator[Event]:
        """Tell an answer that is one JSON value."""
        value = self._said(body)
        kind = value.get("type") if isinstance(value, dict) else None
        if kind == "message":
            yield from self._begin(value)
            yield from self._change({"delta": value})
        elif kind == "error":
            yield self._fail(value.get("error"))
        elif value is None:
            yield self._other("malformed", body.decode("utf-8", "replace"))
        else:
            yield self._other(kind if isinstance(kind, str) else "json", value, body)

    def _said(self, body: bytes) -> Any:
        if chat.is_chat(self._sending):
            return chat.whole(self._exchange, self._sending, self._status, self._kind, body, self._model).value
        return _value(body)

    def _begin(self, message: Any) -> Iterator[Event]:
        message = message if isinstance(message, dict) else {}
        self.blocks = Blocks(self._limit)
        self.stop = None
        self._counts = {}
        self.message = LiveMessage(self._exchange, _text(message.get("id")), _text(message.get("model")))
        yield Event("message", self.message)
        yield from self._count(message.get("usage"))
        content = message.get("content")
        for index, block in enumerate(content if isinstance(content, list) else []):
            yield from self._start(block, index)
            yield from self._stop(self.blocks.get(index))

    def _start(self, given: Any, index: int) -> Iterator[Event]:
        given = given if isinstance(given, dict) else {}
        kind = _text(given.get("type")) or "unknown"
        rest = _rest(given, kind)
        block = OpenBlock(
            index, kind, _text(given.get("name")), _text(given.get("id")), _encode(rest) if rest else None
        )
        data = None if block.data is None else msgspec.Raw(block.data)
        self.blocks.open(block)
        if kind in _BLOCKS or kind.endswith(_BLOCK_ENDINGS):
            yield Event(
                "block", Block(self._exchange, block.index, "start", kind, block.tool_name, block.tool_use_id, data)
            )
        else:
            yield self._other(f"block {kind}", {"index": block.index, "content_block": given})
        if kind.endswith("tool_use") and given.get("input"):
            block.given = _encode(given["input"])
        for key in ("text", "thinking"):
            if kind == key and (text := _text(given.get(key))):
                yield self._piece(block, key, text)

    def _delta(self, payload: dict[str, Any]) -> Iterator[Event]:
        delta = payload.get("delta")
        delta = delta if isinstance(delta, dict) else {}
        kind = _text(delta.get("type")) or "unknown"
        index = _index(payload)
        block = self.blocks.get(index)
        if block is None:  # its start is missing
            guess = _PIECES[kind][2] if kind in _PIECES else _OTHER_DELTAS.get(kind, "unknown")
            yield from self._start({"type": guess}, index)
            block = self.blocks.get(index)
        assert block is not None
        if kind in _PIECES:
            key, name, _ = _PIECES[kind]
            if text := _text(delta.get(key)):
                yield self._piece(block, name, text)
        elif kind in _OTHER_DELTAS:
            data = msgspec.Raw(_encode(delta))
            yield Event("block", Block(self._exchange, block.index, "delta", block.type, data=data))
        else:
            yield self._other(f"delta {kind}", {"index": block.index, "delta": delta})

    def _stop(self, block: OpenBlock | None) -> Iterator[Event]:
        if block is None or block.stopped:
            return
        if block.given and not block.pieces and not block.cut:  # the input came at once, no delta followed
            yield self._piece(block, "tool_input", block.given.decode())
        block.given = None
        block.stopped = True
        yield Event("block", Block(self._exchange, block.index, "stop", block.type))

    def _change(self, payload: dict[str, Any]) -> Iterator[Event]:
        yield from self._count(payload.get("usage"))
        delta = payload.get("delta")
        reason = delta.get("stop_reason") if isinstance(delta, dict) else None
        if isinstance(delta, dict) and isinstance(reason, str):
            self.stop = Stop(self._exchange, reason, _text(delta.get("stop_sequence")))
            yield Event("stop_reason", self.stop)

    def _count(self, usage: Any) -> Iterator[Event]:
        if isinstance(usage, dict):
            self._counts = merge(self._counts, usage)
            self.usage = tokens(self._counts)
            yield Event("usage", usage_of(self._exchange, self.usage))

    def _piece(self, block: OpenBlock, name: str, text: str) -> Event:
        self.blocks.add(block, text)
        return Event(name, Piece(self._exchange, block.index, text))

    def _fail(self, error: Any) -> Event:
        error = error if isinstance(error, dict) else {}
        self.error = LiveError(self._exchange, _text(error.get("type")), _text(error.get("message")))
        return Event("api_error", self.error)

    def _other(self, kind: str, value: Any, raw: bytes | None = None) -> Event:
        return Event("other", Other(self._exchange, kind, msgspec.Raw(_one_line(value, raw))))


def _value(data: bytes) -> Any:
    """Return the JSON value of `data`, once more without broken UTF-8 where it has some; None where there is none."""
    value = json_value(data)
    return json_value(data.decode("utf-8", "replace").encode()) if value is None else value


def _one_line(value: Any, raw: bytes | None) -> bytes:
    """Return JSON on one line: as it came, where it came so."""
    if raw is not None and not (b"\n" in raw or b"\r" in raw) and json_value(raw) is not None:
        return raw
    return _encode(value)


def _rest(given: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return what of a block's start neither the pieces nor the block's other members say."""
    known = _SAID_ELSEWHERE if kind in ("text", "thinking") else {"type"}
    if kind.endswith("tool_use"):
        known = {"type", "name", "id", "input"}
    return {key: value for key, value in given.items() if key not in known and value is not None}


def _index(payload: dict[str, Any]) -> int:
    index = payload.get("index")
    return index if type(index) is int and index >= 0 else 0


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
