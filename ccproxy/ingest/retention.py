"""What is deleted because it is old or because there is too much, and the work that any deletion leaves behind.

Takes one short step at a time between two turns of the pipeline, so that the journal never waits for long. Knows when to
look and what to try again; a store that is in use is no news. Refuses to know how the store does it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from ccproxy.errors import StoreBusyError, StoreError
from ccproxy.ingest.pipeline import Pipeline
from ccproxy.settings import Storage
from ccproxy.stores.contract import Leftover, Selection

log = logging.getLogger("ccproxy")

LOOK_S = 0.5  # between two looks at what is wanted
AGE_S = 600.0  # between two looks at how old things are, and before a size that cannot be helped is looked at again
RETRY_S = (1.0, 5.0, 30.0, 300.0)  # after failures in a row to give room back: somebody reads, or the disk is full
REST = 4  # times as long as giving room back took, nothing of it is done: deletions one by one are shrunk for together
STEP = 500  # exchanges deleted between two turns
ROOM = 0.9  # of the largest size is what is left, so that there is something to fill before it must be done again


@dataclass(slots=True)
class _Order:
    """Exchanges that are being deleted, and for which setting."""

    before: int
    setting: str
    deleted: int = 0


class Retention:
    """Keeps the store of a pipeline within the bounds that `storage` sets. `alive` is called during long steps."""

    def __init__(
        self,
        pipeline: Pipeline,
        storage: Storage,
        alive: Callable[[], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._pipeline = pipeline
        self._store = pipeline.store
        self._storage = storage
        self._alive = alive
        self._clock = clock
        self._wall = wall
        self._look_at = self._age_at = self._size_at = clock()
        self._space_at, self._spent = clock(), 0.0
        self._order: _Order | None = None
        self._failures = 0
        self._told = ""

    def turn(self) -> bool:
        """Do one step of what is due; return whether the next one should follow at once."""
        if self._clock() < self._look_at:
            return False
        try:
            more = self._step()
        except StoreError as error:
            self._tell_of(error)
            more = False
        self._look_at = self._clock() + (0 if more else LOOK_S)
        return more

    def _step(self) -> bool:
        if self._order:
            return self._delete(self._order)
        left = self._store.leftover()
        if left is Leftover.ROWS:
            self._pipeline.sweep()
            return True
        if left is Leftover.SPACE and self._clock() >= self._space_at:
            self._shrink()
            return True
        # Before the room is given back nobody knows how much there is: too much would be deleted.
        self._order = self._too_old() or (None if left else self._too_much())
        return self._order is not None

    def _shrink(self) -> None:
        began = self._clock()
        try:
            more = self._store.shrink(self._alive)
        except StoreError:
            self._space_at = self._clock() + RETRY_S[min(self._failures, len(RETRY_S) - 1)]
            self._failures += 1
            raise
        self._spent += self._clock() - began
        if not more:
            self._space_at = self._clock() + REST * self._spent
            self._spent, self._failures = 0.0, 0

    def _delete(self, order: _Order) -> bool:
        deleted = self._store.delete(Selection(before=order.before), most=STEP, wipe=False)
        order.deleted += deleted
        if deleted < STEP:
            self._order = None
            self._tell(order)
        return True

    def _tell_of(self, error: StoreError) -> None:
        if not isinstance(error, StoreBusyError) and str(error) != self._told:
            self._told = str(error)
            log.error("what was deleted still takes room: %s", error)

    def _tell(self, order: _Order) -> None:
        if order.deleted:
            moment = datetime.fromtimestamp(order.before / 1e6).astimezone()
            log.info(
                "%s: deleted %d exchanges from before %s", order.setting, order.deleted, f"{moment:%Y-%m-%d %H:%M:%S}"
            )
        elif order.setting == "storage.max_size":
            self._size_at = self._clock() + AGE_S

    def _too_old(self) -> _Order | None:
        if not self._storage.max_age or self._clock() < self._age_at:
            return None
        self._age_at = self._clock() + AGE_S
        return _Order(int((self._wall() - self._storage.max_age) * 1_000_000), "storage.max_age")

    def _too_much(self) -> _Order | None:
        limit = self._storage.max_size
        if not limit or self._clock() < self._size_at or self._store.used_bytes() <= limit:
            return None
        before = self._store.excess(int(limit * ROOM))
        if before is None:
            self._size_at = self._clock() + AGE_S
            return None
        return _Order(before, "storage.max_size")
