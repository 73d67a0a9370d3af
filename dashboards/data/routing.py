"""What went to other providers and models: by agent, with what it would have cost unrouted; and what was lost in translation.

Refuses to know how any of it looks.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, NamedTuple

import polars as pl

from analysis import measures
from dashboards.data.rows import exchanges
from dashboards.data.store import Data
from dashboards.state import Filters

_USD = ("cost_usd", "unrouted_cost_usd", "saved_usd")


class Routing(NamedTuple):
    """The rows of `measures.routing`, and their sums: exchanges, agents, unpriced, and the three costs, null where none is known."""

    rows: pl.DataFrame
    sums: dict[str, Any]


def routing(data: Data, filters: Filters, now: datetime) -> Routing:
    """Return what the filters let through of what was routed."""
    rows = measures.routing(exchanges(data, filters, now), data.capture.prices).collect()
    known = (pl.when(pl.col(name).count() > 0).then(pl.col(name).sum()).alias(name) for name in _USD)
    sums = rows.select(pl.col("exchanges", "unpriced").sum(), *known, agents=pl.col("agent").n_unique())
    return Routing(rows, sums.row(0, named=True))


def lost(losses: str | None) -> list[str]:
    """Return the sentences that say what could not be said in the other protocol."""
    try:
        found = json.loads(losses or "[]")
    except (ValueError, RecursionError):
        return []
    return [loss for loss in found if isinstance(loss, str)] if isinstance(found, list) else []
