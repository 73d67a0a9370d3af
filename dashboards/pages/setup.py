"""The page Set-up: how a client is pointed here, how everything is doing, and every setting with where it comes from.

It works without a store and without a proxy. Refuses to know how these are looked at.
"""

from __future__ import annotations

import panel as pn

from dashboards.data import setup
from dashboards.view import View


def page(view: View) -> list[pn.viewable.Viewable]:
    """Return the page."""
    found = view.live.configuration
    told = setup.health(found)
    set_only = bool(view.route.args.get("set"))
    return [
        view.html(
            "setup.html",
            found=found,
            ways=setup.ways_in(found),
            checks=setup.checks(found, told),
            store=setup.store(view.data, found),
            rows=[row for row in found.rows if not set_only or row.source != "default"],
            set_only=set_only,
            again=int(view.now.timestamp()),
            now=view.now,
        )
    ]
