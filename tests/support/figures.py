"""Captures for pages of figures: any exchanges in a store of their own, at round prices, and what a page says of them.

Refuses to know pages.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import panel as pn

import analysis
from ccproxy.records import Captured
from ccproxy.settings import load
from ccproxy.stores.sqlite import SqliteStore
from dashboards.data import Data
from tests.support.entries import fill

# USD per million tokens, of searches per thousand.
PRICES = {"input": 10, "output": 50, "cache_read": 1, "cache_write_5m": 12.5, "cache_write_1h": 20, "web_search": 10}


@contextlib.contextmanager
def data_of(folder: Path, exchanges: Iterable[Captured], *, models: str = "*") -> Iterator[Data]:
    """Give captures of these exchanges as pages see them; models that fit the pattern have PRICES."""
    store, prices = folder / "figures.db", folder / "prices.json"
    with contextlib.closing(SqliteStore(store, write=True)) as writing:
        fill(writing, list(exchanges))
    prices.write_text(json.dumps([{"model": models, **PRICES}]))
    settings = load(environ={"ANALYSIS_PRICES": str(prices)}, dotenv=False)
    data = Data(lambda: analysis.open(store, settings=settings))
    yield data
    data.forget()


def said(parts: Iterable[pn.viewable.Viewable]) -> str:
    """Return the HTML of all panes of a page, in order."""
    found = [pane for part in parts for pane in part.select(pn.pane.HTML)]
    return "\n".join(str(pane.object) for pane in found)


def drawn(parts: Iterable[pn.viewable.Viewable]) -> list[Any]:
    """Return the figures of a page, in order."""
    return [pane.object for part in parts for pane in part.select(pn.pane.Bokeh)]
