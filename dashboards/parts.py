"""Parts of a page that come when they are wanted: all of a long text, an agent's thread.

A page names a part by a key; page.js asks for it by a value of one model, and gets its HTML by another. Lives as long as the page.
Refuses to know what parts are.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

import panel as pn
import param

from dashboards import rendering

log = logging.getLogger("ccproxy.dashboard")

MOST_CHARACTERS = 2**31 - 1  # of a value; the widget's own limit is for typing


class Parts:
    """The parts of one page in one tab."""

    def __init__(self) -> None:
        self._makers: dict[str, Callable[[], str]] = {}

    def add(self, make: Callable[[], str]) -> str:
        """Take a function that gives a part's HTML, made by `rendering` alone; return the key."""
        key = f"part{len(self._makers)}"
        self._makers[key] = make
        return key

    def html(self, key: str) -> str:
        """Return a part; empty where there is none of that key. What goes wrong with it stays within it."""
        try:
            return self._makers[key]() if key in self._makers else ""
        except Exception:
            log.exception("a part of a page failed")
            return rendering.render(
                "parts/trouble.html", sentence="The dashboard failed on this part; its log says where."
            )

    def models(self) -> list[pn.viewable.Viewable]:
        """Return what stands in the page unseen, for page.js to ask and be answered."""
        options = {"visible": False, "max_length": MOST_CHARACTERS}
        asks = pn.widgets.TextInput(tags=["part-asks"], **options)
        gives = pn.widgets.TextInput(tags=["part-gives"], **options)

        def give(event: param.parameterized.Event) -> None:
            """Answer: the number of the question, and the part."""
            number, _, key = str(event.new).partition(" ")
            gives.value = json.dumps([number, self.html(key)])

        asks.param.watch(give, "value")
        return [asks, gives]
