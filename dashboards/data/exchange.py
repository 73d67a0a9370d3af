"""One exchange: its facts and what it cost, those before and after it, its bytes, headers and events.

Each is read when it is asked for, so that a tab reads only what it shows. Refuses to know how anything looks.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import Any

import polars as pl

import analysis
from analysis import measures
from dashboards.data.exchanges import signs
from dashboards.data.routing import lost
from dashboards.data.store import Data

MOST_DECODED = 64 << 20  # bytes that a body may decode to
EVENTS = 200  # on a page
Row = dict[str, Any]
_UNPACKED = {"gzip": 31, "x-gzip": 31, "deflate": 15}


@dataclass(frozen=True, slots=True)
class Body:
    """The exact bytes of a side; `plain` are they without their content encoding. Where there are none, `why` says it."""

    raw: bytes | None
    plain: bytes
    why: str = ""

    @property
    def text(self) -> str:
        """The bytes as text; what is no UTF-8 is replaced."""
        return self.plain.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The exchanges before and after one in its thread, its place among them from 1, and how many they are."""

    previous: str
    following: str
    place: int
    number: int


def one(data: Data, exchange_id: str) -> Row | None:
    """Return an exchange with all its columns, what it cost and would have cost unrouted, its session's `title`, its `agent`, what was
    tried before (`tries`) and what was lost in translation (`lost`); None where there is none."""
    frame = data.ask("SELECT * FROM exchanges WHERE exchange_id = $id", {"id": exchange_id})
    if frame.is_empty():
        return None
    prices = data.capture.prices
    priced = frame.lazy().pipe(measures.cost, prices).pipe(measures.unrouted, prices)
    row = data.collect(priced).row(0, named=True)
    titled = data.ask("SELECT title FROM sessions WHERE session_id = $id", {"id": row["session_id"]})
    title, agent = titled.item() if titled.height else None, "main" if row["thread_id"] else None
    if row["kind"] == "subagent" or row["agent_id"]:
        named = data.ask("SELECT agent FROM threads WHERE thread_id = $id", {"id": row["thread_id"]})
        agent = named.item() if named.height else None
    more = {"tries": tries(row["attempts"]), "lost": lost(row["losses"])}
    return {**row, "title": title, "agent": agent, **more, **signs(row)}


def tries(attempts: str | None) -> list[Row]:
    """Return what the proxy tried in vain before, each as it was noted."""
    try:
        found = json.loads(attempts or "[]")
    except ValueError:
        return []
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def neighbours(data: Data, row: Row) -> Neighbours:
    """Return what stands beside an exchange in its thread; nothing for one that is in none."""
    if row["thread_id"] is None:
        return Neighbours("", "", 0, 0)
    found = data.ask(
        "SELECT max(exchange_id) FILTER (exchange_id < $id) AS previous, min(exchange_id) FILTER (exchange_id > $id) AS following,"
        " count(1) FILTER (exchange_id <= $id) AS place, count(1) AS number FROM exchanges WHERE thread_id = $thread",
        {"id": row["exchange_id"], "thread": row["thread_id"]},
    ).row(0, named=True)
    return Neighbours(found["previous"] or "", found["following"] or "", found["place"], found["number"])


def body(data: Data, exchange_id: str, side: str) -> Body:
    """Return the exact bytes of the `request` or `response`, or those that were `sent` where the request was translated."""
    try:
        raw = data.capture.body(exchange_id, side)
    except analysis.AnalysisError as error:
        return Body(None, b"", str(error))
    if not raw:
        return Body(raw, b"", f"no {side} body was recorded")
    given = {name.lower(): value for name, value in headers(data, exchange_id, side)[0]}
    plain = decoded(raw, given.get("content-encoding", ""))
    if plain is None:
        encoding = given["content-encoding"]
        return Body(
            raw, b"", f"the body is packed with {encoding}, which is not unpacked here; the download has its bytes"
        )
    return Body(raw, plain)


def decoded(raw: bytes, encoding: str) -> bytes | None:
    """Return a body without its content encoding; None where that is not known here, or the body does not decode."""
    name = encoding.strip().lower()
    if name in ("", "identity") or raw[:1] in (b"{", b"[") or raw.startswith((b"event:", b"data:", b":")):
        return raw
    if name not in _UNPACKED:
        return None
    try:
        return zlib.decompressobj(wbits=_UNPACKED[name]).decompress(raw, MOST_DECODED)
    except zlib.error:
        return None


def headers(data: Data, exchange_id: str, side: str) -> tuple[list[tuple[str, str]], str]:
    """Return the headers of a side, secrets masked; where there are none, why."""
    try:
        found = data.capture.headers(exchange_id, side)
    except analysis.AnalysisError as error:
        return [], str(error)
    return found, "" if found else f"no {side} headers were recorded"


def reply(data: Data, row: Row) -> tuple[Row | None, str]:
    """Return the answer as a message; where there is none, why."""
    if not row["reply"]:
        return None, "there is no answer that is a message"
    try:
        return data.capture.message(row["reply"]), ""
    except analysis.AnalysisError as error:
        return None, str(error)


def events(data: Data, exchange_id: str) -> pl.DataFrame:
    """Return all events of an exchange's answer, in order, as the grain has them."""
    return data.ask("SELECT * FROM events WHERE exchange_id = $id ORDER BY position", {"id": exchange_id})
