"""A stream that is held back until what it says can be searched.

Knows how events are parted, and that a text comes in many deltas, in the Messages API and in Chat Completions: those of a block are
held until another event than a delta comes (the end of the block), and searched as the one text that they are. Every event keeps the
time of the piece that completed it. Refuses to know what is masked, and what becomes of a stream.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ccproxy.redaction.text import Redaction

MAX_HELD_BYTES = 1 << 25  # more is searched in parts; no block of an answer is that large

_END_OF_EVENT = re.compile(rb"(?:\r\n?+|\n){2}")
_LONGEST_END = 4
_WAITING = (None, "ping", "content_block_delta")  # of them none ends a block
_TEXTS = ("text", "thinking", "partial_json")
_PART_TEXTS = ("text", "summary", "refusal")
_CHAT_TEXTS = ("content", "reasoning_content", "reasoning", "refusal")
_FIELDS = (b"", b"data", b"event", b"id", b"retry")

Timed = tuple[int, bytes]
Object = dict[str, Any]


@dataclass(slots=True)
class _Piece:
    """A piece of a text: the object and the member in which it stands, and the name of the text."""

    place: Object
    member: str
    text: str


@dataclass(slots=True)
class _Held:
    """An event. `pieces` are those of texts that go on in other events, `alone` says that it says nothing else that could match."""

    at: int
    raw: bytes
    payload: Object
    pieces: list[_Piece]
    alone: bool = False


class HeldStream:
    """Takes a stream of events as it arrives, and gives it back masked, with the time of each event."""

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction
        self._tail = bytearray()
        self._held: list[_Held] = []
        self._size = 0
        self._at = 0

    def feed(self, at: int, data: bytes) -> list[Timed]:
        """Take the next bytes, arrived at `at`; return what may be written now."""
        begin = max(0, len(self._tail) - _LONGEST_END)
        self._tail += data
        self._at = at
        ready: list[Timed] = []
        done = 0
        for found in _END_OF_EVENT.finditer(self._tail, begin):
            ready += self._take(at, bytes(self._tail[done : found.end()]))
            done = found.end()
        del self._tail[:done]
        if self._size + len(self._tail) > MAX_HELD_BYTES:
            ready += self.close()
        return ready

    def close(self) -> list[Timed]:
        """Return what was held back, now that nothing more comes."""
        ready = self._take(self._at, bytes(self._tail)) if self._tail else []
        self._tail.clear()
        return ready + self._release()

    def _take(self, at: int, raw: bytes) -> list[Timed]:
        held = _event(at, raw)
        waits = bool(held.pieces) or (bool(self._held) and _is_waiting(held.payload))
        self._held.append(held)
        self._size += len(raw)
        return [] if waits else self._release()

    def _release(self) -> list[Timed]:
        texts: dict[str, list[_Piece]] = {}
        for held in self._held:
            for piece in held.pieces:
                texts.setdefault(piece.text, []).append(piece)
        changed = {id(piece) for pieces in texts.values() for piece in self._mask_text(pieces)}
        for held in self._held:
            if any(id(piece) in changed for piece in held.pieces):
                held.raw = _with_payload(held.raw, held.payload)
        ready = [(held.at, held.raw if held.alone else self._masked(held.raw)) for held in self._held]
        self._held, self._size = [], 0
        return ready

    def _mask_text(self, pieces: list[_Piece]) -> list[_Piece]:
        """Mask what matches in the text that these pieces come to, and return those that are others now."""
        before = [piece.place[piece.member] for piece in pieces]
        after = self._redaction.pieces(before)
        changed = [piece for piece, old, new in zip(pieces, before, after, strict=True) if new != old]
        for piece, new in zip(pieces, after, strict=True):
            piece.place[piece.member] = new
        return changed

    def _masked(self, raw: bytes) -> bytes:
        """Mask what matches in the lines of one event."""
        lines = []
        for line in raw.splitlines(keepends=True):
            bare = line.rstrip(b"\r\n")
            name, colon, value = bare.partition(b":")
            if name not in _FIELDS:
                name, colon, value = b"", b"", bare
            lines.append(b"".join((name, colon, self._redaction.body(value), line[len(bare) :])))
        return b"".join(lines)


class HeldBody:
    """Takes a body of any other kind as it arrives, and gives it back masked at its end; before, that it has begun."""

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction
        self._pieces: list[bytes] = []
        self._size = 0
        self._at = 0

    def feed(self, at: int, data: bytes) -> list[Timed]:
        """Take the next bytes, arrived at `at`; return what may be written now: with the first ones that something came."""
        begun = [] if self._at else [(at, b"")]
        self._pieces.append(data)
        self._size += len(data)
        self._at = at
        return begun + (self.close() if self._size > MAX_HELD_BYTES else [])

    def close(self) -> list[Timed]:
        """Return what was held back, now that nothing more comes."""
        raw, self._pieces, self._size = b"".join(self._pieces), [], 0
        return [(self._at, self._redaction.body(raw))] if raw else []


def _event(at: int, raw: bytes) -> _Held:
    payload = _payload(raw)
    if "choices" in payload:
        return _Held(at, raw, payload, list(_chat_pieces(payload["choices"])))
    delta = payload.get("delta")
    if payload.get("type") != "content_block_delta" or not isinstance(delta, dict):
        return _Held(at, raw, payload, [])
    others = [name for name in delta if name != "type"]
    member = next((name for name in (*_TEXTS, *others) if isinstance(delta.get(name), str)), None)
    alone = payload.keys() <= {"type", "index", "delta"} and others == [member]
    pieces = [] if member is None else [_Piece(delta, member, f"{member} of {payload.get('index')}")]
    return _Held(at, raw, payload, pieces, alone)


def _chat_pieces(choices: Any) -> Iterator[_Piece]:
    """Yield the pieces of text in a chunk of Chat Completions, wherever providers put them."""
    for choice in _objects(choices):
        name = f"choice {choice.get('index')}"
        for delta in _objects([choice.get("delta"), choice.get("message")]):
            yield from (
                _Piece(delta, key, f"{key} of {name}") for key in _CHAT_TEXTS if isinstance(delta.get(key), str)
            )
            yield from _deep_pieces(delta.get("content"), f"content of {name}")
            yield from _deep_pieces(delta.get("reasoning_details"), f"reasoning of {name}")
            for call in _objects([*_list(delta.get("tool_calls")), {"function": delta.get("function_call")}]):
                for function in _objects([call.get("function")]):
                    if isinstance(function.get("arguments"), str):
                        yield _Piece(function, "arguments", f"call {call.get('index')} of {name}")


def _deep_pieces(parts: Any, name: str) -> Iterator[_Piece]:
    """Yield the texts in a list of parts: Mistral's content, OpenRouter's reasoning."""
    for part in _objects(parts):
        for key, value in part.items():
            if isinstance(value, str) and key in _PART_TEXTS:
                yield _Piece(part, key, f"{part.get('type')} {key} in {name}")
            elif isinstance(value, list):
                yield from _deep_pieces(value, f"{key} in {name}")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _objects(values: Any) -> list[Object]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def _is_waiting(payload: Object) -> bool:
    """Return whether an event ends no text: nothing readable, a ping, a delta, or a chunk that does not say why it all ends."""
    if "choices" not in payload:
        return payload.get("type") in _WAITING
    return not any(choice.get("finish_reason") for choice in _objects(payload["choices"]))


def _payload(raw: bytes) -> Object:
    """Return the JSON object of an event where it stands on one line, else an empty one."""
    data = [line[5:] for line in raw.splitlines() if line.startswith(b"data:")]
    try:
        value = json.loads(data[0].decode("utf-8", "surrogateescape")) if len(data) == 1 else {}
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _with_payload(raw: bytes, payload: Object) -> bytes:
    """Return an event with another payload."""
    lines = []
    for line in raw.splitlines(keepends=True):
        if line.startswith(b"data:"):
            line = b"data: " + json.dumps(payload).encode() + line[len(line.rstrip(b"\r\n")) :]
        lines.append(line)
    return b"".join(lines)
