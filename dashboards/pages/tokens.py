"""The page tokens: what was used and what it cost, by time and by whom, beside the work, and over a budget.

Refuses to know how the figures come about.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import panel as pn

from dashboards import charts
from dashboards.data import carried
from dashboards.data import tokens as data
from dashboards.data.look import Look
from dashboards.data.routing import routing
from dashboards.data.rows import priced
from dashboards.data.spans import DAY, Step, step
from dashboards.downloads import downloads
from dashboards.pages.absent import absent
from dashboards.rendering import short
from dashboards.view import View

SENTENCE = "Tokens and dollars of each day, model, project, session, agent and tool will stand here."
TABS = {**{grain: grain for grain in data.GRAINS}, "tool": "tool", "server": "MCP server"}
CARRIED = {"tool": carried.by_tool, "server": carried.by_server}
SHOWN = 100  # rows of a table; a download has them all
REASONS = {
    "title": "naming sessions", "rename": "renaming sessions", "classifier": "checking commands before they run",
    "compaction": "summarising conversations", "count_tokens": "counting tokens", "probe": "asking whether the API is there",
    "auxiliary": "other requests beside conversations", "retry": "asking again after a failure",
    "duplicate": "the same request, answered before",
}  # fmt: skip


def page(view: View) -> list[pn.viewable.Viewable]:
    """Return the page."""
    view = replace(view, data=Look(view.data))
    source, filters, now = view.data, view.route.filters, view.now
    frame = priced(source, filters, now)
    if frame.is_empty():
        return absent(view, SENTENCE)
    every = step(frame)
    overhead = data.overhead(source, filters, now)
    usd = _budget(view.route.args.get("budget", ""))
    head = view.html(
        "tokens_head.html",
        sums=data.sums(source, filters, now),
        overhead=overhead["cost_usd"].sum(),
        budget=data.budget(source, filters, now, usd) if usd is not None else None,
        budget_text=view.route.args.get("budget", ""),
        day=DAY.range,
    )
    reason = view.route.args.get("reason", "")
    shown = data.because(source, filters, now, reason).head(SHOWN).rows(named=True) if reason in REASONS else []
    beside = view.html(
        "tokens_overhead.html", rows=overhead.rows(named=True), reasons=REASONS, reason=reason, shown=shown,
        unpriced=data.unpriced(source, filters, now).rows(named=True),
    )  # fmt: skip
    return [
        head,
        _charts(view, every, usd),
        *_table(view),
        *_routing(view),
        beside,
        downloads(view, "overhead", lambda: overhead),
    ]


def _routing(view: View) -> list[pn.viewable.Viewable]:
    """Return what routing cost and saved; nothing where nothing was routed."""
    rows, sums = routing(view.data, view.route.filters, view.now)
    if rows.is_empty():
        return []
    table = view.html("tokens_routing.html", rows=rows.head(SHOWN).rows(named=True), sums=sums)
    return [table, downloads(view, "routing", lambda: rows)]


def _budget(text: str) -> float | None:
    """Return dollars a day; None where there are none, or it is no number."""
    try:
        usd = float(text)
    except ValueError:
        return None
    return usd if 0 < usd < float("inf") else None


def _charts(view: View, every: Step, usd: float | None) -> pn.Row:
    source, filters, now = view.data, view.route.filters, view.now

    def link(at: datetime) -> str:
        """Return the address of this page for one bar's time."""
        return view.route.link(filters={"range": every.range(at)}, **view.route.args)

    return charts.pair(
        charts.bars(
            data.kinds(source, filters, now, every), "at", "kind", "tokens", title=f"Tokens by {every.word}", unit="tokens",
            dark=view.dark, link=link, step=every.length, note="UTC",
        ),
        charts.bars(
            data.money(source, filters, now, every), "at", "model", "usd", title=f"Cost by {every.word} and model", unit="USD",
            dark=view.dark, link=link, order=data.models(source), shown=short, step=every.length, limit=usd if every is DAY else None,
            note=f"dashed: $ {usd:,.2f} a day" if usd is not None and every is DAY else "UTC",
        ),
    )  # fmt: skip


def _table(view: View) -> list[pn.viewable.Viewable]:
    source, filters, now = view.data, view.route.filters, view.now
    grain = view.route.args.get("by", "")
    grain = grain if grain in TABS else "day"
    extent: tuple[int, ...] = ()
    if grain in CARRIED:
        found = CARRIED[grain](source, filters, now)
        rows, extent = found.frame, found[1:]
    else:
        rows = data.by(source, filters, now, grain)
    table = view.html(
        "tokens_table.html", grain=grain, tabs=TABS, rows=rows.head(SHOWN).rows(named=True), more=max(0, rows.height - SHOWN),
        extent=extent,
    )  # fmt: skip
    return [table, downloads(view, f"tokens-by-{grain}", lambda: rows)]
