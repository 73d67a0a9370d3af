"""What is meant by a place: the configured store, a file, a DSN, or a folder of Parquet.

Refuses to know what is in it.
"""

from __future__ import annotations

from pathlib import Path

from analysis.capture import Capture, of_folder, of_source
from analysis.dictionary import GRAINS
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
        named = str(place) if place is not None else _configured(settings)
        finding = Finding(settings.analysis.extension_dir, Path.home(), settings.analysis.allow_download)
        if named.startswith(_SCHEMES):
            return of_source(postgres_source(named, finding))
    except (ConfigError, StoreError) as error:
        raise AnalysisError(str(error)) from None
    path = Path(named).expanduser()
    if path.is_dir():
        if not any((path / name).is_dir() for name in GRAINS):
            raise AnalysisError(f"{path} is a folder without exported captures; `ccproxy export` fills one")
        return of_folder(path.absolute())
    return of_source(sqlite_source(path, finding))


def _configured(settings: Settings) -> str:
    storage = settings.storage
    return storage.database_url if storage.db_type == "postgres" else str(storage.db_path)
