"""The page context: what filled the window of a thread, turn by turn, and what tool results went on costing in it.

Refuses to know how the figures come about.
"""

from __future__ import annotations

from dataclasses import replace

import panel as pn
import polars as pl

from dashboards import charts
from dashboards.colours import colours
from dashboards.data import context as data
from dashboards.data.look import Look
from dashboards.downloads import downloads
from dashboards.pages.absent import absent
from dashboards.view import View

SENTENCE = "What fills the context window of a session, turn by turn, will stand here."
SHOWN = 50


def page(view: View) -> list[pn.viewable.Viewable]:
    """Return the page."""
    view = replace(view, data=Look(view.data))
    offered = data.sessions(view.data, view.route.filters, view.now)
    session = view.route.filters.session or (offered["session_id"][0] if offered.height else "")
    if not session:
        return absent(
            view, SENTENCE, "No conversation", "None of the exchanges here is a conversation that was answered."
        )
    found = data.taken(view.data, session)
    threads = data.threads(view.data, found)
    bar = {"session": session, "offered": _offered(offered, session), "threads": threads.rows(named=True)}
    if threads.is_empty():
        return [view.html("context_head.html", **bar, thread="", held=None)]
    thread = view.route.args.get("thread", "")
    thread = thread if thread in threads["thread_id"] else threads["thread_id"][0]
    return _thread(view, bar, found, thread)


def _offered(offered: pl.DataFrame, session: str) -> list[dict[str, object]]:
    """Return the sessions to choose from, the chosen one among them."""
    most = offered.head(data.MOST_OFFERED)
    if session not in most["session_id"]:
        most = pl.concat([offered.filter(pl.col("session_id") == session), most])
    return most.rows(named=True)


def _thread(view: View, bar: dict[str, object], found: data.Taken, thread: str) -> list[pn.viewable.Viewable]:
    held = data.filled(found, thread)
    last = int(held["turn"].max() or 0)  # type: ignore[arg-type]
    turn = min(max(view.route.number("turn", last), 1), last)
    categories = data.at(held, turn)
    chart = charts.bars(
        held, "turn", "category", "tokens", title="What filled the context window, turn by turn", unit="tokens", dark=view.dark,
        link=lambda number: view.route.here(turn=number), order=list(data.WORDS.values()), mark=turn, height=260,
        note="a click on a turn shows it below",
    )  # fmt: skip
    names = categories["category"].to_list()
    table = view.html(
        "context_turn.html", turn=turn, last=last, rows=categories.rows(named=True), dark=view.dark,
        shades=dict(zip(names, colours(names, dark=view.dark), strict=True)), servers=data.servers(found, held, turn).rows(named=True),
        exchange=held.filter(pl.col("turn") == turn)["exchange_id"][0],
    )  # fmt: skip
    results = data.results(view.data, found, thread)
    below = view.html(
        "context_results.html", rows=data.with_lines(view.data, results.head(SHOWN)).rows(named=True), total=results.height,
        compactions=data.compactions(found, thread).rows(named=True),
    )  # fmt: skip
    return [
        view.html("context_head.html", **bar, thread=thread, held=last),
        chart,
        table,
        downloads(view, "context", lambda: held),
        below,
        downloads(view, "tool-results", lambda: results),
    ]
