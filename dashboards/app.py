"""The shell: header and filter bar, the page below them, and what happens when the address changes.

One document a browser tab. Refuses to know what a page shows, and lets no page's trouble become more than its own.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import panel as pn

from dashboards import rendering
from dashboards.data import Data, TroubleError
from dashboards.data.store import choices, totals
from dashboards.live import Live
from dashboards.pages import PAGES
from dashboards.state import RANGES, Route
from dashboards.view import View, pane

log = logging.getLogger("ccproxy.dashboard")
NAMES = {"sql": "SQL", "setup": "Set-up"}
FRAME = (rendering.FOLDER / "frame.html").read_text("utf-8")


def document(data: Data, live: Live, search: str, *, dark: bool) -> pn.Template:
    """Return one tab's document, showing what the address asks for."""
    top, body = pane(""), pn.Column(sizing_mode="stretch_width", margin=0)
    route = pn.widgets.TextInput(value=search or "?", name="route")
    theme = pn.widgets.TextInput(value="dark" if dark else "light", name="theme")
    done = pn.widgets.TextInput(value="ccproxy", name="done")

    def show(*_events: object) -> None:
        """Show what the address asks for."""
        view = View(Route.read(route.value), data, live, datetime.now(UTC), theme.value == "dark")
        with pn.io.hold():
            top.object = header(view)
            body.objects = page(view)
        done.value = f"{NAMES.get(view.route.page, view.route.page.capitalize())} · ccproxy"

    route.param.watch(show, "value")
    theme.param.watch(show, "value")
    show()
    template = pn.Template(FRAME)
    template.add_variable("script", rendering.SCRIPT)
    for name, part in {"top": top, "body": body, "route": route, "theme": theme, "done": done}.items():
        template.add_panel(name, part)
    return template


def page(view: View) -> list[pn.viewable.Viewable]:
    """Return what stands below the filter bar; where the page cannot be made, why."""
    try:
        return PAGES[view.route.page](view)
    except TroubleError as error:
        view.data.forget()
        still = "Live and Set-up still work."
        return [view.html("trouble.html", sentence=str(error), still=still, now=view.now)]
    except Exception:
        log.exception("the page %s failed", view.route.search())
        sentence = "The dashboard failed on this page; its log says where."
        return [view.html("trouble.html", sentence=sentence, still="All other pages still work.", now=view.now)]


def header(view: View) -> str:
    """Return the header with the filter bar, as far as the captures can be read."""
    try:
        offered, sums = choices(view.data), totals(view.data, view.route.filters, view.now)
    except TroubleError:
        offered, sums = {name: [] for name in ("project", "model", "agent", "provider")}, None
    return rendering.render(
        "top.html",
        route=view.route,
        pages=[(name, NAMES.get(name, name.capitalize())) for name in PAGES],
        ranges=RANGES,
        choices=offered,
        totals=sums,
        state=view.live.state(),
    )
