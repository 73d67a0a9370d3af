"""How long answers took: percentiles by any group, and the exchanges that stalled.

Percentiles are nearest-rank, as those of a single exchange: of n values in order the ceil(q * n)-th, so each is a value
that really was. Refuses to know what the time was spent on (ledger.py), and what is long for whom.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

FIRST_TOKEN_STALL_MS = 30_000.0  # thinking about a long context takes a while: only beyond this a first token is late
STALL_MS = 5_000.0
HIT_SHARE = 0.9

CONTEXT_BANDS = pl.Enum(["<10k", "10-50k", "50-100k", "100-200k", "200k+"])
CACHE_STATES = pl.Enum(["hit", "partial", "miss"])
STALL_PLACES = pl.Enum(["first_token", "stream"])

_LIMITS = ((10_000, "<10k"), (50_000, "10-50k"), (100_000, "50-100k"), (200_000, "100-200k"))


def _context_band() -> pl.Expr:
    tokens = pl.col("context_tokens")
    band: pl.Expr = pl.when(tokens.is_not_null()).then(pl.lit("200k+"))
    for limit, label in reversed(_LIMITS):
        band = pl.when(tokens < limit).then(pl.lit(label)).otherwise(band)
    return band.cast(CONTEXT_BANDS)


def _cache_state() -> pl.Expr:
    tokens, read = pl.col("context_tokens"), pl.col("cache_read_tokens").fill_null(0)
    some = pl.when(read > 0).then(pl.lit("partial")).otherwise(pl.lit("miss"))
    state = pl.when(read >= HIT_SHARE * tokens).then(pl.lit("hit")).otherwise(some)
    return pl.when(tokens > 0).then(state).cast(CACHE_STATES)


_BANDS = {
    "hour": pl.col("started_at").dt.truncate("1h"),
    "day": pl.col("started_at").dt.date(),
    "context_band": _context_band(),
    "cache_state": _cache_state(),
}


def banded(exchanges: pl.LazyFrame | pl.DataFrame) -> pl.LazyFrame:
    """Add to each exchange the groups that latency is looked at by; all its columns stay.

    Reads started_at, context_tokens and cache_read_tokens. Adds `hour` (UTC) and `day` of its start; `context_band` of all
    input (<10k, 10-50k, 50-100k, 100-200k, 200k+; a band begins with its lower number); `cache_state`: hit where at least
    90 % of the input was read from the cache, miss where nothing was, else partial. The last two are ordered, and null
    where usage is not known.
    """
    return exchanges.lazy().with_columns(**_BANDS)


def latency(exchanges: pl.LazyFrame | pl.DataFrame, by: str | Sequence[str] = ("model",)) -> pl.LazyFrame:
    """Return how long the exchanges of each group took that were answered with a message, to its end.

    `by` names columns of the frame, or what `banded` adds; with none, all exchanges are one group. Columns: those of
    `by`; `exchanges`; first_byte_p50_ms, _p90_ms and _p99_ms, the same of first_token and duration; tokens_per_second_p50
    and _p10 (the slow end); gap_max_p99_ms; `stalls`, the exchanges among them that `stalls` tells. A figure is null where
    no exchange of the group has its value. Sorted by the group.
    """
    groups = [by] if isinstance(by, str) else list(by)
    frame = exchanges.lazy().filter(_is_answered())
    missing = set(groups).difference(frame.collect_schema().names())
    frame = frame.with_columns(**{name: band for name, band in _BANDS.items() if name in missing})
    figures = [
        pl.len().cast(pl.Int64).alias("exchanges"),
        *(
            _percentile(f"{name}_ms", percent).alias(f"{name}_p{percent}_ms")
            for name in ("first_byte", "first_token", "duration")
            for percent in (50, 90, 99)
        ),
        *(_percentile("tokens_per_second", percent).alias(f"tokens_per_second_p{percent}") for percent in (50, 10)),
        _percentile("gap_max_ms", 99).alias("gap_max_p99_ms"),
        (_is_late(STALL_MS) | _is_stuck(STALL_MS)).sum().cast(pl.Int64).alias("stalls"),
    ]
    return frame.group_by(groups).agg(figures).sort(groups) if groups else frame.select(figures)


def stalls(exchanges: pl.LazyFrame | pl.DataFrame, longer_than_ms: float = STALL_MS) -> pl.LazyFrame:
    """Return the waits in which a person thinks that nothing happens: one row per exchange and place.

    `stream`: its longest gap between pieces of content is over `longer_than_ms`. `first_token`: its first piece of content
    took longer than that and than 30 s, or never came in all that time. Columns: exchange_id, session_id, thread_id,
    started_at, model, place, stalled_ms (the whole gap or wait). Sorted by time.
    """
    known = ["exchange_id", "session_id", "thread_id", "started_at", "model"]
    # Cached, so that the store is read once for both.
    frame = exchanges.lazy().filter(_is_late(longer_than_ms) | _is_stuck(longer_than_ms)).cache()
    late = frame.filter(_is_late(longer_than_ms)).select(*known, _place("first_token"), stalled_ms=_wait())
    stuck = frame.filter(_is_stuck(longer_than_ms)).select(*known, _place("stream"), stalled_ms="gap_max_ms")
    return pl.concat([late, stuck]).sort("started_at", "exchange_id", "place")


def _wait() -> pl.Expr:
    """A stream that ended before its first piece of content was waited for all the time."""
    return pl.coalesce("first_token_ms", pl.when(pl.col("stream")).then(pl.col("duration_ms")))


def _is_late(longer_than_ms: float) -> pl.Expr:
    return (_wait() > max(longer_than_ms, FIRST_TOKEN_STALL_MS)).fill_null(False)


def _is_stuck(longer_than_ms: float) -> pl.Expr:
    return (pl.col("gap_max_ms") > longer_than_ms).fill_null(False)


def _place(name: str) -> pl.Expr:
    return pl.lit(name, dtype=STALL_PLACES).alias("place")


def _is_answered() -> pl.Expr:
    """Of a message there is usage; a count of tokens, a probe and an error have none."""
    return (pl.col("state") == "complete") & pl.col("api_error").is_null() & pl.col("output_tokens").is_not_null()


def _percentile(column: str, percent: int) -> pl.Expr:
    # What polars calls "nearest" rounds to the nearest index; nearest rank is its "equiprobable".
    return pl.col(column).quantile(percent / 100, interpolation="equiprobable")
