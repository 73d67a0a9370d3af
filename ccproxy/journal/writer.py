"""Appends to a journal without ever making the proxy wait.

The event loop only puts a frame into a queue; a thread of its own writes to disk, so a slow or hanging disk holds up nobody.
What cannot be written (disk full, disk hanging) is dropped by whole exchanges from the first missing frame on, and counted: an
exchange with a hole in it would be a lie. Its ending is written, marked as cut, as soon as that can be. Refuses to know what
frames mean, but for where an exchange begins and ends.
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
MAX_BATCH_BYTES = 4 << 20
LOCK_WAIT_S = 1.0  # somebody may be looking for a moment whether this writer lives

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
        self.dropped_bytes = (
            0  # of what was dropped; endings do not count, they still arrive where there is a beginning
        )
        self.error: str | None = None
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._max_queued = max_queued_bytes
        self._write = write
        self._queue: deque[_Item] = deque()
        self._queued_in = self._queued_out = 0
        self._books = threading.Lock()  # of the counters; held for a few lines, never while writing
        self._missing: set[bytes] = set()  # exchanges that are counted as dropped and have not ended yet
        self._refused: dict[bytes, bool] = {}  # the event loop's: no frame enters the queue -> whether one did before
        self._cut: dict[bytes, bool] = {}  # the thread's: no frame reaches the disk -> whether the opening did before
        self._owed: list[_Item] = []  # endings that still have to reach the disk
        self._waiters: deque[Callable[[], object]] = deque()
        self._work, self._urgent = threading.Event(), threading.Event()
        self._closing = False
        self._stalled = False  # whether somebody has waited in vain since the thread last came round
        self._descriptor: int | None = None
        self._number = self._offset = 0
        self._torn = 0  # bytes of the running write that are on disk
        segments.make_folder(folder)
        self._lock = segments.hold_lock(segments.writer_lock(folder, name), wait_s=LOCK_WAIT_S)
        if self._lock is None:
            raise RuntimeError(f"another process writes as {name} in {folder}")
        self._thread = threading.Thread(target=self._run, name=f"journal-{name}", daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        return (
            f"<JournalWriter {self.name} segment {self._number} offset {self._offset} dropped {self.dropped_exchanges}>"
        )

    def append(self, kind: int, exchange: bytes, at: int, data: bytes) -> None:
        """Put a frame on its way to disk. Returns at once, never raises; called by the event loop only."""
        size = len(data)
        if exchange in self._refused or self._queued_in - self._queued_out + size > self._max_queued:
            self._refuse(kind, exchange, at, data)
            return
        if size <= frames.MAX_DATA_BYTES:
            self._queued_in += size + frames.OVERHEAD
            self._queue.append((kind, exchange, at, data))
        else:
            step = frames.MAX_DATA_BYTES
            pieces = [(kind, exchange, at, data[place : place + step]) for place in range(0, size, step)]
            self._queued_in += size + frames.OVERHEAD * len(pieces)
            self._queue.extend(pieces)
        if not self._work.is_set():
            self._work.set()

    async def settled(self, timeout: float) -> None:
        """Wait until what was appended so far is with the operating system, or was dropped; `timeout` seconds at most."""
        if self._stalled:  # nobody waits twice for a disk that hangs
            return
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._waiters.append(partial(loop.call_soon_threadsafe, _resolve, done))
        self._urgent.set()
        self._work.set()
        handle = loop.call_later(timeout, self._give_up, done)
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

    def _give_up(self, waiting: asyncio.Future[None]) -> None:
        self._stalled = True
        _resolve(waiting)

    # In the event loop -------------------------------------------------------------------------------------------------

    def _refuse(self, kind: int, exchange: bytes, at: int, data: bytes) -> None:
        """Drop a frame, and all that follow of its exchange. What of it is in the queue already may reach the disk."""
        begun = self._refused.setdefault(exchange, kind != _OPEN)
        self.error = self.error or "the disk does not keep up"
        if kind != _END:
            self._count(exchange, len(data))
            return
        del self._refused[exchange]
        self._count(exchange, 0)
        if begun:
            self._queued_in += len(data) + frames.OVERHEAD
            self._queue.append((_END_CUT, exchange, at, data))
            self._work.set()
        else:
            self._settle(exchange)

    # In either ---------------------------------------------------------------------------------------------------------

    def _count(self, exchange: bytes, size: int) -> None:
        """Count what is dropped: each exchange once, and its bytes."""
        with self._books:
            self.dropped_bytes += size
            self.dropped_exchanges += exchange not in self._missing
            self._missing.add(exchange)

    def _settle(self, exchange: bytes) -> None:
        """Forget an exchange that was counted: its end has come, and no frame can follow."""
        with self._books:
            self._missing.discard(exchange)

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
            self._stalled = False
            for _ in range(waiting):
                with contextlib.suppress(RuntimeError):  # its event loop is gone
                    self._waiters.popleft()()
            if closing and not self._queue:
                break
        self._end_segment()

    def _take(self) -> list[_Item]:
        """Return what is to be written next: the endings that are owed, and as much of the queue as makes a batch."""
        batch, self._owed = self._owed, []
        size = 0
        for _ in range(MAX_BATCH):
            if not self._queue or size >= MAX_BATCH_BYTES:
                break
            item = self._queue.popleft()
            size += len(item[3]) + frames.OVERHEAD
            batch.append(item)
        self._queued_out += size
        return batch

    def _flush(self, batch: list[_Item]) -> bool:
        """Write a batch, or drop it. Returns whether more can be tried at once."""
        kept = self._without_cut(batch)
        if not kept:
            return bool(self._queue)
        encoded = [frames.encode(*item) for item in kept]
        try:
            self._append_bytes(b"".join(encoded))
        except OSError as error:
            self.error = f"cannot write to {self._folder}: {error.strerror or error}"
            written = self._keep_whole(encoded)
            self._close_books(kept[:written])
            self._drop(kept[written:])
            return bool(self._queue)
        self.error = None
        self._close_books(kept)
        return True

    def _without_cut(self, batch: list[_Item]) -> list[_Item]:
        """Return what of the batch may be written: nothing of a cut exchange but its ending, marked as cut."""
        if not self._cut:
            return batch
        kept = []
        for item in batch:
            if item[1] not in self._cut:
                kept.append(item)
            elif (ending := self._dropped(item)) is not None:
                kept.append(ending)
        return kept

    def _drop(self, batch: list[_Item]) -> None:
        for item in batch:
            if item[0] in (_END, _END_CUT) and item[1] not in self._cut:  # all but the ending is there
                self._owed.append(item)
                continue
            self._cut.setdefault(item[1], item[0] != _OPEN)
            if (ending := self._dropped(item)) is not None:
                self._owed.append(ending)

    def _dropped(self, item: _Item) -> _Item | None:
        """Count a frame of a cut exchange as dropped; of an ending, return what is to be written in its place."""
        kind, exchange, at, data = item
        if kind not in (_END, _END_CUT):
            self._count(exchange, len(data))
            return None
        self._count(exchange, 0)
        if self._cut[exchange]:
            return _END_CUT, exchange, at, data
        del self._cut[exchange]  # nothing of it is on disk, so nothing needs an end
        self._settle(exchange)
        return None

    def _close_books(self, written: list[_Item]) -> None:
        for kind, exchange, _, _ in written:
            if kind == _END_CUT:
                self._cut.pop(exchange, None)
                self._settle(exchange)

    def _append_bytes(self, data: bytes) -> None:
        if self._descriptor is None or self._offset >= self._segment_bytes:
            self._next_segment()
        assert self._descriptor is not None
        while self._torn < len(data):
            self._torn += self._write(self._descriptor, data[self._torn :] if self._torn else data)
        self._offset += self._torn
        self._torn = 0

    def _keep_whole(self, encoded: list[bytes]) -> int:
        """After a failed write: return how many of the frames are on disk, and cut off the one that is there in part.

        A reader may have taken the whole ones already, so they stay.
        """
        count = whole = 0
        for data in encoded:
            if whole + len(data) > self._torn:
                break
            whole, count = whole + len(data), count + 1
        self._offset += whole
        if self._torn > whole and self._descriptor is not None:
            try:
                os.ftruncate(self._descriptor, self._offset)
            except OSError:
                self._end_segment()  # the reader passes over what is torn at the end of a segment
        self._torn = 0
        return count

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
