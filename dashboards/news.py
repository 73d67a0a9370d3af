"""What changes on one tab by itself: parts of its page, rendered anew after something has happened, a few times a second at most.

A part is HTML with `data-part`, which the browser puts in the place of the one that is there, node by node, so that nothing flickers
and what is scrolled stays. Nothing is sent where nothing has changed. Refuses to know what parts say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count

EVERY_S = 0.25
TICK_S = 1.0
Render = Callable[[], str]


class News:
    """The parts of one tab. Made in the server's loop; `tell` takes the HTML of all parts, and a number that makes it new."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._parts: dict[str, tuple[Render, bool]] = {}
        self._numbers = count(1)
        self._told = ""
        self._due: asyncio.TimerHandle | None = None
        self._due_at = 0.0
        self._last = float("-inf")

    def show(self, name: str, render: Render, *, ticks: bool = False) -> None:
        """Keep a part fresh, from any thread; with `ticks` also while nothing happens."""
        self._parts[name] = (render, ticks)
        self._loop.call_soon_threadsafe(self.changed)

    def drop(self, name: str) -> None:
        """Let a part be, from any thread."""
        self._parts.pop(name, None)

    def again(self) -> None:
        """Tell everything once more, from any thread: the page has been made anew."""
        self._told = ""
        self._loop.call_soon_threadsafe(self.changed)

    def changed(self) -> None:
        """Something has happened: tell it soon. Only within the loop."""
        self._plan(max(self._loop.time(), self._last + EVERY_S))

    def close(self) -> None:
        """Tell nothing any more. Only within the loop."""
        self._parts.clear()
        if self._due is not None:
            self._due.cancel()

    def _plan(self, at: float) -> None:
        if self._due is not None and self._due_at <= at:
            return
        if self._due is not None:
            self._due.cancel()
        self._due, self._due_at = self._loop.call_at(at, self._flush), at

    def _flush(self) -> None:
        self._due, self._last = None, self._loop.time()
        parts = list(self._parts.values())
        html = "".join(render() for render, _ in parts)
        if html and html != self._told:
            self._told = html
            self._tell(f"<!--{next(self._numbers)}-->{html}")
        if any(ticks for _, ticks in parts):
            self._plan(self._last + TICK_S)
