"""A connection to the store in a PostgreSQL database: made when it is needed, made anew where it was lost.

One at a time, for one thread at a time. Refuses to know what is in the tables.
"""

from __future__ import annotations

import contextlib
import logging
import re
import select
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row
from psycopg.types.string import StrDumperUnknown

from ccproxy.errors import StoreBusyError, StoreError
from ccproxy.stores.contract import Record
from ccproxy.stores.postgres import failures, migrating
from ccproxy.stores.postgres.address import Address

logging.getLogger("psycopg").setLevel(logging.ERROR)  # of a connection that was lost our own sentence tells
Database = psycopg.Connection[Record]
Values = Sequence[Any] | Mapping[str, Any]
REPLACEMENT = "\ufffd"
_HALVES = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    """Return a text as a text column can hold it: NUL and half characters are replaced. Bytes are kept elsewhere."""
    return _HALVES.sub(REPLACEMENT, text.replace("\0", REPLACEMENT))


class _TextDumper(StrDumperUnknown):
    """Sends texts, whatever stands in them."""

    def dump(self, obj: str) -> bytes:
        """Return a text as it goes to the server."""
        try:
            found = obj.encode()
        except UnicodeEncodeError:
            return clean(obj).encode()
        return clean(obj).encode() if b"\0" in found else found


class PostgresServer:
    """The database that `dsn` names. `write` makes its tables where they are missing and brings them up to date; else it is
    only read. `journal` names the journal, among those of many machines, for which this one writes."""

    def __init__(self, dsn: str, *, write: bool = False, journal: str = "") -> None:
        self.address = Address(dsn)
        self.place = self.address.place
        self.journal = journal
        self.columns: list[str] = []
        self._writes = write
        self._connection: Database | None = None
        self._in_snapshot = False
        with self.using():
            pass

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.place}>"

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()

    @contextlib.contextmanager
    def using(self) -> Iterator[Database]:
        """Give the connection, and say in our words what goes wrong with it."""
        try:
            yield self._ready()
        except (psycopg.Error, OverflowError) as error:
            said = failures.told(error, self.address, write=self._writes)
            raise said from (error if self.address.scrubbed(str(error)) == str(error) else None)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Database]:
        """Make what is done inside one whole: all of it at the end, or nothing where it fails."""
        with self.using() as db, db.transaction():
            yield db

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Show the store as of one moment; inside another snapshot, as of that one."""
        if self._in_snapshot:
            yield
            return
        with self.using() as db:
            db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        self._in_snapshot = True
        try:
            yield
        finally:
            self._in_snapshot = False
            with contextlib.suppress(psycopg.Error):
                db.execute("ROLLBACK")

    def rows(self, query: str, values: Values = ()) -> list[Record]:
        """Return what a query comes to."""
        with self.using() as db:
            return db.execute(query, values, binary=True).fetchall()

    def row(self, query: str, values: Values = ()) -> Record | None:
        """Return the first row of what a query comes to, if there is one."""
        with self.using() as db:
            return db.execute(query, values, binary=True).fetchone()

    def _ready(self) -> Database:
        if self._connection is not None and self._is_lost(self._connection):
            self._connection.close()
            self._connection = None
            if self._in_snapshot:
                raise StoreBusyError(f"the store at {self.place} cannot be used right now: the connection was lost")
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _is_lost(self, db: Database) -> bool:
        """Tell whether the server has let go of the connection; also of one that was idle when it did."""
        if db.closed or db.info.transaction_status != TransactionStatus.IDLE:
            return db.closed
        unread = select.poll()
        unread.register(db.fileno(), select.POLLIN)
        if unread.poll(0):  # nothing was asked: most likely a farewell
            with contextlib.suppress(psycopg.Error):
                db.execute("SELECT 1")
        return db.closed

    def _connect(self) -> Database:
        db: Database = psycopg.connect(
            **self.address.parameters(write=self._writes), autocommit=True, row_factory=dict_row
        )
        try:
            db.adapters.register_dumper(str, _TextDumper)
            self._open(db)
        except BaseException:
            db.close()
            raise
        return db

    def _open(self, db: Database) -> None:
        found = migrating.look(db, self.place)
        if self._writes:
            migrating.migrate(db, found)
        elif not found.version:
            raise StoreError(f"{self.place} holds no captures yet: start `ccproxy serve` and send a request through it")
        self.schema = found.schema
        columns = db.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'exchanges'::regclass AND attnum > 0 AND NOT attisdropped"
            " ORDER BY attnum"
        )
        self.columns = [row["attname"] for row in columns]
