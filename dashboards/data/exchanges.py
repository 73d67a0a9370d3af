"""The list of exchanges: which of them, in which order, and one page of it.

A page begins behind an exchange or ends before one, never at a number: while new rows arrive, pages have neither gaps nor repeats.
Refuses to know how rows look.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import polars as pl

from analysis import measures
from dashboards.data.store import Data, chosen, matching, where
from dashboards.state import Filters

SIZE = 50
SORTS = {
    "time": "", "input": "input_tokens", "read": "cache_read_tokens", "written": "cache_write_tokens", "output": "output_tokens",
    "cost": "cost_usd", "first": "first_token_ms", "duration": "duration_ms",
}  # fmt: skip
KINDS = (
    "main", "subagent", "compaction", "title", "rename", "count_tokens", "classifier", "probe", "auxiliary", "other",
)  # fmt: skip
STATES = {
    "open": "running", "complete": "complete", "failed": "failed", "client_left": "client left", "interrupted": "interrupted",
}  # fmt: skip
FAMILIES = ("opus", "sonnet", "haiku")
MOST_FAMILIES = 8
_COLUMNS = (
    "exchange_id", "started_at", "state", "status", "error", "error_kind", "api_error", "provider", "model", "requested_model",
    "routed_model", "routed", "endpoint", "kind", "agent_name", "agent_type", "agent_id", "thread_id", "session_id", "method", "path",
    "retry_count", "stop_reason",
    "input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "output_tokens",
    "web_searches", "first_token_ms", "duration_ms", "request_bytes", "response_bytes", "project",
)  # fmt: skip
_COSTS = ("input_usd", "cache_read_usd", "cache_write_usd", "output_usd", "web_search_usd", "cost_usd")


@dataclass(frozen=True, slots=True)
class Order:
    """How the list is sorted: by one of SORTS, the largest or newest first unless `up`; and where the page is.

    `before` is the exchange that stands just before the page, `at` the one that stands just behind it.
    """

    sort: str = "time"
    up: bool = False
    before: str = ""
    at: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A page: its exchanges in order, how many stand before them, and how many there are in all."""

    ids: list[str]
    ahead: int
    total: int

    @property
    def more(self) -> bool:
        """Whether there are any behind them."""
        return self.ahead + len(self.ids) < self.total


def found(data: Data, filters: Filters, now: datetime, order: Order, size: int = SIZE) -> Found:
    """Return the page that is asked for; the first one where what it hangs on is no longer there."""
    if order.sort == "time":
        return _by_time(data, filters, now, order, size)
    return _by_value(data, filters, now, order, size)


def _by_time(data: Data, filters: Filters, now: datetime, order: Order, size: int) -> Found:
    condition, parameters = _condition(data, filters, now)
    backwards, cursor = bool(order.at), order.at or order.before
    rising = order.up is not backwards
    behind = f"AND exchange_id {'>' if rising else '<'} $cursor" if cursor else ""
    given = {**parameters, **({"cursor": cursor} if cursor else {})}
    rows = data.ask(
        f"SELECT exchange_id FROM exchanges WHERE {condition} {behind}"
        f" ORDER BY exchange_id {'ASC' if rising else 'DESC'} LIMIT {size}",
        given,
    )
    ids = rows["exchange_id"].to_list()
    if backwards:
        ids.reverse()
    if not ids and cursor:
        return _by_time(data, filters, now, replace(order, before="", at=""), size)
    sums = data.ask(
        f"SELECT count(1) AS total, count(1) FILTER (exchange_id {'<' if order.up else '>'} $first) AS ahead"
        f" FROM exchanges WHERE {condition}",
        {**parameters, "first": ids[0] if ids else ""},
    )
    return Found(ids, sums["ahead"].item(), sums["total"].item())


def _by_value(data: Data, filters: Filters, now: datetime, order: Order, size: int) -> Found:
    column = SORTS[order.sort]

    def make() -> list[str]:
        frame = chosen(data, filters, now)
        if order.sort == "cost":
            frame = frame.pipe(measures.cost, data.capture.prices)
        keys = data.collect(frame.select("exchange_id", pl.col(column).fill_null(-1)))
        ids: list[str] = keys.sort(column, "exchange_id", descending=not order.up)["exchange_id"].to_list()
        return ids

    ids = data.kept(("sorted", filters, order.sort, order.up), make)
    first = 0
    if order.before in ids:
        first = ids.index(order.before) + 1
    elif order.at in ids:
        first = max(0, ids.index(order.at) - size)
    last = ids.index(order.at) if order.at in ids and not order.before else first + size
    if not ids[first:last]:
        first, last = 0, size
    return Found(ids[first:last], first, len(ids))


