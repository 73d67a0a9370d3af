"""What a page of figures shows where there are none: what would be here, and what brings it.

Refuses to know any page.
"""

from __future__ import annotations

import panel as pn

from dashboards.data.store import totals
from dashboards.state import FILTERS, Filters
from dashboards.view import View

NO_FILTERS = dict.fromkeys(FILTERS, "") | {"range": Filters().range}


def absent(view: View, sentence: str, title: str = "", none: str = "") -> list[pn.viewable.Viewable]:
    """Return what stands for the page: `sentence` says what would be here once something was captured.

    Where there are exchanges under the filters, but none of what the page shows, `title` and `none` say so.
    """
    if title and totals(view.data, view.route.filters, view.now)["exchanges"]:
        return [view.html("absence.html", title=title, sentence=none)]
    if view.route.filters == Filters():
        return [
            view.html("empty.html", title="Nothing captured yet", sentence=sentence, command="ccproxy run -- claude")
        ]
    return [view.html("absent.html", none_set=NO_FILTERS)]
