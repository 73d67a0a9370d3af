"""Follows the journal for all who listen, and only while somebody does.

One thread looks at the files, in turns; the event loop hands out what it found. Each listener gets a snapshot first. The journal
is only read: what ingest deletes meanwhile is in the store. Refuses to know what frames mean and how events are sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from ccproxy.errors import StoreError
from ccproxy.journal import frames, segments
from ccproxy.journal.reader import READ_BYTES, JournalReader, Step
from ccproxy.live.events import LiveSnapshot, RunningExchange
from ccproxy.live.listener import Change, Listener, Wanted
from ccproxy.live.watch import Backlog, Told, Watch
from ccproxy.records import Position

log = logging.getLogger("ccproxy")

POLL_S = 0.05  # the writer gathers frames for 0.03 s, so an event is here within a tenth of a second
FAILED_PAUSE_S = 1.0

_encode = msgspec.json.Encoder().encode


class Follower:
    """Tells what runs in the journal in `folder`.

    `positions` gives what the store has of each writer, and is asked in the follower's thread whenever somebody begins to
    listen; where it raises StoreError, the journal is read from its beginning. One follower belongs to one event loop.
    """

    def __init__(
        self, folder: Path, positions: Callable[[], Mapping[str, Position]], *, poll_s: float = POLL_S
    ) -> None:
        self._folder = folder
        self._positions = positions
        self._poll_s = poll_s
        self._listeners: set[Listener] = set()
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="live")
        self._number = 0
        self._told = ""
        self._reader: JournalReader | None = None
        self._watch = Watch()

    def __repr__(self) -> str:
        return f"<Follower {self._folder} listeners={len(self._listeners)} running={len(self._watch)}>"

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    @contextlib.asynccontextmanager
    async def listen(self, wanted: Wanted) -> AsyncIterator[Listener]:
        """Listen as long as the context lasts."""
        listener = Listener(wanted)
        if self._closed:
            listener.end()
        self._listeners.add(listener)
        if self._task is None and not self._closed:
            self._task = asyncio.create_task(self._follow())
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    async def close(self) -> None:
        """End the stream of everybody who listens, and let go of the thread."""
        self._closed = True
        for listener in self._listeners:
            listener.end()
        if self._task is not None:
            await self._task
        self._thread.shutdown(wait=False)

    # In the event loop ------------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        """Take turns until nobody listens any more; then forget everything."""
        while self._wanted():
            try:
                await self._turn()
                await asyncio.sleep(self._poll_s)
            except Exception as error:  # noqa: BLE001 (whatever it is, who listens gets a fresh start)
                self._say_once(error)
                self._begin_anew()
                await asyncio.sleep(FAILED_PAUSE_S)
        self._begin_anew()
        self._task = None

    async def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        changes = await loop.run_in_executor(self._thread, self._look)
        for listener in self._listeners:
            listener.offer(changes)
        waiting = [listener for listener in self._listeners if listener.waits_for_snapshot]
        if waiting and self._reader is not None:
            for listener in waiting:
                listener.show(await loop.run_in_executor(self._thread, self._snapshot, listener.wanted))

    def _begin_anew(self) -> None:
        self._reader = None
        self._watch = Watch()
        for listener in self._listeners:
            listener.waits_for_snapshot = True

    def _say_once(self, error: Exception) -> None:
        if repr(error) != self._told:
            self._told = repr(error)
            log.error("the live view failed and begins anew: %s", error, exc_info=not isinstance(error, OSError))

    def _wanted(self) -> bool:
        return bool(self._listeners) and not self._closed

    # In the thread ----------------------------------------------------------------------------------------------------

    def _look(self) -> list[Change]:
        """Read what is new in the journal."""
        if self._reader is None:
            self._reader = self._caught_up()
        if self._reader is None:
            return []
        kept: dict[str, int] = {}
        for segment in segments.list_segments(self._folder):
            kept.setdefault(segment.writer, segment.number)
        steps = self._reader.steps()
        changes = [change for step in steps for change in self._changes(self._told_by(step))]
        behind = {step.writer for step in steps if step.frames}
        return [*changes, *self._changes(self._watch.released(kept, behind))]

    def _caught_up(self) -> JournalReader | None:
        """Return a reader that is at the journal's end; None where nobody waits for it any more."""
        try:
            positions = self._positions()
        except StoreError:  # there is none yet: all there is stands in the journal
            positions = {}
        reader, backlog = JournalReader(self._folder, positions), Backlog()
        while self._wanted():
            steps = reader.steps()
            for step in steps:
                for frame, position in step.frames:
                    backlog.add(frame, position)
            if not any(_is_long(step) for step in steps):
                backlog.read_by(self._watch)
                return reader
        return None

    def _told_by(self, step: Step) -> Iterable[Told]:
        for frame, position in step.frames:
            told = self._watch.take(frame, position)
            if told:
                yield told
        if step.finished:
            yield from self._watch.died(step.writer)

    def _changes(self, said: Iterable[Told]) -> Iterable[Change]:
        for exchange, events in said:
            for event in events:
                self._number += 1
                yield Change(self._number, event.name, _encode(event.data), exchange.session_id, exchange.agent_id)

    def _snapshot(self, wanted: Wanted) -> Change:
        shown: list[RunningExchange] = [
            running
            for running in self._watch.shown()
            if wanted.fits(running.exchange.session_id, running.exchange.agent_id)
        ]
        self._number += 1
        return Change(self._number, "snapshot", _encode(LiveSnapshot(shown)))


def _is_long(step: Step) -> bool:
    """Tell whether a step took so much that there may be more."""
    return sum(len(frame.data) + frames.OVERHEAD for frame, _ in step.frames) > READ_BYTES // 2
