"""The page setup."""

from __future__ import annotations

import panel as pn

from dashboards.view import View


def page(view: View) -> list[pn.viewable.Viewable]:
    """Return the page."""
    return [view.html("empty.html", title="setup", sentence="", command="")]
