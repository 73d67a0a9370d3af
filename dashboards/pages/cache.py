"""The page cache: how much was read from the cache, what was written in vain, and where it broke.

Refuses to know how the figures come about.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import panel as pn
import polars as pl

from dashboards import charts
from dashboards.data import cache as data
from dashboards.data.look import Look
from dashboards.data.rows import exchanges
from dashboards.data.spans import step
from dashboards.data.store import choices
from dashboards.downloads import downloads
from dashboards.pages.absent import absent
from dashboards.rendering import short
from dashboards.view import View

SENTENCE = "How much of each prompt was read from the cache, and where and why the cache broke, will stand here."
A_PAGE = 50
SORTS = {"lost": ["lost_tokens", "started_at"], "time": ["started_at", "lost_tokens"]}


def page(view: View) -> list[pn.viewable.Viewable]:
    """Return the page."""
    view = replace(view, data=Look(view.data))
    source, filters, now = view.data, view.route.filters, view.now
    if exchanges(source, filters, now).is_empty():
        return absent(view, SENTENCE)
    found = data.breaks(source, filters, now)
    causes = data.by_cause(found.frame)
    models = data.by_model(source, filters, now)
    head = view.html("cache_head.html", figures=data.figures(source, filters, now))
    above = view.html(
        "cache_causes.html", causes=causes.rows(named=True), models=models.rows(named=True), words=data.CAUSES, no_break=data.NO_BREAK,
        chosen=view.route.args.get("cause", ""), found=found,
    )  # fmt: skip
    return [
        head,
        _charts(view, found.frame),
        above,
        _list(view, found.frame),
        downloads(view, "cache-breaks", lambda: found.frame),
    ]


def _charts(view: View, broken: pl.DataFrame) -> pn.Row:
    source, filters, now = view.data, view.route.filters, view.now
    every = step(exchanges(source, filters, now))

    def link(at: datetime) -> str:
        """Return the address of this page for one piece of time."""
        return view.route.link(filters={"range": every.range(at)})

    read, lost = data.ratio(source, filters, now, every), data.over_time(broken, every)
    return charts.pair(
        charts.lines(
            read, "at", "model", "hit_ratio", title=f"Share of the input read from the cache, by {every.word}", unit="share",
            dark=view.dark, order=choices(source)["model"], shown=short, step=every.length, link=link, note="UTC",
        ),
        charts.bars(
            lost, "at", "cause", "lost", title=f"Tokens lost by breaks, by {every.word} and cause", unit="tokens",
            dark=view.dark, step=every.length, link=link, note="UTC",
        ),
    )  # fmt: skip


def _list(view: View, broken: pl.DataFrame) -> pn.pane.HTML:
    cause, sort = view.route.args.get("cause", ""), view.route.args.get("sort", "")
    sort = sort if sort in SORTS else "lost"
    shown = broken.filter(pl.col("cause") == cause if cause in data.CAUSES else ~pl.col("cause").is_in(data.NO_BREAK))
    shown = shown.sort(*SORTS[sort], descending=True, nulls_last=True)
    start = view.route.number("at", 0)
    rows = shown.slice(start, A_PAGE).with_columns(
        apart=pl.struct("was", "now").map_elements(_apart, return_dtype=pl.List(pl.String), skip_nulls=False)
    )
    return view.html(
        "cache_breaks.html", rows=rows.rows(named=True), words=data.CAUSES, cause=cause, sort=sort, start=start, total=shown.height,
        size=A_PAGE,
    )  # fmt: skip


def _apart(pair: dict[str, str | None]) -> list[str]:
    return list(data.apart(pair["was"], pair["now"]))
