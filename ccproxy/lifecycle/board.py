"""The gauges that the processes of one proxy share: a small memory-mapped file with a row of integers for each of them.

Each row has one writer, its process; anyone may read. A gauge costs its owner a memory write and needs no lock, so the hot
path can keep exact counts. Refuses to know what the numbers are good for.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Sequence
from pathlib import Path

ROW_BYTES = 512
TEXT_BYTES = 256
MAX_FIELDS = (ROW_BYTES - TEXT_BYTES) // 8

WORKER = ("pid", "in_flight", "draining", "exchanges", "dropped_exchanges", "dropped_bytes")
INGEST = (
    *("pid", "heartbeat", "state", "unread_bytes", "caught_up_at", "damaged_bytes", "stored", "segment_bytes"),
    "unreadable_frames",
)


class Row:
    """The gauges of one process, by name; integers, and one short text."""

    def __init__(self, memory: mmap.mmap, start: int, names: Sequence[str]) -> None:
        self._memory = memory
        self._offsets = {name: start + 8 * index for index, name in enumerate(names)}
        self._text = start + ROW_BYTES - TEXT_BYTES

    def __repr__(self) -> str:
        return f"<Row {' '.join(f'{name}={self.get(name)}' for name in self._offsets)}>"

    def set(self, name: str, value: int) -> None:
        """Set a gauge; only its owner does."""
        struct.pack_into("<q", self._memory, self._offsets[name], value)

    def get(self, name: str) -> int:
        """Return a gauge."""
        value: int = struct.unpack_from("<q", self._memory, self._offsets[name])[0]
        return value

    def set_text(self, text: str) -> None:
        """Set the row's text, cut to what fits."""
        whole_characters = text.encode()[:TEXT_BYTES].decode("utf-8", "ignore").encode()
        self._memory[self._text : self._text + TEXT_BYTES] = whole_characters.ljust(TEXT_BYTES, b"\0")

    def text(self) -> str:
        """Return the row's text."""
        raw = self._memory[self._text : self._text + TEXT_BYTES]
        return raw.rstrip(b"\0").decode("utf-8", "replace")

    def clear(self) -> None:
        """Set everything to nothing, as for a process that has just begun."""
        for name in self._offsets:
            self.set(name, 0)
        self.set_text("")


class Board:
    """All rows: one for ingest, one for each worker."""

    def __init__(self, path: Path, workers: int) -> None:
        """Open the board at `path`, making it where it is missing."""
        size = ROW_BYTES * (workers + 1)
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(descriptor).st_size < size:
                os.ftruncate(descriptor, size)
            self._memory = mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)
        self.ingest = Row(self._memory, 0, INGEST)
        self.workers = [Row(self._memory, ROW_BYTES * (index + 1), WORKER) for index in range(workers)]

    def total(self, name: str) -> int:
        """Return the sum of a gauge over all workers."""
        return sum(row.get(name) for row in self.workers)
