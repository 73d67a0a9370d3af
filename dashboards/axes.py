"""Where things stand along a chart, and how its numbers are written: times in UTC, turns, or names; tokens, dollars, milliseconds.

Refuses to know what is drawn, and in which colours.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
from bokeh.models import Axis, CustomJSTickFormatter, FactorRange, FixedTicker, Range1d

DAY = timedelta(days=1)
FEWEST, MOST_TICKS = (
    8,
    12,
)  # places that a chart is wide at least, so that one bar is no wall; labels that fit beside each other
_STRIDES = (1, 2, 3, 6, 12, 24)  # hours between labels
_SHORT = (
    "const a = Math.abs(tick), n = v => String(+v.toPrecision(3)); const short = a >= 1e9 ? n(tick / 1e9) + ' G' : a >= 1e6"
    " ? n(tick / 1e6) + ' M' : a >= 1e3 ? n(tick / 1e3) + ' k' : n(tick); "
)
_TICKS = {
    "USD": _SHORT + "return '$ ' + short;",
    "share": "return +(tick * 100).toPrecision(3) + ' %';",
    "ms": "const n = v => String(+v.toPrecision(3)); return tick >= 60000 ? n(tick / 60000) + ' min' : tick >= 1000"
    " ? n(tick / 1000) + ' s' : n(tick) + ' ms';",
}


@dataclass(frozen=True, slots=True)
class Places:
    """Where each value stands: its spot on the axis, what it is called when it is pointed at, and the labels below."""

    spots: list[Any]
    labels: list[str]
    width: float
    slot: float
    ticks: dict[float, str] = field(default_factory=dict)
    whole: bool = False

    def range(self) -> Any:
        """Return the range that shows all of them."""
        if not self.spots or isinstance(self.spots[0], str):
            return FactorRange(*self.spots)
        first, last = min(self.spots) - self.slot / 2, max(self.spots) + self.slot / 2
        room = max(0.0, FEWEST * self.slot - (last - first)) / 2 if not self.whole else 0.0
        return Range1d(first - room, last + room)

    def dress(self, axis: Axis) -> None:
        """Give an axis its labels."""
        if self.ticks:
            axis.ticker = FixedTicker(ticks=list(self.ticks))
            axis.major_label_overrides = self.ticks
        elif self.spots and isinstance(self.spots[0], str):
            if len(self.spots) > MOST_TICKS:
                axis.major_label_orientation = 0.9
            if len(self.spots) > 4 * MOST_TICKS:
                axis.major_label_text_font_size = "0px"


def places(values: pl.Series, step: timedelta | None = None) -> Places:
    """Return where values stand: times in proportion, each as wide as `step` (a day, where they are dates); numbers too; else names."""
    kind = values.dtype
    if kind.is_temporal():
        return _times([_moment(value) for value in values], step or DAY)
    if kind.is_numeric():
        width = 0.86 if len(values) <= 60 else 1.0
        return Places(values.to_list(), [f"{value:,}" for value in values], width, 1.0, whole=len(values) > FEWEST)
    names = [str(value) for value in values]
    return Places(names, names, 0.8, 1.0)


def _times(moments: list[datetime], step: timedelta) -> Places:
    slot = step.total_seconds() * 1000
    form = "{0.day} {0:%b %Y, %H:%M} UTC" if step < DAY else "{0:%a} {0.day} {0:%b %Y}"
    labels = [form.format(at) for at in moments]
    return Places([at.timestamp() * 1000 for at in moments], labels, slot * 0.8, slot, _ticks(moments, step))


def _ticks(moments: list[datetime], step: timedelta) -> dict[float, str]:
    """Return labels for every so many days or hours, so that they do not run into each other."""
    if not moments:
        return {}
    first, last = min(moments), max(moments)
    if step >= DAY:
        stride = -(-((last - first) // DAY + 1) // MOST_TICKS)
        shown = [first + DAY * stride * number for number in range((last - first) // (DAY * stride) + 1)]
        return {at.timestamp() * 1000: f"{at.day} {at:%b}" for at in shown}
    hours = int((last - first) / timedelta(hours=1)) + 1
    stride = next((each for each in _STRIDES if hours <= each * MOST_TICKS), _STRIDES[-1])
    begin = first.replace(minute=0, second=0, microsecond=0)
    every = [begin + timedelta(hours=number) for number in range(hours)]
    shown = [at for at in every if at.hour % stride == 0]
    return {at.timestamp() * 1000: f"{at.day} {at:%b}" if at.hour == 0 else f"{at:%H:%M}" for at in shown}


def _moment(value: date | datetime) -> datetime:
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    return datetime(value.year, value.month, value.day, tzinfo=UTC)


def numbers(unit: str) -> CustomJSTickFormatter:
    """Return how numbers beside an axis are written."""
    return CustomJSTickFormatter(code=_TICKS.get(unit, _SHORT + "return short;"))


def exact(value: float | None, unit: str) -> str:
    """Return a figure in full, as it is shown where it is pointed at."""
    if value is None:
        return "–"
    match unit:
        case "USD":
            return f"$ {value:,.2f}" if abs(value) >= 1 or value == 0 else f"$ {value:,.4f}"
        case "share":
            return f"{value * 100:.1f} %"
        case "ms":
            return f"{value / 1000:,.2f} s" if abs(value) >= 1000 else f"{value:,.0f} ms"
        case "tok/s":
            return f"{value:,.1f} tok/s"
    return f"{value:,.0f} {unit}"
