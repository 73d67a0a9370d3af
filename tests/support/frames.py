"""Small frames for tests of measures: rows by hand, all other columns null, with exactly the dictionary's schema.

Refuses to know what a measure does.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from analysis.dictionary import GRAINS

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)  # a Monday


def at(seconds: float) -> datetime:
    """Return a moment so many seconds after NOON."""
    return NOON + timedelta(seconds=seconds)


def frame(grain: str, *rows: dict[str, Any], bodies: bool = False) -> pl.LazyFrame:
    """Return a lazy frame of a grain, as `Capture` gives it: `bodies` adds the columns of any length."""
    schema = GRAINS[grain].schema(bodies=bodies)
    for row in rows:
        unknown = set(row) - set(schema)
        assert not unknown, f"{grain} has no columns {sorted(unknown)}"
    return pl.LazyFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema, orient="row")
