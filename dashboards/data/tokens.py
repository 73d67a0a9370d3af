"""Tokens and what they cost: by time, by whom, beside the work, over a budget.

Money that is not known stays null, and is counted as `unpriced`. Refuses to know how any of it looks.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import polars as pl

from analysis import measures
from analysis.measures.overhead import reasoned
from dashboards.data.names import agents, named, titles
from dashboards.data.rows import priced
from dashboards.data.spans import DAY, Step
from dashboards.data.store import Data, choices
from dashboards.state import Filters

# The kinds of tokens as charts call them, from what a prompt has read up to what was answered.
KINDS = ("cache read", "cache write 5 m", "cache write 1 h", "input", "output")
NAMES = dict(zip(KINDS, ("read", "written_5m", "written_1h", "fresh", "output"), strict=True))
GRAINS = ("day", "model", "project", "session", "agent")
_LONG = pl.col("cache_write_1h_tokens").fill_null(0)
_WRITTEN = pl.max_horizontal(
    pl.col("cache_write_tokens").fill_null(0), pl.col("cache_write_5m_tokens").fill_null(0) + _LONG
)
_SUMS = (
    pl.len().cast(pl.Int64).alias("exchanges"),
    pl.col("cache_read_tokens").sum().alias("read"),
    (_WRITTEN - _LONG).sum().alias("written_5m"),
    _LONG.sum().alias("written_1h"),
    pl.col("input_tokens").sum().alias("fresh"),
    pl.col("output_tokens").sum().alias("output"),
    pl.col("cost_usd").sum(),
    pl.col("cost_usd").is_null().sum().cast(pl.Int64).alias("unpriced"),
    pl.col("saved_usd").sum(),
)


class Budget(NamedTuple):
    """Dollars a day, and the days that went over it, the dearest first."""

    usd: float
    over: pl.DataFrame

    @property
    def excess(self) -> float:
        """Dollars beyond it, on all these days."""
        return float((self.over["cost_usd"] - self.usd).sum())


def sums(data: Data, filters: Filters, now: datetime) -> dict[str, float]:
    """Return exchanges, tokens of each kind, cost_usd, unpriced and saved_usd of all together, and `days` with any."""
    frame = priced(data, filters, now)
    return frame.select(*_SUMS, pl.col("started_at").dt.date().n_unique().alias("days")).row(0, named=True)


def kinds(data: Data, filters: Filters, now: datetime, step: Step) -> pl.DataFrame:
    """Return tokens by time and kind: `at`, `kind`, `tokens`."""
    found = priced(data, filters, now).group_by(at=step.of()).agg(_SUMS).sort("at")
    found = found.select("at", *(pl.col(name).alias(kind) for kind, name in NAMES.items()))
    return found.unpivot(KINDS, index="at", variable_name="kind", value_name="tokens")


def money(data: Data, filters: Filters, now: datetime, step: Step) -> pl.DataFrame:
    """Return dollars by time and model: `at`, `model`, `usd`; what has no price is left out."""
    found = priced(data, filters, now).drop_nulls("cost_usd")
    return found.group_by(step.of().alias("at"), "model").agg(usd=pl.col("cost_usd").sum()).sort("at", "model")


def models(data: Data) -> list[str]:
    """Return the models of all captures in an order that no filter changes, so that each keeps its colour."""
    return choices(data)["model"]


def by(data: Data, filters: Filters, now: datetime, grain: str) -> pl.DataFrame:
    """One row per group, the dearest first: key, exchanges, read, written_5m, written_1h, fresh and output (tokens), cost_usd,
    unpriced, saved_usd, and share, of the cost of all. `grain` is one of GRAINS; days are in order.

    What belongs to no agent, such as titles, goes by its kind, in `beside`, which is null elsewhere. Of a session there is the `title`.
    """
    frame = priced(data, filters, now)
    if grain == "agent":
        frame = frame.join(agents(data), on="thread_id", how="left").with_columns(
            beside=pl.when(pl.col("thread_id").is_null()).then("kind"), key=pl.coalesce("agent", "kind")
        )
    else:
        frame = frame.with_columns(beside=pl.lit(None, pl.String), key=_key(grain))
    found = frame.group_by("key", "beside").agg(_SUMS)
    whole = pl.col("cost_usd").sum()
    found = found.with_columns(share=pl.when(whole > 0).then(pl.col("cost_usd") / whole))
    if grain == "session":
        found = found.join(titles(data), left_on="key", right_on="session_id", how="left")
    order = ["key"] if grain == "day" else ["cost_usd", "output", "key"]
    return found.sort(order, descending=[grain == "day"] if grain == "day" else [True, True, False], nulls_last=True)


def _key(grain: str) -> pl.Expr:
    if grain == "day":
        return pl.col("started_at").dt.date().cast(pl.String)
    return {"model": pl.col("model"), "project": pl.coalesce("project", "cwd"), "session": pl.col("session_id")}[grain]


def overhead(data: Data, filters: Filters, now: datetime) -> pl.DataFrame:
    """Return what `measures.overhead` says, with `tokens`, all that each reason took and gave."""
    frame = priced(data, filters, now).drop("cost_usd")
    found = measures.overhead(frame, data.capture.prices).collect()
    tokens = pl.sum_horizontal("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")
    return found.with_columns(tokens=tokens)


def because(data: Data, filters: Filters, now: datetime, reason: str) -> pl.DataFrame:
    """Return the exchanges that are overhead for this reason, the newest first."""
    found = reasoned(priced(data, filters, now)).filter(pl.col("reason") == reason)
    return named(found.collect().sort("exchange_id", descending=True), data)


def unpriced(data: Data, filters: Filters, now: datetime) -> pl.DataFrame:
    """Return the models whose tokens have no price, as `measures.unpriced` does."""
    return measures.unpriced(priced(data, filters, now).drop("cost_usd"), data.capture.prices).collect()


def budget(data: Data, filters: Filters, now: datetime, usd: float) -> Budget:
    """Return the days (UTC) that cost more: `at` and `cost_usd`."""
    days = priced(data, filters, now).group_by(at=DAY.of()).agg(pl.col("cost_usd").sum())
    return Budget(usd, days.filter(pl.col("cost_usd") > usd).sort("cost_usd", descending=True))
