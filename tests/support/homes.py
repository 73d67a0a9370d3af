"""Places in which a store lives while a test lasts: a file, or a schema of its own in the database of TEST_POSTGRES_DSN.

The database is one that nobody will miss: it must be empty, but for what other tests are doing in it. Refuses to know what is
in a store.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from ccproxy.stores.contract import Store
from ccproxy.stores.postgres import PostgresStore
from ccproxy.stores.sqlite import SqliteStore

VARIABLE = "TEST_POSTGRES_DSN"
PREFIX = "ccproxy_test_"
DIALECTS = ("sqlite", "postgres")
_FOREIGN = (
    "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname NOT LIKE 'pg\\_%%' AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE %s LIMIT 1"
)


class Home(Protocol):
    """Where a store lives."""

    name: str

    def open(self, *, write: bool = True) -> Store:
        """Open the store; it is closed with its home."""

    def run(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask or change what is in the store, past it; `?` stands for each value."""


class File:
    """A home in a file."""

    name = "sqlite"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._opened = contextlib.ExitStack()

    def open(self, *, write: bool = True) -> SqliteStore:
        """Open the store."""
        return self._opened.enter_context(contextlib.closing(SqliteStore(self.path, write=write)))

    def run(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run SQL in the file."""
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as database:
            return database.execute(query, values).fetchall()

    def close(self) -> None:
        """Close all stores."""
        self._opened.close()


class Schema:
    """A home in a schema."""

    name = "postgres"

    def __init__(self, dsn: str, schema: str) -> None:
        self.dsn = make_conninfo(dsn, options=f"-csearch_path={schema}", application_name=schema)
        self.schema = schema
        self._opened = contextlib.ExitStack()
        self.database = psycopg.connect(self.dsn, autocommit=True)
        self.database.execute(f"CREATE SCHEMA {schema}")

    def open(self, *, write: bool = True, journal: str = "") -> PostgresStore:
        """Open the store."""
        store = PostgresStore(self.dsn, write=write, journal=journal)
        return self._opened.enter_context(contextlib.closing(store))

    def run(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run SQL in the schema."""
        found = self.database.execute(query.replace("?", "%s"), values or None)
        return found.fetchall() if found.description else []

    def close(self) -> None:
        """Close all stores, and take the schema away."""
        self._opened.close()
        self.database.execute("SET client_min_messages = error")
        self.database.execute(f"DROP SCHEMA {self.schema} CASCADE")
        self.database.close()


@contextlib.contextmanager
def home_in(dialect: str, folder: Path) -> Iterator[Home]:
    """Give a home for a store of this dialect; skip the test where there is none."""
    found = (
        File(folder / "store.db") if dialect == "sqlite" else Schema(disposable_dsn(), f"{PREFIX}{uuid.uuid4().hex}")
    )
    try:
        yield found
    finally:
        found.close()


def disposable_dsn() -> str:
    """Return the DSN of the database for tests; skip the test where none is set, fail where it is not empty."""
    dsn = os.environ.get(VARIABLE)
    if not dsn:
        pytest.skip(f"{VARIABLE} is not set; `make test-postgres` sets it")
    with psycopg.connect(dsn) as database:
        foreign = database.execute(_FOREIGN, (f"{PREFIX.replace('_', chr(92) + '_')}%",)).fetchone()
    if foreign:
        pytest.fail(f"{VARIABLE} names a database that is not empty ({foreign[0]}); name one that may be thrown away")
    return dsn
