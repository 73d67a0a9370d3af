"""Cache tokens per group, and what was written and never read, against threads told by hand."""

from __future__ import annotations

import random
from typing import Any

import polars as pl
import pytest

from analysis.measures.cache import cache, unread
from tests.support.frames import at, frame

SUMS = [
    "exchanges", "input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens",
    "output_tokens", "hit_ratio",
]  # fmt: skip


def turn(name: str, seconds: float, read: int, short: int, long: int = 0, **columns: Any) -> dict[str, Any]:
    """Return an exchange of a thread: what it read, and what it wrote for 5 minutes and for an hour."""
    return {
        "exchange_id": name, "session_id": "s", "thread_id": "s/main", "started_at": at(seconds), "model": "opus",
        "input_tokens": 10, "cache_read_tokens": read, "cache_write_tokens": short + long, "cache_write_5m_tokens": short,
        "cache_write_1h_tokens": long, "output_tokens": 5, "context_tokens": 10 + read + short + long, **columns,
    }  # fmt: skip


def lost(*rows: dict[str, Any]) -> dict[str, int]:
    """Return what of each exchange's writes was never read; the rows come in any order."""
    found = unread(frame("exchanges", *random.sample(rows, len(rows)))).collect()
    return dict(found.select("exchange_id", "unread_tokens").iter_rows())


def test_tokens_are_summed_per_group() -> None:
    """Each group has the sums of its exchanges and read / (read + write + input)."""
    rows = [
        turn("a", 0, 0, 80), turn("b", 1, 80, 10, 20), turn("c", 2, 0, 30, model="haiku"),
        {"exchange_id": "d", "started_at": at(3), "model": "opus"},
    ]  # fmt: skip
    found = cache(frame("exchanges", *rows)).collect()
    assert found.columns == ["model", *SUMS]
    assert found.rows() == [("haiku", 1, 10, 0, 30, 30, 0, 5, 0.0), ("opus", 2, 20, 80, 110, 90, 20, 10, 80 / 210)]


def test_groups_are_chosen() -> None:
    """Groups are any columns of the frame, one by its name, or none for a total."""
    rows = frame("exchanges", turn("a", 0, 0, 80), turn("b", 1, 90, 0, kind="main"))
    assert cache(rows, by="kind").select("kind", "exchanges").collect().rows() == [(None, 1), ("main", 1)]
    assert cache(rows, by=("session_id", "kind")).collect().columns[:2] == ["session_id", "kind"]
    assert cache(rows, by=()).select("exchanges", "hit_ratio").collect().rows() == [(2, 90 / 190)]


def test_nothing_has_no_ratio() -> None:
    """Where there was no input there is no ratio, and where there is no exchange no group."""
    silent = turn("a", 0, 0, 0, input_tokens=0, context_tokens=0)
    assert cache(frame("exchanges", silent)).select("hit_ratio").collect().rows() == [(None,)]
    assert cache(frame("exchanges")).collect().rows() == []
    assert unread(frame("exchanges")).collect().columns[-2:] == ["written_tokens", "unread_tokens"]


def test_frames_may_be_eager() -> None:
    """A DataFrame does as well, and the result is lazy."""
    eager = frame("exchanges", turn("a", 0, 0, 80)).collect()
    assert isinstance(cache(eager), pl.LazyFrame)
    assert unread(eager).collect().rows() == [("a", "s", "s/main", at(0), "opus", 80, 80)]


def test_a_prefix_that_is_read_on_is_used() -> None:
    """What the next request reads is used; only the last one's writes are left unread."""
    assert lost(turn("a", 0, 0, 1000), turn("b", 60, 1000, 200), turn("c", 120, 1200, 50)) == {"a": 0, "b": 0, "c": 50}


def test_a_short_read_uses_a_part() -> None:
    """Of 1000 tokens a read of 300 uses 300, and one that ends before the written piece uses none."""
    assert lost(turn("a", 0, 0, 1000), turn("b", 60, 300, 900))["a"] == 700
    assert lost(turn("a", 0, 500, 1000), turn("b", 60, 500, 900))["a"] == 1000


def test_a_later_request_may_read_it() -> None:
    """What the next request passes over another one may read, while it lives."""
    rows = [turn("a", 0, 0, 1000), turn("b", 60, 0, 400), turn("c", 299, 1000, 5)]
    assert lost(*rows) == {"a": 0, "b": 0, "c": 5}
    assert lost(*rows[:2], turn("c", 301, 1000, 5))["a"] == 1000


@pytest.mark.parametrize(("seconds", "short", "long"), [(300, 0, 0), (301, 700, 0), (3600, 700, 0), (3601, 700, 100)])
def test_writes_live_for_their_time(seconds: float, short: int, long: int) -> None:
    """What was written for 5 minutes can be read for 300 seconds, for an hour for 3600; the long piece stands first."""
    assert lost(turn("a", 0, 0, 700, 100), turn("b", seconds, 800, 1))["a"] == short + long


def test_reads_keep_writes_alive() -> None:
    """Each read begins the time to live anew, for as much as it reaches."""
    near = [turn("a", 0, 0, 1000), turn("b", 200, 400, 0), turn("c", 400, 1000, 0)]
    assert lost(*near) == {"a": 0}
    assert lost(near[0], near[2]) == {"a": 1000}


def test_threads_do_not_read_each_other() -> None:
    """Only a later exchange of the same thread counts, and exchanges beside conversations are left out."""
    rows = [
        turn("a", 0, 0, 1000), turn("b", 10, 1000, 0, thread_id="s/agent"), turn("c", 20, 1000, 70, thread_id=None),
        turn("d", 30, 0, 20), turn("e", 40, 0, 30, thread_id="s/agent"),
    ]  # fmt: skip
    assert lost(*rows) == {"a": 1000, "d": 20, "e": 30}
