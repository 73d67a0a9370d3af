"""What is being looked at: a page, one thing on it, and the filters, as they stand in the address.

Every view has an address and every address a view. Refuses to know what pages show.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

PAGES = (
    "live", "sessions", "exchanges", "tokens", "cache", "context", "latency", "tools", "sql", "setup",
)  # fmt: skip
RANGES = {
    "1h": "last hour", "24h": "last 24 hours", "7d": "last 7 days", "30d": "last 30 days", "90d": "last 90 days", "all": "all time",
}  # fmt: skip
_AGO = re.compile(r"(\d{1,4})(h|d)")
_UNITS = {"h": "hours", "d": "days"}


@dataclass(frozen=True, slots=True)
class Filters:
    """What the filter bar holds; it goes along from page to page. Empty asks nothing.

    `range` is one of RANGES, or two dates or hours, the last one included, as `2026-11-01..2026-11-08T17`; `model`, `project` and
    `text` are pieces, the others whole values; `agent` is `main` or an agent's name; `status` is `errors`, `ok`, or a status code.
    """

    range: str = "all"
    project: str = ""
    model: str = ""
    agent: str = ""
    session: str = ""
    provider: str = ""
    state: str = ""
    kind: str = ""
    status: str = ""
    text: str = ""

    def span(self, now: datetime) -> tuple[datetime | None, datetime | None]:
        """Return since and until, UTC; None where there is no bound, or the range cannot be read."""
        if found := _AGO.fullmatch(self.range):
            return now - timedelta(**{_UNITS[found[2]]: int(found[1])}), None
        first, dots, last = self.range.partition("..")
        try:
            since = datetime.fromisoformat(first).replace(tzinfo=UTC) if dots and first else None
            until = datetime.fromisoformat(last).replace(tzinfo=UTC) + _whole(last) if dots and last else None
        except ValueError:
            return None, None
        return since, until


def _whole(last: str) -> timedelta:
    return timedelta(hours=1) if "T" in last else timedelta(days=1)


FILTERS = tuple(item.name for item in fields(Filters))


@dataclass(frozen=True, slots=True)
class Route:
    """An address, read: the page, the one thing on it (a session's or exchange's id), filters, and the page's own arguments."""

    page: str = "sessions"
    item: str = ""
    filters: Filters = field(default_factory=Filters)
    args: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, search: str) -> Route:
        """Read the query of an address; what makes no sense is left out."""
        given = dict(parse_qsl(search.removeprefix("?")))
        page = given.pop("page", "sessions")
        item = given.pop("item", "")
        filters = Filters(**{name: given.pop(name) for name in FILTERS if given.get(name)})
        return cls(page if page in PAGES else "sessions", item, filters, given)

    def link(
        self, page: str | None = None, item: str = "", *, filters: dict[str, str] | None = None, **args: Any
    ) -> str:
        """Return the address of another view: filters go along, `filters` changes some; arguments and item do not go along."""
        changed = replace(self.filters, **filters) if filters else self.filters
        return Route(
            page or self.page,
            item,
            changed,
            {name: str(value) for name, value in args.items() if value not in ("", None)},
        ).search()

    def here(self, **args: Any) -> str:
        """Return the address of this view with some arguments changed; an empty one goes."""
        given = {**self.args, **{name: str(value) for name, value in args.items()}}
        return Route(
            self.page, self.item, self.filters, {name: value for name, value in given.items() if value}
        ).search()

    def search(self) -> str:
        """Return the address's query, which reads as the same route."""
        default = Filters()
        chosen = {name: value for name in FILTERS if (value := getattr(self.filters, name)) != getattr(default, name)}
        return "?" + urlencode({"page": self.page, **({"item": self.item} if self.item else {}), **chosen, **self.args})

    def number(self, name: str, default: int, most: int = 10**6) -> int:
        """Return an argument as a whole number from 0 up; the default where it is none."""
        text = self.args.get(name, "")
        return min(int(text), most) if text.isascii() and text.isdigit() else default
