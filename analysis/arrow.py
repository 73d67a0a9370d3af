"""A store as Arrow streams, by ADBC: the way for a machine on which DuckDB has no scanner.

Refuses to know what the streams are for. The rule of one SQLite library per process and file holds for this one, too.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from analysis.errors import AnalysisError
from ccproxy.stores.postgres.address import Address


class ArrowStore:
    """A connection that reads."""

    def __init__(self, connection: Any, failure: type[Exception], place: str, address: Address | None = None) -> None:
        """`failure` is what its driver raises."""
        self._connection = connection
        self._failure = failure
        self._place = place
        self._address = address

    def stream(self, query: str) -> Any:
        """Return an Arrow stream of what a query gives."""
        cursor = self._connection.cursor()
        try:
            cursor.execute(query)
            return cursor.fetch_arrow()
        except self._failure as error:
            raise self._said(error) from None

    def value(self, query: str) -> Any:
        """Return the one value that a query gives."""
        with self._connection.cursor() as cursor:
            try:
                cursor.execute(query)
                return cursor.fetchone()[0]
            except self._failure as error:
                raise self._said(error) from None

    def _said(self, error: Exception) -> AnalysisError:
        text = self._address.scrubbed(str(error)) if self._address else str(error)
        return AnalysisError(f"{self._place} cannot be read: {text}")


def sqlite(path: Path) -> ArrowStore:
    """Connect to a file."""
    driver = _driver("adbc_driver_sqlite.dbapi", "adbc-driver-sqlite")
    return ArrowStore(driver.connect(f"{path.absolute().as_uri()}?mode=ro"), driver.Error, str(path))


def postgres(address: Address, parameters: dict[str, str]) -> ArrowStore:
    """Connect to a database."""
    driver = _driver("adbc_driver_postgresql.dbapi", "adbc-driver-postgresql")
    try:
        return ArrowStore(
            driver.connect(f"postgresql:///?{urlencode(parameters)}"), driver.Error, address.place, address
        )
    except driver.Error as error:
        raise AnalysisError(f"{address.place} cannot be reached: {address.scrubbed(str(error))}") from None


def _driver(name: str, package: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise AnalysisError(
            f"neither DuckDB's scanner nor {package} is installed: pip install 'ccproxy[analysis]' brings both"
        ) from None
