"""What is spent beside the work itself: titles, checks, summaries, counts of tokens, and what was asked twice.

Knows which exchanges are overhead and for what reason, each for one only. Refuses to know prices.
"""

from __future__ import annotations

import polars as pl

from .cost import Frame, Prices, cost

KINDS = ("title", "rename", "classifier", "compaction", "count_tokens", "probe", "auxiliary")
REASONS = (*KINDS, "retry", "duplicate")
FIGURES = ("exchanges", "input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "cost_usd")
# What makes two requests the same one: the conversation up to its last message, the prompt around it, and who was asked.
# As a number: five columns of digests would fill the memory.
SAME = pl.struct(
    "session_id", "thread_id", "tip", "preamble", pl.coalesce("requested_model", "model").alias("asked")
).hash()


def overhead(exchanges: Frame, prices: Prices = None) -> pl.LazyFrame:
    """One row per reason, always all nine in the order of REASONS: reason, exchanges, input_tokens, cache_read_tokens,
    cache_write_tokens, output_tokens, cost_usd, and share, its part of the cost of all exchanges, from 0 to 1 (null where
    nothing cost anything).

    An exchange counts for the first reason that holds: its kind, where that is one of KINDS; else "retry", where the client
    repeated a request (retry_count above 0) or the proxy had tried in vain before (attempts); else "duplicate", where the
    same conversation with the same prompt was put to the same model earlier in the thread and was answered in full.
    What has no price is left out of cost_usd and share; `unpriced` lists it. `prices` is as in `cost`.
    """
    found = (
        cost(reasoned(exchanges).with_columns(exchanges=pl.lit(1, pl.Int64)), prices)
        .group_by("reason")
        .agg(pl.col(FIGURES).sum())
    )
    everything = pl.col("cost_usd").sum()
    # The row without a reason is the work itself: it counts in the whole, and then goes.
    return (
        pl.LazyFrame({"reason": [*REASONS, None]})
        .join(found, on="reason", how="left", nulls_equal=True, maintain_order="left")
        .with_columns(pl.col(FIGURES).fill_null(0))
        .with_columns(share=pl.when(everything > 0).then(pl.col("cost_usd") / everything))
        .filter(pl.col("reason").is_not_null())
    )


def reasoned(exchanges: Frame) -> pl.LazyFrame:
    """Return the frame with `reason`, for which `overhead` counts an exchange: null for the work itself."""
    return exchanges.lazy().with_columns(reason=_reason())


def _reason() -> pl.Expr:
    """Return why a row is overhead, null where it is not."""
    answered = (pl.col("state") == "complete") & pl.col("reply").is_not_null()
    first_answered = pl.when(answered).then(pl.col("started_at")).min().over(SAME)
    again = pl.col("tip").is_not_null() & (pl.col("started_at") > first_answered)
    return (
        pl.when(pl.col("kind").is_in(KINDS))
        .then("kind")
        .when((pl.col("retry_count") > 0) | pl.col("attempts").is_not_null())
        .then(pl.lit("retry"))
        .when(again)
        .then(pl.lit("duplicate"))
    )
