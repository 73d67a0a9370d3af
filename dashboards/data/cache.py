"""How the prompt cache did: hit ratio over time, what was written and never read, and where it broke.

Breaks and reads are judged over whole threads, whatever the filters leave of them, for each request is measured by the one before
it. Refuses to know how any of it looks.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import polars as pl

from analysis import measures
from dashboards.data import differing
from dashboards.data.names import named
from dashboards.data.rows import exchanges, priced
from dashboards.data.spans import Step
from dashboards.data.store import Data
from dashboards.state import Filters

NEWEST = 10_000  # exchanges whose breaks are looked for: about half a second
# What each cause is called, and what it means; those of NO_BREAK found nothing that could have been read.
CAUSES = {
    "tools_changed": (
        "tools changed",
        "another set of tools, or another description of one: nothing after it can be read",
    ),
    "system_changed": ("system prompt changed", "a system block differs from the one before"),
    "message_changed": ("message changed", "a message that had been sent before is another one now"),
    "model_changed": ("model changed", "each model has a cache of its own"),
    "effort_changed": ("effort or thinking changed", "both are part of what is cached"),
    "rewind": ("rewind", "the conversation went back and took another way"),
    "compaction": ("compaction", "the conversation was replaced by its summary"),
    "ttl_expired_5m": ("5 minutes had passed", "what was written for 5 minutes had gone"),
    "ttl_expired_1h": ("1 hour had passed", "what was written for an hour had gone"),
    "unknown": ("not known", "the prompt is intact and was in time: the provider did not find it"),
    "below_minimum": ("too short for the cache", "prompts as short as this are not cached"),
    "first_request": ("first request of a thread", "there was nothing yet"),
}
NO_BREAK = ("below_minimum", "first_request")


@dataclass(frozen=True, slots=True)
class Figures:
    """Tokens, dollars, and the share of the input that was read. Dollars are null where a price is missing."""

    hit_ratio: float | None
    read: int
    written: int
    unread: int
    unread_usd: float | None
    lost: int
    lost_usd: float | None
    breaks: int


class Broken(NamedTuple):
    """Breaks, of how many exchanges, of how many that the filters let through."""

    frame: pl.DataFrame
    exchanges: int
    of: int


def ratio(data: Data, filters: Filters, now: datetime, step: Step) -> pl.DataFrame:
    """Return the hit ratio by time and model: `at`, `model`, `hit_ratio`."""
    frame = exchanges(data, filters, now).with_columns(at=step.of())
    return measures.cache(frame, by=["at", "model"]).select("at", "model", "hit_ratio").collect()


def by_model(data: Data, filters: Filters, now: datetime) -> pl.DataFrame:
    """Return what `measures.cache` says of each model, and what was never read of it: unread and unread_usd."""
    found = measures.cache(exchanges(data, filters, now), by="model").collect()
    never = unread(data, filters, now).group_by("model").agg(pl.col("unread").sum(), _known("unread_usd"))
    joined = found.join(never, on="model", how="left", nulls_equal=True).with_columns(pl.col("unread").fill_null(0))
    return joined.sort("cache_read_tokens", descending=True)


def unread(data: Data, filters: Filters, now: datetime) -> pl.DataFrame:
    """Return what of each exchange's writes was never read: exchange_id, model, unread (tokens), unread_usd (its part of what
    writing cost)."""

    def make() -> pl.DataFrame:
        whole, _ = _threads(data, filters, now)
        written = priced(data, filters, now).select("exchange_id", "cache_write_usd")
        part = pl.col("unread_tokens") / pl.col("written_tokens")
        found = measures.unread(whole).join(written.lazy(), on="exchange_id").collect()
        return found.select("exchange_id", "model", unread="unread_tokens", unread_usd=pl.col("cache_write_usd") * part)

    return data.kept(("unread", filters), make)


def breaks(data: Data, filters: Filters, now: datetime) -> Broken:
    """Return what `measures.breaks` says of the newest exchanges under the filters, with the agent and the session's title."""

    def make() -> Broken:
        whole, looked = _threads(data, filters, now)
        found = differing.breaks(data, whole)
        own = exchanges(data, filters, now)
        found = found.join(own.select("exchange_id"), on="exchange_id", how="semi", maintain_order="left")
        return Broken(named(found, data), looked, own.height)

    return data.kept(("breaks", filters), make)


def by_cause(found: pl.DataFrame) -> pl.DataFrame:
    """One row per cause that occurred: cause, breaks, lost (tokens), lost_usd; those that lost the most first, no breaks last."""
    sums = found.group_by("cause").agg(
        breaks=pl.len().cast(pl.Int64), lost=pl.col("lost_tokens").sum(), lost_usd=_known("lost_usd")
    )
    return sums.sort(pl.col("cause").is_in(NO_BREAK), "lost", "breaks", "cause", descending=[False, True, True, False])


def over_time(found: pl.DataFrame, step: Step) -> pl.DataFrame:
    """Return tokens lost by time and cause: `at`, `cause` (in words), `lost`."""
    words = {cause: word for cause, (word, _) in CAUSES.items()}
    broken = found.filter(~pl.col("cause").is_in(NO_BREAK))
    spoken = broken.with_columns(at=step.of(), cause=pl.col("cause").replace_strict(words, default=pl.col("cause")))
    return spoken.group_by("at", "cause").agg(lost=pl.col("lost_tokens").sum()).sort("at", "cause")


def figures(data: Data, filters: Filters, now: datetime) -> Figures:
    """Return what stands above the page."""
    whole = measures.cache(exchanges(data, filters, now), by=[]).collect().row(0, named=True)
    never = unread(data, filters, now).select(pl.col("unread").sum(), _known("unread_usd")).row(0, named=True)
    found = breaks(data, filters, now).frame.filter(~pl.col("cause").is_in(NO_BREAK))
    lost = found.select(lost=pl.col("lost_tokens").sum(), lost_usd=_known("lost_usd")).row(0, named=True)
    written, read = whole["cache_write_tokens"], whole["cache_read_tokens"]
    return Figures(whole["hit_ratio"], read, written, never["unread"], never["unread_usd"], **lost, breaks=found.height)


def apart(was: str | None, now: str | None) -> tuple[str, str, str, str]:
    """Return what two texts have in common at their beginning, what each has alone, and what they have in common at the end."""
    old, new = was or "", now or ""
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    tail = len(old) - end
    return old[:start], old[start:tail], new[start : len(new) - end], old[tail:]


def _threads(data: Data, filters: Filters, now: datetime) -> tuple[pl.DataFrame, int]:
    """Return all exchanges of the threads of the newest ones under the filters, and how many these newest are."""
    own = exchanges(data, filters, now)
    newest = own.tail(NEWEST)
    every = own if filters == Filters() else exchanges(data, Filters(), now)
    return every.join(newest.select("thread_id").drop_nulls().unique(), on="thread_id", how="semi"), newest.height


def _known(name: str) -> pl.Expr:
    """Return the sum; null where nothing of it is known."""
    column = pl.col(name)
    return pl.when((column.count() > 0) | (column.len() == 0)).then(column.sum()).alias(name)
