"""What a page is given: the route, the data, and how things look. A page gives back what stands below the filter bar.

Refuses to know any page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import panel as pn

from dashboards import rendering
from dashboards.state import Route

if TYPE_CHECKING:
    from dashboards.data import Data
    from dashboards.live import Live
    from dashboards.news import News


@dataclass(slots=True)
class View:
    """One look at one route. `now` is the moment of the look, UTC; `dark` says which theme charts are drawn for; `shown` is false
    once another look has taken its place, so that whatever keeps a page fresh can end; `leaving` is called then. `news` changes parts
    of the page meanwhile; there is none where nobody looks."""

    route: Route
    data: Data
    live: Live
    now: datetime
    dark: bool = False
    shown: bool = True
    news: News | None = None
    leaving: list[Callable[[], None]] = field(default_factory=list)

    def end(self) -> None:
        """Say that another look has taken its place, or the tab is gone."""
        self.shown = False
        while self.leaving:
            self.leaving.pop()()

    def html(self, template: str, **values: object) -> pn.pane.HTML:
        """Render a template (everything captured is escaped) into a pane."""
        return pane(rendering.render(template, view=self, route=self.route, **values))


Page = Callable[[View], list[pn.viewable.Viewable]]


def pane(html: str) -> pn.pane.HTML:
    """Return a pane of HTML that `rendering` made. Nothing else may come in here: a pane runs the scripts that it is given."""
    return pn.pane.HTML(html, stylesheets=[rendering.CSS], sizing_mode="stretch_width", margin=0)
