"""When a request goes up once more: after which failures, and how long after.

Knows the headers with which a provider asks for patience. Refuses to send anything.
"""

from __future__ import annotations

import email.utils
from collections.abc import Sequence
from dataclasses import dataclass

from ccproxy.wire import Header, ResponseHead

NOT_CONNECTED = frozenset({"connect", "connect_timeout"})  # nothing of the request can have reached the provider
FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 8.0
LONGEST_ASKED_S = 60.0  # a provider that asks for more is passed on: the client knows better what to do meanwhile


@dataclass(frozen=True, slots=True)
class Retries:
    """How often at most, and after which statuses beside failures to connect."""

    most: int = 0
    statuses: frozenset[int] = frozenset()

    def after_failure(self, kind: str, tried: int) -> float | None:
        """Return the seconds to wait before the next attempt, or None where there is none; `tried` counts the attempts."""
        return _growing(tried) if tried <= self.most and kind in NOT_CONNECTED else None

    def after_answer(self, head: ResponseHead, tried: int, now: float) -> float | None:
        """Return the seconds to wait before the next attempt, or None where this answer counts. `now` is in seconds since 1970."""
        if tried > self.most or head.status not in self.statuses or _value(head.headers, b"x-should-retry") == "false":
            return None
        asked = retry_after(head.headers, now)
        if asked is None:
            return _growing(tried)
        return asked if asked <= LONGEST_ASKED_S else None


NO_RETRIES = Retries()


def _growing(tried: int) -> float:
    return float(min(FIRST_WAIT_S * 2 ** (tried - 1), LONGEST_WAIT_S))


def retry_after(headers: Sequence[Header], now: float) -> float | None:
    """Return the seconds that `retry-after-ms` or `retry-after` (seconds or a date, RFC 9110 10.2.3) asks for."""
    milliseconds = _number(_value(headers, b"retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    asked = _value(headers, b"retry-after")
    seconds = _number(asked)
    if seconds is not None or not asked:
        return seconds
    try:
        return max(0.0, email.utils.parsedate_to_datetime(asked).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None


def _value(headers: Sequence[Header], wanted: bytes) -> str:
    return next((value.decode("latin-1").strip() for name, value in headers if name.lower() == wanted), "")
