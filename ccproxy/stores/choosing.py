"""Which store the settings mean, opened.

The one place that knows that there are two dialects. Refuses to know what is done with a store.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from ccproxy.errors import ConfigError, StoreError
from ccproxy.settings import Storage
from ccproxy.stores.contract import Store
from ccproxy.stores.sqlite import SqliteStore
from ccproxy.stores.sqlite.presence import is_still_to_be_made

POSTGRES = "postgres"
_URL = re.compile(r"postgres(?:ql)?://(?:[^@/?]*@)?(?P<place>[^@?]*)(?:\?[^@]*)?")


def check(storage: Storage) -> None:
    """Raise the ConfigError that says what to set, where it is not said which database is meant."""
    if storage.db_type == POSTGRES and not storage.database_url:
        raise ConfigError(
            "storage.db_type is postgres and storage.database_url is empty: set DATABASE_URL, such as"
            " postgresql://user:password@host/name, or DB_TYPE=sqlite"
        )


def open_store(storage: Storage, *, write: bool = False, journal: str = "") -> Store:
    """Open the store that is meant; with `write` it is made where it is missing. `journal` names the journal of its writer.

    Raises StoreError or ConfigError, with one clear sentence, where that cannot be done.
    """
    if storage.db_type != POSTGRES:
        return SqliteStore(storage.db_path, write=write)
    check(storage)
    try:
        from ccproxy.stores.postgres import PostgresStore  # noqa: PLC0415 (its driver is an extra)
    except ImportError as error:
        raise StoreError("the PostgreSQL driver is not installed: pip install 'ccproxy[postgres]'") from error
    return PostgresStore(storage.database_url, write=write, journal=journal)


def open_if_there(storage: Storage) -> Store | None:
    """Open the store for reading; None where the first capture is still to make it."""
    if storage.db_type != POSTGRES and is_still_to_be_made(storage.db_path):
        return None
    return open_store(storage)


def writer_lock(storage: Storage) -> Path | None:
    """Return the place of the lock that the one ingest of an SQLite file holds; a database takes any number of them."""
    if storage.db_type == POSTGRES:
        return None
    path = Path(os.path.realpath(storage.db_path))
    return path.with_name(f"{path.name}.lock")


def place(storage: Storage) -> str:
    """Return where the store is, for people: never a user, a password or a parameter."""
    if storage.db_type != POSTGRES:
        return str(storage.db_path)
    found = _URL.fullmatch(storage.database_url)
    return f"postgresql://{found['place']}" if found else "PostgreSQL"
