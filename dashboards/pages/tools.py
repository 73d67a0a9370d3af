"""The page tools: what was called, how long it took, how much it brought, how often it failed or was repeated; down to the calls.

Refuses to know how the figures come about.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import panel as pn

from dashboards import charts
from dashboards.data import tools as data
from dashboards.data.inputs import line
from dashboards.data.look import Look
from dashboards.data.spans import step
from dashboards.downloads import downloads
from dashboards.pages.absent import absent
from dashboards.view import View

SENTENCE = "Each tool that was called will have a row here, with its calls, errors, durations and sizes."
TABS = {"tool": "tool", "server": "MCP server", "agent": "agent"}
REPEATED = 20


def page(view: View) -> list[pn.viewable.Viewable]:
    """Return the page."""
    view = replace(view, data=Look(view.data))
    source, filters, now, args = view.data, view.route.filters, view.now, view.route.args
    if data.calls(source, filters, now).is_empty():
        return absent(view, SENTENCE, "No tool was called", "None of the answers here calls a tool.")
    wanted = data.Chosen(args.get("tool", ""), args.get("server", ""), args.get("errors") == "1")
    head = view.html("tools_head.html", whole=data.whole(source, filters, now), wanted=wanted)
    if wanted.any():
        return [head, *_calls(view, wanted)]
    grain = args.get("by", "")
    grain = grain if grain in TABS else "tool"
    found = data.by(source, filters, now, grain)
    repeats = data.repeats(source, filters, now)
    return [
        head,
        _chart(view),
        view.html("tools_table.html", tabs=TABS, grain=grain, rows=found.rows(named=True)),
        downloads(view, f"tools-by-{grain}", lambda: found),
        view.html("tools_repeats.html", rows=repeats.frame.head(REPEATED).rows(named=True), repeats=repeats, line=line),
        downloads(view, "repeated-calls", lambda: repeats.frame),
    ]


def _chart(view: View) -> pn.Column:
    source, filters, now = view.data, view.route.filters, view.now
    every = step(data.calls(source, filters, now), "called_at")

    def link(at: datetime) -> str:
        """Return the address of this page for one piece of time."""
        return view.route.link(filters={"range": every.range(at)}, **view.route.args)

    return charts.bars(
        data.over_time(source, filters, now, every), "at", "tool", "calls", title=f"Calls by {every.word} and tool", unit="calls",
        dark=view.dark, order=data.names(source), step=every.length, link=link, note="UTC",
    )  # fmt: skip


def _calls(view: View, wanted: data.Chosen) -> list[pn.viewable.Viewable]:
    sort = view.route.args.get("sort", "")
    sort = sort if sort in data.SORTS else "time"
    found = data.chosen(view.data, view.route.filters, view.now, wanted, sort)
    start = view.route.number("at", 0)
    rows = data.page(view.data, found, start).rows(named=True)
    table = view.html(
        "tools_calls.html", rows=rows, wanted=wanted, sort=sort, start=start, total=found.height, size=data.A_PAGE
    )
    return [table, downloads(view, "tool-calls", lambda: found)]
