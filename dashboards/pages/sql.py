"""The page SQL: a query over the views, the dictionary beside it, and what it gives as table, chart and file.

A query runs in a thread of its own kind, at most two at once, and no longer than a limit; leaving the page stops it. Refuses to know
how it is run.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillRunningError

import panel as pn

import analysis
from dashboards import charts
from dashboards.cells import cells, heads
from dashboards.data import TroubleError, sql
from dashboards.data.drawn import SHAPES, Drawn, drawn, points, step
from dashboards.downloads import downloads
from dashboards.view import View

PATIENCE_S = 0.8  # so long the page waits for an answer; it comes later then
_asking = ThreadPoolExecutor(2, thread_name_prefix="sql")


def page(view: View) -> list[pn.viewable.Viewable]:
    """Return the page."""
    query = view.route.args.get("q", "").strip()
    above = view.html(
        "sql.html",
        query=query,
        examples=sql.EXAMPLES,
        views=sql.views(),
        again=int(view.now.timestamp() * 1000),
        seconds=sql.SECONDS,
    )
    if not query or view.route.args.get("stopped"):
        return [above, view.html("sql_none.html", query=query)]
    limit = analysis.Limit(sql.SECONDS)
    view.leaving.append(limit.stop)
    asked = _asking.submit(sql.ask, view.data, query, limit, time.monotonic, view.route.args.get("again", ""))
    below = pn.Column(sizing_mode="stretch_width", margin=0)
    try:
        asked.exception(PATIENCE_S if view.news is not None else None)
        below.objects = _found(view, query, asked)
    except StillRunningError:
        below.objects = [view.html("sql_running.html", seconds=sql.SECONDS)]
        asked.add_done_callback(lambda done: _fill(below, view, query, done))
    return [above, below]


def _fill(below: pn.Column, view: View, query: str, asked: Future[sql.Answer]) -> None:
    """Show what has come, where somebody still waits for it."""
    if view.shown and not asked.cancelled():
        below.objects = _found(view, query, asked)


def _found(view: View, query: str, asked: Future[sql.Answer]) -> list[pn.viewable.Viewable]:
    try:
        answer = asked.result()
    except analysis.QueryError as error:
        return [view.html("sql_wrong.html", sentence=str(error))]
    except TroubleError as error:
        return [view.html("trouble.html", sentence=str(error), still="Live and Set-up still work.", now=view.now)]
    how = drawn(answer.frame, view.route.args)
    head = view.html("sql_head.html", answer=answer, how=how, shapes=SHAPES, most=sql.MOST_SHOWN)
    table = view.html("sql_table.html", heads=heads(answer.frame), rows=cells(answer.frame), answer=answer)
    chart = [_chart(view, answer, how)] if how is not None and how.shape != "none" else []
    return [head, *chart, downloads(view, "query", lambda: sql.take(view.data, query)), table]


def _chart(view: View, answer: sql.Answer, how: Drawn) -> pn.viewable.Viewable:
    found, cut = points(answer.frame, how)
    draw = charts.bars if how.shape == "bars" else charts.lines
    return draw(
        found, "x", "series", "value", title=f"{how.y} along {how.x}", unit=sql.unit_of(how.y), dark=view.dark, step=step(found),
        note="the first ones only" if cut else "", height=260,
    )  # fmt: skip
