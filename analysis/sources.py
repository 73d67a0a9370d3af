"""What can be attached: an SQLite store, a PostgreSQL store, a copy of either, a folder of Parquet.

Each knows how it gets into an engine, and how its own database is asked where that is faster: the scanners push no filter into
SQLite, so look-ups by index and walks along the tree are its own queries. Refuses to know what the views make of it.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import polars as pl

from analysis import arrow
from analysis.engine import VERSION, Engine, quoted
from analysis.errors import AnalysisError
from analysis.extensions import Extension, find
from ccproxy.stores.postgres.address import Address

NAME = "store"  # what the attached database is called in SQL
APPLICATION_ID = 0x63637078  # of SQLite files that are ours; see ccproxy.stores.sqlite
SCHEMA_VERSIONS = {"sqlite": 4, "postgres": 3}  # the newest migrations, which the views are written for
COPIED = ("exchanges", "nodes", "blocks", "blobs", "preamble_parts", "timelines")
_TABLE = re.compile(rf"\b(FROM|JOIN) ({'|'.join(COPIED)})\b")
_ASKING_S = 900


class Source(Protocol):
    """A store that views can be laid over. `place` is for people; `way` says how it is read."""

    place: str
    way: str
    dialect: str

    def scrubbed(self, text: str, /) -> str:
        """Return a text without a password."""

    def attach(self, engine: Engine) -> None:
        """Bring it into the engine. Raises AnalysisError, without a password in it, where that cannot be done."""

    def table(self, name: str) -> str:
        """Return the name of a table of the store in SQL."""

    def ask(self, query: str) -> str:
        """Return the table expression for a query that the store's own database answers. All its columns may come as text."""

    def hex(self, column: str) -> str:
        """Return the expression for bytes as lower-case hex, in the store's own SQL."""

    def look(self, engine: Engine, query: str) -> pl.DataFrame:
        """Return what the store's own database answers, bodies and headers included."""

    def close(self) -> None:
        """Let go of what was made for reading it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Where scanners are looked for. `download` allows DuckDB to fetch one."""

    folder: Path | None
    home: Path
    download: bool = False

    def scanner(self, name: str) -> Extension | None:
        """Return the scanner, where there is one."""
        return find(name, VERSION, self.folder, self.home)


class SqliteSource:
    """A file, attached read-only."""

    dialect = "sqlite"

    def __init__(self, path: Path, finding: Finding) -> None:
        self.place = str(path)
        self.way = "attached"
        self._path = path
        self._finding = finding

    def scrubbed(self, text: str, /) -> str:
        """Return the text: there is no password in it."""
        return text

    def attach(self, engine: Engine) -> None:
        """Attach the file, and see that it is a store of this version."""
        _load(engine, "sqlite_scanner", self._finding)
        engine.run(f"ATTACH {quoted(str(self._path))} AS {NAME} (TYPE sqlite, READ_ONLY)")
        _check_sqlite(self.place, lambda query: self.look(engine, query))

    def table(self, name: str) -> str:
        """Return the name of a table."""
        return f"{NAME}.{name}"

    def ask(self, query: str) -> str:
        """Return the expression by which SQLite answers."""
        return f"sqlite_query('{NAME}', $ask${query}$ask$)"

    def hex(self, column: str) -> str:
        """Return the expression in SQLite's words, in which the hex of null is empty."""
        return f"nullif(lower(hex({column})), '')"

    def look(self, engine: Engine, query: str) -> pl.DataFrame:
        """Ask through the engine."""
        return engine.frame(f"SELECT * FROM {self.ask(query)}")

    def close(self) -> None:
        """Do nothing: the engine holds all there is."""


class PostgresSource:
    """A database, attached read-only."""

    dialect = "postgres"

    def __init__(self, dsn: str, finding: Finding) -> None:
        self._address = Address(dsn)
        self.place = self._address.place
        self.way = "attached"
        self._finding = finding
        self._schema = "public"

    def scrubbed(self, text: str, /) -> str:
        """Return a text without the password."""
        return self._address.scrubbed(text)

    def attach(self, engine: Engine) -> None:
        """Attach the database, its password kept apart, and see that it is a store of this version."""
        _load(engine, "postgres_scanner", self._finding)
        said = connection_parameters(self._address)
        secret = {name: said.pop(name) for name in ("password", "passfile") if name in said}
        values = "".join(f", {name.upper()} {quoted(value)}" for name, value in secret.items())
        engine.run(f"CREATE SECRET store_secret (TYPE postgres{values})")
        text = " ".join(f"{name}={_escaped(value)}" for name, value in said.items())
        engine.run(f"ATTACH {quoted(text)} AS {NAME} (TYPE postgres, SECRET store_secret, READ_ONLY)")
        self._schema = self.look(engine, "SELECT current_schema() AS name").item() or "public"
        _check_postgres(self.place, lambda query: self.look(engine, query))

    def table(self, name: str) -> str:
        """Return the name of a table."""
        return f'{NAME}."{self._schema}".{name}'

    def ask(self, query: str) -> str:
        """Return the expression by which the server answers."""
        return f"postgres_query('{NAME}', $ask${query}$ask$)"

    def hex(self, column: str) -> str:
        """Return the expression in PostgreSQL's words."""
        return f"encode({column}, 'hex')"

    def look(self, engine: Engine, query: str) -> pl.DataFrame:
        """Ask through the engine."""
        return engine.frame(f"SELECT * FROM {self.ask(query)}")

    def close(self) -> None:
        """Do nothing: the engine holds all there is."""


