"""The store on one file: SQLite in WAL mode, one writer, any number of readers.

Owns its SQL and its migrations. Refuses to open a file that is not a ccproxy store, or one that a newer version has written.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from importlib import resources
from pathlib import Path

from ccproxy.errors import StoreBusyError, StoreError
from ccproxy.records import Block, Body, Entry, Node, Part, Position, Preamble, State
from ccproxy.stores import compression, rebuild
from ccproxy.stores.contract import Found, Record, Store

APPLICATION_ID = (
    0x63637078  # "ccpx": tells our files from others (https://www.sqlite.org/pragma.html#pragma_application_id)
)
BUSY_S = 2.0
KNOWN_DIGESTS = 200_000  # what the writer remembers to be stored, at about 100 bytes each
CACHE_KB = 4096
ORIGINAL_COLUMNS = ("id", "timestamp", "method", "endpoint", "headers", "body", "response")
_PASSING = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
_PRIMARY_CODE = 0xFF  # the part of an error code that names its class


class SqliteStore(Store):
    """A store in the file at `path`. `write` makes it where it is missing and brings it up to date; else it is only read."""

    def __init__(self, path: Path, *, write: bool = False) -> None:
        self.path = path
        self._known: dict[bytes, None] = {}
        if write:
            _make_file(path)
        elif not path.exists():
            raise StoreError(f"there is no store at {path} yet: start `ccproxy serve` and send a request through it")
        with _errors(path):
            self._db = sqlite3.connect(
                path if write else f"{path.absolute().as_uri()}?mode=ro",
                uri=not write,
                isolation_level=None,
                timeout=BUSY_S,
                check_same_thread=False,
            )
            try:
                self._open(write)
            except BaseException:
                self._db.close()
                raise

    def __repr__(self) -> str:
        return f"<SqliteStore {self.path}>"

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    # Opening ----------------------------------------------------------------------------------------------------------

    def _open(self, write: bool) -> None:
        self._db.row_factory = sqlite3.Row
        self._db.execute(f"PRAGMA cache_size = -{CACHE_KB}")
        self._check_owner()
        if write:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._migrate()
        elif self._version() == 0:
            raise StoreError(f"{self.path} holds no captures yet")
        columns = [row["name"] for row in self._db.execute("PRAGMA table_info(exchanges)")]
        self._upsert = _upsert("exchanges", columns)
        self._columns = columns

    def _check_owner(self) -> None:
        owner = self._db.execute("PRAGMA application_id").fetchone()[0]
        tables = {row[0] for row in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if owner != APPLICATION_ID and tables and not self._is_original():
            raise StoreError(f"{self.path} is a database of some other program; choose another storage.db_path")
        newest = max(number for number, _ in _migrations())
        if self._version() > newest:
            raise StoreError(
                f"{self.path} was written by a newer ccproxy (schema {self._version()}, this one knows {newest}); upgrade ccproxy"
            )

    def _is_original(self) -> bool:
        """Tell whether this is the file of the proxy that ccproxy took its idea from; its table stays, ours go beside it."""
        columns = {row["name"] for row in self._db.execute("PRAGMA table_info(requests)")}
        return set(ORIGINAL_COLUMNS) <= columns

    def _version(self) -> int:
        version: int = self._db.execute("PRAGMA user_version").fetchone()[0]
        return version

    def _migrate(self) -> None:
        for number, script in _migrations():
            if number <= self._version():
                continue
            with self._transaction():
                if number <= self._version():  # another process was faster
                    continue
                for statement in _statements(script):
                    self._db.execute(statement)
                self._db.execute(
                    "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, applied_at TEXT NOT NULL) STRICT"
                )
                self._db.execute("INSERT INTO schema_version VALUES (?, datetime('now'))", (number,))
                self._db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                self._db.execute(f"PRAGMA user_version = {number}")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    # Writing ----------------------------------------------------------------------------------------------------------

    def write(self, entries: Sequence[Entry], positions: Iterable[Position]) -> None:
        """Put entries and positions into the store in one transaction."""
        fresh: dict[bytes, None] = {}
        with _errors(self.path), self._transaction():
            for entry in entries:
                self._write_entry(entry, fresh)
            self._db.executemany(
                "INSERT OR REPLACE INTO journal_positions VALUES (?, ?, ?)",
                [(position.writer, position.segment, position.offset) for position in positions],
            )
        self._known |= fresh  # only now is it sure that they are stored
        while len(self._known) > KNOWN_DIGESTS:
            del self._known[next(iter(self._known))]

    def _write_entry(self, entry: Entry, fresh: dict[bytes, None]) -> None:
        for part in entry.parts:
            if part.digest not in self._known and part.digest not in fresh:
                self._write_part(part)
                fresh[part.digest] = None
        for node in entry.nodes:
            if node.digest not in self._known and node.digest not in fresh:
                self._write_node(node)
                fresh[node.digest] = None
        preamble = entry.preamble
        if preamble and preamble.digest not in self._known and preamble.digest not in fresh:
            self._write_preamble(preamble)
            fresh[preamble.digest] = None
        self._db.execute(self._upsert, [entry.columns.get(name) for name in self._columns])
        self._db.executemany(
            "INSERT OR IGNORE INTO bodies (exchange, side, encoding, data, size) VALUES (?, ?, ?, ?, ?)",
            [(entry.id, body.side, body.encoding, body.data, body.size) for body in entry.bodies],
        )
        self._db.executemany(
            "INSERT OR IGNORE INTO headers VALUES (?, ?, ?, ?)",
            [(entry.id, item.side, item.template, rebuild.dump(item.values)) for item in entry.headers],
        )
        if entry.timeline:
            line = entry.timeline
            self._db.execute(
                "INSERT OR IGNORE INTO timelines VALUES (?, ?, ?, ?)",
                (entry.id, rebuild.dump(line.arrivals), rebuild.dump(line.kinds), rebuild.dump(line.sizes)),
            )

    def _write_part(self, part: Part) -> None:
        encoding, data = compression.compress(part.text)
        self._db.execute(
            "INSERT OR IGNORE INTO blobs (digest, encoding, data, size) VALUES (?, ?, ?, ?)",
            (part.digest, encoding, data, len(part.text)),
        )

    def _write_node(self, node: Node) -> None:
        inserted = self._db.execute(
            "INSERT OR IGNORE INTO nodes VALUES (?, ?, ?, ?, ?)",
            (node.digest, node.parent, node.role, node.depth, node.message),
        )
        if inserted.rowcount == 1:
            for block in node.blocks:
                self._write_block(node.digest, block)

    def _write_block(self, node: bytes, block: Block) -> None:
        inserted = self._db.execute(
            "INSERT INTO blocks (node, position, type, tool_name, tool_use_id, is_error, characters, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                node,
                block.position,
                block.type,
                block.tool_name,
                block.tool_use_id,
                None if block.is_error is None else int(block.is_error),
                block.characters,
                block.text,
            ),
        )
        if block.text:
            self._db.execute(
                "INSERT INTO block_search (rowid, text, tool_name) VALUES (?, ?, ?)",
                (inserted.lastrowid, block.text, block.tool_name),
            )

    def _write_preamble(self, preamble: Preamble) -> None:
        tools = sum(part.kind == "tool" for part in preamble.parts)
        self._db.execute(
            "INSERT OR IGNORE INTO preambles VALUES (?, ?, ?)", (preamble.digest, len(preamble.parts) - tools, tools)
        )
        self._db.executemany(
            "INSERT OR IGNORE INTO preamble_parts VALUES (?, ?, ?, ?, ?)",
            [(preamble.digest, part.position, part.kind, part.name, part.part) for part in preamble.parts],
        )

    def positions(self) -> dict[str, Position]:
        """Return up to where each writer's journal is in the store."""
        with _errors(self.path):
            rows = self._db.execute('SELECT writer, segment, "offset" FROM journal_positions')
            return {row["writer"]: Position(row["writer"], row["segment"], row["offset"]) for row in rows}

    def forget_writer(self, writer: str) -> None:
        """Drop the position of a writer whose journal is gone."""
        with _errors(self.path):
            self._db.execute("DELETE FROM journal_positions WHERE writer = ?", (writer,))

    def interrupt(self, living: Iterable[str]) -> int:
        """Close the open exchanges of writers that are gone."""
        keep = list(living)
        marks = ", ".join("?" * len(keep))
        with _errors(self.path):
            changed = self._db.execute(
                f"UPDATE exchanges SET state = ?, error = ? WHERE state = ? AND writer NOT IN ({marks})",
                (State.INTERRUPTED, "the proxy died, and its journal is gone", State.OPEN, *keep),
            )
            return changed.rowcount

    def part(self, digest: bytes) -> bytes | None:
        """Return the text of a part as first seen."""
        with _errors(self.path):
            row = self._db.execute("SELECT encoding, data FROM blobs WHERE digest = ?", (digest,)).fetchone()
        return compression.decompress(row["encoding"], row["data"]) if row else None

    def original_rows(self, limit: int) -> list[Record]:
        """Return rows of the original's `requests` table that `original_taken` has not been told of yet."""
        with _errors(self.path):
            if not self._is_original():
                return []
            rows = self._db.execute(
                f"SELECT rowid AS number, {', '.join(ORIGINAL_COLUMNS)} FROM requests WHERE rowid > "
                "coalesce((SELECT CAST(value AS INTEGER) FROM settings WHERE key = 'original_rows'), 0) ORDER BY rowid LIMIT ?",
                (limit,),
            )
            return [dict(row) for row in rows]

    def original_taken(self, number: int) -> None:
        """Remember that the original's rows up to this one are exchanges of ours now."""
        with _errors(self.path):
            self._db.execute("INSERT OR REPLACE INTO settings VALUES ('original_rows', ?)", (str(number),))

    # Reading ----------------------------------------------------------------------------------------------------------

    def exchanges(self, *, limit: int, before: str | None = None, changed_since: str | None = None) -> list[Record]:
        """Return exchange rows, newest first."""
        with _errors(self.path):
            rows = self._db.execute(
                "SELECT * FROM exchanges WHERE (:before IS NULL OR id < :before) AND (:since IS NULL OR id >= :since) "
                "ORDER BY id DESC LIMIT :limit",
                {"before": before, "since": changed_since, "limit": limit},
            )
            return [dict(row) for row in rows]

    def exchange(self, id_prefix: str) -> Record:
        """Return the one exchange that this beginning or end of an id names."""
        wanted = id_prefix.strip().lower()
        if not wanted or not set(wanted) <= set("0123456789abcdef-"):
            raise StoreError(f'"{id_prefix}" is not an exchange id; `ccproxy tail` shows them')
        with _errors(self.path):
            rows = self._db.execute(
                "SELECT * FROM exchanges WHERE id LIKE ? || '%' OR id LIKE '%' || ? ORDER BY id DESC LIMIT 2",
                (wanted, wanted),
            ).fetchall()
        if not rows:
            raise StoreError(f'no exchange has the id "{id_prefix}"; `ccproxy tail` shows the newest ones')
        if len(rows) > 1:
            raise StoreError(f'more than one exchange has an id like "{id_prefix}"; give more of it')
        return dict(rows[0])

    def body(self, exchange: str, side: str) -> bytes | None:
        """Return the exact bytes of one side's body."""
        with _errors(self.path):
            row = self._db.execute(
                "SELECT side, encoding, data, size FROM bodies WHERE exchange = ? AND side = ?", (exchange, side)
            ).fetchone()
            if row is None:
                return None
            body = self._unpack(exchange, Body(**row))
        if len(body) != row["size"]:
            raise StoreError(f"the {side} of exchange {exchange} is damaged: it has {len(body)} bytes of {row['size']}")
        return body

    def _unpack(self, exchange: str, body: Body) -> bytes:
        if body.encoding == "parts":
            return rebuild.unpack(body.data, self._reference(exchange))
        if body.encoding == "reply":
            return compression.apply(body.data, self._reply(exchange))
        return compression.decompress(body.encoding, body.data)

    def _reference(self, exchange: str) -> list[bytes]:
        row = self._db.execute("SELECT billing_line, preamble, tip FROM exchanges WHERE id = ?", (exchange,)).fetchone()
        parts = self._db.execute(
            "SELECT encoding, data FROM preamble_parts JOIN blobs ON digest = part WHERE preamble = ? ORDER BY position",
            (row["preamble"],),
        )
        preamble = [compression.decompress(part["encoding"], part["data"]) for part in parts]
        return rebuild.reference(row["billing_line"], preamble, self.conversation(row["tip"]))

    def _reply(self, exchange: str) -> bytes:
        row = self._db.execute(
            "SELECT encoding, data FROM exchanges JOIN nodes ON nodes.digest = reply JOIN blobs ON blobs.digest = message"
            " WHERE exchanges.id = ?",
            (exchange,),
        ).fetchone()
        return compression.decompress(row["encoding"], row["data"]) if row else b""

    def conversation(self, node: bytes | None) -> list[bytes]:
        """Return the JSON of each message from the root down to `node`."""
        with _errors(self.path):
            rows = self._db.execute(
                "WITH RECURSIVE line (digest, parent, message, depth) AS ("
                "  SELECT digest, parent, message, depth FROM nodes WHERE digest = ?"
                "  UNION ALL SELECT n.digest, n.parent, n.message, n.depth FROM nodes n JOIN line ON n.digest = line.parent"
                ") SELECT encoding, data FROM line JOIN blobs ON blobs.digest = line.message ORDER BY depth",
                (node,),
            ).fetchall()
        return [compression.decompress(row["encoding"], row["data"]) for row in rows]

    def headers(self, exchange: str, side: str) -> list[tuple[str, str]] | None:
        """Return one side's headers, secrets masked."""
        with _errors(self.path):
            row = self._db.execute(
                'SELECT template, "values" FROM headers WHERE exchange = ? AND side = ?', (exchange, side)
            ).fetchone()
        template = self.part(row["template"]) if row else None
        return rebuild.fill(template, rebuild.load(row["values"])) if template else None

    def search(self, words: str, *, limit: int) -> list[Found]:
        """Return content blocks in which all of `words` stand, best first."""
        quoted = " ".join('"' + word.replace('"', '""') + '"' for word in words.split())
        if not quoted:
            raise StoreError("there is nothing to search for; give a word or more")
        with _errors(self.path):
            rows = self._db.execute(
                "SELECT n.role, b.type, b.tool_name, n.digest AS node,"
                " snippet(block_search, 0, '[', ']', ' … ', 24) AS snippet"
                " FROM block_search JOIN blocks b ON b.id = block_search.rowid JOIN nodes n ON n.digest = b.node"
                " WHERE block_search MATCH ? ORDER BY rank LIMIT ?",
                (quoted, limit),
            ).fetchall()
            return [self._found(row) for row in rows]

    def _found(self, row: sqlite3.Row) -> Found:
        """Say where a block first stood: in the answer that made it, or in the first request that carried it."""
        exchange = self._db.execute(
            "WITH RECURSIVE below (digest, steps) AS ("
            "  SELECT ?, 0 UNION ALL SELECT n.digest, steps + 1 FROM nodes n JOIN below ON n.parent = below.digest WHERE steps < 6"
            ") SELECT id, session_id, started_at FROM below JOIN exchanges ON reply = digest OR tip = digest"
            " ORDER BY steps, started_at LIMIT 1",
            (row["node"],),
        ).fetchone()
        return Found(
            exchange=exchange["id"] if exchange else None,
            session_id=exchange["session_id"] if exchange else None,
            started_at=exchange["started_at"] if exchange else None,
            role=row["role"],
            type=row["type"],
            tool_name=row["tool_name"],
            snippet=row["snippet"],
        )

    def stats(self) -> Record:
        """Return counts, size, schema version and place."""
        with _errors(self.path):
            states = dict(self._db.execute("SELECT state, count(*) FROM exchanges GROUP BY state").fetchall())
            counts = {
                table: self._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                for table in ("blobs", "nodes", "blocks", "preambles")
            }
        size = sum(
            file.stat().st_size for file in (self.path, Path(f"{self.path}-wal")) if file.exists()
        )  # the -shm file is an index of the other two
        return {
            "place": str(self.path),
            "schema": self._version(),
            "exchanges": states,
            **counts,
            "bytes": size,
        }


def _make_file(path: Path) -> None:
    """Create an empty file that only its owner can read, before SQLite creates one that anybody can."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreError(
            f"cannot write the store at {path}: {error.strerror}; choose another storage.db_path"
        ) from error


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


def _upsert(table: str, columns: Sequence[str]) -> str:
    names = ", ".join(columns)
    marks = ", ".join("?" * len(columns))
    updates = ", ".join(f"{name} = excluded.{name}" for name in columns if name != "id")
    return (
        f"INSERT INTO {table} ({names}) VALUES ({marks}) "
        f"ON CONFLICT (id) DO UPDATE SET {updates} WHERE {table}.state = '{State.OPEN}'"
    )


@contextlib.contextmanager
def _errors(path: Path) -> Iterator[None]:
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
