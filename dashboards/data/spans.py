"""Days and hours (UTC) by which figures are laid out, and the range that shows one of them.

Refuses to know what is counted.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

import polars as pl


class Step(NamedTuple):
    """How long a piece of a chart is: as polars says it, as a length, and as a word."""

    every: str
    length: timedelta
    word: str

    def range(self, at: datetime) -> str:
        """Return the range, as the filter has it, of the piece that begins then."""
        text = f"{at:%Y-%m-%d}" if self is DAY else f"{at:%Y-%m-%dT%H}"
        return f"{text}..{text}"

    def of(self, column: str = "started_at") -> pl.Expr:
        """Return the beginning of the piece that a moment is in."""
        return pl.col(column).dt.truncate(self.every)


HOUR, DAY = Step("1h", timedelta(hours=1), "hour"), Step("1d", timedelta(days=1), "day")
MOST_HOURS = timedelta(days=3)


def step(frame: pl.DataFrame, column: str = "started_at") -> Step:
    """Return hours for what happened within MOST_HOURS, else days."""
    first, last = frame[column].min(), frame[column].max()
    if not (isinstance(first, datetime) and isinstance(last, datetime)):
        return DAY
    return HOUR if last - first <= MOST_HOURS else DAY
