"""Latency: groups, nearest-rank percentiles and stalls, against figures computed by hand."""

from __future__ import annotations

import math
import random
from datetime import date, datetime
from typing import Any

import polars as pl
import pytest

from analysis.dictionary import EXCHANGES
from analysis.measures.latency import CACHE_STATES, CONTEXT_BANDS, STALL_PLACES, banded, latency, stalls
from tests.support.frames import NOON, at, frame

ANSWERED = {"state": "complete", "status": 200, "stream": True, "model": "opus", "output_tokens": 10}


def answered(number: int, **columns: Any) -> dict[str, Any]:
    """Return an exchange that was answered with a message, a minute after the one before."""
    return {"exchange_id": f"e{number}", "started_at": at(60 * number), **ANSWERED, **columns}


def rank(values: list[float], share: float) -> float:
    """Return the nearest-rank percentile, by its definition."""
    return sorted(values)[math.ceil(round(share * len(values), 9)) - 1]


def test_hour_and_day_are_those_of_the_start_in_utc() -> None:
    """Hour and day are those in which the request began to arrive, in UTC."""
    late = datetime.fromisoformat("2026-11-02T23:59:59.999999+00:00")

    found = banded(frame("exchanges", {"started_at": late}, {"started_at": NOON})).collect()

    assert [hour.hour for hour in found["hour"]] == [23, 12]
    assert found["day"].to_list() == [date(2026, 11, 2)] * 2


@pytest.mark.parametrize(
    ("tokens", "band"),
    [
        (0, "<10k"), (9_999, "<10k"), (10_000, "10-50k"), (49_999, "10-50k"), (50_000, "50-100k"), (99_999, "50-100k"),
        (100_000, "100-200k"), (199_999, "100-200k"), (200_000, "200k+"), (1_000_000, "200k+"), (None, None),
    ],
)  # fmt: skip
def test_a_band_of_context_begins_with_its_lower_number(tokens: int | None, band: str | None) -> None:
    """Each size of context is in one band; one that nobody told is in none."""
    assert banded(frame("exchanges", {"context_tokens": tokens})).collect()["context_band"].to_list() == [band]


@pytest.mark.parametrize(
    ("context", "read", "state"),
    [
        (1000, 1000, "hit"), (1000, 900, "hit"), (1000, 899, "partial"), (1000, 1, "partial"), (1000, 0, "miss"),
        (1000, None, "miss"), (None, None, None), (0, 0, None),
    ],
)  # fmt: skip
def test_a_hit_has_nine_tenths_of_its_input_from_the_cache(context: int | None, read: int | None, state: str) -> None:
    """The state of the cache is told by the share that was read, and by nobody where there was no input."""
    rows = frame("exchanges", {"context_tokens": context, "cache_read_tokens": read})

    assert banded(rows).collect()["cache_state"].to_list() == [state]


def test_bands_come_on_top_of_all_columns() -> None:
    """Adding bands takes no column away and keeps the frame lazy, also when it is empty."""
    found = banded(frame("exchanges"))

    assert isinstance(found, pl.LazyFrame)
    added = {"hour": EXCHANGES.schema()["started_at"], "day": pl.Date(), "context_band": CONTEXT_BANDS}
    assert found.collect_schema() == {**EXCHANGES.schema(), **added, "cache_state": CACHE_STATES}


def test_percentiles_are_nearest_rank() -> None:
    """Of ten values the median is the fifth and the 90th percentile the ninth; of all, p99 is the greatest."""
    rows = [answered(n, first_token_ms=100.0 * n, duration_ms=1000.0 * n, first_byte_ms=float(n)) for n in range(1, 11)]
    random.shuffle(rows)

    [found] = latency(frame("exchanges", *rows)).collect().to_dicts()

    assert found["exchanges"] == 10
    assert [found[f"first_token_p{p}_ms"] for p in (50, 90, 99)] == [500.0, 900.0, 1000.0]
    assert [found[f"duration_p{p}_ms"] for p in (50, 90, 99)] == [5000.0, 9000.0, 10000.0]
    assert [found[f"first_byte_p{p}_ms"] for p in (50, 90, 99)] == [5.0, 9.0, 10.0]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 99, 100, 101, 250])
def test_a_percentile_is_a_value_that_really_was(count: int) -> None:
    """For any number of exchanges the percentile is the ceil(q * n)-th value, whatever the order of the rows."""
    speeds = random.sample(range(1, 10_000), count)
    rows = [answered(n, tokens_per_second=float(speed), gap_max_ms=speed / 10) for n, speed in enumerate(speeds)]

    [found] = latency(frame("exchanges", *rows), by=()).collect().to_dicts()

    assert found["tokens_per_second_p50"] == rank(speeds, 0.5)
    assert found["tokens_per_second_p10"] == rank(speeds, 0.1)
    assert found["gap_max_p99_ms"] == rank(speeds, 0.99) / 10


def test_what_has_no_value_does_not_count_for_its_percentile() -> None:
    """An answer in one piece has a duration but no first token; a group without any value has null."""
    rows = [answered(1, duration_ms=10.0, first_token_ms=4.0), answered(2, duration_ms=20.0)]

    [found] = latency(frame("exchanges", *rows)).collect().to_dicts()

    assert (found["exchanges"], found["first_token_p99_ms"], found["duration_p99_ms"]) == (2, 4.0, 20.0)
    assert found["gap_max_p99_ms"] is None


