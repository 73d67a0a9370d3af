"""Tool calls: how many, how long, how large, how often wrong, and which were made twice; and the calls themselves, paged.

A call is under the filters where the exchange that made it is. Refuses to know how any of it looks.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import polars as pl

from analysis import measures
from dashboards.data.inputs import line
from dashboards.data.names import agents, named
from dashboards.data.spans import Step
from dashboards.data.store import OFFERED_S, Data, matching
from dashboards.data.texts import with_inputs
from dashboards.state import Filters

BUILT_IN = "built in"
GRAINS = ("tool", "server", "agent")
COMPARED = 300  # calls whose inputs are compared: each is looked up
A_PAGE = 50
SORTS = {
    "time": ["called_at"], "duration": ["wire_ms", "called_at"], "result": ["result_characters", "called_at"],
    "input": ["input_characters", "called_at"],
}  # fmt: skip


class Chosen(NamedTuple):
    """Which calls are listed: of a tool, of a server (BUILT_IN for none), with errors only."""

    tool: str = ""
    server: str = ""
    errors: bool = False

    def any(self) -> bool:
        """Whether any is asked for."""
        return self != Chosen()


class Repeats(NamedTuple):
    """Calls made more than once, of how many calls that were compared, of how many that might be such."""

    frame: pl.DataFrame
    calls: int
    of: int


def calls(data: Data, filters: Filters, now: datetime) -> pl.DataFrame:
    """Return the calls under the filters, oldest first, with the `agent` that made them."""

    def make() -> pl.DataFrame:
        frame = data.capture.tool_calls()
        if filters != Filters():
            frame = frame.join(matching(data, filters, now).lazy(), on="exchange_id", how="semi")
        return data.collect(frame).join(agents(data), on="thread_id", how="left").sort("exchange_id", "tool_use_id")

    return data.kept(("calls", filters), make)


def by(data: Data, filters: Filters, now: datetime, grain: str) -> pl.DataFrame:
    """Return what `measures.tools` says of each tool, MCP server or agent: `key`, and its figures."""
    frame = calls(data, filters, now)
    if grain == "server":
        return measures.by_server(frame).collect().rename({"mcp_server": "key"})
    column = {"tool": "tool_name", "agent": "agent"}[grain]
    return measures.tools(frame, by=column).collect().rename({column: "key"})


def whole(data: Data, filters: Filters, now: datetime) -> dict[str, float | None]:
    """Return what `measures.tools` says of all together, and how many `tools` there are."""
    frame = calls(data, filters, now)
    found: dict[str, float | None] = measures.tools(frame, by=[]).collect().row(0, named=True)
    return {**found, "tools": frame["tool_name"].n_unique()}


def over_time(data: Data, filters: Filters, now: datetime, step: Step) -> pl.DataFrame:
    """Return calls by time and tool: `at`, `tool`, `calls`."""
    frame = calls(data, filters, now).drop_nulls("called_at")
    counted = frame.group_by(step.of("called_at").alias("at"), pl.col("tool_name").alias("tool"))
    return counted.agg(calls=pl.len().cast(pl.Int64)).sort("at", "tool")


def names(data: Data) -> list[str]:
    """Return all tools, the most called first: an order that no filter changes, so that each keeps its colour."""

    def make() -> list[str]:
        rows = data.ask("SELECT tool_name FROM tool_calls GROUP BY 1 ORDER BY count(*) DESC, 1")
        return [str(name) for name in rows["tool_name"].drop_nulls()]

    return data.kept("tools", make, OFFERED_S)


def repeats(data: Data, filters: Filters, now: datetime) -> Repeats:
    """Return what `measures.repeats` says, those that wasted the most first.

    Only calls of a session and tool whose inputs are of the same length can be such. Of these, those are compared that may have
    wasted the most.
    """

    def make() -> Repeats:
        alike = ("session_id", "tool_name", "input_characters")
        frame = (
            calls(data, filters, now).drop_nulls("session_id").with_columns(pl.col("result_characters").fill_null(0))
        )
        some = frame.filter(pl.len().over(alike) > 1)
        brought = pl.col("result_characters").sum().over(alike)
        order = some.with_columns(brought=brought).sort(
            "brought", *alike, "called_at", descending=True, nulls_last=True
        )
        compared = with_inputs(data, order.head(COMPARED))
        return Repeats(measures.repeats(compared).collect(), compared.height, some.height)

    return data.kept(("repeats", filters), make)


def chosen(data: Data, filters: Filters, now: datetime, wanted: Chosen, sort: str = "time") -> pl.DataFrame:
    """Return the calls that are asked for, by one of SORTS, the newest or largest first."""
    frame = calls(data, filters, now)
    if wanted.tool:
        frame = frame.filter(pl.col("tool_name") == wanted.tool)
    if wanted.server:
        frame = frame.filter(pl.col("mcp_server").fill_null(BUILT_IN) == wanted.server)
    if wanted.errors:
        frame = frame.filter(pl.col("is_error").fill_null(value=False))
    return frame.sort(*SORTS[sort], "tool_use_id", descending=True, nulls_last=True)


def page(data: Data, frame: pl.DataFrame, start: int) -> pl.DataFrame:
    """Return a page of such calls, with the session's title and `input`, in one line."""
    shown = frame.slice(start, A_PAGE)
    found = with_inputs(data, shown)
    return named(found.drop("agent"), data).with_columns(pl.col("input").map_elements(line, pl.String))
