"""What is meant by a place: the configured store, a file, a DSN, or a folder of Parquet.

Refuses to know what is in it.
"""

from __future__ import annotations

import os
from pathlib import Path

from analysis.capture import Capture, of_folder, of_source
from analysis.errors import AnalysisError
from analysis.sources import Finding, postgres_source, sqlite_source
from ccproxy.errors import ConfigError, StoreError
from ccproxy.settings import Settings, load

_SCHEMES = ("postgresql://", "postgres://")


def open_captures(place: str | Path | None = None, *, settings: Settings | None = None) -> Capture:
    """Open captures for reading: those of the configured store where no `place` is named.

    `place` is an SQLite file, a `postgresql://` URL, or a folder that `export` wrote. `settings` are those to go by instead of
    the user's own. Raises AnalysisError where there is nothing to be read.
    """
    try:
        settings = settings or load()
        named, is_dsn = _meant(place, settings)
        finding = _finding(settings)
        if is_dsn:
            return of_source(postgres_source(named, finding), settings.analysis.prices)
    except (ConfigError, StoreError) as error:
        raise AnalysisError(str(error)) from None
    path = Path(os.path.expanduser(named))
    if path.is_dir():
        return of_folder(path.absolute(), settings.analysis.prices)
    return of_source(sqlite_source(path, finding), settings.analysis.prices)


def way_to_the_store(settings: Settings) -> str:
    """Return how DuckDB comes to the configured store: by a scanner from a `wheel`, a `folder` or what is `installed`, else by
    `download`, else by `copy`. Whether the store is there is another question."""
    name = "postgres_scanner" if settings.storage.db_type == "postgres" else "sqlite_scanner"
    found = _finding(settings).scanner(name)
    return found.way if found else "download" if settings.analysis.allow_download else "copy"


def _finding(settings: Settings) -> Finding:
    home = Path(os.path.expanduser("~"))  # unlike Path.home, it takes a machine without a home as it is
    return Finding(settings.analysis.extension_dir, home, settings.analysis.allow_download)


def _meant(place: str | Path | None, settings: Settings) -> tuple[str, bool]:
    """Return the place that is meant, and whether it is a connection string."""
    storage = settings.storage
    if place is not None:
        return str(place), str(place).startswith(_SCHEMES)
    is_dsn = storage.db_type == "postgres"
    return (storage.database_url if is_dsn else str(storage.db_path)), is_dsn
