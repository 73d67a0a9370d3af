"""What a client asks for in a query string, read into values.

Page and limit fall back where they make no sense, as those of the original do; everything else that makes no sense is refused
with a sentence that says what would. Refuses to know what is done with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ccproxy.records import State
from ccproxy.stores.contract import Filter

DEFAULT_LIMIT, MAX_LIMIT = 10, 1000
INCLUDES = ("request", "sent", "response", "headers", "events")
MAX_WORDS = 1000  # characters
STATES = tuple(state.value for state in State)

_STATUS = r"[1-9](?:[0-9]{2}|[xX]{2})"
_STATUSES = re.compile(rf"{_STATUS}(?:,{_STATUS})*")
_ID = re.compile(r"[0-9a-fA-F-]{1,36}")
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)
_MICROSECONDS = re.compile(r"-?\d{1,18}", re.ASCII)
_LOST_PLUS = re.compile(r" (\d\d:?\d\d)$")  # a + that was not escaped reads as a space
_LARGEST = 10**18 - 1

_MOMENTS = [
    {"type": "integer", "minimum": -_LARGEST, "maximum": _LARGEST},
    {"type": "string", "format": "date-time"},
    {"type": "string", "maxLength": 0},
]
Moment = Annotated[Any, Meta(extra_json_schema={"anyOf": _MOMENTS})]


class BadQuestionError(Exception):
    """A query says something that cannot be: the message is one clear sentence."""


class FilterQuery(msgspec.Struct):
    """Which exchanges are asked for; all that is given must hold, and what is given empty asks nothing."""

    model: (
        Annotated[
            str, Meta(description="A piece of the requested or routed model's name, in any case; `all` asks nothing.")
        ]
        | UnsetType
    ) = UNSET
    status: (
        Annotated[str, Meta(pattern=f"^({_STATUSES.pattern})?$", description="Statuses: `200`, `4xx`, `429,5xx`.")]
        | UnsetType
    ) = UNSET
    state: Annotated[str, Meta(extra_json_schema={"enum": ["", *STATES]})] | UnsetType = UNSET
    session: str | UnsetType = UNSET
    agent: Annotated[str, Meta(description="An agent's id or name, or `main` for what no agent asked.")] | UnsetType = (
        UNSET
    )
    kind: str | UnsetType = UNSET
    provider: str | UnsetType = UNSET
    project: Annotated[str, Meta(description="A piece of the working directory, in any case.")] | UnsetType = UNSET
    since: (
        Annotated[
            Moment, Meta(description="Begun then or later: ISO 8601 (UTC where it says no zone), or µs since 1970.")
        ]
        | UnsetType
    ) = UNSET
    until: Annotated[Moment, Meta(description="Begun before then.")] | UnsetType = UNSET
    q: (
        Annotated[
            str,
            Meta(
                max_length=MAX_WORDS,
                description="Words that must all stand in one content block. An exchange is found where that block first stood: "
                "in its answer, or in what its request added to the conversation; with `session`, first in that session.",
            ),
        ]
        | UnsetType
    ) = UNSET


class PageQuery(FilterQuery):
    """Which page of a list."""

    page: Annotated[
        Annotated[int, Meta(ge=1)] | str, Meta(description="Anything that is no page number reads as 1.")
    ] = 1
    limit: Annotated[
        Annotated[int, Meta(ge=1)] | str,
        Meta(
            description=f"Rows on a page; more than {MAX_LIMIT} reads as that, and what is no such number as {DEFAULT_LIMIT}."
        ),
    ] = DEFAULT_LIMIT


class ListQuery(PageQuery):
    """Which exchanges, and which page of them."""

    before: (
        Annotated[
            str,
            Meta(
                pattern="^[0-9a-fA-F-]{0,36}$",
                description="Only exchanges with a lower id: the last page's `next_before`.",
            ),
        ]
        | UnsetType
    ) = UNSET


class IncludeQuery(msgspec.Struct):
    """What to tell about an exchange besides its row."""

    include: (
        Annotated[
            str,
            Meta(
                pattern=rf"^(({'|'.join(INCLUDES)})(,({'|'.join(INCLUDES)}))*)?$",
                description=f"Any of {', '.join(INCLUDES)}, separated by commas.",
            ),
        ]
        | UnsetType
    ) = UNSET


@dataclass(frozen=True, slots=True)
class Place:
    """Which part of a list is asked for."""

    page: int
    limit: int
    before: str | None = None

    @property
    def offset(self) -> int:
        """How many rows stand before it."""
        return (self.page - 1) * self.limit


def place(query: Mapping[str, str]) -> Place:
    """Return which part of a list is asked for."""
    before = query.get("before") or None
    if before and not _ID.fullmatch(before):
        raise BadQuestionError('"before" takes the id of an exchange, such as "next_before" of the last page')
    limit = min(_count(query.get("limit"), DEFAULT_LIMIT), MAX_LIMIT)
    return Place(_count(query.get("page"), 1), limit, before.lower() if before else None)


def _count(text: str | None, default: int) -> int:
    return int(text) if text and _NUMBER.fullmatch(text) and int(text) else default


def wanted(query: Mapping[str, str]) -> Filter:
    """Return which exchanges are asked for; what is given empty asks nothing."""
    given = {name: value for name, value in query.items() if value}
    words = given.get("q", "").strip()
    if len(words) > MAX_WORDS:
        raise BadQuestionError(f'"q" takes at most {MAX_WORDS} characters')
    if given.get("state", STATES[0]) not in STATES:
        raise BadQuestionError(f'"state" is one of {", ".join(STATES)}')
    model = given.get("model")
    return Filter(
        model=None if model == "all" else model,
        statuses=_statuses(given.get("status")),
        since=_moment(given, "since"),
        until=_moment(given, "until"),
        words=words or None,
        **{name: given.get(name) for name in ("state", "session", "agent", "kind", "provider", "project")},
    )


def _statuses(text: str | None) -> tuple[range, ...]:
    if text is None:
        return ()
    if not _STATUSES.fullmatch(text):
        raise BadQuestionError('"status" takes statuses such as 200 or 4xx, or several with commas')
    return tuple(_codes(code) for code in text.lower().split(","))


def _codes(code: str) -> range:
    first = int(code.replace("x", "0"))
    return range(first, first + (100 if "x" in code else 1))


def _moment(given: Mapping[str, str], name: str) -> int | None:
    text = given.get(name)
    if text is None:
        return None
    if _MICROSECONDS.fullmatch(text):
        return int(text)
    try:
        moment = datetime.fromisoformat(_LOST_PLUS.sub(r"+\1", text))
    except ValueError:
        message = f'"{name}" takes a time such as 2026-01-31T09:30:00Z, or microseconds since 1970'
        raise BadQuestionError(message) from None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int((aware - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000_000)


def included(query: Mapping[str, str]) -> frozenset[str]:
    """Return what is to be told besides the row."""
    names = [name.strip() for name in query.get("include", "").split(",") if name.strip()]
    for name in names:
        if name not in INCLUDES:
            raise BadQuestionError(f'"include" knows no "{name}"; it takes {", ".join(INCLUDES)}')
    return frozenset(names)
