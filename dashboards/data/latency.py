"""How long answers took, by time and by what; what stalled; where the time of sessions went; what failed.

Refuses to know how any of it looks.
"""

from __future__ import annotations

from datetime import datetime

import polars as pl

from analysis import measures
from dashboards.data.names import named, titles
from dashboards.data.rows import COLUMNS, belonging, exchanges
from dashboards.data.spans import Step
from dashboards.data.store import Data
from dashboards.state import Filters

GROUPS = {"model": "model", "context_band": "context, in tokens", "cache_state": "prompt cache"}
SPENT = {
    "waiting_ms": "waiting", "thinking_ms": "thinking", "answering_ms": "answering", "tools_ms": "tools", "person_ms": "you",
    "retrying_ms": "retrying",
}  # fmt: skip
LONGEST = 12  # sessions in the ledger
MOST_TIMED = 2000  # exchanges whose events are looked at, to tell thinking from answering


def over_time(data: Data, filters: Filters, now: datetime, step: Step) -> pl.DataFrame:
    """Return what `measures.latency` says of each hour or day: `at`, and its figures."""
    return measures.latency(exchanges(data, filters, now).with_columns(at=step.of()), by="at").collect()


def percentiles(found: pl.DataFrame, names: dict[str, str]) -> pl.DataFrame:
    """Return columns of such a frame as lines: `at`, `line` (what `names` calls the column), `value`."""
    wanted = found.select("at", *(pl.col(column).alias(line) for line, column in names.items()))
    return wanted.unpivot(list(names), index="at", variable_name="line", value_name="value")


def figures(data: Data, filters: Filters, now: datetime) -> dict[str, float | None]:
    """Return what `measures.latency` says of all together, with errors and `asked`, exchanges in all."""
    frame = exchanges(data, filters, now)
    found = measures.latency(frame, by=[]).collect().row(0, named=True)
    return {**found, "errors": frame.filter(_wrong()).height, "asked": frame.height}


def by(data: Data, filters: Filters, now: datetime, group: str) -> pl.DataFrame:
    """Return what `measures.latency` says of one of GROUPS: `key`, and its figures; models by exchanges, the others in order."""
    found = measures.latency(exchanges(data, filters, now), by=group).collect()
    found = found.sort("exchanges", descending=True) if group == "model" else found
    return found.with_columns(pl.col(group).cast(pl.String).alias("key"))


def groups(data: Data, filters: Filters, now: datetime) -> pl.DataFrame:
    """Return the same of all GROUPS below each other, with the group's name as `by`."""
    frames = [
        by(data, filters, now, group).drop(group).insert_column(0, pl.lit(name).alias("by"))
        for group, name in GROUPS.items()
    ]
    return pl.concat(frames)


def stalls(data: Data, filters: Filters, now: datetime) -> pl.DataFrame:
    """Return what `measures.stalls` says, the longest first, with the session's title and the agent."""
    found = measures.stalls(exchanges(data, filters, now)).collect()
    return named(found.sort("stalled_ms", "exchange_id", descending=True), data)


def errors(data: Data, filters: Filters, now: datetime) -> pl.DataFrame:
    """Return the exchanges that went wrong: exchange_id, started_at, status, state, and `error`, a word for what it was."""
    word = pl.coalesce("api_error", "error_kind", "state")
    status = pl.col("status")
    told = pl.when((status >= 400).fill_null(value=False)).then(pl.format("{} {}", status, word)).otherwise(word)
    found = exchanges(data, filters, now).filter(_wrong())
    return found.select("exchange_id", "started_at", "status", "state", error=told)


def by_error(found: pl.DataFrame) -> pl.DataFrame:
    """One row per kind of error, the most frequent first: error, status, state, number, first_at, last_at, newest (an exchange)."""
    return (
        found.group_by("error", "status", "state")
        .agg(
            number=pl.len().cast(pl.Int64), first_at=pl.col("started_at").min(), last_at=pl.col("started_at").max(),
            newest=pl.col("exchange_id").max(),
        )
        .sort("number", "error", descending=[True, False])
    )  # fmt: skip


def errors_over_time(found: pl.DataFrame, step: Step) -> pl.DataFrame:
    """Return errors by time: `at`, `error`, `number`."""
    return found.group_by(step.of().alias("at"), "error").agg(number=pl.len().cast(pl.Int64)).sort("at", "error")


def ledger(data: Data, filters: Filters, now: datetime) -> pl.DataFrame:
    """Return what `measures.ledger` says of the LONGEST sessions under the filters, each as a whole, the longest first, with title.

    Beyond MOST_TIMED exchanges thinking is not told from answering: then thinking_ms is null.
    """

    def make() -> pl.DataFrame:
        frame = exchanges(data, filters, now)
        if filters != Filters():
            ids = measures.ledger(frame).collect().sort("wall_ms", descending=True)["session_id"].drop_nulls()
            frame = belonging(data, "exchanges", "session_id", ids.head(LONGEST).to_list(), ", ".join(COLUMNS))
        rough = measures.ledger(frame).collect().drop_nulls("session_id")
        longest = rough.sort("wall_ms", "session_id", descending=True).head(LONGEST)
        found = pl.concat([longest, _timed(data, frame, longest)]).unique("session_id", keep="last")
        return found.join(titles(data), on="session_id", how="left").sort("wall_ms", "session_id", descending=True)

    return data.kept(("ledger", filters), make)


def _timed(data: Data, frame: pl.DataFrame, longest: pl.DataFrame) -> pl.DataFrame:
    """Return the ledger of the first of these sessions once more, with thinking."""
    own = frame.filter(pl.col("thread_id").str.ends_with("/main"))
    counted = longest.join(own.group_by("session_id").len(), on="session_id", maintain_order="left")
    some = own.join(counted.filter(pl.col("len").cum_sum() <= MOST_TIMED), on="session_id", how="semi")
    ids = some["exchange_id"].to_list()
    events = belonging(data, "events", "exchange_id", ids, "exchange_id, position, arrived_at, kind")
    return measures.ledger(some, events).collect()


def _wrong() -> pl.Expr:
    failed = pl.col("state").is_in(["failed", "interrupted"])
    return failed | (pl.col("status") >= 400).fill_null(value=False) | pl.col("api_error").is_not_null()
