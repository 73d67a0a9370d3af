"""Which columns of an answer can be drawn, and along what: the choice that the address makes, else the one that suggests itself.

Refuses to know how charts look.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import polars as pl

SHAPES = ("bars", "lines", "none")
MOST_PLACES = 200  # along a chart


@dataclass(frozen=True, slots=True)
class Drawn:
    """How an answer is drawn: `x`, `y` and what the series are, each of those that there are to choose from. `shape` is one of SHAPES."""

    shape: str
    x: str
    y: str
    by: str
    xs: tuple[str, ...]
    ys: tuple[str, ...]
    bys: tuple[str, ...]


def drawn(frame: pl.DataFrame, asked: Mapping[str, str]) -> Drawn | None:
    """Return how an answer is drawn; None where there is nothing to draw: it needs a number, something to stand along, and two rows."""
    numbers = tuple(name for name, kind in frame.schema.items() if kind.is_numeric())
    times = tuple(name for name, kind in frame.schema.items() if kind in (pl.Date, pl.Datetime))
    words = tuple(name for name, kind in frame.schema.items() if kind in (pl.String, pl.Boolean, pl.Categorical))
    along = (*times, *words, *numbers)
    x = asked.get("x", "") if asked.get("x") in along else along[0] if along else ""
    ys = tuple(name for name in numbers if name != x)
    if frame.height < 2 or not x or not ys:
        return None
    y = asked.get("y", "") if asked.get("y") in ys else ys[0]
    bys = tuple(name for name in words if name != x)
    # of several words the one with the fewest values makes series, where these are few
    free = [(frame[name].n_unique(), name) for name in bys]
    own = min(free)[1] if free and 1 < min(free)[0] <= 12 else ""
    by = asked["by"] if asked.get("by") in bys else "" if asked.get("by") == "-" else own
    shape = asked.get("shape", "")
    usual = "bars" if x in words else "lines"
    return Drawn(shape if shape in SHAPES else usual, x, y, by, along, ys, bys)


def points(frame: pl.DataFrame, how: Drawn) -> tuple[pl.DataFrame, bool]:
    """Return columns `x`, `series` and `value` of what is drawn, each place once, and whether places were left out: the first count."""
    series = pl.col(how.by).cast(pl.String).fill_null("null") if how.by else pl.lit(how.y)
    x = (
        pl.col(how.x).cast(pl.String).fill_null("null")
        if frame.schema[how.x] in (pl.String, pl.Boolean, pl.Categorical)
        else pl.col(how.x)
    )
    found = frame.select(
        x.alias("x"), series.alias("series"), pl.col(how.y).cast(pl.Float64).alias("value")
    ).drop_nulls()
    places = found["x"].unique(maintain_order=True)
    return found.filter(pl.col("x").is_in(places.head(MOST_PLACES).implode())), len(places) > MOST_PLACES


def step(frame: pl.DataFrame) -> timedelta | None:
    """Return how long a bar lasts: the shortest time between two places; None where they are no times."""
    if not frame.schema["x"].is_temporal():
        return None
    moments = frame["x"].cast(pl.Datetime("us", "UTC")).unique().sort()
    shortest = moments.diff().drop_nulls().min()
    return shortest if isinstance(shortest, timedelta) and shortest else timedelta(days=1)
