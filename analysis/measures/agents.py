"""The tree of agents, with what each used and what all below it used.

Knows who started whom. A thread whose parent is not in the frame stands at the top; where threads would be each other's
ancestors, none stands below one that began later. Refuses to know prices, and what an agent did.
"""

from __future__ import annotations

import polars as pl

from .cost import Frame, Prices, cost

SUMS = (
    "exchanges", "input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "cost_usd", "model_ms",
)  # fmt: skip
PLACE = ("session_id", "agent", "parent_thread_id", "depth", "path", "children", "started_at", "ended_at")


def agents(threads: Frame, exchanges: Frame, prices: Prices = None) -> pl.LazyFrame:
    """One row per thread, each session's tree from the top down in the order of starting: thread_id, session_id, agent,
    parent_thread_id (null at the top), depth (0 at the top), path (the agents' names from the top to this one), children
    (how many it started itself), started_at, ended_at; then its own exchanges, input_tokens, cache_read_tokens,
    cache_write_tokens, output_tokens, cost_usd, model_ms (time that its exchanges ran, summed) and wall_ms (from its start to
    its end); then the same with `total_` before the name, for it and all below it. total_wall_ms goes from the first start to
    the last end, since agents run side by side.

    All but wall_ms comes from `exchanges`; one that is in no thread, such as a title, counts nowhere. What has no price is
    left out of cost_usd; `unpriced` lists it. `prices` is as in `cost`. The threads are collected at once, but not the
    exchanges: a tree is as deep as it is, and no query can say beforehand how deep.
    """
    tree = _tree(threads)
    used = (
        cost(exchanges, prices)
        .with_columns(exchanges=pl.lit(1, pl.Int64), model_ms="duration_ms")
        .group_by("thread_id")
        .agg(pl.col(SUMS).sum())
    )
    own = (
        tree.lazy()
        .join(used, on="thread_id", how="left", maintain_order="left")
        .with_columns(pl.col(SUMS).fill_null(0), wall_ms=_ms(pl.col("ended_at") - pl.col("started_at")))
    )
    total = (
        own.explode("line")
        .group_by(pl.col("line").alias("thread_id"))
        .agg(
            pl.col(SUMS).sum().name.prefix("total_"),
            total_wall_ms=_ms(pl.col("ended_at").max() - pl.col("started_at").min()),
        )
    )
    totals = [f"total_{name}" for name in (*SUMS, "wall_ms")]
    rolled = own.join(total, on="thread_id", how="left", maintain_order="left")
    return rolled.select("thread_id", *PLACE, *SUMS, "wall_ms", *totals)


def _ms(length: pl.Expr) -> pl.Expr:
    return length.dt.total_microseconds() / 1000


def _tree(threads: Frame) -> pl.DataFrame:
    """Return the threads in the order of the tree, with depth, path, children, and `line`: all ids from the top to each."""
    columns = ("thread_id", "session_id", "agent", "parent_thread_id", "started_at", "ended_at")
    known = threads.lazy().select(columns).sort("started_at", "thread_id").with_row_index("order").collect()
    known = _without_circles(known)
    children = known.group_by(thread_id="parent_thread_id").agg(children=pl.len().cast(pl.Int64))
    # `place` sorts the tree: the session's number, then on the way down each thread's own.
    tops = pl.concat_list(pl.col("order").min().over("session_id"), "order")
    level = known.with_columns(place=tops, path=pl.concat_list("agent"), line=pl.concat_list("thread_id"))
    level = level.filter(pl.col("parent_thread_id").is_null())
    levels = [level.with_columns(depth=pl.lit(0, pl.Int64))]
    while level.height:
        above = level.select("place", "path", "line", parent_thread_id="thread_id")
        level = known.join(above, on="parent_thread_id").with_columns(
            place=pl.concat_list("place", "order"),
            path=pl.concat_list("path", "agent"),
            line=pl.concat_list("line", "thread_id"),
        )
        levels.append(level.with_columns(depth=pl.lit(len(levels), pl.Int64)))
    tree = (
        pl.concat(levels, how="diagonal")
        .sort("place")
        .join(children, on="thread_id", how="left", maintain_order="left")
    )
    return tree.with_columns(pl.col("children").fill_null(0))


def _without_circles(known: pl.DataFrame) -> pl.DataFrame:
    """Return the threads with no parent that is not among them, and none that began later than a child in the same circle."""
    parents = known.select(parent_thread_id="thread_id", parent_order="order")
    linked = known.join(parents, on="parent_thread_id", how="left", maintain_order="left")
    ups = linked.filter(pl.col("parent_order").is_not_null()).select("thread_id", up="parent_thread_id")
    # Each round doubles the distance to the ancestor. Whoever still has one further away than there are threads goes round
    # in a circle, and arrives at a thread of it.
    distance = 1
    while ups.height and distance <= known.height:
        ups = ups.join(ups.rename({"thread_id": "up", "up": "further"}), on="up").select("thread_id", up="further")
        distance *= 2
    wrong = pl.col("thread_id").is_in(ups["up"].unique().implode()) & (pl.col("parent_order") >= pl.col("order"))
    cut = pl.col("parent_order").is_null() | wrong
    return linked.with_columns(parent_thread_id=pl.when(~cut).then("parent_thread_id")).drop("parent_order")
