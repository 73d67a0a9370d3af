"""Every measure over the same captures, each called with the frames that its parameters are named for.

Refuses to know what they measure; a function that needs anything else is none.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import polars as pl

from analysis import Capture, measures
from analysis.dictionary import GRAINS


def measured(capture: Capture) -> dict[str, pl.DataFrame]:
    """Return what each measure gives, by its name, in an order of its own rows."""
    return {name: measure(capture) for name, measure in _measures()}


def _measures() -> Iterator[tuple[str, Callable[[Capture], pl.DataFrame]]]:
    for name in measures.__all__:
        function = getattr(measures, name)
        needed = [
            parameter.name
            for parameter in inspect.signature(function).parameters.values()
            if parameter.default is parameter.empty or parameter.name in GRAINS
        ]
        if needed and set(needed) <= set(GRAINS):
            yield name, _called(function, needed)


def _called(function: Callable[..., Any], needed: list[str]) -> Callable[[Capture], pl.DataFrame]:
    def measure(capture: Capture) -> pl.DataFrame:
        """Give it the frames, those of any length included."""
        found = function(**{name: _frame(capture, name) for name in needed})
        return found.lazy().collect()

    return measure


def _frame(capture: Capture, grain: str) -> pl.LazyFrame:
    long = any(column.body for column in GRAINS[grain].columns)
    found: pl.LazyFrame = getattr(capture, grain)(**({"bodies": True} if long else {}))
    return found
