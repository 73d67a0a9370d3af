"""One look at the captures, which asks nothing twice, however long it takes to make a page of it.

An answer is kept for the whole look, while captures forget theirs after a moment. Refuses to know what is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import polars as pl

import analysis
from dashboards.data.store import FRESH_S, Data, Found


class Look(Data):
    """What a page asks while it is being made. Not for what is asked later, such as downloads: it would keep all of it."""

    def __init__(self, data: Data) -> None:
        self._data = data
        self._found: dict[Hashable, Any] = {}

    @property
    def capture(self) -> analysis.Capture:
        """Return the captures."""
        return self._data.capture

    def forget(self) -> None:
        """Open the captures anew with the next question."""
        self._data.forget()

    def ask(self, query: str, parameters: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """Run a query over the views."""
        return self._data.ask(query, parameters)

    def collect(self, frame: pl.LazyFrame) -> pl.DataFrame:
        """Collect a frame."""
        return self._data.collect(frame)

    def kept(self, key: Hashable, make: Callable[[], Found], fresh: float = FRESH_S) -> Found:
        """Return the answer that this look has had, else the one that the captures keep or `make` gives now."""
        if key not in self._found:
            self._found[key] = self._data.kept(key, make, fresh)
        answer: Found = self._found[key]
        return answer
