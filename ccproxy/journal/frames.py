"""The bytes of a journal frame.

A frame is `marker, length, checksum, kind, exchange id, time, data`, all integers little-endian. Knows how to write one and
how to find the next whole one in a stretch of bytes, whatever stands before it. Refuses to know files.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from ccproxy.records import Frame, FrameKind

MARKER = b"\xc3CJ\x01"  # not valid UTF-8, so text cannot be mistaken for it
_PREFIX = struct.Struct("<4sII")  # marker, length of what follows the checksum, checksum of that
_BODY = struct.Struct("<B16sQ")  # kind, exchange id, microseconds since 1970
PREFIX_BYTES = _PREFIX.size
_KINDS = frozenset(int(kind) for kind in FrameKind)
_UNFINISHED, _DAMAGED = -1, -2
OVERHEAD = _PREFIX.size + _BODY.size

# Larger payloads are cut by the writer. Above this a length is taken for damage, so that a flipped bit cannot make the
# reader wait for bytes that never come.
MAX_DATA_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Scan:
    """The frames of a stretch of bytes: each with the offset behind it, the offset reached, and the bytes that were damaged."""

    frames: list[tuple[Frame, int]]
    reached: int
    damaged: int


def encode(kind: int, exchange: bytes, at: int, data: bytes) -> bytes:
    """Return the bytes of one frame; `data` of at most MAX_DATA_BYTES."""
    body = _BODY.pack(kind, exchange, at)
    checksum = zlib.crc32(data, zlib.crc32(body))
    return b"".join((_PREFIX.pack(MARKER, _BODY.size + len(data), checksum), body, data))


def scan(buffer: bytes, *, final: bool = False) -> Scan:
    """Return every whole frame in `buffer`.

    Stops before a frame whose end has not been written yet. With `final` nothing more will be written: what is torn at the
    end then counts as damaged and is passed over.
    """
    frames: list[tuple[Frame, int]] = []
    offset = damaged = 0
    size = len(buffer)
    while offset < size:
        taken = _take(buffer, offset, size)
        if taken > 0:
            frames.append((_frame(buffer, offset, taken), taken))
            offset = taken
        elif taken == _UNFINISHED and not final:
            break
        else:
            following = _resume(buffer, offset + 1, final=final)
            damaged += following - offset
            offset = following
    return Scan(frames, offset, damaged)


def _take(buffer: bytes, offset: int, size: int) -> int:
    """Return the end of the frame at `offset`, or _UNFINISHED, or _DAMAGED."""
    if size - offset < PREFIX_BYTES:
        return _UNFINISHED if MARKER.startswith(buffer[offset : offset + len(MARKER)]) else _DAMAGED
    marker, length, checksum = _PREFIX.unpack_from(buffer, offset)
    if marker != MARKER or not _BODY.size <= length <= _BODY.size + MAX_DATA_BYTES:
        return _DAMAGED
    end = int(offset + PREFIX_BYTES + length)
    if end > size:
        return _UNFINISHED
    if zlib.crc32(memoryview(buffer)[offset + PREFIX_BYTES : end]) != checksum:
        return _DAMAGED
    return end if buffer[offset + PREFIX_BYTES] in _KINDS else _DAMAGED


def _frame(buffer: bytes, offset: int, end: int) -> Frame:
    kind, exchange, at = _BODY.unpack_from(buffer, offset + PREFIX_BYTES)
    return Frame(FrameKind(kind), exchange, at, buffer[offset + OVERHEAD : end])


def _resume(buffer: bytes, start: int, *, final: bool) -> int:
    """Return where the next marker stands; without one, the end, less what may be a marker's beginning."""
    found = buffer.find(MARKER, start)
    if found >= 0:
        return found
    if final:
        return len(buffer)
    tail = next((n for n in (3, 2, 1) if buffer.endswith(MARKER[:n])), 0)
    return max(start, len(buffer) - tail)
