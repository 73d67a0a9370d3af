"""What is left of the provider's rate limits, as the newest answers said in their headers.

There are limits of a key, by requests and tokens a minute, and those of a subscription, by windows of hours and days. Refuses to
know how they look.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from analysis import AnalysisError
from dashboards.data.rows import exchanges
from dashboards.data.store import Data, TroubleError
from dashboards.state import Filters

LOOKED = 40  # of the newest answers, until both kinds of limits were found
_KEY = re.compile(r"anthropic-ratelimit-((?!unified)[\w-]+)-(limit|remaining|reset)")
_WINDOW = re.compile(r"anthropic-ratelimit-unified-([\w-]+)-(status|utilization|reset)")
_SPAN = re.compile(r"(\d+)([hd])(.*)")


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit: its name, what part of it is used (0 to 1), what is left of how much, when it begins anew, and a word of the
    provider's. What the headers do not say is null."""

    name: str
    used: float | None
    left: int | None
    limit: int | None
    resets_at: datetime | None
    status: str | None


@dataclass(frozen=True, slots=True)
class Limits:
    """What one answer said, and when."""

    exchange_id: str
    started_at: datetime
    subscription: bool
    limits: list[Limit]


def limits(data: Data, filters: Filters, now: datetime) -> list[Limits]:
    """Return what the newest answers under the filters said: of a subscription, and of a key, as far as there are such."""

    def make() -> list[Limits]:
        answered = exchanges(data, filters, now).filter(pl.col("status").is_not_null()).tail(LOOKED).reverse()
        found: dict[bool, Limits] = {}
        for exchange_id, started_at in answered.select("exchange_id", "started_at").iter_rows():
            try:
                said = read(data.capture.headers(exchange_id, "response"))
            except AnalysisError as error:
                raise TroubleError(str(error)) from None
            for subscription, each in said.items():
                found.setdefault(subscription, Limits(exchange_id, started_at, subscription, each))
            if len(found) == 2:
                break
        return [found[kind] for kind in (True, False) if kind in found]

    return data.kept(("limits", filters), make)


def read(headers: Iterable[tuple[str, str]]) -> dict[bool, list[Limit]]:
    """Return the limits in headers: those of a subscription under True, of a key under False."""
    windows: dict[str, dict[str, str]] = {}
    keys: dict[str, dict[str, str]] = {}
    for name, value in headers:
        for pattern, into in ((_WINDOW, windows), (_KEY, keys)):
            if found := pattern.fullmatch(name.lower()):
                into.setdefault(found[1], {})[found[2]] = value
    said = {
        True: [_window(name, values) for name, values in windows.items() if "utilization" in values],
        False: [_key(name, values) for name, values in keys.items() if "limit" in values],
    }
    return {kind: each for kind, each in said.items() if each}


def _window(name: str, values: dict[str, str]) -> Limit:
    used, reset = _number(values["utilization"]), _number(values.get("reset"))
    return Limit(_spoken(name), used, None, None, _moment(reset), values.get("status"))


def _key(name: str, values: dict[str, str]) -> Limit:
    limit, left = _number(values["limit"]), _number(values.get("remaining"))
    used = 1 - left / limit if limit and left is not None else None
    try:
        reset = datetime.fromisoformat(values.get("reset", "")).astimezone(UTC)
    except ValueError:
        reset = None
    return Limit(name.replace("-", " "), used, _whole(left), _whole(limit), reset, None)


def _spoken(name: str) -> str:
    found = _SPAN.fullmatch(name)
    if not found:
        return name
    unit = {"h": "hour", "d": "day"}[found[2]] + ("" if found[1] == "1" else "s")
    return f"{found[1]} {unit}{found[3].replace('_', ' ').replace('-', ' ')}"


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if abs(value) < 1e15 else None


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _moment(seconds: float | None) -> datetime | None:
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None
