"""What ingest writes into a PostgreSQL store: entries and positions, in one transaction, beside others who do the same.

Knows how an entry is laid out over the tables. Refuses to know what the entries say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from ccproxy.errors import StoreError
from ccproxy.records import Body, Entry, Position, State
from ccproxy.stores import rebuild, repacking
from ccproxy.stores.contract import Leftover
from ccproxy.stores.postgres import locks, tables, weights
from ccproxy.stores.postgres.batch import Batch
from ccproxy.stores.postgres.planting import Known, Planting, stored_texts
from ccproxy.stores.postgres.server import Database, PostgresServer, clean

# Keys of the settings table: how far the work behind a deletion is, and how often somebody has swept.
LEFTOVER, GENERATION = "leftover", "generation"
NODE, PREAMBLE, BLOB = "node", "preamble", "blob"  # kinds of what is to be swept

_LINE = """
WITH RECURSIVE line (digest, parent, message, depth) AS (
  SELECT digest, parent, message, depth FROM nodes WHERE digest = %s
  UNION ALL SELECT n.digest, n.parent, n.message, n.depth FROM nodes n JOIN line ON n.digest = line.parent
) SELECT message FROM line ORDER BY depth
"""
_MOVE = """
INSERT INTO journal_positions (writer, segment, "offset") SELECT * FROM unnest(%s::text[], %s::bigint[], %s::bigint[])
ON CONFLICT (writer) DO UPDATE SET segment = excluded.segment, "offset" = excluded."offset"
"""
_TALLY = """
INSERT INTO tallies AS t (journal, exchanges, bytes) VALUES (%s, %s, %s)
ON CONFLICT (journal) DO UPDATE SET exchanges = t.exchanges + excluded.exchanges, bytes = t.bytes + excluded.bytes
"""
_NOTE = "INSERT INTO settings (key, value) VALUES (%s, %s) ON CONFLICT (key) DO UPDATE SET value = excluded.value"


class Writing(PostgresServer):
    """The writing half of the contract."""

    def __init__(self, dsn: str, *, write: bool = False, journal: str = "") -> None:
        self._known = Known()
        super().__init__(dsn, write=write, journal=journal)

    def write(self, entries: Sequence[Entry], positions: Iterable[Position]) -> None:
        """Put entries and positions into the store in one transaction."""
        batch, moved = Batch(entries), list(positions)
        with self.transaction() as db:
            self._enter(db)
            planting = Planting(db, batch, self._known)
            planting.plant()
            gone = self._deleted(db, batch)
            new, weight = self._put_exchanges(db, batch, planting, gone)
            self._move(db, moved, {str(entry.columns.get("writer")) for entry in entries})
            if gone:
                self._let_go(db, [batch.entries[exchange] for exchange in sorted(gone)])
            self._tally(db, new, planting.weight + weight)
        self._known.learn(planting.fresh)  # only now is it sure that they are stored

    def _enter(self, db: Database) -> None:
        """Wait while somebody deletes, and see whether somebody has swept."""
        with db.pipeline():
            locks.share(db, locks.CHANGE, self.schema)
            row = db.execute("SELECT value FROM settings WHERE key = %s", (GENERATION,))
        found = row.fetchone()
        self._known.since(found["value"] if found else None)

    def _deleted(self, db: Database, batch: Batch) -> set[str]:
        rows = db.execute("SELECT exchange FROM deleted WHERE exchange = ANY(%s)", [list(batch.entries)])
        return {row["exchange"] for row in rows}

    def _put_exchanges(self, db: Database, batch: Batch, planting: Planting, gone: set[str]) -> tuple[int, int]:
        """Put all but those that are gone; return how many are new, and what they take."""
        entries = {key: entry for key, entry in batch.entries.items() if key not in gone}
        if not entries:
            return 0, 0
        [row] = db.execute("SELECT count(*) AS old FROM exchanges WHERE id = ANY(%s)", [list(entries)])
        db.execute(_upsert(self.columns), (self._json(entries.values()),))
        bodies = [
            (key, side, packed.encoding, packed.data, packed.size)
            for (key, side), body in sorted(batch.bodies.items())
            if key in entries
            for packed in [self._packed(db, entries[key], body, planting)]
        ]
        new = tables.BODIES.put(db, bodies)
        lists = [(*key, item.template, rebuild.dump(item.values)) for key, item in sorted(batch.headers.items())]
        tables.HEADERS.put(db, [row for row in lists if row[0] in entries])
        lines = [
            (key, rebuild.dump(line.arrivals), rebuild.dump(line.kinds), rebuild.dump(line.sizes))
            for key, line in sorted(batch.timelines.items())
            if key in entries
        ]
        tables.TIMELINES.put(db, lines)
        fresh = len(entries) - row["old"]
        return fresh, weights.EXCHANGE * fresh + sum(body["bytes"] for body in new)

    def _json(self, entries: Iterable[Entry]) -> str:
        """Return the rows of exchanges as JSON, which the database turns into values of its columns' types."""
        rows = [{name: _plain(entry.columns.get(name)) for name in self.columns} for entry in entries]
        try:
            return msgspec.json.encode(rows).decode()
        except TypeError as error:
            raise StoreError(f"the store at {self.place} cannot hold a value: {error}") from error

    def _packed(self, db: Database, entry: Entry, body: Body, planting: Planting) -> Body:
        """Return a body as it can be unpacked with the texts that are stored, whoever brought them."""
        billing = entry.columns.get("billing_line")
        stored_billing = None if billing is None else clean(billing)
        changed = planting.respelled(entry.parts)
        if not (changed or billing != stored_billing) or body.encoding not in ("parts", "reply"):
            return body
        end = entry.columns.get("tip" if body.encoding == "parts" else "reply")
        line = [row["message"] for row in db.execute(_LINE, (end,), binary=True)]
        texts = {part.digest: part.text for part in entry.parts}
        if body.encoding == "reply":
            own, stored = self._texts(db, line[-1:], texts, changed)
            return repacking.against_reply(body, own[0], stored[0])
        preamble = [part.part for part in entry.preamble.parts] if entry.preamble else []
        own, stored = self._texts(db, [*preamble, *line], texts, changed)
        return repacking.against_parts(
            body, rebuild.reference(billing, own, []), rebuild.reference(stored_billing, stored, [])
        )

    def _texts(
        self, db: Database, digests: Sequence[bytes], texts: dict[bytes, bytes], changed: set[bytes]
    ) -> tuple[list[bytes], list[bytes]]:
        """Return the texts of parts as an entry has them, and as the store does."""
        other = stored_texts(db, [digest for digest in {*digests} if digest in changed or digest not in texts])
        return [texts.get(digest) or other[digest] for digest in digests], [
            other.get(digest) or texts[digest] for digest in digests
        ]

    def _move(self, db: Database, positions: Sequence[Position], writers: set[str]) -> None:
        names = sorted(writers | {position.writer for position in positions})
        db.execute(
            "INSERT INTO writers (writer, journal) SELECT unnest(%s::text[]), %s ON CONFLICT DO NOTHING",
            (names, self.journal),
        )
        last = sorted({position.writer: position for position in positions}.items())
        if last:
            values = [(writer, position.segment, position.offset) for writer, position in last]
            db.execute(_MOVE, [list(column) for column in zip(*values, strict=True)])

    def _let_go(self, db: Database, entries: Iterable[Entry]) -> None:
        """Note what came with exchanges that are deleted: later ones may build on it, so it was stored all the same."""
        loose = set()
        for entry in entries:
            columns = entry.columns
            loose |= {(NODE, columns.get("tip")), (NODE, columns.get("reply")), (PREAMBLE, columns.get("preamble"))}
            loose |= {(BLOB, part.digest) for part in entry.parts}
        self.note_unswept(db, loose)

    def note_unswept(self, db: Database, loose: Iterable[tuple[str, bytes | None]]) -> None:
        """Note within a transaction what may have to be swept."""
        tables.UNSWEPT.put(db, sorted((kind, digest) for kind, digest in loose if digest is not None))
        db.execute(_NOTE, (LEFTOVER, Leftover.ROWS))

    def _tally(self, db: Database, exchanges: int, weight: int) -> None:
        if exchanges or weight:
            db.execute(_TALLY, (self.journal, exchanges, weight))

    def part(self, digest: bytes) -> bytes | None:
        """Return the text of a part as first seen."""
        with self.using() as db:
            text = stored_texts(db, [digest]).get(digest)
        if text is not None:
            self._known.learn({digest: hash(text)})
        return text

    def positions(self) -> dict[str, Position]:
        """Return up to where each writer of this journal is in the store."""
        rows = self.rows(
            'SELECT writer, segment, "offset" FROM journal_positions JOIN writers USING (writer) WHERE journal = %s',
            (self.journal,),
        )
        return {row["writer"]: Position(row["writer"], row["segment"], row["offset"]) for row in rows}

    def forget_writer(self, writer: str) -> None:
        """Drop the position of a writer of this journal, and what had to be remembered because of it."""
        with self.transaction() as db:
            locks.share(db, locks.CHANGE, self.schema)
            for table in ("journal_positions", "deleted"):
                mine = "writer IN (SELECT writer FROM writers WHERE journal = %s)"
                db.execute(f"DELETE FROM {table} WHERE writer = %s AND {mine}", (writer, self.journal))
            db.execute(
                "DELETE FROM writers w WHERE writer = %s AND journal = %s"
                " AND NOT EXISTS (SELECT 1 FROM exchanges e WHERE e.state = 'open' AND e.writer = w.writer)",
                (writer, self.journal),
            )

    def interrupt(self, living: Iterable[str]) -> int:
        """Close the open exchanges of this journal's writers that are gone."""
        with self.using() as db:
            changed = db.execute(
                "UPDATE exchanges SET state = %s, error = %s WHERE state = 'open' AND writer <> ALL(%s::text[])"
                " AND writer IN (SELECT writer FROM writers WHERE journal = %s)",
                (State.INTERRUPTED, "the proxy died, and its journal is gone", list(living), self.journal),
            )
            return changed.rowcount


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    return f"\\x{value.hex()}" if isinstance(value, bytes) else value


def _upsert(columns: Sequence[str]) -> str:
    updates = ", ".join(f"{name} = excluded.{name}" for name in columns if name != "id")
    return (
        "INSERT INTO exchanges SELECT * FROM json_populate_recordset(NULL::exchanges, %s::json)"
        f" ON CONFLICT (id) DO UPDATE SET {updates} WHERE exchanges.state = 'open'"
    )
