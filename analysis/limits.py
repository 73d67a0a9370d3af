"""How long somebody's query may run, and that it can be stopped before that.

Refuses to know what a query asks, and what runs it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

POLL_S = 0.05


class Limit:
    """For one query, or several that belong together. `reason` says why they were stopped; empty as long as they were not."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.reason = ""

    def __repr__(self) -> str:
        return f"<Limit {self.seconds:g} s {self.reason}>"

    def stop(self, reason: str = "nobody waits for it any more") -> None:
        """Stop what runs, from any thread; what would begin later does not begin."""
        self.reason = self.reason or reason

    @contextlib.contextmanager
    def over(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """Watch over what runs inside; once it has to stop, `interrupt` is called until it does."""
        done = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(interrupt, done), name="limit", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()  # nothing is interrupted that is not ours

    def _watch(self, interrupt: Callable[[], None], done: threading.Event) -> None:
        last = time.monotonic() + self.seconds
        while not done.wait(POLL_S):
            if time.monotonic() > last:
                self.stop(f"it took longer than {self.seconds:g} seconds")
            if self.reason:
                interrupt()
