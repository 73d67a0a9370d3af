"""The captures, opened once for all viewers, and the filters as conditions on them.

Survives a store that is not there yet, empty, locked, gone or of another version: what is asked then raises TroubleError, whose
sentence a page shows. Refuses to know pages.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Mapping
from datetime import datetime
from typing import Any, TypeVar

import polars as pl

import analysis
from analysis import measures
from dashboards.state import Filters

Found = TypeVar("Found")
FRESH_S = 3.0  # for so long an answer is given again without asking
REFUSED_S = 0.5  # likewise captures that could not be opened: a page asks for them several times
MOST_KEPT = 64  # answers
OFFERED_S = 30.0  # what the filter bar offers may be so old: finding it reads all exchanges
STALE_S = 60.0  # older ones go: a frame of a large store takes much memory
WENT_WRONG = "(state IN ('failed', 'interrupted') OR status >= 400 OR api_error IS NOT NULL)"
_TERMS = {
    "project": "contains(lower(coalesce(project, cwd, '')), lower($project))",
    "model": "contains(lower(concat_ws(' ', model, requested_model, routed_model)), lower($model))",
    "session": "session_id = $session",
    "provider": "provider = $provider",
    "state": "state = $state",
    "kind": "kind = $kind",
}


class TroubleError(Exception):
    """The captures cannot be read just now; the sentence says why and what to do."""


TROUBLES = (
    TroubleError,
    analysis.AnalysisError,
    pl.exceptions.ComputeError,
)  # what asking may raise, where a measure asks by itself


class Data:
    """Captures at one place. `opens` opens them; `monotonic` gives seconds."""

    def __init__(self, opens: Callable[[], analysis.Capture], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._opens = opens
        self._monotonic = monotonic
        self._capture: analysis.Capture | None = None
        self._lock = threading.Lock()
        self._answers: dict[Hashable, tuple[float, Any]] = {}
        self._refused: tuple[float, str] | None = None

    @property
    def capture(self) -> analysis.Capture:
        """Return the captures, opened when they are first needed. Raises TroubleError."""
        with self._lock:
            if self._capture is None:
                if self._refused is not None and self._monotonic() - self._refused[0] < REFUSED_S:
                    raise TroubleError(self._refused[1])
                try:
                    self._capture = self._opens()
                except analysis.AnalysisError as error:
                    self._refused = (self._monotonic(), str(error))
                    raise TroubleError(str(error)) from None
            return self._capture

    def forget(self) -> None:
        """Open the captures anew with the next question."""
        with self._lock:
            if self._capture is not None:
                self._capture.close()
            self._capture = None
            self._answers.clear()

    def ask(self, query: str, parameters: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """Run a query over the views. Raises TroubleError where they cannot be read, QueryError where the query is wrong."""
        capture = self.capture
        try:
            return capture.sql(query, parameters)
        except analysis.AnalysisError as error:
            raise TroubleError(str(error)) from None

    def collect(self, frame: pl.LazyFrame) -> pl.DataFrame:
        """Collect a frame. Raises TroubleError where the captures cannot be read."""
        try:
            return frame.collect()
        except (analysis.AnalysisError, pl.exceptions.ComputeError) as error:
            raise TroubleError(str(error)) from None

    def kept(self, key: Hashable, make: Callable[[], Found], fresh: float = FRESH_S) -> Found:
        """Return an answer that was given a moment ago, at most `fresh` seconds, else the one that `make` gives now."""
        now = self._monotonic()
        before = self._answers.get(key)
        if before is not None and now - before[0] < fresh:
            answer: Found = before[1]
            return answer
        answer = make()
        stale = [each for each, (at, _) in list(self._answers.items()) if now - at > STALE_S]
        for each in stale or list(self._answers)[: max(0, len(self._answers) - MOST_KEPT + 1)]:
            self._answers.pop(each, None)
        self._answers[key] = (now, answer)
        return answer


def where(filters: Filters, now: datetime) -> tuple[str, dict[str, Any]]:
    """Return the condition for rows of `exchanges`, and its parameters."""
    terms, parameters = ["true"], dict[str, Any]()
    for name, term in _TERMS.items():
        if value := getattr(filters, name):
            terms.append(term)
            parameters[name] = value
    since, until = filters.span(now)
    for name, moment, sign in (("since", since, ">="), ("until", until, "<")):
        if moment is not None:
            terms.append(f"started_at {sign} ${name}")
            parameters[name] = moment
    if filters.agent == "main":
        terms.append("agent_id IS NULL AND kind <> 'subagent'")
    elif filters.agent:
        terms.append("thread_id IN (SELECT thread_id FROM threads WHERE agent = $agent OR agent_id = $agent)")
        parameters["agent"] = filters.agent
    if filters.status == "errors":
        terms.append(WENT_WRONG)
    elif filters.status == "ok":
        terms.append(f"NOT coalesce({WENT_WRONG}, false) AND state = 'complete'")
    elif filters.status.isdigit():
        terms.append("status = $status")
        parameters["status"] = int(filters.status)
    if filters.text:
        terms.append(
            "exchange_id IN (SELECT m.exchange_id FROM blocks b JOIN messages m ON m.node = b.node"
            " WHERE contains(lower(b.text), lower($text)))"
        )
        parameters["text"] = filters.text
    return " AND ".join(terms), parameters


def chosen(data: Data, filters: Filters, now: datetime) -> pl.LazyFrame:
    """Return the exchanges that the filters let through, as a lazy frame for measures."""
    frame = data.capture.exchanges()
    since, until = filters.span(now)
    if filters == Filters(range=filters.range):  # only times: nothing needs to be looked up
        if since is not None:
            frame = frame.filter(pl.col("started_at") >= since)
        return frame if until is None else frame.filter(pl.col("started_at") < until)
    return frame.join(matching(data, filters, now).lazy(), on="exchange_id", how="semi")


def matching(data: Data, filters: Filters, now: datetime) -> pl.DataFrame:
    """Return the ids of the exchanges that the filters let through: a column `exchange_id`."""

    def make() -> pl.DataFrame:
        condition, parameters = where(filters, now)
        return data.ask(f"SELECT exchange_id FROM exchanges WHERE {condition}", parameters)

    return data.kept(("matching", filters), make)


def totals(data: Data, filters: Filters, now: datetime) -> dict[str, Any]:
    """Return exchanges, errors, sessions, cost_usd and unpriced exchanges under the filters, for the filter bar."""

    def make() -> dict[str, Any]:
        priced = chosen(data, filters, now).pipe(measures.cost, data.capture.prices)
        wrong = (
            pl.col("state").is_in(["failed", "interrupted"])
            | (pl.col("status") >= 400)
            | pl.col("api_error").is_not_null()
        )
        found = data.collect(
            priced.select(
                exchanges=pl.len(), errors=wrong.fill_null(value=False).sum(), sessions=pl.col("session_id").n_unique(),
                cost_usd=pl.col("cost_usd").sum(), unpriced=(pl.col("cost_usd").is_null()).sum(),
            )
        )  # fmt: skip
        return found.row(0, named=True)

    return data.kept(("totals", filters), make)


def choices(data: Data) -> dict[str, list[str]]:
    """Return the values that the filter bar offers: projects, models, agents, providers; the most used first, at most 50 each."""

    def make() -> dict[str, list[str]]:
        def top(column: str, view: str = "exchanges") -> list[str]:
            rows = data.ask(
                f"SELECT {column} FROM {view} WHERE {column} IS NOT NULL GROUP BY 1 ORDER BY count(1) DESC, 1 LIMIT 50"
            )
            return [str(value) for value in rows[column]]

        return {
            "project": top("project"),
            "model": top("model"),
            "agent": top("agent", "threads"),
            "provider": top("provider"),
        }

    return data.kept("choices", make, OFFERED_S)
