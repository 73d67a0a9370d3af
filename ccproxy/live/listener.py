"""One who listens, and what they have not taken yet.

Holds a bounded amount: a listener that is too slow is told so, loses what it missed, and gets a snapshot once it is there again.
Belongs to the event loop. Refuses to know the journal and the wire.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

MAX_QUEUED_BYTES = 4 << 20
MAIN = "main"
_OVERHEAD = 200  # what a short event costs beside its text


@dataclass(frozen=True, slots=True)
class Change:
    """One event, ready to be sent: `data` is JSON on one line. Numbers rise, with gaps."""

    number: int
    name: str
    data: bytes
    session_id: str | None = None
    agent_id: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants to hear about: everything, or one session, or one agent; `main` is what no agent asked."""

    session: str | None = None
    agent: str | None = None

    def fits(self, session_id: str | None, agent_id: str | None) -> bool:
        """Tell whether an exchange of that session and agent is wanted."""
        return self.session in (None, session_id) and self.agent in (None, agent_id or MAIN)


class Listener:
    """Takes changes from a follower, and gives them one by one."""

    def __init__(self, wanted: Wanted, limit: int = MAX_QUEUED_BYTES) -> None:
        """Begin without a snapshot; `limit` is how many bytes may wait."""
        self.wanted = wanted
        self.waits_for_snapshot = True
        self._limit = limit
        self._queue: deque[Change] = deque()
        self._size = 0
        self._lagging = False
        self._over = False
        self._news = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Listener {self.wanted} waiting={len(self._queue)} lagging={self._lagging}>"

    def show(self, snapshot: Change) -> None:
        """Give a snapshot; from here on changes are wanted."""
        self.waits_for_snapshot = False
        self._put(snapshot)

    def offer(self, changes: Iterable[Change]) -> None:
        """Give the changes that are wanted, as long as there is room for them."""
        if self.waits_for_snapshot or self._lagging:
            return
        for change in changes:
            if self.wanted.fits(change.session_id, change.agent_id):
                if self._queue and self._size + len(change.data) + _OVERHEAD > self._limit:
                    self._lag(change.number)
                    return
                self._put(change)

    def end(self) -> None:
        """Say that nothing will follow."""
        self._over = True
        self._news.set()

    async def next(self) -> Change | None:
        """Wait for the next change; None when nothing will follow."""
        while not self._queue and not self._over:
            self._news.clear()
            await self._news.wait()
        if self._over:
            return None
        change = self._queue.popleft()
        self._size -= len(change.data) + _OVERHEAD
        if self._lagging:
            self._lagging, self.waits_for_snapshot = False, True
        return change

    def _put(self, change: Change) -> None:
        self._queue.append(change)
        self._size += len(change.data) + _OVERHEAD
        self._news.set()

    def _lag(self, number: int) -> None:
        self._queue.clear()
        self._size = 0
        self._lagging = True
        self._put(Change(number, "lagging", b"{}"))
