"""Where the time went: each session's wall clock, and each thread's time line.

A moment of a thread belongs to one thing only. While an exchange runs, that is the model; between two it is what the one
before led to: tools where it called some, a wait before another try where it failed, else the person. Refuses to know how
long each tool ran (tools.py), and what the client asked beside the conversation.
"""

from __future__ import annotations

import polars as pl

WHAT = pl.Enum(["waiting", "answering", "tools", "person", "retrying"])

_CONVERSATION = ("main", "subagent", "compaction")  # the kinds that a thread is made of
_NO_CONTENT = ("message_delta", "signature_delta")
_USED = (
    "exchange_id", "session_id", "thread_id", "kind", "state", "status", "api_error", "started_at", "ended_at",
    "first_token_ms", "stop_reason", "retry_count", "tip",
)  # fmt: skip


def ledger(exchanges: pl.LazyFrame | pl.DataFrame, events: pl.LazyFrame | pl.DataFrame | None = None) -> pl.LazyFrame:
    """Return what each session's wall clock was spent on: one row per session, in the order of their start.

    Only the main conversation counts, with its compactions: what subagents do is the tool that started them. Columns:
    session_id; started_at and ended_at, from its first request to the end of its last answer; wall_ms between them, which
    is the sum of all that follow, to the microsecond: waiting_ms (until the first piece of content), thinking_ms (from the
    first piece of thinking to the first one of anything else; null without `events`, then it is part of answering),
    answering_ms, tools_ms (permission prompts included), person_ms, retrying_ms; `turns`, the requests of kind main.
    """
    runs = _runs(exchanges.lazy().filter(_is_main()))
    spent = {
        "waiting": _micros("begin", "token").sum(),
        "thinking": pl.lit(None, dtype=pl.Int64) if events is None else pl.col("thinking").sum(),
        "answering": _micros("token", "end").sum() - (0 if events is None else pl.col("thinking").sum()),
        **{what: _micros("free", "started_at").filter(pl.col("gap") == what).sum() for what in WHAT.categories[2:]},
    }
    if events is not None:
        runs = _with_thinking(runs, events.lazy())
    sums = runs.group_by("session_id").agg(
        pl.col("started_at").min(),
        pl.col("end").max().alias("ended_at"),
        **spent,
        turns=(pl.col("kind") == "main").sum().cast(pl.Int64),
    )
    return sums.select(
        "session_id",
        "started_at",
        "ended_at",
        (pl.sum_horizontal(*spent) / 1000).alias("wall_ms"),
        *((pl.col(name) / 1000).alias(f"{name}_ms") for name in spent),
        "turns",
    ).sort("started_at", "session_id")


def stretches(exchanges: pl.LazyFrame | pl.DataFrame) -> pl.LazyFrame:
    """Return the same as a time line, of every thread, subagents included: one row per stretch of time.

    Columns: session_id, thread_id, begins_at, ends_at, `what` (waiting, answering, tools, person, retrying), exchange_id:
    the exchange that ran, or the one before the gap, which called the tools. Stretches of a thread do not overlap and none
    is empty. Where a subagent is asked again later there is nothing between: no person waits for it.
    """
    runs = _runs(exchanges.lazy())
    parts = [
        _stretch(runs.filter(_is_main() | (pl.col("gap") != "person")), "free", "started_at", pl.col("gap"), "before"),
        _stretch(runs, "begin", "token", pl.lit("waiting", dtype=WHAT), "exchange_id"),
        _stretch(runs, "token", "end", pl.lit("answering", dtype=WHAT), "exchange_id"),
    ]
    return pl.concat(parts).sort("thread_id", "begins_at")


