"""The page of sessions: the list, and one session as it was.

Refuses to know how sessions are found, walked and measured.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import panel as pn

from dashboards.data import TroubleError
from dashboards.data import sessions as data
from dashboards.data.thread import A_PAGE, Thread
from dashboards.data.timeline import line
from dashboards.downloads import downloads
from dashboards.reading import Reading
from dashboards.state import Filters
from dashboards.view import View

EMPTY = "Each session of Claude Code that goes through the proxy will be here: what was said, with its tokens, cost and times."
# What the list shows: its name in the address, its heading, what it means.
COLUMNS = (
    ("title", "title", ""), ("project", "project", "the last name of the working directory"), ("started", "started", ""),
    ("duration", "duration", "from the first request to the end of the last answer"),
    ("turns", "turns", "requests of the main conversation"), ("agents", "agents", "subagents"), ("models", "models", ""),
    ("in", "in", "input tokens neither read from the cache nor written to it"),
    ("written", "written", "input tokens written to the cache"), ("read", "read", "input tokens read from the cache"),
    ("out", "out", "output tokens"), ("cost", "cost", ""), ("hit", "cache", "share of the input that was read from the cache"),
    ("errors", "errors", "exchanges that failed, were interrupted, or were answered with an error"),
)  # fmt: skip
_LEFT = ("title", "project", "started", "models")


class Column(NamedTuple):
    """A heading: where its link leads, and whether the list is sorted by it."""

    word: str
    why: str
    link: str
    right: bool
    sorted: bool
    down: bool


def page(view: View) -> list[pn.viewable.Viewable]:
    """Return the list, or the session that the address names."""
    return _session(view, view.route.item) if view.route.item else _list(view)


def _list(view: View) -> list[pn.viewable.Viewable]:
    route = view.route
    filtered, find = route.filters != Filters(), route.args.get("find", "")
    every = data.sessions(view.data, route.filters, view.now)
    if every.is_empty() and not filtered:
        return [
            view.html("empty.html", title="No sessions yet", sentence=EMPTY, command="ccproxy run -- claude"),
            *_without(view),
        ]
    sort = route.args.get("sort", "")
    sort = sort if sort.removeprefix("-") in data.SORTS else data.FIRST
    found = data.listed(every, find=find, sort=sort)
    at = min(route.number("at", 0), max(0, found.height - 1)) // data.A_PAGE * data.A_PAGE
    later = at + data.A_PAGE
    body = view.html(
        "sessions.html", rows=found.slice(at, data.A_PAGE).rows(named=True), total=found.height, at=at, size=data.A_PAGE,
        earlier=max(0, at - data.A_PAGE) if at else None, later=later if later < found.height else None,
        find=find, filtered=filtered, columns=[_column(view, *column, sort) for column in COLUMNS],
    )  # fmt: skip
    fetch = downloads(view, "sessions", lambda: data.table(found))
    return [body, pn.Row(pn.HSpacer(), fetch, sizing_mode="stretch_width", margin=(8, 0))]


def _without(view: View) -> list[pn.viewable.Viewable]:
    return [view.html("sessions_without.html", url=view.live.public_url)]


def _column(view: View, name: str, word: str, why: str, sort: str) -> Column:
    chosen, down = sort.removeprefix("-") == name, sort.startswith("-")
    first = name if name in ("title", "project", "models") else f"-{name}"  # figures begin with the largest
    turned = (name if down else f"-{name}") if chosen else first
    return Column(word, why, view.route.here(sort=turned, at=""), name not in _LEFT, chosen, down)


def _session(view: View, session_id: str) -> list[pn.viewable.Viewable]:
    found = data.session(view.data, session_id)
    if found is None:
        return [view.html("session_none.html", session_id=session_id)]
    look = Reading(view, found)
    asked = view.route.args.get("thread", "")
    exchange = view.route.args.get("exchange", "")
    thread_id = asked or _main(found, exchange)
    walked, trouble = None, ""
    try:
        walked = look.thread(thread_id)
    except TroubleError as error:
        trouble = str(error)
    at, last = _place(view, walked, exchange)
    gone_back = [step.exchange for step in walked.steps if step.kind == "rewind" and step.exchange] if walked else []
    values: dict[str, Any] = {
        "look": look, "sums": data.figures(found), "thread": walked, "trouble": trouble, "here": exchange, "now": view.now,
        "inner": walked.row if walked and asked and walked.row["agent"] != "main" else None, "inner_asked": bool(asked),
        "line": line(found, gone_back), "at": at, "steps": walked.steps[at : at + A_PAGE] if walked else [],
        "earlier": max(0, at - A_PAGE) or "", "later": at + A_PAGE if at < last else "", "last_page": last if at < last else 0,
    }  # fmt: skip
    return [view.html("session.html", **values), *look.parts.models()]


def _main(found: data.Session, exchange: str) -> str:
    """Return the thread that an exchange belongs to; else the main conversation, or whatever comes first."""
    for row in found.exchanges:
        if row["exchange_id"] == exchange and row["thread_id"]:
            return str(row["thread_id"])
    main = [row["thread_id"] for row in found.threads if row["agent"] == "main"] or [
        row["thread_id"] for row in found.threads
    ]
    return main[0] if main else ""


def _place(view: View, walked: Thread | None, exchange: str) -> tuple[int, int]:
    """Return the first step of the page that is asked for, and that of the last page."""
    steps = walked.steps if walked else []
    last = max(0, len(steps) - 1) // A_PAGE * A_PAGE
    if exchange and "at" not in view.route.args:
        places = [number for number, step in enumerate(steps) if (step.exchange or {}).get("exchange_id") == exchange]
        return (places[-1] // A_PAGE * A_PAGE if places else 0), last
    return min(view.route.number("at", 0), last) // A_PAGE * A_PAGE, last
