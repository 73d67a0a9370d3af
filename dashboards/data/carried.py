"""What tools and MCP servers cost: their definitions, calls and results, for as long as requests carry them along.

Looks at the newest exchanges only, for each of them is taken apart. Refuses to know how any of it looks.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import polars as pl

from analysis import measures
from dashboards.data.rows import priced
from dashboards.data.store import Data
from dashboards.state import Filters

NEWEST = 10_000  # exchanges: taking these apart takes about a second
BUILT_IN = "built in"
_PARTS = {"mcp_tools": "defined", "tools": "defined", "tool_call": "called", "tool_result": "resulted"}
_SERVER = pl.col("name").str.extract("^mcp__(.+?)__")


class Carried(NamedTuple):
    """What was found, of how many exchanges, of how many that the filters let through."""

    frame: pl.DataFrame
    exchanges: int
    of: int


def by_tool(data: Data, filters: Filters, now: datetime) -> Carried:
    """One row per tool, the dearest first: key; the tokens that requests carried of its calls and results, `called` and `resulted`,
    summed over the requests, and both as `tokens`; cost_usd, null where one of them has no price; share, of the cost of input."""
    parts, number, whole = _parts(data, filters, now)
    found = parts.filter(pl.col("name").is_not_null() & (pl.col("part") != "defined"))
    return Carried(_summed(found.with_columns(key=pl.col("name"))), number, whole)


def by_server(data: Data, filters: Filters, now: datetime) -> Carried:
    """One row per MCP server, and one called BUILT_IN: the same, and `defined`, the tokens of its tools' definitions."""
    parts, number, whole = _parts(data, filters, now)
    server = pl.when(pl.col("category") == "mcp_tools").then("name").otherwise(_SERVER)
    return Carried(_summed(parts.with_columns(key=server.fill_null(BUILT_IN))), number, whole)


def _parts(data: Data, filters: Filters, now: datetime) -> tuple[pl.DataFrame, int, int]:
    """Return what requests carried of tools: category, name, part, tokens, usd and `whole`, the cost of all input."""

    def make() -> tuple[pl.DataFrame, int, int]:
        frame = priced(data, filters, now)
        newest = frame.tail(NEWEST)
        capture = data.capture
        held = measures.context(newest, capture.messages(), capture.blocks(), capture.prompt_parts())
        usd = newest.select(
            "exchange_id",
            input_usd=pl.sum_horizontal("input_usd", "cache_read_usd", "cache_write_usd", ignore_nulls=False),
        )
        whole = pl.col("tokens").sum().over("exchange_id")
        found = data.collect(
            held.join(usd.lazy(), on="exchange_id", how="left")
            .with_columns(usd=pl.when(whole > 0).then(pl.col("input_usd") * pl.col("tokens") / whole).otherwise(0.0))
            .with_columns(whole=pl.col("usd").sum())
            .filter(pl.col("category").is_in(list(_PARTS)))
            .with_columns(part=pl.col("category").replace_strict(_PARTS))
        )
        return found, newest.height, frame.height

    return data.kept(("carried", filters), make)


def _summed(parts: pl.DataFrame) -> pl.DataFrame:
    tokens, usd = pl.col("tokens"), pl.col("usd")
    of_part = [tokens.filter(pl.col("part") == part).sum().alias(part) for part in ("defined", "called", "resulted")]
    found = parts.group_by("key").agg(
        *of_part, tokens.sum(), cost_usd=pl.when(usd.is_not_null().all()).then(usd.sum()), whole=pl.col("whole").max()
    )
    share = pl.when(pl.col("whole") > 0).then(pl.col("cost_usd") / pl.col("whole"))
    return (
        found.with_columns(share=share).drop("whole").sort("cost_usd", "tokens", "key", descending=[True, True, False])
    )