class CopiedSource:
    """A store of which a copy is made by Arrow, for where DuckDB's scanners are not to be had. The copy is of one moment."""

    def __init__(self, dialect: str, place: str, store: arrow.ArrowStore) -> None:
        self.dialect = dialect
        self.place = place
        self.way = "copied by Arrow"
        self._store = store
        self._copy: Path | None = None
        self._removed: Callable[[], object] = lambda: None

    def scrubbed(self, text: str, /) -> str:
        """Return a text without a password."""
        return self._store.scrubbed(text)

    def attach(self, engine: Engine) -> None:
        """Attach the copy, which is made by the first engine that asks for it."""
        if self._copy is None:
            self._copy = self._copied()
        engine.run(f"ATTACH {quoted(str(self._copy))} AS {NAME} (READ_ONLY)")

    def _copied(self) -> Path:
        """See that it is a store of this version, and copy what the views need into a file that goes with this object."""
        folder = tempfile.mkdtemp(prefix="ccproxy-analysis-")
        self._removed = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        path = Path(folder) / "copy.duckdb"
        with self._store.reading() as read, contextlib.closing(Engine(self.scrubbed)) as writer:
            _CHECKS[self.dialect](self.place, lambda query: pl.DataFrame(read(query)))
            writer.run(f"ATTACH {quoted(str(path))} AS {NAME}")
            for table in COPIED:
                writer.copy(f"{NAME}.{table}", self._store.whole(table, read))
        return path

    def table(self, name: str) -> str:
        """Return the name of a table."""
        return f"{NAME}.{name}"

    def ask(self, query: str) -> str:
        """Return the query itself, over the copy: that is DuckDB's own."""
        return "(" + _TABLE.sub(rf"\1 {NAME}.\2", query) + ")"

    def hex(self, column: str) -> str:
        """Return the expression in DuckDB's words."""
        return f"lower(hex({column}))"

    def look(self, engine: Engine, query: str) -> pl.DataFrame:
        """Ask the database of which this is a copy: bodies and headers are not copied."""
        return self._store.frame(query)

    def close(self) -> None:
        """Remove the copy, and end the connection."""
        self._removed()
        self._store.close()


def sqlite_source(path: Path, finding: Finding) -> Source:
    """Return the source for a file: attached where a scanner is found or may be fetched, else copied."""
    if not path.is_file():  # DuckDB would notice only later
        raise AnalysisError(f"there is no store at {path}; `ccproxy serve` makes one, `analysis.demo()` has one to try")
    if finding.scanner("sqlite_scanner") or finding.download:
        return SqliteSource(path, finding)
    return CopiedSource("sqlite", str(path), arrow.sqlite(path))


def postgres_source(dsn: str, finding: Finding) -> Source:
    """Return the source for a database: attached where a scanner is found or may be fetched, else copied."""
    if finding.scanner("postgres_scanner") or finding.download:
        return PostgresSource(dsn, finding)
    address = Address(dsn)
    return CopiedSource("postgres", address.place, arrow.postgres(address, connection_parameters(address)))


def connection_parameters(address: Address) -> dict[str, str]:
    """Return what to connect with, password included: a connection that reads, and may take its time."""
    said = {name: str(value) for name, value in address.parameters(write=False).items()}
    said["options"] = f"{said['options']} -c statement_timeout={_ASKING_S}s"
    return said


def _load(engine: Engine, name: str, finding: Finding) -> None:
    found = finding.scanner(name)
    if found:
        engine.load(found.path)
    else:
        engine.install(name.removesuffix("_scanner"))


Look = Callable[[str], pl.DataFrame]


def _check_sqlite(place: str, look: Look) -> None:
    """Raise AnalysisError where a file is no store of this version."""
    try:
        found = look("SELECT application_id, user_version FROM pragma_application_id, pragma_user_version")
        tables = look("SELECT count(*) AS number FROM sqlite_master")
    except AnalysisError as error:
        raise AnalysisError(f"{place} is not a store of ccproxy, or cannot be read: {error}") from None
    owner, version = (int(value) for value in found.row(0))
    if owner != APPLICATION_ID:
        empty = int(tables.item()) == 0
        raise AnalysisError(f"{place} {'holds no captures yet' if empty else 'is a database of some other program'}")
    _check_version(place, version, SCHEMA_VERSIONS["sqlite"])


def _check_postgres(place: str, look: Look) -> None:
    """Raise AnalysisError where a schema has no store of this version."""
    mark = look("SELECT obj_description(to_regclass('schema_version')) AS mark")
    if mark.is_empty() or mark.item() != "ccproxy":
        raise AnalysisError(f"there is no store at {place} yet: `ccproxy serve` makes one")
    version = look("SELECT max(version) AS version FROM schema_version").item()
    _check_version(place, int(version or 0), SCHEMA_VERSIONS["postgres"])


_CHECKS: dict[str, Callable[[str, Look], None]] = {"sqlite": _check_sqlite, "postgres": _check_postgres}


def _check_version(place: str, version: int, newest: int) -> None:
    if version > newest:
        raise AnalysisError(
            f"{place} was written by a newer ccproxy (schema {version}, this one knows {newest}); upgrade ccproxy"
        )
    if version < newest:
        raise AnalysisError(f"{place} was written by an older ccproxy; `ccproxy db migrate` brings it up to date")


def _escaped(value: str) -> str:
    """Return a value as libpq reads it."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
