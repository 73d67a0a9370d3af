"""The shell: header and filter bar, the page below them, and what happens when the address changes.

One document a browser tab. Refuses to know what a page shows, and lets no page's trouble become more than its own.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count

import panel as pn

from dashboards import rendering
from dashboards.data import Data
from dashboards.data.store import TROUBLES, choices, totals
from dashboards.live import Live
from dashboards.news import News
from dashboards.pages import PAGES
from dashboards.state import RANGES, Route
from dashboards.view import View, pane

log = logging.getLogger("ccproxy.dashboard")
NAMES = {"sql": "SQL", "setup": "Set-up"}
FRAME = (rendering.FOLDER / "frame.html").read_text("utf-8")


class Tab:
    """One browser tab: its widgets, and what it looks at. Pages are made in threads, one at a time; the last address counts."""

    def __init__(self, data: Data, live: Live, search: str, *, dark: bool) -> None:
        self.top, self.body = pane(""), pn.Column(sizing_mode="stretch_width", margin=0)
        self.route = pn.widgets.TextInput(value=search or "?")
        self.theme = pn.widgets.TextInput(value="dark" if dark else "light")
        self.done = pn.widgets.TextInput(value="")
        self.news = pn.widgets.TextInput(value="")
        self._data, self._live = data, live
        self._news: News | None = None
        self._look: View | None = None
        self._shown: tuple[str, str] | None = None
        self._turn, self._gate = threading.Lock(), threading.Lock()
        self._connected = pn.state.curdoc is None  # without a browser there is nothing to wait for
        self._waiting: Callable[[], None] | None = None
        self._numbers = count(1)
        self.route.param.watch(self.show, "value")
        self.theme.param.watch(self.show, "value")

    def begin(self) -> None:
        """Make the first page, and listen to what happens. Within the server's loop."""
        self._news = News(lambda html: setattr(self.news, "value", html))
        self._news.show("state", self._state)
        self._live.join(self._news.changed)
        pn.state.execute(self.show, schedule="thread")

    def end(self, session_context: object) -> None:
        """Let go of everything. Within the server's loop."""
        if self._look is not None:
            self._look.end()
        if self._news is not None:
            self._live.leave(self._news.changed)
            self._news.close()

    def _state(self) -> str:
        route = self._look.route if self._look is not None else Route.read(self.route.value)
        return rendering.render("state.html", route=route, state=self._live.state())

    def show(self, *_events: object) -> None:
        """Show what the address asks for. Who comes while a page is being made leaves the rest to whoever makes it."""
        while (asked := (self.route.value, self.theme.value)) != self._shown and self._turn.acquire(blocking=False):
            try:
                self._shown = asked
                self._make(Route.read(asked[0]), dark=asked[1] == "dark")
            finally:
                self._turn.release()

    def _make(self, route: Route, *, dark: bool) -> None:
        if self._look is not None:
            self._look.end()
        view = self._look = View(route, self._data, self._live, datetime.now(UTC), dark, news=self._news)
        above, below = header(view), page(view)

        def put() -> None:
            """Put the page there."""
            with pn.io.hold():
                self.top.object, self.body.objects = above, below
                title = f"{NAMES.get(route.page, route.page.capitalize())} · ccproxy"
                self.done.value = (
                    f"{next(self._numbers)} {title}"  # the number tells that it is done, be the title the same
                )
            if self._news is not None:
                self._news.again()

        self._when_connected(put)

    def _when_connected(self, put: Callable[[], None]) -> None:
        """Call `put` with the document's lock, once the browser has the document: what Panel holds back before that, it drops."""
        with self._gate:
            if not self._connected:
                self._waiting = put
                return
        pn.state.execute(put, schedule=True)

    def connected(self) -> None:
        """Say that the browser has the document."""
        with self._gate:
            self._connected, put, self._waiting = True, self._waiting, None
        if put is not None:
            pn.state.execute(put, schedule=True)


def document(data: Data, live: Live, search: str, *, dark: bool) -> pn.Template:
    """Return one tab's document, showing what the address asks for."""
    tab = Tab(data, live, search, dark=dark)
    template = pn.Template(FRAME)
    template.add_variable("script", rendering.SCRIPT)
    for name in ("top", "body", "route", "theme", "done", "news"):
        template.add_panel(name, getattr(tab, name))
    if pn.state.curdoc is None:
        tab.show()
    else:  # the browser fetches scripts while the first page is made
        pn.state.curdoc.add_next_tick_callback(tab.begin)
        pn.state.onload(tab.connected)
        pn.state.on_session_destroyed(tab.end)
    return template


def page(view: View) -> list[pn.viewable.Viewable]:
    """Return what stands below the filter bar; where the page cannot be made, why."""
    try:
        return PAGES[view.route.page](view)
    except TROUBLES as error:
        view.data.forget()
        still = "Live and Set-up still work."
        return [view.html("trouble.html", sentence=str(error), still=still, now=view.now)]
    except Exception:
        log.exception("the page %s failed", view.route.search())
        sentence = "The dashboard failed on this page; its log says where."
        return [view.html("trouble.html", sentence=sentence, still="All other pages still work.", now=view.now)]


def header(view: View) -> str:
    """Return the header with the filter bar, as far as the captures can be read."""
    offered: dict[str, list[str]] = {name: [] for name in ("project", "model", "agent", "provider")}
    sums = None
    if not view.route.item:  # one thing has no filters above it
        with contextlib.suppress(*TROUBLES):
            offered, sums = choices(view.data), totals(view.data, view.route.filters, view.now)
    return rendering.render(
        "top.html",
        route=view.route,
        pages=[(name, NAMES.get(name, name.capitalize())) for name in PAGES],
        ranges=RANGES,
        choices=offered,
        totals=sums,
        state=view.live.state(),
    )
