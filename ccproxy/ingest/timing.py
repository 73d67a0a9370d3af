"""The figures of time that an exchange has, from the arrival of each of its events.

All in milliseconds. Percentiles are nearest-rank, so that each is a gap that really was. Refuses to know what the events say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Gaps:
    """Gaps between pieces of content, in ms: median, 99th percentile, longest. None where there were fewer than two pieces."""

    p50: float | None = None
    p99: float | None = None
    longest: float | None = None


def gaps(arrivals: Sequence[int]) -> Gaps:
    """Return the gaps between arrivals (µs, ascending)."""
    between = sorted(later - earlier for earlier, later in pairwise(arrivals))
    if not between:
        return Gaps()
    return Gaps(_rank(between, 0.50), _rank(between, 0.99), between[-1] / 1000)


def _rank(ascending: Sequence[int], share: float) -> float:
    return ascending[max(0, math.ceil(share * len(ascending)) - 1)] / 1000


def since(start: int, at: int | None) -> float | None:
    """Return the milliseconds from `start` to `at` (both µs)."""
    return None if at is None else (at - start) / 1000


def rate(tokens: int | None, arrivals: Sequence[int]) -> float | None:
    """Return tokens per second from the first piece of content to the last; None where there is no such span."""
    if not tokens or len(arrivals) < 2 or arrivals[-1] <= arrivals[0]:
        return None
    return tokens / ((arrivals[-1] - arrivals[0]) / 1e6)
