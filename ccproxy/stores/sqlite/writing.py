"""What ingest writes into an SQLite store: entries and positions, in one transaction.

Knows how an entry is laid out over the tables. Refuses to know what the entries say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ccproxy.records import Block, Entry, Node, Part, Position, Preamble, State
from ccproxy.stores import compression, rebuild
from ccproxy.stores.contract import Leftover, Record
from ccproxy.stores.sqlite.file import ORIGINAL_COLUMNS, SqliteFile, errors

KNOWN_DIGESTS = 200_000  # what the writer remembers to be stored, at about 100 bytes each
# Keys of the settings table: how far the work behind a deletion is, and that it is to leave no trace.
LEFTOVER, WIPE = "leftover", "wipe"


class Writing(SqliteFile):
    """The writing half of the contract."""

    def __init__(self, path: Path, *, write: bool = False) -> None:
        super().__init__(path, write=write)
        self._known: dict[bytes, None] = {}
        self._upsert = _upsert("exchanges", self.columns)
        self._grown = False

    def write(self, entries: Sequence[Entry], positions: Iterable[Position]) -> None:
        """Put entries and positions into the store in one transaction."""
        fresh: dict[bytes, None] = {}
        with errors(self.path), self.transaction():
            for entry in entries:
                self._write_entry(entry, fresh)
            self.db.executemany(
                "INSERT OR REPLACE INTO journal_positions VALUES (?, ?, ?)",
                [(position.writer, position.segment, position.offset) for position in positions],
            )
        if entries and not self._grown:
            with errors(self.path):
                self._grown = self.grow()
        self._known |= fresh  # only now is it sure that they are stored
        while len(self._known) > KNOWN_DIGESTS:
            del self._known[next(iter(self._known))]

    def _write_entry(self, entry: Entry, fresh: dict[bytes, None]) -> None:
        self._write_tree(entry, fresh)
        if self.db.execute("SELECT 1 FROM deleted WHERE exchange = ?", (entry.id,)).fetchone():
            self.note_leftover(wipe=True)  # later exchanges may build on its tree, so that is written all the same
        else:
            self._write_exchange(entry)

    def _write_tree(self, entry: Entry, fresh: dict[bytes, None]) -> None:
        for part in entry.parts:
            if part.digest not in self._known and part.digest not in fresh:
                self._write_part(part)
                fresh[part.digest] = None
        for node in entry.nodes:
            if node.digest not in self._known and node.digest not in fresh:
                self._write_node(node, entry.id)
                fresh[node.digest] = None
        preamble = entry.preamble
        if preamble and preamble.digest not in self._known and preamble.digest not in fresh:
            self._write_preamble(preamble)
            fresh[preamble.digest] = None

    def _write_exchange(self, entry: Entry) -> None:
        self.db.execute(self._upsert, [entry.columns.get(name) for name in self.columns])
        self.db.executemany(
            "INSERT OR IGNORE INTO bodies (exchange, side, encoding, data, size) VALUES (?, ?, ?, ?, ?)",
            [(entry.id, body.side, body.encoding, body.data, body.size) for body in entry.bodies],
        )
        self.db.executemany(
            "INSERT OR IGNORE INTO headers VALUES (?, ?, ?, ?)",
            [(entry.id, item.side, item.template, rebuild.dump(item.values)) for item in entry.headers],
        )
        if entry.timeline:
            line = entry.timeline
            self.db.execute(
                "INSERT OR IGNORE INTO timelines VALUES (?, ?, ?, ?)",
                (entry.id, rebuild.dump(line.arrivals), rebuild.dump(line.kinds), rebuild.dump(line.sizes)),
            )

    def _write_part(self, part: Part) -> None:
        encoding, data = compression.compress(part.text)
        self.db.execute(
            "INSERT OR IGNORE INTO blobs (digest, encoding, data, size) VALUES (?, ?, ?, ?)",
            (part.digest, encoding, data, len(part.text)),
        )

    def _write_node(self, node: Node, exchange: str) -> None:
        inserted = self.db.execute(
            "INSERT OR IGNORE INTO nodes VALUES (?, ?, ?, ?, ?)",
            (node.digest, node.parent, node.role, node.depth, node.message),
        )
        if inserted.rowcount == 1:
            for block in node.blocks:
                self._write_block(node.digest, block, exchange)

    def _write_block(self, node: bytes, block: Block, exchange: str) -> None:
        inserted = self.db.execute(
            "INSERT INTO blocks (node, position, type, tool_name, tool_use_id, is_error, characters, text, exchange)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                node,
                block.position,
                block.type,
                block.tool_name,
                block.tool_use_id,
                None if block.is_error is None else int(block.is_error),
                block.characters,
                block.text,
                exchange,
            ),
        )
        if block.text:
            self.db.execute(
                "INSERT INTO block_search (rowid, text, tool_name) VALUES (?, ?, ?)",
                (inserted.lastrowid, block.text, block.tool_name),
            )

    def _write_preamble(self, preamble: Preamble) -> None:
        tools = sum(part.kind == "tool" for part in preamble.parts)
        self.db.execute(
            "INSERT OR IGNORE INTO preambles VALUES (?, ?, ?)", (preamble.digest, len(preamble.parts) - tools, tools)
        )
        self.db.executemany(
            "INSERT OR IGNORE INTO preamble_parts VALUES (?, ?, ?, ?, ?)",
            [(preamble.digest, part.position, part.kind, part.name, part.part) for part in preamble.parts],
        )

    def positions(self) -> dict[str, Position]:
        """Return up to where each writer's journal is in the store."""
        with errors(self.path):
            rows = self.db.execute('SELECT writer, segment, "offset" FROM journal_positions')
            return {row["writer"]: Position(row["writer"], row["segment"], row["offset"]) for row in rows}

    def forget_writer(self, writer: str) -> None:
        """Drop the position of a writer whose journal is gone, and what had to be remembered because of it."""
        with errors(self.path), self.transaction():
            self.db.execute("DELETE FROM journal_positions WHERE writer = ?", (writer,))
            self.db.execute("DELETE FROM deleted WHERE writer = ?", (writer,))

    def note_leftover(self, *, wipe: bool) -> None:
        """Note within a transaction that there is something to be swept; `wipe`: so that no trace of it is left."""
        notes = [(LEFTOVER, Leftover.ROWS), *([(WIPE, "1")] if wipe else [])]
        self.db.executemany("INSERT OR REPLACE INTO settings VALUES (?, ?)", notes)

    def interrupt(self, living: Iterable[str]) -> int:
        """Close the open exchanges of writers that are gone."""
        keep = list(living)
        marks = ", ".join("?" * len(keep))
        with errors(self.path):
            changed = self.db.execute(
                f"UPDATE exchanges SET state = ?, error = ? WHERE state = ? AND writer NOT IN ({marks})",
                (State.INTERRUPTED, "the proxy died, and its journal is gone", State.OPEN, *keep),
            )
            return changed.rowcount

    def original_rows(self, limit: int) -> list[Record]:
        """Return rows of the original's `requests` table that `original_taken` has not been told of yet."""
        with errors(self.path):
            if not self.is_original():
                return []
            rows = self.db.execute(
                f"SELECT rowid AS number, {', '.join(ORIGINAL_COLUMNS)} FROM requests WHERE rowid > "
                "coalesce((SELECT CAST(value AS INTEGER) FROM settings WHERE key = 'original_rows'), 0) ORDER BY rowid LIMIT ?",
                (limit,),
            )
            return [dict(row) for row in rows]

    def original_taken(self, number: int) -> None:
        """Remember that the original's rows up to this one are exchanges of ours now."""
        with errors(self.path):
            self.db.execute("INSERT OR REPLACE INTO settings VALUES ('original_rows', ?)", (str(number),))


def _upsert(table: str, columns: Sequence[str]) -> str:
    names = ", ".join(columns)
    marks = ", ".join("?" * len(columns))
    updates = ", ".join(f"{name} = excluded.{name}" for name in columns if name != "id")
    return (
        f"INSERT INTO {table} ({names}) VALUES ({marks}) "
        f"ON CONFLICT (id) DO UPDATE SET {updates} WHERE {table}.state = '{State.OPEN}'"
    )
