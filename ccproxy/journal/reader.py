"""Follows a journal: from a position on, each whole frame once, in the order of each writer.

Knows which segments exist, how far each was read, and what can be deleted. Refuses to know what the frames mean and where
positions are kept.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ccproxy.journal import frames, segments
from ccproxy.journal.segments import Segment
from ccproxy.records import Frame, Position

READ_BYTES = 4 << 20  # a step of the reader: bounds its memory, and how long a stop waits


@dataclass(slots=True)
class Step:
    """What one look at a writer's journal gave.

    `frames` are (frame, position of its first byte). `finished` says that the writer is dead and everything was read.
    """

    writer: str
    frames: list[tuple[Frame, Position]]
    position: Position
    finished: bool


@dataclass(slots=True)
class _Place:
    segment: int
    offset: int


@dataclass(slots=True)
class JournalReader:
    """Reads the journal in `folder`, from the positions that the store remembers."""

    folder: Path
    positions: Mapping[str, Position]
    damaged_bytes: int = 0
    _places: dict[str, _Place] = field(default_factory=dict)

    def steps(self) -> list[Step]:
        """Return what is new, a step for each writer that has something new or has ended."""
        found = []
        for writer, available in segments.writers(segments.list_segments(self.folder)):
            alive = segments.is_alive(self.folder, writer)
            if not alive:  # look again: it may have written between the first look and its death
                available = [s for s in segments.list_segments(self.folder) if s.writer == writer]
            step = self._step(writer, available, alive)
            if step.frames or step.finished:
                found.append(step)
        return found

    def unread_bytes(self) -> int:
        """Return how many bytes of the journal have not been read yet."""
        unread = 0
        for segment in segments.list_segments(self.folder):
            place = self._places.get(segment.writer)
            with contextlib.suppress(FileNotFoundError):
                if place is None or segment.number > place.segment:
                    unread += segment.path.stat().st_size - len(segments.HEADER)
                elif segment.number == place.segment:
                    unread += segment.path.stat().st_size - max(place.offset, len(segments.HEADER))
        return max(0, unread)

    def release(self, position: Position, *, finished: bool = False) -> None:
        """Delete the segments before `position`, which the store has now; all of them when the writer has `finished`."""
        for segment in segments.list_segments(self.folder):
            if segment.writer == position.writer and (finished or segment.number < position.segment):
                with contextlib.suppress(FileNotFoundError):
                    segment.path.unlink()
        if finished:
            self._places.pop(position.writer, None)
            with contextlib.suppress(FileNotFoundError):
                segments.writer_lock(self.folder, position.writer).unlink()

    def _step(self, writer: str, available: list[Segment], alive: bool) -> Step:
        place = self._place(writer, available)
        found: list[tuple[Frame, Position]] = []
        budget = READ_BYTES
        ended = False
        for index, segment in enumerate(available):
            if segment.number < place.segment:
                continue
            if segment.number > place.segment:
                place.segment, place.offset = segment.number, len(segments.HEADER)
            last = index == len(available) - 1
            while True:
                got = self._read(segment, place, found, final=not last or not alive)
                budget -= got
                if got < READ_BYTES or budget <= 0:
                    break
            if budget <= 0:
                break
            ended = last and not alive
        return Step(writer, found, Position(writer, place.segment, place.offset), ended)

    def _place(self, writer: str, available: list[Segment]) -> _Place:
        if writer not in self._places:
            known = self.positions.get(writer)
            first = available[0].number if available else 1
            start = _Place(first, len(segments.HEADER))
            if known and known.segment >= first:
                start = _Place(known.segment, known.offset)
            self._places[writer] = start
        return self._places[writer]

    def _read(self, segment: Segment, place: _Place, found: list[tuple[Frame, Position]], *, final: bool) -> int:
        """Read one stretch of a segment and add its frames to `found`. Returns how many bytes were read.

        A frame that is not whole yet is read again the next time: its writer may take it back when the disk is full.
        """
        try:
            with segment.path.open("rb") as file:
                file.seek(place.offset)
                buffer = file.read(READ_BYTES)
        except FileNotFoundError:
            return 0
        scanned = frames.scan(buffer, final=final and len(buffer) < READ_BYTES)
        begin = 0
        for frame, end in scanned.frames:
            found.append((frame, Position(segment.writer, segment.number, place.offset + begin)))
            begin = end
        self.damaged_bytes += scanned.damaged
        place.offset += scanned.reached
        return len(buffer)
