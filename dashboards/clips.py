"""Long texts on a page: the beginning stands there, and says of how much; all of it comes when it is asked for.

Refuses to know whose texts they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from dashboards import rendering
from dashboards.lines import Row
from dashboards.parts import Parts

CHARACTERS = 20_000
LINES = 400


class Clip(NamedTuple):
    """The beginning of a text, how many characters it has in all, and the key of the rest where it is cut."""

    shown: str
    characters: int
    key: str


class Lines(NamedTuple):
    """The first lines of a difference, how many it has in all, and the key of the rest where it is cut."""

    shown: Sequence[Row]
    number: int
    key: str


class Clips:
    """Cuts texts of one page in one tab."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def clip(self, text: str, most: int = CHARACTERS) -> Clip:
        """Return a text as far as it is shown at first."""
        if len(text) <= most:
            return Clip(text, len(text), "")
        return Clip(text[:most], len(text), self.later("exchange_text.html", clip=Clip(text, len(text), "")))

    def lines(self, rows: Sequence[Row], most: int = LINES) -> Lines:
        """Return a difference as far as it is shown at first."""
        if len(rows) <= most:
            return Lines(rows, len(rows), "")
        return Lines(rows[:most], len(rows), self.later("exchange_lines.html", lines=Lines(rows, len(rows), "")))

    def later(self, template: str, make: Callable[[], dict[str, object]] | None = None, **values: object) -> str:
        """Return the key of a part that is rendered when it is asked for."""
        return self._parts.add(lambda: rendering.render(template, clips=self, **(make() if make else {}), **values))
