"""A store as Arrow streams, by ADBC: the way for a machine on which DuckDB has no scanner.

Each reading has a connection of its own, so that no transaction is held while nobody reads. Refuses to know what the streams are
for. The rule of one SQLite library per process and file holds for this one, too.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import polars as pl

from analysis.errors import AnalysisError
from ccproxy.stores.postgres.address import Address

Read = Callable[[str], Any]  # gives an Arrow stream of what a query gives
_SNAPSHOT = r"-c default_transaction_isolation=repeatable\ read"
_SAMPLES = {"TEXT": "''", "INTEGER": "0", "REAL": "0.5", "BLOB": "x'00'"}


class ArrowStore:
    """A store that can be connected to, which is done for each reading: from a first connection, as that one takes its time."""

    def __init__(self, driver: Any, uri: str, place: str, scrubbed: Callable[[str], str] = str) -> None:
        """`scrubbed` takes passwords out of what the driver says."""
        self._driver = driver
        self._uri = uri
        self._place = place
        self.scrubbed = scrubbed
        self._first: Any = None
        self._connecting = threading.Lock()
        self._closed: Callable[[], object] = lambda: None

    @contextlib.contextmanager
    def reading(self) -> Iterator[Read]:
        """Give what reads; all that it reads is of one moment. Raises AnalysisError where the driver refuses something."""
        try:
            with contextlib.closing(self._connection()) as connection:
                cursors = []  # a stream ends with its cursor

                def read(query: str) -> Any:
                    """Run a query."""
                    cursors.append(connection.cursor())
                    cursors[-1].execute(query)
                    return cursors[-1].fetch_arrow()

                yield read
        except self._driver.Error as error:
            raise AnalysisError(f"{self._place} cannot be read: {self.scrubbed(str(error)).strip()}") from None

    def _connection(self) -> Any:
        with self._connecting:
            if self._first is None:
                self._first = self._driver.connect(self._uri, autocommit=True)
                self._closed = weakref.finalize(self, self._first.close)
            return self._first.adbc_clone()

    def frame(self, query: str) -> pl.DataFrame:
        """Return what a query gives."""
        with self.reading() as read:
            return pl.DataFrame(read(query))

    def whole(self, table: str, read: Read) -> Any:
        """Return a stream of a table in which `sample` is 0; where it is not, a row says nothing but which types there are."""
        return read(f"SELECT 0 AS sample, * FROM {table}")

    def close(self) -> None:
        """Close what is left open."""
        self._closed()


class SqliteArrow(ArrowStore):
    """A file. Its driver takes a column's type from the first values in it, so that a row of samples goes before them."""

    def whole(self, table: str, read: Read) -> Any:
        """Return a stream of a table, a row of samples first."""
        columns = pl.DataFrame(read(f"SELECT name, type FROM pragma_table_info('{table}')")).rows()
        samples = ", ".join(f'{_SAMPLES[kind]} AS "{name}"' for name, kind in columns)
        return read(f"SELECT 1 AS sample, {samples} UNION ALL SELECT 0, * FROM {table}")


def sqlite(path: Path) -> ArrowStore:
    """Return the store in a file."""
    driver = _driver("adbc_driver_sqlite.dbapi", "adbc-driver-sqlite")
    return SqliteArrow(driver, f"{path.absolute().as_uri()}?mode=ro", str(path))


def postgres(address: Address, parameters: dict[str, str]) -> ArrowStore:
    """Return the store in a database."""
    driver = _driver("adbc_driver_postgresql.dbapi", "adbc-driver-postgresql")
    said = urlencode({**parameters, "options": f"{parameters['options']} {_SNAPSHOT}"}, quote_via=quote)
    return ArrowStore(driver, f"postgresql:///?{said}", address.place, address.scrubbed)


def _driver(name: str, package: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise AnalysisError(
            f"neither DuckDB's scanner nor {package} is installed: pip install 'ccproxy[analysis]' brings both"
        ) from None
