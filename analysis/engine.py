"""The one door to DuckDB: a database in memory with a store attached to it, that only reads.

Knows how the database is locked down, and how a query becomes a polars frame. Refuses to know what is in the store, and to load
anything that is not signed. One SQLite library per process and file: whoever uses this never opens the store by another one.
"""

from __future__ import annotations

import contextlib
import glob
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
from duckdb.func import SPECIAL

from analysis import queries
from analysis.errors import AnalysisError, QueryError
from analysis.limits import Limit

VERSION = duckdb.__version__
_BATCH = 100_000
# What a query may take rows from beside the views. All other functions go around them: to files, to a log, to settings.
_ROW_FUNCTIONS = frozenset(
    {
        "duckdb_columns",
        "duckdb_functions",
        "duckdb_views",
        "generate_series",
        "json_each",
        "json_tree",
        "range",
        "unnest",
    }
)
_CASTS = {"HUGEINT": "{0}::BIGINT AS {0}", "INTERVAL": "epoch_us({0}) AS {0}"}
_UNKNOWN_TO_FRAMES = re.compile(r"\b(INTERVAL|UNION|VARIANT|BIGNUM)\b")
Failure = duckdb.Error


class Engine:
    """A DuckDB of its own. Made open; `lock` closes it to everything but reading what is in it.

    `scrubbed` is applied to every sentence of DuckDB's before anybody sees it: it takes passwords out.
    """

    def __init__(self, scrubbed: Callable[[str], str] = str) -> None:
        self._scrubbed = scrubbed
        self._db = duckdb.connect(
            config={
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "allow_unsigned_extensions": "false",
                "preserve_insertion_order": "false",
            }
        )
        self._db.execute("SET GLOBAL TimeZone = 'UTC'")
        self._open = threading.Lock()

    def load(self, extension: Path) -> None:
        """Load a scanner from its file. Raises AnalysisError where DuckDB refuses it."""
        self.run(f"LOAD {quoted(str(extension))}")

    def install(self, name: str) -> None:
        """Fetch a scanner from DuckDB's own server, and load it. Only where a setting allows it."""
        self.run(f"INSTALL {name}")
        self.run(f"LOAD {name}")

    def run(self, statement: str) -> None:
        """Run a statement of ours."""
        with self.said():
            self._db.execute(statement)

    def function(self, name: str, function: Callable[..., Any], takes: list[str], gives: str) -> None:
        """Make a Python function known to SQL; null goes in and comes out like any other value."""
        with self.said():
            self._db.create_function(
                name, function, [duckdb.sqltype(kind) for kind in takes], duckdb.sqltype(gives), null_handling=SPECIAL
            )

    def copy(self, table: str, stream: Any) -> None:
        """Make a table of an Arrow stream, without the rows in which `sample` is set."""
        with self.said():
            self._db.register("arriving", stream)
            self._db.execute(f"CREATE TABLE {table} AS SELECT * EXCLUDE (sample) FROM arriving WHERE sample = 0")
            self._db.unregister("arriving")

    def lock(self, folder: Path | None = None) -> None:
        """From now on nothing but what is attached, and files below `folder`, can be read, and nothing can be set."""
        if folder is not None:
            names = {f"{folder}/", f"{glob.escape(str(folder))}/"}  # as it is, and as it stands in a pattern
            self.run(f"SET allowed_directories = [{', '.join(map(quoted, names))}]")
        self.run("SET enable_external_access = false")
        self.run("SET lock_configuration = true")

    def frame(self, query: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None) -> pl.DataFrame:
        """Run a query and return what it gives."""
        with self.said(), contextlib.closing(self._cursor()) as cursor:
            return _frame(cursor.sql(query, params=parameters))

    def asked(
        self,
        query: str,
        parameters: Sequence[Any] | Mapping[str, Any] | None = None,
        *,
        limit: Limit | None = None,
        most: int | None = None,
    ) -> pl.DataFrame:
        """Run somebody's query, which `columns` has looked through: within a limit, and for so many rows at most."""
        with self.said(QueryError), contextlib.closing(self._cursor()) as cursor, _within(limit, cursor):
            try:
                found = cursor.sql(query, params=parameters)
            except (duckdb.BinderException, duckdb.CatalogException):
                cursor.execute(query, parameters)  # gets no further, but says where in the query it is wrong
                raise
            return _frame(found if most is None else found.limit(most))

    def columns(self, query: str) -> set[str]:
        """Return the names of columns that somebody's query speaks of, `queries.ALL` among them where it asks for whole rows.

        Raises QueryError where it is anything but one statement that reads the views.
        """
        with self.said(QueryError):
            statements = self._db.extract_statements(_text(query))
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise QueryError("a query is one SELECT statement; it can change nothing, and read nothing but the views")
        [(tree,)] = self.frame("SELECT json_serialize_sql($query::VARCHAR)", {"query": query}).rows()
        if not tree.startswith('{"error":false'):
            raise QueryError("a query is a SELECT statement; this one cannot be looked through")
        for name in sorted(queries.row_functions(tree) - _ROW_FUNCTIONS):
            raise QueryError(f"a query reads the views, and nothing by {name}")
        return queries.columns(tree)

    def scan(self, query: str, schema: Mapping[str, pl.DataType], most: int | None) -> Iterator[pl.DataFrame]:
        """Yield what a query gives, in pieces, with exactly these columns and types; at most so many rows."""
        limited = query if most is None else f"{query} LIMIT {int(most)}"
        with self.said(), contextlib.closing(self._cursor()) as cursor:
            found = pl.DataFrame(cursor.sql(limited))
        for piece in found.iter_slices(_BATCH) if found.height > _BATCH else [found]:
            yield piece.cast(dict(schema)).select(list(schema))  # type: ignore[arg-type]

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        with self._open:
            return self._db.cursor()

    @contextlib.contextmanager
    def said(self, kind: type[AnalysisError] = AnalysisError) -> Iterator[None]:
        """Say in a sentence, and without passwords, what DuckDB says."""
        try:
            yield
        except (duckdb.Error, RuntimeError) as error:  # the latter is how a scanner says that a file is gone
            raise kind(_sentence(self._scrubbed(str(error)))) from None

    def close(self) -> None:
        """Let go of everything."""
        self._db.close()


