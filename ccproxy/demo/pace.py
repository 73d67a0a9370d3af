"""How fast the stand-in for the provider is: how long until an answer begins, and how evenly it comes.

A longer prompt takes longer, most of all what of it is not in the cache; afternoons are slower than nights; each model has a speed of
its own. Refuses to know what is said.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ccproxy.demo.caching import Counted
from ccproxy.demo.chance import Chance
from ccproxy.demo.events import PING, Timed
from ccproxy.demo.week import SECOND, utc

BUSIEST_HOUR = 16.5  # UTC: afternoon in Europe, morning in America
PING_S = 10.0
_MS = 1000


@dataclass(frozen=True, slots=True)
class Speed:
    """A model's pace: milliseconds to the first event, with so many more per 1,000 tokens, and tokens per second."""

    first: float
    per_new: float
    per_cached: float
    tokens: float


SPEEDS = {
    "opus": Speed(900, 42, 4.5, 62),
    "sonnet": Speed(640, 27, 3.0, 88),
    "haiku": Speed(330, 13, 1.6, 165),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """When what comes: the head, and each event, in microseconds after the request arrived."""

    head: int
    events: tuple[tuple[int, bytes], ...]
    end: int

    @property
    def first(self) -> int:
        """When the first event comes."""
        return self.events[0][0] if self.events else self.head


def speed_of(model: str) -> Speed:
    """Return the pace of a model."""
    return next((speed for name, speed in SPEEDS.items() if name in model), SPEEDS["sonnet"])


def first_ms(model: str, counted: Counted, at: int, chance: Chance) -> float:
    """Return how long an answer takes to begin."""
    speed = speed_of(model)
    new = counted.input + counted.written
    wait = speed.first + (speed.per_new * new + speed.per_cached * counted.read) / 1000
    return chance.about(wait * load(at), 0.22)


def load(at: int) -> float:
    """Return how much slower than at night everything is."""
    moment = utc(at)
    hour = moment.hour + moment.minute / 60
    away = min(abs(hour - BUSIEST_HOUR), 24 - abs(hour - BUSIEST_HOUR))
    weekend = 0.5 if moment.weekday() >= 5 else 1.0
    return 1 + weekend * 0.55 * max(0.0, 1 - away / 7)


def plan(
    model: str, counted: Counted, events: Sequence[Timed], at: int, chance: Chance, stall: tuple[int, float] = (-1, 0.0)
) -> Plan:
    """Return when each event comes. `stall` is the index of the event before which there is silence, and for how many seconds."""
    head = round(first_ms(model, counted, at, chance) * _MS)
    per_token = SECOND / chance.about(speed_of(model).tokens / math.sqrt(load(at)), 0.12)
    now, found = head + round(chance.between(1, 6) * _MS), []
    for index, timed in enumerate(events):
        now += round(timed.tokens * chance.about(per_token, 0.35)) + round(chance.between(0.05, 0.4) * _MS)
        if index == stall[0]:
            pings = range(1, math.ceil(stall[1] / PING_S))
            found += [(now + round(number * PING_S * SECOND), PING) for number in pings]
            now += round(stall[1] * SECOND)
        found.append((now, timed.data))
    return Plan(head, tuple(found), now + round(chance.between(0.1, 0.6) * _MS))
