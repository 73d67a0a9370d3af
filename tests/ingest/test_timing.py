"""The figures of time, checked by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccproxy.ingest import timing
from ccproxy.ingest.timing import Gaps


def test_gaps_by_hand() -> None:
    """Of gaps of 1, 2, 3 and 10 ms the median is 2, the 99th percentile and the longest 10."""
    assert timing.gaps([0, 10_000, 11_000, 13_000, 16_000]) == Gaps(2.0, 10.0, 10.0)


def test_a_percentile_is_a_gap_that_really_was() -> None:
    """With 200 gaps of 1 to 200 ms the median is the 100th, the 99th percentile the 198th."""
    arrivals = [0]
    for gap in range(1, 201):
        arrivals.append(arrivals[-1] + gap * 1000)
    assert timing.gaps(arrivals) == Gaps(100.0, 198.0, 200.0)


@pytest.mark.parametrize("arrivals", [[], [5]])
def test_without_two_pieces_there_is_no_gap(arrivals: list[int]) -> None:
    """No gap is not a gap of nothing."""
    assert timing.gaps(arrivals) == Gaps(None, None, None)


@settings(deadline=None)
@given(st.lists(st.integers(min_value=0, max_value=10**9), min_size=2).map(sorted))
def test_gaps_are_ordered(arrivals: list[int]) -> None:
    """The median is at most the 99th percentile, and that at most the longest."""
    found = timing.gaps(arrivals)
    assert found.p50 is not None
    assert found.p99 is not None
    assert found.longest is not None
    assert 0 <= found.p50 <= found.p99 <= found.longest


def test_since_is_in_milliseconds() -> None:
    """Microseconds become milliseconds, and what never was stays None."""
    assert timing.since(1_000_000, 1_001_500) == 1.5
    assert timing.since(5, 5) == 0
    assert timing.since(5, None) is None


def test_rate_is_tokens_over_the_span_of_content() -> None:
    """90 tokens from the first piece of content to the last, 1.5 s later, are 60 a second."""
    assert timing.rate(90, [1_000_000, 1_200_000, 2_500_000]) == pytest.approx(60)


@pytest.mark.parametrize(("tokens", "arrivals"), [(None, [1, 2]), (0, [1, 2]), (5, []), (5, [1]), (5, [7, 7])])
def test_without_a_span_there_is_no_rate(tokens: int | None, arrivals: list[int]) -> None:
    """One piece of content, or none, or all at once, has no speed."""
    assert timing.rate(tokens, arrivals) is None