def test_only_answers_that_are_whole_messages_count() -> None:
    """Failures, errors, clients that left, running exchanges and counts of tokens are no answers to be timed."""
    others = [
        {"state": "failed"}, {"state": "client_left"}, {"state": "interrupted"}, {"state": "open"},
        {"api_error": "overloaded_error"}, {"output_tokens": None},
    ]  # fmt: skip
    rows = [answered(n, duration_ms=1.0, **other) for n, other in enumerate(others)]

    assert latency(frame("exchanges", *rows)).collect().is_empty()
    assert latency(frame("exchanges", *rows, answered(9, duration_ms=7.0))).collect()["exchanges"].to_list() == [1]


def test_groups_may_be_columns_and_bands() -> None:
    """A group is made by any columns, those that `banded` adds among them, and bands sort by size."""
    rows = [
        answered(1, context_tokens=250_000, cache_read_tokens=0, duration_ms=3.0),
        answered(2, context_tokens=20_000, cache_read_tokens=20_000, duration_ms=2.0),
        answered(70, context_tokens=5_000, cache_read_tokens=5_000, duration_ms=1.0),
    ]

    by_band = latency(frame("exchanges", *rows), by="context_band").collect()
    by_hour = latency(banded(frame("exchanges", *rows)), by=("hour", "model")).collect()
    by_state = latency(frame("exchanges", *rows).collect(), by=("cache_state",)).collect()

    assert by_band["context_band"].to_list() == ["<10k", "10-50k", "200k+"]
    assert by_band["duration_p50_ms"].to_list() == [1.0, 2.0, 3.0]
    assert by_hour.select("hour", "model", "exchanges").rows() == [(NOON, "opus", 2), (at(3600), "opus", 1)]
    assert by_state.select("cache_state", "exchanges").rows() == [("hit", 2), ("miss", 1)]


def test_latency_of_nothing_has_all_its_columns() -> None:
    """An empty frame gives an empty one with the same columns."""
    found = latency(frame("exchanges")).collect()

    assert found.is_empty()
    assert found.columns == [
        "model", "exchanges", "first_byte_p50_ms", "first_byte_p90_ms", "first_byte_p99_ms", "first_token_p50_ms",
        "first_token_p90_ms", "first_token_p99_ms", "duration_p50_ms", "duration_p90_ms", "duration_p99_ms",
        "tokens_per_second_p50", "tokens_per_second_p10", "gap_max_p99_ms", "stalls",
    ]  # fmt: skip


def test_a_stall_says_where_it_was_and_how_long() -> None:
    """A long gap is a stall in the stream, a late first token one before it; an exchange may have both."""
    rows = [
        answered(1, gap_max_ms=5000.0, first_token_ms=30_000.0),
        answered(2, gap_max_ms=5000.1, first_token_ms=29_000.0, session_id="s", thread_id="s/main"),
        answered(3, gap_max_ms=6000.0, first_token_ms=31_000.0),
    ]

    found = stalls(frame("exchanges", *rows)).collect()

    known = ["exchange_id", "session_id", "thread_id", "started_at", "model", "place", "stalled_ms"]
    assert found.columns == known
    assert found.schema["place"] == STALL_PLACES
    assert found.rows() == [
        ("e2", "s", "s/main", at(120), "opus", "stream", 5000.1),
        ("e3", None, None, at(180), "opus", "first_token", 31_000.0),
        ("e3", None, None, at(180), "opus", "stream", 6000.0),
    ]


def test_a_first_token_that_never_came_is_a_stall() -> None:
    """Whoever left, or failed, after 30 s without content waited all the time; an answer in one piece may take longer."""
    rows = [
        answered(1, state="client_left", output_tokens=None, duration_ms=45_000.0),
        answered(2, state="failed", output_tokens=None, duration_ms=29_000.0),
        answered(3, stream=False, duration_ms=45_000.0),
        answered(4, state="open", output_tokens=None),
    ]

    found = stalls(frame("exchanges", *rows)).collect()

    assert found.select("exchange_id", "place", "stalled_ms").rows() == [("e1", "first_token", 45_000.0)]


def test_what_is_long_may_be_said() -> None:
    """With a longer limit fewer exchanges stalled, at both places."""
    rows = frame("exchanges", answered(1, gap_max_ms=50_000.0), answered(2, first_token_ms=50_000.0))

    assert stalls(rows, 49_999).collect()["exchange_id"].to_list() == ["e1", "e2"]
    assert stalls(rows, 50_000).collect().is_empty()
    assert stalls(frame("exchanges", answered(1, gap_max_ms=50.0)), 49).collect()["stalled_ms"].to_list() == [50.0]


def test_each_group_counts_its_exchanges_with_stalls() -> None:
    """An exchange that stalled twice counts once, in its own group."""
    rows = [
        answered(1, gap_max_ms=6000.0, first_token_ms=31_000.0),
        answered(2, gap_max_ms=1.0, first_token_ms=1.0),
        answered(3, model="haiku"),
    ]

    found = latency(frame("exchanges", *rows)).collect()

    assert found.select("model", "exchanges", "stalls").rows() == [("haiku", 1, 0), ("opus", 2, 1)]
