"""The same exchanges by every way that leads to them: a file or a database, attached or copied, and a folder of Parquet.

Stores are made by ccproxy's own SQLite and closed before DuckDB opens them: two SQLite libraries on one file at a time would
break each other's locks. Refuses to know what the exchanges are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import polars as pl
import pytest
from psycopg.conninfo import conninfo_to_dict

import analysis
from analysis import Capture, sources
from analysis.capture import of_source
from analysis.dictionary import GRAINS
from ccproxy.settings import load
from ccproxy.stores.contract import Store
from ccproxy.stores.sqlite import SqliteStore
from tests.support.entries import fill
from tests.support.homes import Schema, home_in

WAYS = ("sqlite", "sqlite copied", "postgres", "postgres copied", "parquet")
STORES = WAYS[:-1]
Put = Callable[[Store, Sequence[Any]], object]
NOWHERE = sources.Finding(None, Path("/nowhere"))


class Places:
    """Exchanges in a file, a database and a folder, each made when it is first asked for."""

    def __init__(self, folder: Path, exchanges: Sequence[Any], put: Put = fill) -> None:
        """`put` brings exchanges into a store."""
        self.sqlite = filled(folder / "captures.db", exchanges, put)
        self._folder = folder
        self._exchanges = exchanges
        self._put = put
        self._dsn = ""
        self._held = contextlib.ExitStack()

    @property
    def dsn(self) -> str:
        """A connection string of the database; the test is skipped where there is none for tests."""
        if not self._dsn:
            home = self._held.enter_context(home_in("postgres", self._folder))
            assert isinstance(home, Schema)
            self._fill(home)
            self._dsn = home.dsn
        return self._dsn

    @property
    def parquet(self) -> Path:
        """A folder of Parquet."""
        folder = self._folder / "parquet"
        if not folder.is_dir():
            with opened(self.sqlite) as capture:
                capture.export(folder)
        return folder

    def _fill(self, home: Schema) -> None:
        """Put the exchanges into the database."""
        with contextlib.closing(home.open()) as store:
            self._put(store, self._exchanges)

    def open(self, way: str) -> Capture:
        """Return the exchanges by one of the ways."""
        if way == "parquet":
            return opened(self.parquet)
        if way.endswith("copied"):
            return copied(self.sqlite if way.startswith("sqlite") else self.dsn)
        return opened(self.sqlite if way == "sqlite" else url(self.dsn))

    def close(self) -> None:
        """Take the database away."""
        self._held.close()


def filled(path: Path, exchanges: Sequence[Any], put: Put = fill) -> Path:
    """Put exchanges into the store in a file, which is made where there is none, and close it."""
    with contextlib.closing(SqliteStore(path, write=True)) as store:
        put(store, exchanges)
    return path


def opened(place: str | Path | None, **environ: str) -> Capture:
    """Open captures, the configured ones without a place, by no other settings than these."""
    settings = load(environ=environ, dotenv=False, cwd=Path("/"), config_home=Path("/nowhere"))
    return analysis.open(place, settings=settings)


def copied(place: str | Path) -> Capture:
    """Open captures as on a machine without a scanner."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "find", lambda *_: None)
        if isinstance(place, Path):
            return of_source(sources.sqlite_source(place, NOWHERE))
        return of_source(sources.postgres_source(place, NOWHERE))


def url(dsn: str) -> str:
    """Return a connection string as a URL."""
    return "postgresql:///?" + urlencode(
        {key: str(value) for key, value in conninfo_to_dict(dsn).items()}, quote_via=quote
    )


def frame(capture: Capture, grain: str, *, bodies: bool = True) -> pl.DataFrame:
    """Return all rows of a grain; with `bodies` those columns, too, where it has any."""
    options = {"bodies": bodies} if any(column.body for column in GRAINS[grain].columns) else {}
    found: pl.LazyFrame = getattr(capture, grain)(**options)
    return found.collect()


def comparable(found: pl.DataFrame) -> pl.DataFrame:
    """Return a frame as any store has it: text in PostgreSQL has no NUL, and a replacement character in its place."""
    return found.with_columns(pl.col(pl.String).str.replace_all("\0", "\ufffd", literal=True))
