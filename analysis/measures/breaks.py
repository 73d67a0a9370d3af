"""Where the prompt cache broke: exchanges that did not read what the one before them in their thread had left there.

Knows how much less is a break, how short a prompt is not cached at all, and what a break came to. Time comes from
`started_at` alone. Refuses to know why a cache broke (verdicts.py), and prices.
"""

from __future__ import annotations

import polars as pl

from analysis.dictionary import MOMENT, REAL, TEXT, WHOLE
from analysis.measures.cache import all_input, answered
from analysis.measures.cost import TARIFF, Prices, cost
from analysis.measures.tree import Frame
from analysis.measures.verdicts import Verdict, verdicts

# A read that is this much short is no break: the seam between cached and new text may be counted otherwise.
TOLERANCE, TOLERANCE_TOKENS = 0.005, 20
# The shortest prompt that is cached, in tokens, by what the model's name contains; the first that fits holds. Source:
# "Cache limitations" on Anthropic's page on prompt caching, October 2026.
MINIMUM_TOKENS = (
    ("opus-4-[56]|haiku-4-5", 4096),
    ("opus-4-7|mythos-preview|haiku-3|3-5-haiku|3-haiku", 2048),
    ("opus-5|sonnet-5-5|haiku-5|fable|mythos", 512),
)
OTHER_MINIMUM_TOKENS = 1024

_SCHEMA = {
    "exchange_id": TEXT, "previous_exchange_id": TEXT, "session_id": TEXT, "thread_id": TEXT, "started_at": MOMENT,
    "model": TEXT, "gap_s": REAL, "expected_tokens": WHOLE, "cache_read_tokens": WHOLE, "lost_tokens": WHOLE,
    "lost_usd": REAL, "cause": TEXT, "where": TEXT, "position": WHOLE, "was": TEXT, "now": TEXT,
}  # fmt: skip
_OF_PREVIOUS = (
    "exchange_id", "started_at", "model", "effort", "thinking", "kind", "tip", "preamble", "context", "left", "in_5m",
    "in_1h",
)  # fmt: skip


def breaks(
    exchanges: Frame, messages: Frame, prompt_parts: Frame, blocks: Frame | None = None, *, prices: Prices = None
) -> pl.LazyFrame:
    """Return one row per exchange of a thread that read less than the one before had left in the cache, by thread and time.

    In: exchanges, messages, prompt_parts, blocks (the last two with bodies where `was` and `now` shall show texts), and
    `prices` as `cost` takes them. Out: exchange_id, previous_exchange_id (the last one of the thread that was answered),
    session_id, thread_id, started_at, model, gap_s (seconds between their starts), expected_tokens (what the previous
    one read and wrote), cache_read_tokens, lost_tokens (what of the expected ones it sent and did not read; after a
    compaction or a rewind new text is among them), lost_usd (USD that these cost beyond the price of reading them; null
    without a price), cause, where (tools, system, message), position (that of prompt_parts, or the message's depth), was
    and now (names of tools, a model, or a text from a little before it differs; else digests).

    Causes, the first that fits: first_request and below_minimum, where there was nothing to read (lost_tokens 0);
    compaction, right after a summary; model_changed; tools_changed; system_changed; effort_changed (or thinking, which
    spoils the same); of messages compaction (by the words it begins with), rewind (they are not more than before) and
    message_changed; of an intact prefix ttl_expired_1h and ttl_expired_5m, by what the thread wrote; below_minimum;
    unknown. A read short by up to TOLERANCE of it, or TOLERANCE_TOKENS, is no break, nor is a first request that read.
    """
    turns = _short(_turns(exchanges)).collect()
    judged = pl.DataFrame(
        list(verdicts(turns, messages, prompt_parts, blocks)),
        schema={name: _SCHEMA[name] for name in Verdict._fields},
        orient="row",
    )
    found = turns.hstack(judged)
    return found.hstack([_lost_usd(found, prices)]).lazy().select(*_SCHEMA)


