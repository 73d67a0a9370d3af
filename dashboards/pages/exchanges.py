"""The page exchanges: the list, one exchange, or two compared, by what the address names.

Refuses to know how any of them is found.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import panel as pn

from dashboards import downloads, rendering
from dashboards.data import TroubleError
from dashboards.data import exchanges as data
from dashboards.data.store import choices
from dashboards.pages import exchange
from dashboards.pages.absent import absent
from dashboards.state import Filters
from dashboards.view import View

NEWS_S = 3.0
PART = "newcomers"
SENTENCE = (
    "Each request that Claude Code sends through the proxy will have a row here, with its tokens, cost and times."
)
MOST_SESSIONS = 30
# Name, what it sorts by, what it says; those from FIRST_FIGURE on are figures.
COLUMNS = (
    ("time", "time", "when the request began to arrive"),
    ("status", "", ""),
    ("model", "", ""),
    ("agent", "", "the agent, or what the request was for"),
    ("session", "", ""),
    ("endpoint", "", ""),
    ("in", "input", "input tokens neither read from the cache nor written to it"),
    ("cached", "read", "input tokens read from the cache"),
    ("written", "written", "input tokens written to the cache"),
    ("out", "output", "output tokens"),
    ("cost", "cost", ""),
    ("first", "first", "time to the first piece of content"),
    ("duration", "duration", ""),
)
FIRST_FIGURE = 6
WORDS = {("time", False): ("newer", "older"), ("time", True): ("older", "newer")}


@dataclass(frozen=True, slots=True)
class Column:
    """A heading: where its link leads, and whether the list is sorted by it."""

    name: str
    hint: str
    link: str
    right: bool
    sorted: bool


def page(view: View) -> list[pn.viewable.Viewable]:
    """Return the list, or what the address names of it."""
    return exchange.page(view) if view.route.item else _list(view)


def asked(args: dict[str, str]) -> data.Order:
    """Return the order that an address asks for."""
    sort = args.get("sort", "")
    return data.Order(
        sort if sort in data.SORTS else "time", args.get("up") == "1", args.get("before", ""), args.get("at", "")
    )


def _list(view: View) -> list[pn.viewable.Viewable]:
    filters, order, picking = view.route.filters, asked(view.route.args), view.route.args.get("pick", "")
    bar = view.html(
        "exchanges_bar.html", families=data.families(choices(view.data)["model"]), kinds=data.KINDS, states=data.STATES,
        sessions=data.titles(view.data)[:MOST_SESSIONS], picking=picking,
    )  # fmt: skip
    found = data.found(view.data, filters, view.now, order)
    if not found.ids:
        return [*([] if filters == Filters() else [bar]), *absent(view, SENTENCE)]
    before, behind = WORDS.get((order.sort, order.up), ("back", "on"))
    pager = {"found": found, "before": before, "behind": behind}
    table = view.html(
        "exchanges.html",
        rows=data.rows(view.data, found.ids),
        order=order,
        picking=picking,
        columns=_columns(view, order),
        **pager,
    )
    if (news := view.news) is not None and order.sort == "time" and not order.up and not found.ahead:
        news.show(PART, Newcomers(view, found.ids[0]).html, ticks=True)
        view.leaving.append(partial(news.drop, PART))
    return [bar, table, downloads.downloads(view, "exchanges", data.table(view.data, filters, view.now))]


def _columns(view: View, order: data.Order) -> list[Column]:
    found = []
    for number, (name, sort, hint) in enumerate(COLUMNS):
        chosen = bool(sort) and sort == order.sort
        turned = "1" if chosen and not order.up else ""
        link = view.route.here(sort="" if sort == "time" else sort, up=turned, before="", at="") if sort else ""
        found.append(Column(name, hint, link, number >= FIRST_FIGURE, chosen))
    return found


class Newcomers:
    """How many exchanges have come since the list was made, looked up in a thread of its own, so that nobody waits for it."""

    def __init__(self, view: View, newest: str) -> None:
        self._view, self._newest = view, newest
        self._number = 0
        self._due = time.monotonic() + NEWS_S
        self._busy = False

    def html(self) -> str:
        """Return what offers them, as far as it is known; called every second."""
        if not self._busy and time.monotonic() >= self._due:
            self._busy = True
            threading.Thread(target=self._look, daemon=True).start()
        return rendering.render("exchanges_news.html", route=self._view.route, number=self._number)

    def _look(self) -> None:
        try:
            with contextlib.suppress(TroubleError):  # the next page says what is wrong
                self._number = data.newer(self._view.data, self._view.route.filters, datetime.now(UTC), self._newest)
        finally:
            self._due, self._busy = time.monotonic() + NEWS_S, False