@contextlib.contextmanager
def _within(limit: Limit | None, cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
    if limit is None:
        yield
        return
    if limit.reason:
        raise QueryError(f"the query was not begun: {limit.reason}")
    try:
        with limit.over(cursor.interrupt):
            yield
    except duckdb.InterruptException:
        raise QueryError(f"the query was stopped: {limit.reason}") from None


def _frame(found: duckdb.DuckDBPyRelation) -> pl.DataFrame:
    """Return what a query gives: sums of whole numbers are whole numbers of 64 bits, and spans of time are durations."""
    kinds = dict(zip(found.columns, map(str, found.types), strict=True))
    if len(kinds) < len(found.columns):
        raise QueryError(f"two columns have one name; the names are {', '.join(found.columns)}")
    for name, kind in kinds.items():
        if kind not in _CASTS and _UNKNOWN_TO_FRAMES.search(kind):
            raise QueryError(f"a frame has no type for {name}, a {kind}; cast it")
    changed = [_CASTS[kind].format(_named(name)) for name, kind in kinds.items() if kind in _CASTS]
    if changed:
        found = found.project(f"* REPLACE ({', '.join(changed)})")
    return pl.DataFrame(found).cast({name: pl.Duration("us") for name, kind in kinds.items() if kind == "INTERVAL"})


def _text(query: str) -> str:
    """Return a query. Raises QueryError where it is no text that DuckDB could read."""
    try:
        query.encode()
    except UnicodeEncodeError:
        raise QueryError("there is half a character in the query, which no text in UTF-8 can have") from None
    return query


def _named(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _sentence(text: str) -> str:
    """Return what DuckDB says, the place in the query included, without its hints about extensions."""
    return text.replace("\n\n", "\n").strip()


def quoted(text: str) -> str:
    """Return a text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"