def _turns(exchanges: Frame) -> pl.LazyFrame:
    """Return the answered exchanges of threads, by thread and time, each with what matters of the one before it."""
    long = pl.col("cache_write_1h_tokens").fill_null(0)
    written = pl.max_horizontal(
        pl.col("cache_write_tokens").fill_null(0), pl.col("cache_write_5m_tokens").fill_null(0) + long
    )
    columns = (
        "session_id",
        "thread_id",
        *TARIFF,
        *_OF_PREVIOUS[:2],
        *_OF_PREVIOUS[3:8],
        "cache_read_tokens",
        "input_tokens",
    )
    return (
        exchanges.lazy()
        .filter(answered() & pl.col("thread_id").is_not_null())
        .with_columns(pl.col("cache_read_tokens", "input_tokens").fill_null(0), all_input().alias("context"))
        .select(*columns, "context", (written - long).alias("short"), long.alias("long"))
        .sort("thread_id", "started_at", "exchange_id")
        .with_columns(
            (pl.col("cache_read_tokens") + pl.col("short") + pl.col("long")).alias("left"),
            (pl.col("cache_read_tokens") == 0).cum_sum().over("thread_id").alias("start"),
        )
        # Which times to live are in the cached prefix: of all that was written since it was last begun anew.
        .with_columns(
            (pl.col(name) > 0).cast(pl.Int8).cum_max().over("thread_id", "start").alias(alias)
            for name, alias in (("short", "in_5m"), ("long", "in_1h"))
        )
        .with_columns(pl.col(_OF_PREVIOUS).shift(1).over("thread_id").name.prefix("previous_"))
    )


def _short(turns: pl.LazyFrame) -> pl.LazyFrame:
    """Return the turns that read less than was there, or could not read at all."""
    read, left = pl.col("cache_read_tokens"), pl.col("previous_left").fill_null(0)
    first = pl.col("previous_exchange_id").is_null()
    nothing = (read == 0) & (left == 0) & (first | (pl.col("previous_context") < _minimum("previous_model")))
    lost = pl.min_horizontal(left, "context") - read
    return turns.filter(
        nothing | (left - read > pl.max_horizontal(left * TOLERANCE, pl.lit(TOLERANCE_TOKENS)))
    ).with_columns(
        gap_s=(pl.col("started_at") - pl.col("previous_started_at")).dt.total_microseconds() / 1_000_000,
        expected_tokens=left,
        lost_tokens=pl.max_horizontal(lost, pl.lit(0)),
        too_small=pl.col("context") < _minimum("model"),
    )


def _minimum(model: str) -> pl.Expr:
    found: pl.Expr = pl.lit(OTHER_MINIMUM_TOKENS)
    for pattern, tokens in reversed(MINIMUM_TOKENS):
        found = pl.when(pl.col(model).str.contains(pattern).fill_null(False)).then(tokens).otherwise(found)
    return found


def _lost_usd(found: pl.DataFrame, prices: Prices) -> pl.Series:
    """Return what an exchange cost more than if it had read the lost tokens. These stand before all else that it did not
    read: so they are the first of what it wrote for an hour, then for 5 minutes, then of its plain input."""
    lost = pl.col("lost_tokens")
    from_long = pl.min_horizontal(lost, "long")
    from_short = pl.min_horizontal(lost - from_long, "short")
    fair = found.with_columns(
        pl.col("cache_read_tokens") + lost,
        pl.col("input_tokens") - (lost - from_long - from_short),
        pl.col("short") - from_short,
        pl.col("long") - from_long,
    )
    return (_input_usd(found, prices) - _input_usd(fair, prices)).alias("lost_usd")


def _input_usd(turns: pl.DataFrame, prices: Prices) -> pl.Series:
    counts = turns.select(
        *TARIFF, "started_at", "input_tokens", "cache_read_tokens",
        (pl.col("short") + pl.col("long")).alias("cache_write_tokens"),
        pl.col("short").alias("cache_write_5m_tokens"),
        pl.col("long").alias("cache_write_1h_tokens"),
        pl.lit(0).alias("output_tokens"),
        pl.lit(0).alias("web_searches"),
    )  # fmt: skip
    return cost(counts, prices).select("cost_usd").collect().to_series()
