"""The week's time: a clock that stands where the script puts it, and the moments that the script names.

All in microseconds since 1970, UTC. Refuses to look at a real clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

SECOND = 1_000_000
DAYS = 7


@dataclass(slots=True)
class Clock:
    """A clock that others set."""

    now: int = 0

    def __call__(self) -> int:
        """Return the time."""
        return self.now


@dataclass(frozen=True, slots=True)
class Week:
    """Seven days, of which `ending` is the last."""

    ending: date

    def moment(self, text: str) -> int:
        """Return the moment that `3 09:30` names: half past nine on the third day."""
        day, _, clock = text.partition(" ")
        when = datetime.combine(self._day(int(day)), time.fromisoformat(clock.strip()), UTC)
        return int(when.timestamp()) * SECOND

    def share(self, at: int) -> float:
        """Return how much of the week is over at a moment."""
        return (at - self.moment("1 00:00")) / (DAYS * 24 * 3600 * SECOND)

    def _day(self, number: int) -> date:
        if not 1 <= number <= DAYS:
            raise ValueError(f"a week has no day {number}")
        return self.ending - timedelta(days=DAYS - number)


def utc(at: int) -> datetime:
    """Return a moment as date and time."""
    return datetime.fromtimestamp(at // SECOND, UTC)
