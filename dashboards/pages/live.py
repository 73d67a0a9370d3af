"""The page Live: what runs, word for word as it comes, and what has just ended.

It changes by itself, except where the address says that it is paused. Refuses to know how the proxy is followed.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

import panel as pn

from dashboards import rendering
from dashboards.board import Running
from dashboards.data import live
from dashboards.state import Filters
from dashboards.view import View

PART = "board"


def page(view: View) -> list[pn.viewable.Viewable]:
    """Return the page."""
    paused = bool(view.route.args.get("paused"))
    if view.news is not None and not paused:
        view.news.show(PART, lambda: rendering.render("live_board.html", **values(view, time.time())), ticks=True)
        view.leaving.append(lambda: view.news and view.news.drop(PART))
    return [
        view.html("live.html", **{name: value for name, value in values(view, time.time()).items() if name != "route"})
    ]


def values(view: View, now: float) -> dict[str, object]:
    """Return what the templates show at a moment, in seconds. While the connection is lost, time stands still."""
    state, filters = view.live.state(), view.route.filters
    moment = now if state.at is None else state.at
    return {
        "route": view.route,
        "state": state,
        "now": datetime.fromtimestamp(now, UTC),
        "paused": bool(view.route.args.get("paused")),
        "running": live.running(view.live.board, filters, moment),
        "ended": live.ended(view.live.board, filters),
        "filtered": filters != Filters(range=filters.range),
        "passed_over": [name for name in live.UNKNOWN_YET if getattr(filters, name)],
        "context": context,
        "how": live.how,
    }


def context(one: Running) -> int | None:
    """Return the tokens that went in, as far as they are known."""
    counts = [one.usage.get(name) for name in ("input_tokens", "cache_read_tokens", "cache_write_tokens")]
    return sum(count or 0 for count in counts) if counts[0] is not None else None
