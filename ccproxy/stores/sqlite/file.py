"""The file of an SQLite store: opened, checked, brought up to date, and one transaction at a time.

WAL mode, one writer, any number of readers. Refuses to open a file that is not a ccproxy store, or one that a newer version
has written; refuses to know what is in the tables.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from ccproxy.errors import StoreBusyError, StoreError

APPLICATION_ID = (
    0x63637078  # "ccpx": tells our files from others (https://www.sqlite.org/pragma.html#pragma_application_id)
)
BUSY_S = 2.0
CACHE_KB = 4096
LARGE = 10_000  # exchanges; up to here a look at all of them takes some 20 ms
ORIGINAL_COLUMNS = ("id", "timestamp", "method", "endpoint", "headers", "body", "response")
_PASSING = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
_PRIMARY_CODE = 0xFF  # the part of an error code that names its class


class SqliteFile:
    """An open file at `path`. `write` makes it where it is missing and brings it up to date; else it is only read."""

    def __init__(self, path: Path, *, write: bool = False) -> None:
        self.path = path
        if write:
            _make_file(path)
        elif not path.exists():
            raise StoreError(f"there is no store at {path} yet: start `ccproxy serve` and send a request through it")
        with errors(path):
            self.db = sqlite3.connect(
                path if write else f"{path.absolute().as_uri()}?mode=ro",
                uri=not write,
                isolation_level=None,
                timeout=BUSY_S,
                check_same_thread=False,
            )
            try:
                self._open(write)
            except BaseException:
                self.db.close()
                raise

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path}>"

    def close(self) -> None:
        """Let go of the file."""
        self.db.close()

    def _open(self, write: bool) -> None:
        self.db.row_factory = sqlite3.Row
        self.db.execute(f"PRAGMA cache_size = -{CACHE_KB}")
        self._check_owner()
        if write:
            if not self.version():  # ours from now on: an empty file of somebody's making, or an original's
                with contextlib.suppress(PermissionError):
                    self.path.chmod(0o600)
            if not self.number("page_count"):  # only a file without any page can be told, and only before WAL mode
                self.db.execute("PRAGMA auto_vacuum = INCREMENTAL")
            self.db.execute("PRAGMA journal_mode = WAL")
            self.db.execute("PRAGMA synchronous = NORMAL")
            self.db.execute("PRAGMA secure_delete = ON")  # the default of some builds, and of none that one can rely on
            self._migrate()
        elif self.version() == 0:
            raise StoreError(f"{self.path} holds no captures yet")
        elif self.version() < newest():
            raise StoreError(f"{self.path} was written by an older ccproxy; `ccproxy db migrate` brings it up to date")
        self.columns = [row["name"] for row in self.db.execute("PRAGMA table_info(exchanges)")]

    def _check_owner(self) -> None:
        owner = self.number("application_id")
        tables = {row[0] for row in self.db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if owner != APPLICATION_ID and tables and not self.is_original():
            raise StoreError(f"{self.path} is a database of some other program; choose another storage.db_path")
        if self.version() > newest():
            raise StoreError(
                f"{self.path} was written by a newer ccproxy (schema {self.version()}, this one knows {newest()}); upgrade ccproxy"
            )

    def is_original(self) -> bool:
        """Tell whether this is the file of the proxy that ccproxy took its idea from; its table stays, ours go beside it."""
        columns = {row["name"] for row in self.db.execute("PRAGMA table_info(requests)")}
        return set(ORIGINAL_COLUMNS) <= columns

    def version(self) -> int:
        """Return the number of the newest migration that the file has seen; 0 for a file that is new."""
        return self.number("user_version")

    def number(self, pragma: str) -> int:
        """Return what the file says of itself under this name."""
        value: int = self.db.execute(f"PRAGMA {pragma}").fetchone()[0]
        return value

    def is_large(self) -> bool:
        """Tell whether the store has grown so much that it has the indexes of a large one."""
        found = self.db.execute("SELECT 1 FROM sqlite_master WHERE name = 'exchanges_by_model'").fetchone()
        return found is not None

    def grow(self) -> bool:
        """Give the store the indexes of a large one, where it is large; return whether it has them."""
        if self.is_large():
            return True
        query = "SELECT 1 FROM settings WHERE key = 'exchanges' AND CAST(value AS INTEGER) >= ?"
        if self.db.execute(query, (LARGE,)).fetchone() is None:
            return False
        script = (resources.files("ccproxy.stores.sqlite") / "large.sql").read_text()
        with self.transaction():
            for statement in _statements(script) if not self.is_large() else ():
                self.db.execute(statement)
        return True

    def _migrate(self) -> None:
        for number, script in _migrations():
            if number <= self.version():
                continue
            with self.transaction():
                if number <= self.version():  # another process was faster
                    continue
                for statement in _statements(script):
                    self.db.execute(statement)
                self.db.execute(
                    "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, applied_at TEXT NOT NULL) STRICT"
                )
                self.db.execute("INSERT INTO schema_version VALUES (?, datetime('now'))", (number,))
                self.db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                self.db.execute(f"PRAGMA user_version = {number}")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Make what is done inside one whole: all of it at the end, or nothing where it fails."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.db.execute("COMMIT")
        except BaseException:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise


def _make_file(path: Path) -> None:
    """Create an empty file that only its owner can read, before SQLite creates one that anybody can."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreError(
            f"cannot write the store at {path}: {error.strerror}; choose another storage.db_path"
        ) from error


def newest() -> int:
    """Return the number of the newest migration."""
    return max(number for number, _ in _migrations())


def _migrations() -> list[tuple[int, str]]:
    folder = resources.files("ccproxy.stores") / "migrations" / "sqlite"
    files = sorted((file.name, file) for file in folder.iterdir() if file.name.endswith(".sql"))
    return [(int(name.split("_")[0]), file.read_text()) for name, file in files]


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@contextlib.contextmanager
def errors(path: Path) -> Iterator[None]:
    """Say in our words what SQLite, and the driver before it, say in their own."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY_CODE
        if code in _PASSING:
            raise StoreBusyError(f"the store at {path} cannot be used right now: {error}") from error
        if code == sqlite3.SQLITE_NOTADB:
            raise StoreError(f"{path} is not a SQLite database; choose another storage.db_path") from error
        raise StoreError(f"the store at {path} failed: {error}") from error
    except (OverflowError, UnicodeEncodeError) as error:  # a value that no column can hold
        raise StoreError(f"the store at {path} cannot hold a value: {error}") from error
