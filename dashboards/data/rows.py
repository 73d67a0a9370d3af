"""Rows that pages share: the exchanges under the filters with some of their columns, and whatever belongs to a set of ids.

Reads each column once a look. Refuses to know what is done with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from analysis import measures
from dashboards.data.store import Data, chosen
from dashboards.state import Filters

TOKENS = (
    "input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "output_tokens",
)  # fmt: skip
# What measures of cost, cache, time and overhead take.
COLUMNS = (
    "exchange_id", "session_id", "thread_id", "agent_id", "agent_name", "agent_type", "kind", "state", "started_at", "ended_at",
    "status", "error_kind", "api_error", "provider", "model", "requested_model", "routed_model", "routed", "endpoint", "stream",
    "project", "cwd", "effort", "thinking", "compaction", "retry_count", "attempts", "stop_reason", *TOKENS, "context_tokens",
    "web_searches", "first_byte_ms", "first_token_ms", "duration_ms", "gap_max_ms", "tokens_per_second", "tip", "reply", "preamble",
)  # fmt: skip
AT_ONCE = 2000  # ids in one question


def exchanges(data: Data, filters: Filters, now: datetime) -> pl.DataFrame:
    """Return the exchanges that the filters let through, oldest first, with COLUMNS."""
    return data.kept(
        ("rows", filters), lambda: data.collect(chosen(data, filters, now).select(COLUMNS)).sort("exchange_id")
    )


def priced(data: Data, filters: Filters, now: datetime) -> pl.DataFrame:
    """Return the same with what each cost, and saved_usd, what the cache saved in it."""

    def make() -> pl.DataFrame:
        prices = data.capture.prices
        return exchanges(data, filters, now).pipe(measures.cost, prices).pipe(measures.saved, prices).collect()

    return data.kept(("priced", filters), make)


def belonging(data: Data, view: str, column: str, values: Sequence[str], columns: str = "*") -> pl.DataFrame:
    """Return the rows of a view whose `column` is one of these values. The view, the column and the columns are ours, not a user's.

    As a list in the query, the store looks up only these; a frame's own filter would have it read everything.
    """
    parts = []
    for start in range(0, max(len(values), 1), AT_ONCE):
        some = list(values[start : start + AT_ONCE])
        names = ", ".join(f"$v{number}" for number in range(len(some))) or "NULL"
        query = f"SELECT {columns} FROM {view} WHERE {column} IN ({names})"
        parts.append(data.ask(query, {f"v{number}": value for number, value in enumerate(some)}))
    return pl.concat(parts)
