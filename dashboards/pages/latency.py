"""The page latency: how long answers took and what by, what stalled and failed, and where the time of sessions went.

Refuses to know how the figures come about.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import panel as pn
import polars as pl

from dashboards import charts
from dashboards.colours import palette
from dashboards.data import latency as data
from dashboards.data.limits import limits
from dashboards.data.look import Look
from dashboards.data.rows import exchanges
from dashboards.data.spans import Step, step
from dashboards.downloads import downloads
from dashboards.pages.absent import absent
from dashboards.view import View

SENTENCE = (
    "First token, speed, stalls, errors and rate limits will stand here, and where the time of each session went."
)
SHOWN = 20
FIRST_TOKEN = {percent: f"first_token_{percent}_ms" for percent in ("p50", "p90", "p99")}
SPEED = {"p50": "tokens_per_second_p50", "p10": "tokens_per_second_p10"}


def page(view: View) -> list[pn.viewable.Viewable]:
    """Return the page."""
    view = replace(view, data=Look(view.data))
    source, filters, now = view.data, view.route.filters, view.now
    frame = exchanges(source, filters, now)
    if frame.is_empty():
        return absent(view, SENTENCE)
    every = step(frame)
    stalls = data.stalls(source, filters, now)
    ledger, table = data.ledger(source, filters, now), data.groups(source, filters, now)
    groups = {name: table.filter(pl.col("by") == name).rows(named=True) for name in data.GROUPS.values()}
    return [
        view.html("latency_head.html", figures=data.figures(source, filters, now)),
        _times(view, every),
        view.html("latency_groups.html", groups=groups),
        downloads(view, "latency", lambda: table),
        view.html("latency_ledger.html", rows=_ledger(view, ledger), names=list(data.SPENT.values())),
        downloads(view, "time-ledger", lambda: ledger),
        *_errors(view, every),
        view.html("latency_stalls.html", rows=stalls.head(SHOWN).rows(named=True), total=stalls.height),
        downloads(view, "stalls", lambda: stalls),
    ]


def _link(view: View, every: Step) -> charts.Link:
    def link(at: datetime) -> str:
        """Return the address of this page for one piece of time."""
        return view.route.link(filters={"range": every.range(at)})

    return link


def _times(view: View, every: Step) -> pn.Row:
    found = data.over_time(view.data, view.route.filters, view.now, every)
    first, speed = data.percentiles(found, FIRST_TOKEN), data.percentiles(found, SPEED)
    return charts.pair(
        charts.lines(
            first, "at", "line", "value", title=f"Time to the first token, by {every.word}", unit="ms", dark=view.dark,
            step=every.length, link=_link(view, every), note="percentiles, UTC",
        ),
        charts.lines(
            speed, "at", "line", "value", title=f"Speed of answers, by {every.word}", unit="tok/s", dark=view.dark,
            step=every.length, link=_link(view, every), note="median and slow end, UTC",
        ),
    )  # fmt: skip


def _ledger(view: View, ledger: pl.DataFrame) -> list[dict[str, object]]:
    shades = palette(dark=view.dark).named
    parts = data.SPENT.items()
    return [
        {**row, "parts": [(name, row[column], shades[name]) for column, name in parts]}
        for row in ledger.rows(named=True)
    ]


def _errors(view: View, every: Step) -> list[pn.viewable.Viewable]:
    found = data.errors(view.data, view.route.filters, view.now)
    left = limits(view.data, view.route.filters, view.now)
    table = view.html("latency_errors.html", rows=data.by_error(found).rows(named=True), limits=left, now=view.now)
    if found.is_empty():
        return [table]
    chart = charts.bars(
        data.errors_over_time(found, every), "at", "error", "number", title=f"Errors by {every.word} and kind", unit="exchanges",
        dark=view.dark, step=every.length, link=_link(view, every), note="UTC",
    )  # fmt: skip
    return [chart, table, downloads(view, "errors", lambda: found)]