def _condition(data: Data, filters: Filters, now: datetime) -> tuple[str, dict[str, Any]]:
    """Return the condition; what was said is looked up once, for it takes the longest."""
    if not filters.text:
        return where(filters, now)
    ids = matching(data, filters, now)["exchange_id"].to_list()
    return "exchange_id IN (SELECT unnest($ids::VARCHAR[]))", {"ids": ids}


def newer(data: Data, filters: Filters, now: datetime, than: str) -> int:
    """Return how many exchanges have come after one, under the filters."""

    def make() -> int:
        condition, parameters = where(filters, now)
        rows = data.ask(
            f"SELECT count(1) AS number FROM exchanges WHERE {condition} AND exchange_id > $than",
            parameters | {"than": than},
        )
        number: int = rows["number"].item()
        return number

    return data.kept(("newer", filters, than), make)


def rows(data: Data, ids: list[str]) -> list[dict[str, Any]]:
    """Return what the table shows of these exchanges, in this order: columns, cost, `title` of the session, `agent`'s name."""
    frame = data.ask(
        f"SELECT {', '.join(_COLUMNS)} FROM exchanges WHERE exchange_id IN (SELECT unnest($ids::VARCHAR[]))",
        {"ids": ids},
    )
    priced = data.collect(frame.lazy().pipe(measures.cost, data.capture.prices))
    named, agents = _names(data, frame)
    place = {exchange: number for number, exchange in enumerate(ids)}
    found = sorted(priced.to_dicts(), key=lambda row: place[row["exchange_id"]])
    return [
        {**row, "title": named.get(row["session_id"]), "agent": agents.get(row["thread_id"]), **signs(row)}
        for row in found
    ]


def _names(data: Data, frame: pl.DataFrame) -> tuple[dict[str, str], dict[str, str]]:
    """Return the titles of the sessions and the names of the threads that rows belong to."""
    threads = frame.filter(pl.col("kind") == "subagent")["thread_id"].drop_nulls().unique().to_list()
    query = "SELECT thread_id, agent FROM threads WHERE thread_id IN (SELECT unnest($ids::VARCHAR[]))"
    agents = dict(data.ask(query, {"ids": threads}).rows()) if threads else {}
    return dict(titles(data)), agents


def signs(row: dict[str, Any]) -> dict[str, Any]:
    """Return what is said of a row in a word: how it ended, and what of the API was called."""
    failed = row["state"] in ("failed", "interrupted") or (row["status"] or 0) >= 400 or row["api_error"] is not None
    ended = STATES.get(row["state"], row["state"])
    why = (row["api_error"] or "").removesuffix("_error") or row["error_kind"] or ended
    return {
        "failed": failed,
        "word": why if failed else "" if row["state"] == "complete" else ended,
        "called": (row["path"] or "").removeprefix("/v1/") or "/",
    }


def families(models: list[str]) -> list[str]:
    """Return the quick choices of models: the three families, and other models that are there, by their names."""
    others = [model for model in models if not any(family in model.lower() for family in FAMILIES)]
    return [*FAMILIES, *others][:MOST_FAMILIES]


def titles(data: Data) -> list[tuple[str, str]]:
    """Return id and title of all sessions, the one that ended last first."""

    def make() -> list[tuple[str, str]]:
        rows = data.ask("SELECT session_id, coalesce(title, session_id) FROM sessions ORDER BY ended_at DESC")
        return [(str(session), str(title)) for session, title in rows.rows()]

    return data.kept("titles", make)


def table(data: Data, filters: Filters, now: datetime) -> Callable[[], pl.DataFrame]:
    """Return what makes the whole list for a download: the columns of the page and what each exchange cost, newest first."""

    def make() -> pl.DataFrame:
        frame = chosen(data, filters, now).pipe(measures.cost, data.capture.prices)
        return data.collect(frame.select(*_COLUMNS, *_COSTS).sort("exchange_id", descending=True))

    return make
