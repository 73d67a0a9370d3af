"""`ccproxy tail`: exchanges, one line each, as they begin and end.

Knows the columns, and what can have changed in the store since the last look. Refuses to compute anything that the store
does not say.
"""

from __future__ import annotations

import contextlib
import re
import sys
import time
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

import click

from ccproxy.cli.terminal import echo, fit, milliseconds, tokens
from ccproxy.errors import StoreError
from ccproxy.settings import Settings
from ccproxy.stores import choosing
from ccproxy.stores.contract import Record, Store

POLL_S = 0.1
MAKING_S = 3.0  # what a new store takes at most until it can be read
LOOK_BACK_MS = 30_000  # workers write on their own, so an exchange may come into the store after a younger one
MOST = 1000  # rows of one look
COLUMNS = (
    ("time", 8, "<"), ("id", 12, "<"), ("status", 6, ">"), ("model", 18, "<"), ("agent", 20, "<"), ("tokens in", 9, ">"),
    ("cached", 6, ">"), ("out", 6, ">"), ("first", 6, ">"), ("total", 6, ">"),
)  # fmt: skip
STATES = {"client_left": "left", "interrupted": "died", "failed": "fail"}
_MODEL_DATE = re.compile(r"-20\d{6}$")


def tail(settings: Settings, count: int, *, follow: bool) -> None:
    """Print the newest exchanges, oldest first, and with `follow` each one that begins or ends from then on."""
    with contextlib.suppress(KeyboardInterrupt) if follow else contextlib.nullcontext():
        with contextlib.closing(_store(settings, wait=follow)) as store:
            news = News(store)
            rows = news.begin(count)
            if not rows and not follow:
                click.echo("nothing is captured yet", err=True)
                return
            printer = _Printer()
            while True:
                printer.print(rows)
                if not follow:
                    return
                time.sleep(POLL_S)
                rows = news.look()


def _store(settings: Settings, *, wait: bool) -> Store:
    """Open the store; with `wait`, also one that does not exist yet, or is just being made."""
    path = settings.storage.db_path
    if wait and settings.storage.db_type != choosing.POSTGRES and not path.exists():
        click.echo(f"waiting for the first capture in {path}", err=True)
        while not path.exists():
            time.sleep(POLL_S)
    deadline = time.monotonic() + (MAKING_S if wait else 0)
    while True:
        try:
            return choosing.open_store(settings.storage)
        except StoreError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(POLL_S)


class News:
    """What a store has that was not there at the last look: exchanges that began or ended."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._states: dict[str, str] = {}

    def begin(self, count: int) -> list[Record]:
        """Return the newest rows, oldest first; all that is there by now is no news later."""
        rows = self._store.exchanges(limit=max(count, MOST))[::-1]
        self._remember(rows)
        return rows[-count:] if count else []

    def look(self) -> list[Record]:
        """Return the rows that are new, or in another state than they were, oldest first."""
        since = self._since()
        rows = self._store.exchanges(limit=MOST, changed_since=since)[::-1]
        seen = {row["id"] for row in rows}
        running = sorted(key for key, state in self._states.items() if state == "open" and key not in seen)
        for key in running:
            rows += self._store.exchanges(limit=1, before=f"{key}~", changed_since=key)
        fresh = [row for row in rows if self._states.get(row["id"]) != row["state"]]
        self._remember(fresh)
        return sorted(fresh, key=lambda row: str(row["id"]))

    def _remember(self, rows: Iterable[Record]) -> None:
        self._states |= {row["id"]: row["state"] for row in rows}
        since = self._since() or ""
        self._states = {key: state for key, state in self._states.items() if state == "open" or key >= since}

    def _since(self) -> str | None:
        newest = max(self._states, default=None)
        return first_id(int(newest.replace("-", "")[:12], 16) - LOOK_BACK_MS) if newest else None


def first_id(milliseconds_: int) -> str:
    """Return what the ids of all exchanges since then (ms since 1970) are not below: a UUIDv7 begins with its time."""
    digits = f"{max(0, milliseconds_):012x}"
    return f"{digits[:8]}-{digits[8:]}"


class _Printer:
    """Prints rows under one head, with a line of its own where the day changes."""

    def __init__(self) -> None:
        self._day: date | None = None

    def print(self, rows: Iterable[Record]) -> None:
        if self._day is None:
            self._day = datetime.now().astimezone().date()
            echo("  ".join(fit(name, width, align) for name, width, align in COLUMNS).rstrip(), bold=True)
        for row in rows:
            day = _began(row).date()
            if day != self._day:
                echo(f"--- {day:%A, %d %B %Y}", dim=True)
                self._day = day
            echo(line(row), **_style(row))
        sys.stdout.flush()


def _style(row: Record) -> dict[str, Any]:
    if row["state"] == "open":
        return {"dim": True}
    if row["state"] == "failed" or row["api_error"] or (row["status"] or 0) >= 400:
        return {"fg": "red"}
    return {} if row["state"] == "complete" else {"fg": "yellow"}


def _began(row: Record) -> datetime:
    return datetime.fromtimestamp(row["started_at"] / 1e6).astimezone()


def line(row: Record) -> str:
    """Return one exchange as one line."""
    values = (
        f"{_began(row):%H:%M:%S}",
        row["id"][-12:],
        status(row),
        _MODEL_DATE.sub(
            "",
            row["response_model"] or row["routed_model"] or row["requested_model"] or f"{row['method']} {row['path']}",
        ),
        agent(row),
        tokens(tokens_in(row)),
        tokens(row["cache_read_tokens"]),
        tokens(row["output_tokens"]),
        milliseconds(row["first_token_ms"] or row["first_byte_ms"]),
        milliseconds(row["duration_ms"]),
    )
    return "  ".join(fit(value, width, align) for value, (_, width, align) in zip(values, COLUMNS, strict=True))


def status(row: Record) -> str:
    """Return how an exchange stands: its HTTP status, with a ! where a good one carried an error, or why it has none."""
    if row["state"] == "open":
        return "open"
    hidden = row["api_error"] and (row["status"] or 0) < 400
    if row["error_kind"] == "refused":  # by the proxy itself, with a status like any other
        return str(row["status"])
    return STATES.get(row["state"]) or f"{row['status'] or '-'}{'!' if hidden else ''}"


def agent(row: Record) -> str:
    """Return who asked: the agent's name or type, with the beginning of its id to tell two of a kind apart, or the request's kind."""
    name = row["agent_name"] or row["agent_type"] or row["kind"]
    return f"{name} {row['agent_id'][:4]}" if row["agent_id"] else name


def tokens_in(row: Record) -> int | None:
    """Return all tokens that went in: uncached, written to the cache and read from it."""
    parts = [row[name] for name in ("input_tokens", "cache_read_tokens", "cache_write_tokens")]
    return sum(part or 0 for part in parts) if any(part is not None for part in parts) else None


def totals(rows: Iterable[Record]) -> str:
    """Return the sums over exchanges, as a phrase."""
    listed = list(rows)
    read = sum(row["cache_read_tokens"] or 0 for row in listed)
    into = sum(tokens_in(row) or 0 for row in listed)
    out = sum(row["output_tokens"] or 0 for row in listed)
    return f"{tokens(into)} tokens in ({tokens(read)} from the cache), {tokens(out)} out"
