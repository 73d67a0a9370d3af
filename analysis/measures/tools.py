"""What tools are called, how long they take, how much they bring, how often they fail, and what is called twice.

Knows how calls add up, by any columns of their frame. Durations on the wire include permission prompts and calls made side
by side; those of the client are the tool alone. Refuses to know what a result costs in the context.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

Frame = pl.LazyFrame | pl.DataFrame

SHOWN = 200  # characters of an input in `repeats`: enough to recognise a command, few enough for a table
BUILT_IN = "built in"


def tools(tool_calls: Frame, by: str | Sequence[str] = ("tool_name",)) -> pl.LazyFrame:
    """One row per group of calls, those with the most calls first; `by` names columns of `tool_calls`, and with none of them
    there is one row over all.

    Gives the columns of `by`, then calls, answered (calls with a result), errors (results that say so), error_rate (errors
    over answered, from 0 to 1; null where nothing was answered), wire_p50_ms, wire_p95_ms, wire_max_ms, wire_ms (sum),
    client_ms (sum), input_characters (sum), result_characters (sum) and result_p95_characters. Durations are in ms, and
    null where none was measured. Percentiles are by nearest rank: each is a value that occurred.
    """
    answered, errors = pl.col("answered").sum().cast(pl.Int64), pl.col("is_error").sum().cast(pl.Int64)
    figures = [
        pl.len().cast(pl.Int64).alias("calls"),
        answered,
        errors.alias("errors"),
        pl.when(answered > 0).then(errors / answered).alias("error_rate"),
        _rank("wire_ms", 0.5).alias("wire_p50_ms"),
        _rank("wire_ms", 0.95).alias("wire_p95_ms"),
        pl.col("wire_ms").max().alias("wire_max_ms"),
        _measured("wire_ms"),
        _measured("client_ms"),
        pl.col("input_characters", "result_characters").sum(),
        _rank("result_characters", 0.95).cast(pl.Int64).alias("result_p95_characters"),
    ]
    calls, names = tool_calls.lazy(), [by] if isinstance(by, str) else list(by)
    groups = calls.group_by(names).agg(figures) if names else calls.select(figures)
    return groups.sort("calls", *names, descending=[True, *(False for _ in names)])


def by_server(tool_calls: Frame) -> pl.LazyFrame:
    """One row per MCP server, and one called "built in" for the client's own tools: mcp_server, then as in `tools`."""
    return tools(tool_calls.lazy().with_columns(pl.col("mcp_server").fill_null(BUILT_IN)), by="mcp_server")


def repeats(tool_calls: Frame) -> pl.LazyFrame:
    """One row per call that was made more than once in a session, with the same input to the letter: session_id, tool_name,
    calls, wasted_characters (of all results but the first), first_at, last_at, input (its first 200 characters). Those that
    wasted the most come first.

    Not each is a mistake: a file is read again after it was changed. Needs the body column `input`, and raises ValueError
    without it.
    """
    calls = tool_calls.lazy()
    if "input" not in calls.collect_schema():
        raise ValueError("repeats compares inputs: ask for tool_calls with bodies, so that they have the column input")
    result = pl.col("result_characters").fill_null(0)
    first = result.sort_by("called_at", "tool_use_id").first()
    return (
        calls.filter(pl.col("session_id").is_not_null() & pl.col("input").is_not_null())
        .group_by("session_id", "tool_name", "input")
        .agg(
            calls=pl.len().cast(pl.Int64),
            wasted_characters=result.sum() - first,
            first_at=pl.col("called_at").min(),
            last_at=pl.col("called_at").max(),
        )
        .filter(pl.col("calls") > 1)
        .sort("wasted_characters", "calls", "first_at", "input", descending=[True, True, False, False])
        .select(
            "session_id",
            "tool_name",
            "calls",
            "wasted_characters",
            "first_at",
            "last_at",
            pl.col("input").str.head(SHOWN),
        )
    )


def _rank(name: str, share: float) -> pl.Expr:
    return pl.col(name).quantile(share, interpolation="equiprobable")


def _measured(name: str) -> pl.Expr:
    """Return the sum, null where there is nothing to sum: no measurement is not a duration of zero."""
    return pl.when(pl.col(name).count() > 0).then(pl.col(name).sum()).alias(name)
