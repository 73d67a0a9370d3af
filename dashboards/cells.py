"""A frame of which nobody knows the columns, as rows of cells: numbers right, times as they are, what leads somewhere as a link.

Text stays text; what is long is cut, and whole on hover. Refuses to know where frames come from.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import polars as pl

LONGEST = 160  # characters of a cell
LONGEST_HOVER = 2_000
PAGES = {"exchange_id": "exchanges", "result_exchange_id": "exchanges", "session_id": "sessions"}


class Head(NamedTuple):
    """The head of a column: its name, its type for people, and whether its cells stand right."""

    name: str
    type: str
    right: bool


class Cell(NamedTuple):
    """A cell: its text, None for null; all of it where that is more; and the page and thing that it leads to."""

    text: str | None
    whole: str
    right: bool
    page: str
    item: str


def heads(frame: pl.DataFrame) -> list[Head]:
    """Return the heads."""
    return [Head(name, str(kind), _is_right(kind)) for name, kind in frame.schema.items()]


def cells(frame: pl.DataFrame) -> list[list[Cell]]:
    """Return the rows."""
    kinds = [(PAGES.get(name, ""), _is_right(kind)) for name, kind in frame.schema.items()]
    return [[_cell(value, *kind) for value, kind in zip(row, kinds, strict=True)] for row in frame.iter_rows()]


def _is_right(kind: pl.DataType) -> bool:
    return kind.is_numeric() or kind in (pl.Duration, pl.Duration("us"))


def _cell(value: Any, page: str, right: bool) -> Cell:
    if value is None:
        return Cell(None, "", right, "", "")
    text = written(value)
    short = " ".join(text[: LONGEST + 1].split("\n")) if isinstance(value, str) else text
    cut = len(text) > LONGEST
    shown = short[:LONGEST] + "…" if cut else short
    whole = text[:LONGEST_HOVER] if cut else repr(value) if isinstance(value, float) else ""
    return Cell(shown, whole, right, page, str(value) if page else "")


def written(value: Any) -> str:
    """Return a value as a table shows it."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.4f}".rstrip("0").rstrip(".") if abs(value) >= 0.01 or value == 0 else f"{value:.4g}"
        case datetime():
            return _moment(value)
        case date():
            return value.isoformat()
        case timedelta():
            return f"{value.total_seconds():,.3f} s"
        case bytes():
            return f"{len(value):,} bytes"
        case str():
            return value
        case pl.Series():
            return json.dumps(value.to_list(), ensure_ascii=False, default=str)
        case _:
            return json.dumps(value, ensure_ascii=False, default=str)


def _moment(value: datetime) -> str:
    value = value.astimezone(UTC) if value.tzinfo else value
    return value.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] if value.microsecond else value.strftime("%Y-%m-%d %H:%M:%S")
