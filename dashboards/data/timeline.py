"""A session's time line: what each thread did when, as shares of the line's width.

Long waits in which nothing changes are drawn shorter than they were, so that work stays visible; each says so. Refuses to know
colours and what was said.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

from analysis import measures
from dashboards.data.sessions import Session

SHORTENED_FROM_MS = 60_000.0  # a wait shorter than a minute is drawn as it was
SHORTENED_BY = 2  # times at least, or it is not worth a sign
MOST_OF_LINE, MOST_OF_ALL = 0.2, 0.5  # of the line, for one wait that is drawn shorter, and for all of them
MOST_SPANS = 1500  # beyond these, waiting and answering of an exchange are one
WORK = ("waiting", "answering")


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time: `left` and `width` in per cent of the line, `after_ms` from the session's start."""

    what: str
    left: float
    width: float
    ms: float
    after_ms: float
    begins_at: datetime
    exchange_id: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a moment: compaction, failed or rewind."""

    what: str
    left: float
    at: datetime
    exchange_id: str


@dataclass(slots=True)
class Row:
    """A thread's line."""

    thread: dict[str, Any]
    spans: list[Span] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)


@dataclass(slots=True)
class Line:
    """The whole: a row a thread; `cuts` are the waits that are drawn shorter, as place in per cent and milliseconds."""

    begins_at: datetime
    ends_at: datetime
    rows: list[Row]
    cuts: list[tuple[float, float]]

    @property
    def whats(self) -> set[str]:
        """What there is to be explained."""
        return {span.what for row in self.rows for span in row.spans}

    def has(self, what: str) -> bool:
        """Tell whether such a mark is in it."""
        return any(mark.what == what for row in self.rows for mark in row.marks)


class Scale:
    """Moments, in milliseconds from the start, as per cent of the line. `idle` says which pieces between moments may be shortened."""

    def __init__(self, moments: Sequence[float], idle: Sequence[bool]) -> None:
        self._moments = moments
        lengths = [end - start for start, end in pairwise(moments)]
        limit = _limit([length for length, may in zip(lengths, idle, strict=True) if may], sum(lengths))
        drawn = [
            limit if may and length > SHORTENED_BY * limit else length
            for length, may in zip(lengths, idle, strict=True)
        ]
        self._places = [0.0]
        for length in drawn:
            self._places.append(self._places[-1] + length)
        self._all = self._places[-1] or 1.0
        self.cuts = [
            ((self._places[place] + drawn[place] / 2) / self._all * 100, length)
            for place, length in enumerate(lengths)
            if drawn[place] < length
        ]

    def place(self, moment: float) -> float:
        """Return where a moment is, in per cent."""
        piece = min(max(bisect_right(self._moments, moment) - 1, 0), len(self._moments) - 2)
        if piece < 0:
            return 0.0
        start, end = self._moments[piece], self._moments[piece + 1]
        share = (moment - start) / (end - start) if end > start else 0.0
        place = self._places[piece] + share * (self._places[piece + 1] - self._places[piece])
        return min(100.0, max(0.0, place / self._all * 100))


def _limit(waits: list[float], whole: float) -> float:
    """Return how long a wait is drawn at most: so that neither one nor all that are drawn shorter take too much of the line, and
    as many as that is worth it for are."""
    found, rest = whole, whole
    for number, wait in enumerate(sorted(waits, reverse=True), start=1):
        rest -= wait
        share = min(MOST_OF_LINE, MOST_OF_ALL / number)
        limit = max(share * rest / (1 - share * number), SHORTENED_FROM_MS)
        if wait > SHORTENED_BY * limit:
            found = limit
    return found


def line(session: Session, rewinds: Sequence[dict[str, Any]] = ()) -> Line | None:
    """Return a session's time line; None where there was no conversation. `rewinds` are exchanges that went back."""
    stretches = measures.stretches(session.frame).collect().rows(named=True)
    if not session.threads:
        return None
    start = min(row["started_at"] for row in session.threads)
    end = max(row["ended_at"] for row in session.threads)

    def after(moment: datetime) -> float:
        return float((moment - start).total_seconds() * 1000)

    scale = _scale(stretches, after, after(end))
    rows = {row["thread_id"]: Row(row) for row in _ordered(session.threads)}
    for stretch in _joined(stretches) if len(stretches) > MOST_SPANS else stretches:
        begins, ends = after(stretch["begins_at"]), after(stretch["ends_at"])
        left = scale.place(begins)
        span = Span(
            stretch["what"],
            left,
            scale.place(ends) - left,
            ends - begins,
            begins,
            stretch["begins_at"],
            stretch["exchange_id"] or "",
        )
        rows[stretch["thread_id"]].spans.append(span)
    gone_back = {row["exchange_id"] for row in rewinds}
    for exchange in session.exchanges:
        what = _what(exchange, gone_back)
        if what and exchange["thread_id"] in rows:
            at = exchange["started_at"]
            rows[exchange["thread_id"]].marks.append(Mark(what, scale.place(after(at)), at, exchange["exchange_id"]))
    return Line(start, end, list(rows.values()), scale.cuts)


def _what(exchange: dict[str, Any], gone_back: set[str]) -> str:
    if exchange["kind"] == "compaction":
        return "compaction"
    if exchange["went_wrong"]:
        return "failed"
    return "rewind" if exchange["exchange_id"] in gone_back else ""


def _scale(stretches: list[dict[str, Any]], after: Any, end: float) -> Scale:
    edges = {0.0, end}
    for stretch in stretches:
        edges |= {after(stretch["begins_at"]), after(stretch["ends_at"])}
    moments = sorted(edges)
    busy = sorted((after(row["begins_at"]), after(row["ends_at"])) for row in stretches if row["what"] in WORK)
    idle, latest, place = list[bool](), float("-inf"), 0
    for moment in moments[:-1]:
        while place < len(busy) and busy[place][0] <= moment:
            latest = max(latest, busy[place][1])
            place += 1
        idle.append(latest <= moment)
    return Scale(moments, idle)


def _joined(stretches: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the stretches with waiting and answering of an exchange as one."""
    found: list[dict[str, Any]] = []
    for row in stretches:
        last = found[-1] if found else None
        if last and row["what"] in WORK and last["what"] in WORK and last["exchange_id"] == row["exchange_id"]:
            last["ends_at"], last["what"] = row["ends_at"], "answering"
        else:
            found.append(dict(row))
    return found


def _ordered(threads: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return threads with what each started below it."""
    found: list[dict[str, Any]] = []

    def add(parent: str | None) -> None:
        for row in threads:
            if row not in found and row["parent_thread_id"] == parent:
                found.append(row)
                add(row["thread_id"])

    add(None)
    return [*found, *(row for row in threads if row not in found)]
