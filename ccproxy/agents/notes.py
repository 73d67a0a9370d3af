"""What the workers of one proxy saw of agents, in memory that they share: short texts under 16-byte keys.

Each worker writes a region of its own and reads all of them, so nothing needs a lock; where a region is full, the oldest note on
the key's places goes. The file has no name and is not kept: it ends with the proxy. Refuses to know what the notes mean.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path

KEY_BYTES = 16
SLOT_BYTES = 256
SLOTS = 4096  # a region of 1 MB: more agents than any proxy has running
PROBES = 16
MAX_TEXT_BYTES = SLOT_BYTES - KEY_BYTES - 2
_EMPTY = bytes(KEY_BYTES)


class Notes:
    """The notes of all workers. `index` is the worker that writes here."""

    def __init__(self, path: Path, workers: int, index: int) -> None:
        """Map the file at `path`, which is made as long as it must be."""
        size = workers * SLOTS * SLOT_BYTES
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            if os.fstat(descriptor).st_size < size:
                os.ftruncate(descriptor, size)
            self._memory = mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)
        self._workers = workers
        self._index = index
        self._next = 0

    def __repr__(self) -> str:
        return f"<Notes of worker {self._index} of {self._workers}>"

    def add(self, key: bytes, text: str) -> None:
        """Note a text under a key, beside those that are there; one that is there already, or is too long, adds nothing."""
        data = text.encode("utf-8", "replace")
        if len(data) > MAX_TEXT_BYTES or text in self.get(key):
            return
        places = self._places(self._index, key)
        place = next((place for place in places if self._key(place) == _EMPTY), None)
        if place is None:
            self._next += 1
            place = places[self._next % PROBES]
        self._memory[place : place + KEY_BYTES] = _EMPTY  # whoever reads meanwhile finds nothing, never half of each
        self._memory[place + KEY_BYTES : place + KEY_BYTES + 2 + len(data)] = len(data).to_bytes(2) + data
        self._memory[place : place + KEY_BYTES] = key

    def get(self, key: bytes) -> list[str]:
        """Return the texts under a key, those of one worker in the order in which they came."""
        return [
            self._text(place)
            for worker in range(self._workers)
            for place in self._places(worker, key)
            if self._key(place) == key
        ]

    def _places(self, worker: int, key: bytes) -> list[int]:
        first = int.from_bytes(key[:8]) % SLOTS
        return [(worker * SLOTS + (first + step) % SLOTS) * SLOT_BYTES for step in range(PROBES)]

    def _key(self, place: int) -> bytes:
        return self._memory[place : place + KEY_BYTES]

    def _text(self, place: int) -> str:
        start = place + KEY_BYTES + 2
        size = int.from_bytes(self._memory[start - 2 : start])
        return self._memory[start : start + min(size, MAX_TEXT_BYTES)].decode("utf-8", "replace")
