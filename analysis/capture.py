"""What was captured, as frames: one function a grain, and SQL over all of them.

Refuses to know where it is: a store, a copy or a folder of Parquet all look the same.
"""

from __future__ import annotations

import html
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import polars as pl

from analysis import exporting, queries, views
from analysis.dictionary import GRAINS
from analysis.engine import Engine
from analysis.errors import AnalysisError
from analysis.frames import lazy
from analysis.limits import Limit
from analysis.looking import Lookups
from analysis.sources import Source

_BODIES = frozenset(
    {queries.ALL, *(column.name for grain in GRAINS.values() for column in grain.columns if column.body)}
)


class Capture:
    """Captures at one place, read-only. `analysis.open` makes one.

    Grains are lazy: `.collect()` reads them, and only the columns that are used. Columns of any length come with `bodies`.
    """

    def __init__(
        self,
        place: str,
        way: str,
        prepare: Callable[[Engine, bool], None],
        source: Source | None = None,
        *,
        bodies: bool = True,
        prices: Path | None = None,
    ) -> None:
        """`prepare` brings the views into an engine, the whole ones where it is told to. `source` is the store, if it is one.
        `bodies` tells whether there are columns of any length to be had, `prices` is the configured file of prices."""
        self.place = place
        self.way = way
        self._prepare = prepare
        self._source = source
        self._bodies = bodies
        self._prices = prices
        self._engines: dict[bool, Engine] = {}
        self._making = threading.Lock()
        self._closed = False
        self._engine(whole=False)

    @property
    def prices(self) -> Path | None:
        """The configured file of prices of one's own, which measures of cost take; None where there is none."""
        return self._prices

    def exchanges(self) -> pl.LazyFrame:
        """One row per HTTP exchange, oldest first; columns as `analysis.columns("exchanges")` lists them."""
        return self._frame("exchanges")

    def sessions(self) -> pl.LazyFrame:
        """One row per session, with its title and figures."""
        return self._frame("sessions")

    def threads(self) -> pl.LazyFrame:
        """One row per agent's run in a session: the main conversation and each subagent, with parent, depth and spawn call."""
        return self._frame("threads")

    def messages(self, *, bodies: bool = False) -> pl.LazyFrame:
        """One row per message in its place in a conversation; with `bodies` its JSON."""
        return self._frame("messages", bodies=bodies)

    def blocks(self, *, bodies: bool = False) -> pl.LazyFrame:
        """One row per content block of a message; with `bodies` its text."""
        return self._frame("blocks", bodies=bodies)

    def tool_calls(self, *, bodies: bool = False) -> pl.LazyFrame:
        """One row per tool call with its result; with `bodies` input and result."""
        return self._frame("tool_calls", bodies=bodies)

    def events(self) -> pl.LazyFrame:
        """One row per event of a streamed answer."""
        return self._frame("events")

    def prompt_parts(self, *, bodies: bool = False) -> pl.LazyFrame:
        """One row per system block or tool of each distinct prompt; with `bodies` its JSON."""
        return self._frame("prompt_parts", bodies=bodies)

    def sql(
        self,
        query: str,
        parameters: Sequence[Any] | Mapping[str, Any] | None = None,
        *,
        limit: Limit | None = None,
        most: int | None = None,
    ) -> pl.DataFrame:
        """Run a SELECT over the views, which are called and have columns as the frames; `?` or `$name` bind parameters.

        `limit` bounds its time, and lets it be stopped; `most` bounds the rows. Raises QueryError, with the place in the query,
        where it cannot be run or would do more than read.
        """
        spoken_of = self._engine(whole=False).columns(query)
        return self._engine(whole=self._bodies and not _BODIES.isdisjoint(spoken_of)).asked(
            query, parameters, limit=limit, most=most
        )

    def body(self, exchange_id: str, side: str) -> bytes | None:
        """Return the exact bytes of the `request` or `response` of an exchange, or those that were `sent` in the request's place,
        where it was translated for another provider; None where there are none."""
        return self._lookups().body(exchange_id, side)

    def headers(self, exchange_id: str, side: str) -> list[tuple[str, str]]:
        """Return the headers of the `request` or `response` of an exchange, secrets masked."""
        return self._lookups().headers(exchange_id, side)

    def message(self, node: str) -> dict[str, Any]:
        """Return the JSON of a message: a `node` of `messages()`, `tip` or `reply` of an exchange."""
        return self._lookups().message(node)

    def conversation(self, node: str) -> list[dict[str, Any]]:
        """Return the messages from the first one down to this one, each with its `node`."""
        return self._lookups().conversation(node)

    def export(
        self,
        folder: str | Path,
        *,
        format: str = "parquet",  # noqa: A002 - what it is called everywhere
        since: datetime | None = None,
        until: datetime | None = None,
        session: str | None = None,
        model: str | None = None,
        bodies: bool = True,
        progress: exporting.Progress = lambda _done, _all: None,
    ) -> dict[str, int]:
        """Write all grains below `folder`, as `parquet`, `jsonl` or `csv`, a file per grain and day (UTC).

        Repeated, it writes only days that are new or have changed, so one that was stopped goes on. `bodies=False` leaves out
        the columns of any length. `progress` is called with exchanges done and exchanges in all. Returns rows written by grain.
        Raises AnalysisError where the folder holds something else, or cannot be written.
        """
        self._see_that_there_are(bodies)
        chosen = exporting.Chosen(since, until, session, model)
        ask = self._engine(whole=bodies).frame
        return exporting.export(ask, Path(folder), format, chosen, bodies=bodies, progress=progress)

    def _lookups(self) -> Lookups:
        source, engine = self._source, self._engine(whole=False)
        if source is None:
            raise AnalysisError("an exported folder has no bodies and headers; open the store for them")
        return Lookups(lambda query: source.look(engine, query), source.dialect)

    def _frame(self, grain: str, *, bodies: bool = False) -> pl.LazyFrame:
        self._see_that_there_are(bodies)
        order, schema = ", ".join(GRAINS[grain].order), GRAINS[grain].schema(bodies=bodies)

        def scan(query: str, wanted: Mapping[str, pl.DataType], most: int | None) -> Any:
            """Run the query when it is asked for: the engine of whole views is made with the first use."""
            return self._engine(whole=bodies).scan(query, wanted, most)

        return lazy(scan, grain, schema, order)

    def _see_that_there_are(self, bodies: bool) -> None:
        if bodies and not self._bodies:
            raise AnalysisError(f"{self.place} was exported without texts, inputs and results; open the store for them")

    def _engine(self, *, whole: bool) -> Engine:
        with self._making:
            if self._closed:
                raise AnalysisError(f"the captures at {self.place} were closed; open them again")
            if whole not in self._engines:
                self._engines[whole] = self._made(whole)
            return self._engines[whole]

    def _made(self, whole: bool) -> Engine:
        engine = Engine(self._source.scrubbed if self._source else str)
        try:
            self._prepare(engine, whole)
        except BaseException:
            engine.close()
            raise
        return engine

    def _facts(self) -> tuple[str, ...]:
        found = self.sql(
            "SELECT count(1) AS exchanges, min(started_at) AS oldest, max(started_at) AS newest FROM exchanges"
        )
        number, oldest, newest = found.row(0)
        span = f"{oldest:%Y-%m-%d %H:%M} to {newest:%Y-%m-%d %H:%M} UTC" if number else "nothing captured yet"
        return (self.place, self.way, f"{number:,} exchange{'' if number == 1 else 's'}", span)

    def __repr__(self) -> str:
        return f"<captures at {', '.join(self._facts())}>"

    def _repr_html_(self) -> str:
        names = ("place", "read", "exchanges", "from, to")
        rows = "".join(
            f"<tr><th style='text-align:left'>{name}</th><td style='text-align:left'>{html.escape(fact)}</td></tr>"
            for name, fact in zip(names, self._facts(), strict=True)
        )
        return f"<table><caption>captures of ccproxy</caption>{rows}</table>"

    def close(self) -> None:
        """Let go of the store."""
        with self._making:
            self._closed = True
            for engine in self._engines.values():
                engine.close()
            self._engines.clear()
            if self._source is not None:
                self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def of_source(source: Source, prices: Path | None = None) -> Capture:
    """Return the captures of a store."""

    def prepare(engine: Engine, whole: bool) -> None:
        source.attach(engine)
        views.make(engine, source, whole=whole)
        engine.lock()

    return Capture(source.place, source.way, prepare, source, prices=prices)


def of_folder(folder: Path, prices: Path | None = None) -> Capture:
    """Return the captures in a folder of Parquet. Raises AnalysisError where it is not one that can be read."""
    bodies = exporting.has_bodies(folder)

    def prepare(engine: Engine, whole: bool) -> None:
        views.make_of_folder(engine, folder, whole=whole)
        engine.lock(folder)

    return Capture(str(folder), "Parquet", prepare, bodies=bodies, prices=prices)
