"""What each tool result went on costing: in every request that carried it on, over its whole life in the context.

A result is weighed by its characters; its share of a request's tokens, and of what their input cost, is that of its
weight. Refuses to know what the tool did, and when a result had better been dropped.
"""

from __future__ import annotations

import sys
from dataclasses import astuple, dataclass
from typing import Any

import polars as pl

from analysis.measures.cache import answered
from analysis.measures.cost import Prices, cost
from analysis.measures.tree import Frame, Tree
from analysis.measures.weighing import answered_requests, weighed_pieces, weighed_preambles

_RESULTS = (
    "tool_use_id", "tool_name", "session_id", "node", "characters", "tokens", "requests", "token_turns", "cost_usd",
)  # fmt: skip


def tool_results(
    exchanges: Frame, messages: Frame, blocks: Frame, prompt_parts: Frame, *, prices: Prices = None
) -> pl.LazyFrame:
    """Return one row per tool result and session, by time: what it went on costing over its whole life in the context.

    In: exchanges, messages, blocks, prompt_parts, and `prices` as `cost` takes them. Out: tool_use_id, tool_name,
    session_id, node, characters; tokens (in the first request that carried it); requests (how many carried it);
    token_turns (tokens, summed over them); cost_usd (USD: its share of what the input of each of them cost; null where
    one of them has no price). Summed over all content, such shares come to the whole cost of input. A result that was
    carried on in another place, since a message before it changed, is one row, with the first of its nodes.
    """
    input_usd = pl.col("input_usd") + pl.col("cache_read_usd") + pl.col("cache_write_usd")
    requests = answered_requests(cost(exchanges.lazy().filter(answered()), prices), input_usd.alias("usd"))
    tree = Tree.of(messages, requests["session_id"], requests["tip"])
    pieces, given = weighed_pieces(blocks, tree), weighed_preambles(prompt_parts, requests["preamble"])
    lives = _lives(requests, tree, _totals(pieces, "place"), _totals(given, "preamble"))
    weight, usd = pl.col("weight"), pl.col("weight") * pl.col("usd")
    return (
        pieces.lazy()
        .filter(pl.col("category") == "tool_result")
        .join(lives.lazy(), on="place")
        .sort("first", "place", "position")
        .group_by(
            "session_id",
            pl.coalesce("tool_use_id", pl.format("{} {}", "node", "position")).alias("result"),
            maintain_order=True,
        )
        .agg(
            pl.col("tool_use_id", "node").first(),
            pl.col("name").first().alias("tool_name"),
            weight.first().alias("characters"),
            (weight * pl.col("first_rate")).first().alias("tokens"),
            pl.col("requests").sum(),
            (weight * pl.col("rate")).sum().alias("token_turns"),
            pl.when(usd.is_not_null().all()).then(usd.sum()).alias("cost_usd"),
        )
        .select(_RESULTS)
    )


def _totals(weighed: pl.DataFrame, key: str) -> dict[Any, int]:
    return dict(weighed.group_by(key).agg(pl.col("weight").sum()).iter_rows())


@dataclass(slots=True)
class _Life:
    """What requests did with a message: how many carried it; tokens and USD for each unit of weight, summed over them."""

    requests: int = 0
    rate: float = 0.0
    usd: float | None = 0.0
    first: int = sys.maxsize
    first_rate: float = 0.0

    def add(self, more: _Life) -> None:
        """Take in other requests."""
        self.requests += more.requests
        self.rate += more.rate
        self.usd = None if self.usd is None or more.usd is None else self.usd + more.usd
        if more.first < self.first:
            self.first, self.first_rate = more.first, more.first_rate


def _lives(requests: pl.DataFrame, tree: Tree, held: dict[int, int], given: dict[str, int]) -> pl.DataFrame:
    """Return place, requests, rate, usd, first, first_rate of each message that a request carried.

    Weights are summed down the tree, to know what each request holds; then what a unit of weight came to in it is summed
    up again, so that each message has it of all requests that carried it.
    """
    whole: list[int] = []
    for place, parent in enumerate(tree.parents):
        whole.append(held.get(place, 0) + (whole[parent] if parent >= 0 else 0))
    lives = [_Life() for _ in whole]
    columns = (requests[name] for name in ("request", "preamble", "context_tokens", "usd"))
    for place, request, preamble, tokens, usd in zip(tree.places(requests["tip"]), *columns, strict=True):
        weight = whole[place] + given.get(preamble, 0) if place >= 0 else 0
        if weight:
            rate = tokens / weight
            lives[place].add(_Life(1, rate, None if usd is None else usd / weight, request, rate))
    for place in reversed(range(len(lives))):
        if tree.parents[place] >= 0:
            lives[tree.parents[place]].add(lives[place])
    schema = {"place": pl.Int64, "requests": pl.Int64, "rate": pl.Float64, "usd": pl.Float64, "first": pl.Int64}
    rows = [(place, *astuple(life)) for place, life in enumerate(lives) if life.requests]
    return pl.DataFrame(rows, schema={**schema, "first_rate": pl.Float64}, orient="row")
