"""Whether there is a store in a file yet.

A proxy that has just started has captured nothing, and that is no error for who only looks. Refuses to make anything.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from ccproxy.stores.sqlite.file import BUSY_S, ORIGINAL_COLUMNS, errors


def is_still_to_be_made(path: Path) -> bool:
    """Tell whether the first capture will make a store here: no file, an empty one, or one of the original's alone."""
    if not path.exists():
        return True
    with errors(path), contextlib.closing(_look(path)) as database:
        if database.execute("PRAGMA user_version").fetchone()[0]:
            return False
        tables = database.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0]
        columns = {row[1] for row in database.execute("PRAGMA table_info(requests)")}
        return not tables or set(ORIGINAL_COLUMNS) <= columns


def _look(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_S)
