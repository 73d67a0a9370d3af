"""A transcript line by line: where each line stands in the file, and on which it follows.

Knows a few numbers per line, so that a page of a long transcript is read without the rest. Refuses to change a line: it comes
as it stands in the file.
"""

from __future__ import annotations

from array import array
from typing import Any, BinaryIO

import msgspec

from ccproxy.transcripts.lines import fit, parse

MAX_PAGE_BYTES = 16 << 20
_NONE = 0  # no line has this number, and no uuid this digest


class TranscriptLine(msgspec.Struct, frozen=True):
    """A line of a transcript: its number, the number of the line that it follows (by `parentUuid`), and the line as it is."""

    number: int
    parent: int | None
    record: msgspec.Raw


class Index:
    """Where the lines of a transcript stand. Lines that cannot be read have no number."""

    def __init__(self) -> None:
        """Begin with an empty file."""
        self._starts = array("Q")
        self._sizes = array("Q")
        self._parents = array("q")  # digests of uuids: a parent may come later than its child
        self._numbers: dict[int, int] = {}  # digest of a uuid -> number of the first line that has it, from 1

    def __len__(self) -> int:
        return len(self._starts)

    def take(self, start: int, data: bytes) -> bool:
        """Take a line; return whether it could be read."""
        line = parse(data)
        if line is None:
            return False
        self._starts.append(start)
        self._sizes.append(len(data))
        self._parents.append(_digest(line.parent_uuid))
        uuid = _digest(line.uuid)
        if uuid != _NONE:
            self._numbers.setdefault(uuid, len(self._starts))
        return True

    def page(self, file: BinaryIO, offset: int, limit: int) -> list[TranscriptLine]:
        """Return `limit` lines after the first `offset`, or as many as have room on a page, at least one."""
        found: list[TranscriptLine] = []
        room = MAX_PAGE_BYTES
        for place in range(offset, min(offset + limit, len(self))):
            room -= self._sizes[place]
            if room < 0 and found:
                break
            found.append(self._line(file, place))
        return found

    def _line(self, file: BinaryIO, place: int) -> TranscriptLine:
        file.seek(self._starts[place])
        data = fit(file.read(self._sizes[place]))
        if parse(data) is None:  # written over this very moment
            data = b"null"
        return TranscriptLine(place + 1, self._numbers.get(self._parents[place]), msgspec.Raw(data))


def _digest(uuid: Any) -> int:
    """Return a number for a uuid: 64 bits, the same for as long as this process runs."""
    return hash(uuid) if isinstance(uuid, str) and uuid else _NONE
