"""One exchange: its head, and the tab that the address asks for. A tab reads only what it shows.

Refuses to know what the larger tabs hold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import panel as pn

from analysis.dictionary import EXCHANGES
from dashboards.colours import colours
from dashboards.data import exchange as data
from dashboards.pages import comparing, exchange_bytes, exchange_routing, exchange_said
from dashboards.view import View

Row = dict[str, Any]
Tab = Callable[[View, Row], list[pn.viewable.Viewable]]
_MEANINGS = {column.name: f"{column.meaning} ({column.source})" for column in EXCHANGES.columns}
# The two-column list: groups of columns, each with how it is shown. `cost` and token columns have a table of their own.
GROUPS: tuple[tuple[str, dict[str, str]], ...] = (
    ("Times", {
        "started_at": "moment", "ended_at": "moment", "head_ms": "ms", "first_byte_ms": "ms", "first_token_ms": "ms", "duration_ms": "ms",
        "gap_p50_ms": "ms", "gap_p99_ms": "ms", "gap_max_ms": "ms", "tokens_per_second": "rate", "events": "count",
        "tool_durations": "mono",
    }),
    ("How it ended", {
        "state": "", "status": "mono", "stop_reason": "mono", "stop_sequence": "mono", "error_kind": "mono", "api_error": "mono",
        "error": "", "capture_note": "", "attempts": "mono", "retry_count": "count", "request_id": "mono", "response_id": "mono",
        "request_bytes": "size", "response_bytes": "size",
    }),
    ("Whose it is", {
        "exchange_id": "mono", "session_id": "session", "thread_id": "thread", "agent": "agent", "agent_id": "mono", "agent_type": "",
        "agent_name": "", "agent_sign": "mono",
        "parent_agent_id": "mono", "prompt_id": "mono", "project": "project", "cwd": "mono", "client": "mono", "client_version": "mono",
        "entrypoint": "mono", "account_id": "mono", "device_id": "mono",
    }),
    ("What was asked", {
        "kind": "", "kind_sign": "mono", "compaction": "", "method": "mono", "path": "mono", "query": "mono", "provider": "mono",
        "endpoint": "mono", "requested_model": "model", "routed_model": "model", "response_model": "model", "routed": "yes",
        "losses": "losses", "stream": "yes", "demoted": "yes",
        "max_tokens": "tokens", "effort": "mono", "thinking": "mono", "tip": "mono", "reply": "mono", "preamble": "mono",
    }),
)  # fmt: skip
_USAGE = (
    ("cache read", "cache_read_tokens", "cache_read_usd", True), ("cache write 1 h", "cache_write_1h_tokens", "", True),
    ("cache write 5 m", "cache_write_5m_tokens", "", True), ("input", "input_tokens", "input_usd", True),
    ("output", "output_tokens", "output_usd", False),
)  # fmt: skip


class Fact(NamedTuple):
    """A value with what it is called, what it means, and how it is shown."""

    name: str
    value: object
    form: str
    meaning: str


class Group(NamedTuple):
    """Facts under a heading, and the names of those that are not known."""

    name: str
    facts: list[Fact]
    unknown: list[str]


class Part(NamedTuple):
    """A kind of tokens: how many, what they cost and what is to be said of that, whether they are input."""

    name: str
    tokens: int | None
    usd: float | None
    note: str
    of_input: bool
    colour: str


def page(view: View) -> list[pn.viewable.Viewable]:
    """Return the exchange that the address names."""
    row = data.one(view.data, view.route.item)
    if row is None:
        return [view.html("exchange_missing.html")]
    chosen = view.route.args.get("tab", "compare" if "with" in view.route.args else "overview")
    chosen = chosen if chosen in TABS else "overview"
    name = row["kind"] or "exchange"
    if row["kind"] == "subagent":
        name = row["agent"] or row["agent_type"] or name
    beside = data.neighbours(view.data, row)
    head = view.html("exchange.html", row=row, beside=beside, name=name, tabs=list(TABS), chosen=chosen)
    return [head, *TABS[chosen](view, row)]


def overview(view: View, row: Row) -> list[pn.viewable.Viewable]:
    """Return all facts."""
    context = row["context_tokens"]
    return [
        view.html(
            "exchange_overview.html", row=row, context=context, usage=usage(row, dark=view.dark), groups=groups(row)
        )
    ]


def groups(row: Row) -> list[Group]:
    """Return the facts that are known, in groups, and the names of the others."""
    found = []
    for name, columns in GROUPS:
        known = [column for column in columns if row[column] is not None]
        facts = [Fact(_called(column), row[column], columns[column], _MEANINGS.get(column, "")) for column in known]
        found.append(Group(name, facts, [_called(column) for column in columns if column not in known]))
    return found


def _called(column: str) -> str:
    return column.removesuffix("_ms").removesuffix("_at").replace("_", " ")


def usage(row: Row, *, dark: bool) -> list[Part]:
    """Return the kinds of tokens; what was written without being told for how long counts as written for 5 minutes."""
    tokens = {column: row[column] for _, column, _, _ in _USAGE}
    written, long = row["cache_write_tokens"], row["cache_write_1h_tokens"] or 0
    if written is not None:
        tokens["cache_write_1h_tokens"] = long
        tokens["cache_write_5m_tokens"] = max(written - long, tokens["cache_write_5m_tokens"] or 0)
    shades = colours([name for name, *_ in _USAGE], dark=dark)
    found = []
    for (name, column, of_usd, of_input), shade in zip(_USAGE, shades, strict=True):
        usd, note = (row[of_usd], "") if of_usd else _written_usd(row, column, tokens)
        found.append(Part(name, tokens[column], usd, note, of_input, shade))
    return found


def _written_usd(row: Row, column: str, tokens: dict[str, int | None]) -> tuple[float | None, str]:
    """Return what writing cost, and what is to be said of it. The measure has one sum: where both were written, it stands once."""
    short, long = tokens["cache_write_5m_tokens"], tokens["cache_write_1h_tokens"]
    if not tokens[column]:
        return 0.0, ""
    if short and long:
        return (row["cache_write_usd"], "both") if column == "cache_write_1h_tokens" else (None, "with the line above")
    return row["cache_write_usd"], ""


def headers(view: View, row: Row) -> list[pn.viewable.Viewable]:
    """Return the headers of both sides."""
    sides = [(side, *data.headers(view.data, row["exchange_id"], side)) for side in ("request", "response")]
    return [view.html("exchange_headers.html", sides=sides)]


TABS: dict[str, Tab] = {
    "overview": overview,
    "request": exchange_said.request,
    "response": exchange_said.response,
    "headers": headers,
    "events": exchange_bytes.events,
    "routing": exchange_routing.routing,
    "raw": exchange_bytes.raw,
    "compare": comparing.compare,
}
