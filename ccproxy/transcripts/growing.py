"""A file that only grows: what was made of it, and how far it was read.

A file that was written anew is read anew. Refuses to know what is made of the lines.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Generic, Protocol, TypeVar

from ccproxy.transcripts.lines import parse, read_lines
from ccproxy.transcripts.places import open_file

_MARK_BYTES = 64  # what stands before the place is compared, so that a file that was written anew is noticed


class Reader(Protocol):
    """What takes lines, one by one."""

    def take(self, start: int, data: bytes) -> bool:
        """Take a line that begins at `start`; return whether it could be read."""


R = TypeVar("R", bound=Reader)


class Growing(Generic[R]):
    """One file, and what `make` makes of its lines. Belongs to one thread at a time."""

    def __init__(self, path: Path, make: Callable[[], R]) -> None:
        self._path = path
        self._make = make
        self._seen: tuple[int, int, int] | None = None
        self._reader = make()
        self._offset = 0
        self._mark = b""

    def current(self) -> R:
        """Return what the file comes to now; only what is new is read."""
        status = self._path.stat()
        if (status.st_ino, status.st_size, status.st_mtime_ns) != self._seen:
            with open_file(self._path) as file:
                self.read_on(file)
        return self._reader

    def read_on(self, file: BinaryIO) -> R:
        """Read what is new in the file, which is open already."""
        status = os.fstat(file.fileno())
        if self._seen is not None and (status.st_ino != self._seen[0] or not self._continues(file)):
            self._begin()
        for start, data in read_lines(file, self._offset):
            if not data.endswith(b"\n") and parse(data) is None:  # it is being written
                break
            if not data.isspace():
                self._reader.take(start, data)
            self._offset = start + len(data)
            self._mark = (self._mark + data[-_MARK_BYTES:])[-_MARK_BYTES:]
        self._seen = (status.st_ino, status.st_size, status.st_mtime_ns)
        return self._reader

    def _begin(self) -> None:
        self._reader = self._make()
        self._offset = 0
        self._mark = b""

    def _continues(self, file: BinaryIO) -> bool:
        """Tell whether what was read still stands there."""
        file.seek(self._offset - len(self._mark))
        found: bytes = file.read(len(self._mark))
        return found == self._mark
