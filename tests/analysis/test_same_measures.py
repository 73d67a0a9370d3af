"""Every measure of the handmade capture is the same by every way to it, and works where nothing was captured."""

from __future__ import annotations

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from analysis import Capture
from tests.support.captures import comparable
from tests.support.measuring import measured

AT_LEAST = {
    "agents", "breaks", "cache", "unread", "context", "tool_results", "compactions", "cost", "saved", "unpriced", "latency", "stalls",
    "ledger", "overhead", "prompts", "tools", "repeats", "routing", "unrouted",
}  # fmt: skip


@pytest.fixture(scope="module")
def expected(attached: Capture) -> dict[str, pl.DataFrame]:
    """Give what each measure says of the store in a file."""
    return measured(attached)


def test_every_measure_is_the_same_by_every_way(capture: Capture, expected: dict[str, pl.DataFrame]) -> None:
    """Store, copy and Parquet give equal frames, in any order of their rows."""
    found = measured(capture)
    assert found.keys() == expected.keys() >= AT_LEAST
    for name, rows in found.items():
        assert_frame_equal(comparable(rows), comparable(expected[name]), check_row_order=False, abs_tol=1e-9)


def test_every_measure_takes_an_empty_store(empty: Capture, expected: dict[str, pl.DataFrame]) -> None:
    """Without a single exchange each gives a frame of the same columns."""
    for name, rows in measured(empty).items():
        assert dict(rows.schema) == dict(expected[name].schema), name
