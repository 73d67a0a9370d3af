"""A stream that is held back until what it says can be searched.

Knows how events are parted, and that a text comes in many deltas: those of a block are held until another event than a delta comes
(the end of the block), and searched as the one text that they are. Every event keeps the time of the piece that completed it.
Refuses to know what is masked, and what becomes of a stream.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from ccproxy.redaction.text import Redaction

MAX_HELD_BYTES = 1 << 25  # more is searched in parts; no block of an answer is that large

_END_OF_EVENT = re.compile(rb"(?:\r\n?+|\n){2}")
_LONGEST_END = 4
_WAITING = (None, "ping", "content_block_delta")  # of them none ends a block
_TEXTS = ("text", "thinking", "partial_json")
_FIELDS = (b"", b"data", b"event", b"id", b"retry")

Timed = tuple[int, bytes]
Object = dict[str, Any]


@dataclass(slots=True)
class _Held:
    """An event. `text` says which text it is a piece of, `alone` that it says nothing else that could match."""

    at: int
    raw: bytes
    payload: Object
    member: str | None = None
    text: str = ""
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
        waits = held.member is not None or (bool(self._held) and held.payload.get("type") in _WAITING)
        self._held.append(held)
        self._size += len(raw)
        return [] if waits else self._release()

    def _release(self) -> list[Timed]:
        texts: dict[str, list[_Held]] = {}
        for held in self._held:
            if held.member is not None:
                texts.setdefault(held.text, []).append(held)
        for pieces in texts.values():
            self._mask_text(pieces)
        ready = [(held.at, held.raw if held.alone else self._masked(held.raw)) for held in self._held]
        self._held, self._size = [], 0
        return ready

    def _mask_text(self, pieces: list[_Held]) -> None:
        """Mask what matches in the text that these deltas come to."""
        before = [held.payload["delta"][held.member] for held in pieces]
        for held, old, new in zip(pieces, before, self._redaction.pieces(before), strict=True):
            if new != old:
                held.payload["delta"][held.member] = new
                held.raw = _with_payload(held.raw, held.payload)

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
    delta = payload.get("delta")
    if payload.get("type") != "content_block_delta" or not isinstance(delta, dict):
        return _Held(at, raw, payload)
    others = [name for name in delta if name != "type"]
    member = next((name for name in (*_TEXTS, *others) if isinstance(delta.get(name), str)), None)
    alone = payload.keys() <= {"type", "index", "delta"} and others == [member]
    return _Held(at, raw, payload, member, f"{member} of {payload.get('index')}", alone)


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
