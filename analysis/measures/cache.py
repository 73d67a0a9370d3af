"""What the prompt cache gave: tokens and hit ratio per group, and what was written into it and never read again.

Counts only exchanges that were answered with a usage. Time is when requests started; a write lives for 5 minutes or for
an hour, and each read of it begins that time anew. Refuses to know why something was not read (breaks.py), and prices.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import polars as pl

SHORT_LIFE_S, LONG_LIFE_S = 300, 3600  # Anthropic's two times to live
_INPUT = ("input_tokens", "cache_read_tokens", "cache_write_tokens")
_SUMS = (*_INPUT, "cache_write_5m_tokens", "cache_write_1h_tokens", "output_tokens")
_UNREAD = ("exchange_id", "session_id", "thread_id", "started_at", "model", "written_tokens", "unread_tokens")


def answered() -> pl.Expr:
    """Return whether an exchange was answered with a usage: whether any kind of its input is counted."""
    return pl.any_horizontal(pl.col(_INPUT).is_not_null())


def all_input() -> pl.Expr:
    """Return context_tokens, or what it is the sum of where a frame leaves it null."""
    return pl.coalesce("context_tokens", pl.sum_horizontal(_INPUT))


def cache(exchanges: pl.LazyFrame | pl.DataFrame, by: str | Sequence[str] = ("model",)) -> pl.LazyFrame:
    """Return one row per group of exchanges, sorted by the group; with no `by`, one row over all.

    In: the columns of `by` and the counts of tokens. Out: those of `by`, exchanges, input_tokens, cache_read_tokens,
    cache_write_tokens, cache_write_5m_tokens, cache_write_1h_tokens, output_tokens (tokens), and hit_ratio: read over
    (read + write + input), null where there was no input.
    """
    groups = [by] if isinstance(by, str) else list(by)
    counted = exchanges.lazy().filter(answered()).select(*groups, *_SUMS)
    sums = [pl.len().cast(pl.Int64).alias("exchanges"), *(pl.col(name).sum() for name in _SUMS)]
    totals = counted.group_by(groups).agg(sums).sort(groups) if groups else counted.select(sums)
    all_input = pl.sum_horizontal(_INPUT)
    return totals.with_columns(hit_ratio=pl.when(all_input > 0).then(pl.col("cache_read_tokens") / all_input))


def unread(exchanges: pl.LazyFrame | pl.DataFrame) -> pl.LazyFrame:
    """Return one row per exchange of a thread that wrote to the cache, by thread and time.

    In: exchanges. Out: exchange_id, session_id, thread_id, started_at, model, written_tokens (tokens), and
    unread_tokens: what of these no later exchange of the thread read while it lived.

    After an exchange the cache holds the first read + write tokens of its prompt; a later read of R tokens used as many
    of them as R reaches. What was written for an hour stands before what was written for 5 minutes, as the API demands.
    A branch (rewind, compaction) that reads as far counts as a reader, for lengths are all that is looked at. Exchanges
    beside conversations are left out: who would have read what they wrote is not known.
    """
    turns = (
        exchanges.lazy()
        .filter(answered() & pl.col("thread_id").is_not_null())
        .select(
            *_UNREAD[:5],
            pl.col("cache_read_tokens").fill_null(0).alias("read"),
            pl.col("cache_write_tokens").fill_null(0).alias("written_tokens"),
            pl.col("cache_write_1h_tokens").fill_null(0).alias("long"),
        )
        .sort("thread_id", "started_at", "exchange_id")
        .with_columns(_at_a_glance())
        .collect()
    )
    # Nearly every write is settled by the exchange after it; only threads with another case are walked.
    unsettled = turns.filter(pl.col("unread_tokens").is_null() & (pl.col("written_tokens") > 0))
    walked = turns.join(unsettled, on="thread_id", how="semi", maintain_order="left")
    found = pl.DataFrame(list(_walked(walked)), schema={"exchange_id": pl.String, "walked": pl.Int64}, orient="row")
    return (
        turns.lazy()
        .filter(pl.col("written_tokens") > 0)
        .join(found.lazy(), on="exchange_id", how="left", maintain_order="left")
        .with_columns(pl.coalesce("unread_tokens", "walked").alias("unread_tokens"))
        .select(_UNREAD)
    )


def _at_a_glance() -> pl.Expr:
    """Return unread_tokens where the next exchange of the thread settles it, or where there is none; else null."""
    gap_s = (pl.col("started_at").shift(-1) - pl.col("started_at")).dt.total_microseconds() / 1_000_000
    all_read = pl.col("read").shift(-1) >= pl.col("read") + pl.col("written_tokens")
    last = pl.col("exchange_id").shift(-1).is_null()
    settled = pl.when(all_read & (gap_s <= SHORT_LIFE_S)).then(0).when(last).then(pl.col("written_tokens"))
    return settled.over("thread_id").alias("unread_tokens")


class _Turn(NamedTuple):
    """An exchange as the walk needs it; times in seconds."""

    exchange: str
    thread: str
    at: float
    read: int
    written: int
    long: int
    unread: int | None


def _walked(turns: pl.DataFrame) -> Iterator[tuple[str, int]]:
    """Yield the exchanges that are not settled yet, with what of their writes was never read."""
    seconds = pl.col("started_at").dt.epoch("us") / 1_000_000
    columns = ("exchange_id", "thread_id", seconds, "read", "written_tokens", "long", "unread_tokens")
    rows = [_Turn(*row) for row in turns.select(columns).iter_rows()]
    for place, turn in enumerate(rows):
        if turn.unread is None and turn.written:
            middle, end = turn.read + min(turn.long, turn.written), turn.read + turn.written
            long = _never_read(rows, place, (turn.read, middle), LONG_LIFE_S)
            yield turn.exchange, long + _never_read(rows, place, (middle, end), SHORT_LIFE_S)


def _never_read(rows: list[_Turn], place: int, piece: tuple[int, int], life_s: int) -> int:
    """Return how many tokens of a piece of prompt, written by the exchange at `place`, were never read in time."""
    reached, end = piece
    start, touched, thread = reached, rows[place].at, rows[place].thread
    for number in range(place + 1, len(rows)):
        later = rows[number]
        if reached >= end or later.thread != thread or later.at - touched > life_s:
            break
        if later.read > start:
            reached, touched = max(reached, later.read), later.at
    return max(end - reached, 0)
