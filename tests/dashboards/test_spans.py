"""Days and hours by which figures are laid out, and the ranges that show one of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from dashboards.data.spans import DAY, HOUR, step
from dashboards.state import Filters

NOON = datetime(2026, 11, 3, 12, 40, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moments", "wanted"),
    [
        ([NOON, NOON + timedelta(days=3)], HOUR),
        ([NOON, NOON + timedelta(days=3, seconds=1)], DAY),
        ([NOON], HOUR),
        ([], DAY),
    ],
)
def test_a_short_span_is_laid_out_by_hour(moments: list[datetime], wanted: object) -> None:
    """What happened within three days is laid out by hour, more by day."""
    frame = pl.DataFrame({"started_at": moments}, schema={"started_at": pl.Datetime("us", "UTC")})
    assert step(frame) is wanted


def test_the_range_of_an_hour_is_that_hour() -> None:
    """A click on an hour leads to what happened in it, the last moment included and the next hour not."""
    text = HOUR.range(NOON.replace(minute=0))
    assert text == "2026-11-03T12..2026-11-03T12"
    since, until = Filters(range=text).span(NOON)
    assert (since, until) == (datetime(2026, 11, 3, 12, tzinfo=UTC), datetime(2026, 11, 3, 13, tzinfo=UTC))


def test_the_range_of_a_day_is_that_day() -> None:
    """A click on a day leads to all of it."""
    text = DAY.range(NOON.replace(hour=0, minute=0))
    assert text == "2026-11-03..2026-11-03"
    assert Filters(range=text).span(NOON) == (
        datetime(2026, 11, 3, tzinfo=UTC),
        datetime(2026, 11, 4, tzinfo=UTC),
    )


def test_a_moment_belongs_to_the_piece_that_it_is_in() -> None:
    """Moments are put together by the hour or day that they are in."""
    frame = pl.DataFrame({"started_at": [NOON]})
    assert frame.select(HOUR.of()).item() == NOON.replace(minute=0)
    assert frame.select(DAY.of()).item() == NOON.replace(hour=0, minute=0)
