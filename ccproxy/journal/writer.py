"""Appends to a journal without ever making the proxy wait.

The event loop only puts a frame into a queue; a thread of its own writes to disk, so a slow or hanging disk holds up nobody.
What cannot be written (disk full, disk hanging) is dropped by whole exchanges from the first missing frame on, and counted: an
exchange with a hole in it would be a lie. Refuses to know what frames mean, but for where an exchange begins and ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ccproxy.journal import frames, segments
from ccproxy.records import FrameKind

SEGMENT_BYTES = 16 << 20  # small enough that a long stream holds back little disk, large enough that rotation is rare
MAX_QUEUED_BYTES = 128 << 20  # what a hanging disk may cost in memory before frames are dropped: a few hundred requests
WRITE_DELAY_S = 0.03  # frames wait this long for company; a kill loses at most this much of a running stream
MAX_BATCH = 2048

_OPEN, _END, _END_CUT = int(FrameKind.OPEN), int(FrameKind.END), int(FrameKind.END_CUT)
_Item = tuple[int, bytes, int, bytes]


class JournalWriter:
    """One proxy worker's way to disk. `append` belongs to the event loop; everything else happens in the writer's thread."""

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        max_queued_bytes: int = MAX_QUEUED_BYTES,
        write: Callable[[int, bytes], int] = os.write,
    ) -> None:
        """Take the writer's lock in `folder` and start its thread. `write` is the system's, or a test's."""
        self.name = name
        self.dropped_exchanges = 0
        self.dropped_bytes = 0
        self.error: str | None = None
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._max_queued = max_queued_bytes
        self._write = write
        self._queue: deque[_Item] = deque()
        self._queued_in = self._queued_out = 0
        self._cut: dict[bytes, bool] = {}  # exchanges with dropped frames -> whether their opening is on disk
        self._owed: list[_Item] = []  # endings of cut exchanges that still have to reach the disk
        self._waiters: deque[Callable[[], object]] = deque()
        self._work, self._urgent = threading.Event(), threading.Event()
        self._closing = False
        self._descriptor: int | None = None
        self._number = self._offset = 0
        segments.make_folder(folder)
        self._lock = segments.hold_lock(segments.writer_lock(folder, name))
        self._thread = threading.Thread(target=self._run, name=f"journal-{name}", daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        return (
            f"<JournalWriter {self.name} segment {self._number} offset {self._offset} dropped {self.dropped_exchanges}>"
        )

    def append(self, kind: int, exchange: bytes, at: int, data: bytes) -> None:
        """Put a frame on its way to disk. Returns at once, never raises; called by the event loop only."""
        size = len(data) + frames.OVERHEAD
        if self._queued_in - self._queued_out + size > self._max_queued or exchange in self._cut:
            self._refuse(kind, exchange, at, data)
            return
        self._queued_in += size
        if len(data) <= frames.MAX_DATA_BYTES:
            self._queue.append((kind, exchange, at, data))
        else:
            step = frames.MAX_DATA_BYTES
            self._queue.extend((kind, exchange, at, data[i : i + step]) for i in range(0, len(data), step))
        if not self._work.is_set():
            self._work.set()

    async def settled(self, timeout: float) -> None:
        """Wait until what was appended so far is with the operating system, or was dropped; `timeout` seconds at most."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._waiters.append(partial(loop.call_soon_threadsafe, _resolve, done))
        self._urgent.set()
        self._work.set()
        handle = loop.call_later(timeout, _resolve, done)
        try:
            await done
        finally:
            handle.cancel()

    def close(self, timeout: float = 10.0) -> None:
        """Write what is queued, end the thread and let go of the lock. Returns after `timeout` seconds at the latest."""
        self._closing = True
        self._urgent.set()
        self._work.set()
        self._thread.join(timeout)
        if self._lock is not None and not self._thread.is_alive():
            if not self._number:  # nothing was ever written, so nobody needs to look here
                segments.writer_lock(self._folder, self.name).unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    # In the event loop -------------------------------------------------------------------------------------------------

    def _refuse(self, kind: int, exchange: bytes, at: int, data: bytes) -> None:
        self.dropped_bytes += len(data)
        if exchange not in self._cut:
            self.dropped_exchanges += 1
            self._cut[exchange] = kind != _OPEN
            self.error = self.error or "the disk does not keep up"
        if kind == _END:
            self._queue.append((_END_CUT, exchange, at, data))
            self._work.set()

    # In the writer's thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            self._work.wait(1.0 if self._owed else None)
            if not self._closing:
                self._urgent.wait(WRITE_DELAY_S)
            self._urgent.clear()
            self._work.clear()
            waiting = len(self._waiters)
            closing = self._closing
            while self._queue or self._owed:
                if not self._flush(self._take()):
                    break
            for _ in range(waiting):
                with contextlib.suppress(RuntimeError):  # its event loop is gone
                    self._waiters.popleft()()
            if closing and not self._queue:
                break
        self._end_segment()

    def _take(self) -> list[_Item]:
        batch, self._owed = self._owed, []
        while self._queue and len(batch) < MAX_BATCH:
            batch.append(self._queue.popleft())
        return batch

    def _flush(self, batch: list[_Item]) -> bool:
        """Write a batch, or drop it. Returns whether more can be tried at once."""
        self._queued_out += sum(len(item[3]) + frames.OVERHEAD for item in batch if item[0] != _END_CUT)
        kept = self._settle_cut(batch)
        if not kept:
            return bool(self._queue)
        try:
            self._append_bytes(b"".join(frames.encode(*item) for item in kept))
        except OSError as error:
            self.error = f"cannot write to {self._folder}: {error.strerror or error}"
            self._drop(kept)
            return bool(self._queue)
        self.error = None
        for item in kept:
            if item[0] == _END_CUT:
                self._cut.pop(item[1], None)
        return True

    def _settle_cut(self, batch: list[_Item]) -> list[_Item]:
        """Return what of the batch may be written: nothing of a cut exchange but its ending, marked as cut."""
        if not self._cut:
            return batch
        kept = []
        for kind, exchange, at, data in batch:
            if exchange not in self._cut:
                kept.append((kind, exchange, at, data))
            elif kind not in (_END, _END_CUT):
                self.dropped_bytes += len(data)
            elif self._cut[exchange]:
                kept.append((_END_CUT, exchange, at, data))
            else:
                del self._cut[exchange]  # nothing of it is on disk, so nothing needs an end
        return kept

    def _drop(self, batch: list[_Item]) -> None:
        for kind, exchange, at, data in batch:
            if exchange not in self._cut:
                self.dropped_exchanges += 1
                self._cut[exchange] = kind != _OPEN
            if kind not in (_END, _END_CUT):
                self.dropped_bytes += len(data)
            elif self._cut[exchange]:
                self._owed.append((_END_CUT, exchange, at, data))
            else:
                del self._cut[exchange]

    def _append_bytes(self, data: bytes) -> None:
        if self._descriptor is None or self._offset >= self._segment_bytes:
            self._next_segment()
        assert self._descriptor is not None
        written = 0
        try:
            while written < len(data):
                written += self._write(self._descriptor, data[written:] if written else data)
        except OSError:
            if written:
                os.ftruncate(self._descriptor, self._offset)
            raise
        self._offset += written

    def _next_segment(self) -> None:
        descriptor = segments.create_segment(segments.segment_path(self._folder, self.name, self._number + 1))
        self._end_segment()
        self._descriptor, self._offset = descriptor, len(segments.HEADER)
        self._number += 1

    def _end_segment(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
