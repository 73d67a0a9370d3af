"""What compactions dropped: tokens and messages of a conversation that go on without.

Compares the last request before a summary with the first one after it. Refuses to know what the summary kept, and prices.
"""

from __future__ import annotations

import polars as pl

from analysis.measures.cache import all_input, answered
from analysis.measures.tree import Frame, Tree


def compactions(exchanges: Frame, messages: Frame) -> pl.LazyFrame:
    """Return one row per compaction, by time: what it dropped of a conversation.

    In: exchanges, messages. Out: session_id, thread_id, exchange_id (of the summarising request), started_at, trigger
    (auto, manual, reactive; null where the client does not say), before_tokens (input of the last request of the thread
    before), after_tokens (of the first one after it; null where none came), dropped_tokens (the difference), and
    dropped_messages: how many messages of the former the latter does not hold. A summary that was asked for again, with
    nothing in between, counts once, by the last answer; one that was never answered is none.
    """
    summary = pl.col("kind").eq_missing("compaction")
    tokens, tip = (pl.when(~summary).then(column) for column in (all_input(), pl.col("tip")))
    found = (
        exchanges.lazy()
        .filter(answered() & pl.col("thread_id").is_not_null())
        .sort("thread_id", "started_at", "exchange_id")
        .select(
            "session_id",
            "thread_id",
            "exchange_id",
            "started_at",
            pl.col("compaction").alias("trigger"),
            tokens.forward_fill().over("thread_id").alias("before_tokens"),
            tokens.backward_fill().over("thread_id").alias("after_tokens"),
            tip.forward_fill().over("thread_id").alias("before"),
            tip.backward_fill().over("thread_id").alias("after"),
            summary.alias("summary"),
            summary.shift(-1, fill_value=False).over("thread_id").alias("again"),
        )
        .filter(pl.col("summary") & ~pl.col("again"))
        .sort("started_at", "exchange_id")
        .collect()
    )
    tree = Tree.of(messages, found["session_id"], pl.concat([found["before"], found["after"]]))
    ends = zip(tree.places(found["before"]), tree.places(found["after"]), strict=True)
    dropped = [_dropped(tree, before, after) for before, after in ends]
    return (
        found.lazy()
        .with_columns(
            (pl.col("before_tokens") - pl.col("after_tokens")).alias("dropped_tokens"),
            pl.Series("dropped_messages", dropped, dtype=pl.Int64),
        )
        .drop("before", "after", "summary", "again")
    )


def _dropped(tree: Tree, before: int, after: int) -> int | None:
    if before < 0 or after < 0:
        return None
    kept = tree.fork(before, after)
    return tree.depths[before] - (tree.depths[kept] if kept >= 0 else -1)