def _runs(exchanges: pl.LazyFrame) -> pl.LazyFrame:
    """Return the exchanges of threads in order, each with what is its own of the thread's time.

    `free`: when all before it had ended. `gap`: what passed from then to its start, null where nothing did; `before`: the
    exchange that led to it. `begin`, `token`, `end`: its own time, without what an exchange before it still took.
    """
    frame = exchanges.filter(pl.col("kind").is_in(_CONVERSATION) & pl.col("thread_id").is_not_null()).select(*_USED)
    frame = frame.sort("thread_id", "started_at", "exchange_id").with_columns(
        # A running exchange has no end yet; a clock that was set back would give one before the start.
        end=pl.max_horizontal("started_at", "ended_at"),
        row=pl.int_range(pl.len()),
        failed=(pl.col("state").is_in(("failed", "interrupted", "client_left")))
        | pl.col("api_error").is_not_null()
        | (pl.col("status") >= 400).fill_null(False),
    )
    frame = frame.with_columns(free=pl.col("end").cum_max().shift(1).over("thread_id").fill_null(pl.col("started_at")))
    # Of exchanges that overlap, the one that ended last leads to the gap.
    last = pl.when(pl.col("end") >= pl.col("free")).then("row")
    frame = frame.with_columns(lead=last.forward_fill().shift(1).over("thread_id")).with_columns(
        begin=pl.max_horizontal("started_at", "free"),
        before=pl.col("exchange_id").gather("lead"),
        gap=pl.when(pl.col("started_at") > pl.col("free")).then(_gap()),
        end=pl.max_horizontal("end", "free"),
    )
    first = pl.col("started_at") + pl.duration(microseconds=(pl.col("first_token_ms") * 1000).round().cast(pl.Int64))
    # Cached, so that the store is read once however many parts of the plan need it.
    return frame.with_columns(token=first.fill_null(pl.col("end")).clip("begin", "end")).cache()


def _gap() -> pl.Expr:
    """Tell what passed between an exchange and the one that led to it."""
    same = (pl.col("tip") == pl.col("tip").gather("lead")) | (pl.col("retry_count") > 0)
    again = pl.col("failed").gather("lead") & same.fill_null(False)
    calls = pl.col("stop_reason").gather("lead") == "tool_use"
    rest = pl.when(calls).then(pl.lit("tools")).otherwise(pl.lit("person"))
    return pl.when(again).then(pl.lit("retrying")).otherwise(rest).cast(WHAT)


def _with_thinking(runs: pl.LazyFrame, events: pl.LazyFrame) -> pl.LazyFrame:
    """Add `thinking`: microseconds of an exchange's answer from its first thinking to the first other content."""
    content = pl.col("kind").str.ends_with("_delta") & ~pl.col("kind").is_in(_NO_CONTENT)
    thinks, place, at = pl.col("kind") == "thinking_delta", pl.col("position"), pl.col("arrived_at")
    pieces = events.filter(content).join(runs, on="exchange_id", how="semi")
    spans = pieces.group_by("exchange_id").agg(
        thinks_at=at.filter(thinks).min(),
        other_at=at.filter(~thinks & (place > place.filter(thinks).min())).min(),
    )
    # Thinking that is not shown sends empty pieces before the first token: that time is waiting.
    begin = pl.col("thinks_at").clip("token", "end")
    end = pl.col("other_at").fill_null(pl.col("end")).clip("token", "end")
    return runs.join(spans, on="exchange_id", how="left").with_columns(
        thinking=(end - begin).dt.total_microseconds().fill_null(0)
    )


def _stretch(runs: pl.LazyFrame, begins: str, ends: str, what: pl.Expr, exchange: str) -> pl.LazyFrame:
    return runs.filter(pl.col(begins) < pl.col(ends)).select(
        "session_id",
        "thread_id",
        pl.col(begins).alias("begins_at"),
        pl.col(ends).alias("ends_at"),
        what.alias("what"),
        pl.col(exchange).alias("exchange_id"),
    )


def _is_main() -> pl.Expr:
    return pl.col("thread_id").str.ends_with("/main")


def _micros(begin: str, end: str) -> pl.Expr:
    return (pl.col(end) - pl.col(begin)).dt.total_microseconds()
