"""Somebody's query over the views: what it gives, within a time and a number of rows; and what may be asked about.

Refuses to know how any of it looks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from typing import NamedTuple

import polars as pl

import analysis
from analysis.dictionary import GRAINS, type_name
from dashboards.data.store import Data, TroubleError

SECONDS = 30.0
MOST_SHOWN = 1_000
MOST_TAKEN = 1_000_000  # in a download
FRESH_S = 120.0  # an answer is looked at for so long without being asked again: another chart of it is the same answer


class Column(NamedTuple):
    """A column that may be asked about."""

    name: str
    type: str
    unit: str
    meaning: str
    long: bool


class View(NamedTuple):
    """A view that may be asked about."""

    name: str
    row: str
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query gave: at most MOST_SHOWN rows, whether there are more, how long it took and when it was asked."""

    frame: pl.DataFrame
    more: bool
    seconds: float
    asked_at: datetime


def views() -> list[View]:
    """Return all views with their columns, as the dictionary has them."""
    return [
        View(
            grain.name,
            grain.row,
            tuple(Column(one.name, type_name(one.type), one.unit, one.meaning, one.body) for one in grain.columns),
        )
        for grain in GRAINS.values()
    ]


def _examples() -> tuple[tuple[str, str], ...]:
    """Return name and query of each example in `examples.sql`."""
    text = (resources.files("dashboards") / "data" / "examples.sql").read_text("utf-8")
    parts = (part.partition("\n") for part in text.removeprefix("-- ").split("\n-- "))
    return tuple((name, query.strip()) for name, _, query in parts)


EXAMPLES = _examples()


def unit_of(name: str) -> str:
    """Return the unit of a column of that name; empty where it has none, or views differ."""
    found = {column.unit for view in views() for column in view.columns if column.name == name}
    return found.pop() if len(found) == 1 else ""


def ask(data: Data, query: str, limit: analysis.Limit, monotonic: Callable[[], float], key: str = "") -> Answer:
    """Return what a query gives; what it gave a moment ago where `key` is the same.

    Raises QueryError where it is wrong, takes too long or is stopped; TroubleError where the captures cannot be read.
    """

    def make() -> Answer:
        capture, began = data.capture, monotonic()
        try:
            found = capture.sql(query, limit=limit, most=MOST_SHOWN + 1)
        except analysis.QueryError:
            _see_that_it_can_be_read(data)
            raise
        except analysis.AnalysisError as error:
            raise TroubleError(str(error)) from None
        return Answer(found.head(MOST_SHOWN), found.height > MOST_SHOWN, monotonic() - began, datetime.now(UTC))

    return data.kept(("sql", query, key), make, FRESH_S)


def take(data: Data, query: str) -> pl.DataFrame:
    """Return all that a query gives, for a download. Raises TroubleError."""
    try:
        return data.capture.sql(query, limit=analysis.Limit(SECONDS * 4), most=MOST_TAKEN)
    except analysis.AnalysisError as error:
        raise TroubleError(str(error)) from None


def _see_that_it_can_be_read(data: Data) -> None:
    """Tell a store that is gone from a query that is wrong: both are errors of DuckDB's."""
    try:
        data.ask("SELECT exchange_id FROM exchanges LIMIT 1")
    except TroubleError:
        data.forget()
        raise
