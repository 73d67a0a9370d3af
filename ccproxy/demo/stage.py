"""Who speaks when: all conversations of the week at once, request by request, in the order of the clock.

An actor is a generator that yields a request and gets what was heard; or a list of actors, and gets, when all of them are done, what
they return. So sessions run beside each other, and a subagent beside its siblings, though one exchange is made at a time. Refuses
to know what is said.
"""

from __future__ import annotations

import heapq
from collections.abc import Awaitable, Callable, Generator, Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeAlias

from ccproxy.demo.proxy import Ask, Heard

Actor: TypeAlias = Generator["Ask | list[Actor]", Any, Any]


@dataclass(slots=True)
class _Running:
    """An actor, whom it answers to, and what it waits for."""

    actor: Actor
    parent: _Running | None = None
    place: int = 0
    results: list[Any] = field(default_factory=list)
    awaited: int = 0


class Stage:
    """Runs actors. `ask` makes one exchange."""

    def __init__(self, ask: Callable[[Ask], Awaitable[Heard]]) -> None:
        self._ask = ask
        self._turns: list[tuple[int, int, _Running, Ask]] = []
        self._number = count()

    async def play(self, actors: Iterable[Actor]) -> None:
        """Run these actors to their ends."""
        for actor in actors:
            self._go_on(_Running(actor), None)
        while self._turns:
            _, _, running, ask = heapq.heappop(self._turns)
            self._go_on(running, await self._ask(ask))

    def _go_on(self, running: _Running, value: Any) -> None:
        try:
            wanted = running.actor.send(value)
        except StopIteration as stop:
            self._done(running, stop.value)
            return
        if isinstance(wanted, Ask):
            heapq.heappush(self._turns, (wanted.at, next(self._number), running, wanted))
            return
        running.results, running.awaited = [None] * len(wanted), len(wanted)
        for place, actor in enumerate(wanted):
            self._go_on(_Running(actor, running, place), None)

    def _done(self, running: _Running, result: Any) -> None:
        parent = running.parent
        if parent is None:
            return
        parent.results[running.place] = result
        parent.awaited -= 1
        if not parent.awaited:
            self._go_on(parent, parent.results)
