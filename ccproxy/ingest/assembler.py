"""Frames to exchanges: what belongs together, what is complete, and what died with its proxy.

Knows the order in which frames come. Refuses to know files and rows. A frame that cannot be read is counted, not raised.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from ccproxy.records import (
    Attempt,
    Captured,
    Ending,
    Entry,
    Frame,
    FrameKind,
    Heading,
    Opening,
    Position,
    Sending,
)

_opening = msgspec.json.Decoder(Opening).decode
_sending = msgspec.json.Decoder(Sending).decode
_attempt = msgspec.json.Decoder(Attempt).decode
_heading = msgspec.json.Decoder(Heading).decode
_ending = msgspec.json.Decoder(Ending).decode


@dataclass(slots=True)
class Running:
    """An exchange that has begun. `first` is where its first frame stands; `entry` what was made of its request."""

    captured: Captured
    first: Position
    request_pieces: list[bytes] = field(default_factory=list)
    sent_pieces: list[bytes] = field(default_factory=list)
    entry: Entry | None = None
    shown: bool = False  # as an open row in the store
    body_bytes: int = 0  # of both bodies, as far as they were read


class Assembler:
    """All running exchanges of all writers."""

    def __init__(self) -> None:
        self._running: dict[bytes, Running] = {}
        self.unreadable = 0

    def take(self, writer: str, frame: Frame, position: Position) -> Running | None:
        """Take one frame; return the exchange that it has ended, if it has."""
        try:
            return self._take(writer, frame, position)
        except msgspec.MsgspecError:
            self.unreadable += 1
            return None

    def _take(self, writer: str, frame: Frame, position: Position) -> Running | None:
        if frame.kind is FrameKind.OPEN:
            name = str(uuid.UUID(bytes=frame.exchange))
            captured = Captured(name, writer, frame.at, _opening(frame.data))
            self._running.setdefault(frame.exchange, Running(captured, position))
            return None
        running = self._running.get(frame.exchange)
        if running is None:  # its beginning was dropped, or is damaged
            return None
        captured = running.captured
        if frame.kind in (FrameKind.REQUEST, FrameKind.SENT_BODY, FrameKind.CHUNK):
            running.body_bytes += len(frame.data)
        match frame.kind:
            case FrameKind.REQUEST:
                running.request_pieces.append(frame.data)
            case FrameKind.SENT_BODY:
                running.sent_pieces.append(frame.data)
            case FrameKind.SENT:
                captured.sent_at = frame.at
                captured.sending = _sending(frame.data) if frame.data else captured.sending
            case FrameKind.RETRY:
                captured.attempts.append(_attempt(frame.data))
            case FrameKind.HEAD:
                captured.head_at, captured.heading = frame.at, _heading(frame.data)
            case FrameKind.CHUNK:
                captured.chunks.append((frame.at, frame.data))
            case FrameKind.END | FrameKind.END_CUT:
                captured.ended_at, captured.ending = frame.at, _ending(frame.data)
                captured.cut = frame.kind is FrameKind.END_CUT
                told = captured.ending.recorded_bytes
                captured.damaged = told is not None and told != running.body_bytes and not captured.cut
                return self._running.pop(frame.exchange)
        return None

    def unshown(self) -> Iterator[Running]:
        """Yield running exchanges whose request is complete and which the store does not show yet."""
        for running in self._running.values():
            if not running.shown and running.captured.sent_at is not None:
                yield running

    def orphans(self, writer: str) -> list[Running]:
        """Give up the running exchanges of a writer that is dead."""
        keys = [key for key, running in self._running.items() if running.captured.writer == writer]
        return [self._running.pop(key) for key in keys]

    def resume_at(self, position: Position) -> Position:
        """Return where reading must begin again after a restart: at the oldest running exchange, or at `position`."""
        firsts = [r.first for r in self._running.values() if r.first.writer == position.writer]
        return min([*firsts, position], key=lambda p: (p.segment, p.offset))
