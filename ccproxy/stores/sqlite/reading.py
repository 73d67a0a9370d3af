"""What anybody reads of an SQLite store: rows, bodies, headers, conversations, search.

Owns those queries. Refuses to write.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from ccproxy.errors import StoreError
from ccproxy.records import Body
from ccproxy.stores import compression, rebuild
from ccproxy.stores.contract import Found, Record
from ccproxy.stores.sqlite.file import SqliteFile, errors


class Reading(SqliteFile):
    """The reading half of the contract."""

    def part(self, digest: bytes) -> bytes | None:
        """Return the text of a part as first seen."""
        with errors(self.path):
            row = self.db.execute("SELECT encoding, data FROM blobs WHERE digest = ?", (digest,)).fetchone()
        return compression.decompress(row["encoding"], row["data"]) if row else None

    def exchanges(self, *, limit: int, before: str | None = None, changed_since: str | None = None) -> list[Record]:
        """Return exchange rows, newest first."""
        with errors(self.path):
            rows = self.db.execute(
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
        with errors(self.path):
            rows = self.db.execute(
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
        with errors(self.path):
            row = self.db.execute(
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
        if body.encoding == "request":
            return compression.apply(body.data, self.body(exchange, "request") or b"")
        return compression.decompress(body.encoding, body.data)

    def _reference(self, exchange: str) -> list[bytes]:
        row = self.db.execute("SELECT billing_line, preamble, tip FROM exchanges WHERE id = ?", (exchange,)).fetchone()
        parts = self.db.execute(
            "SELECT encoding, data FROM preamble_parts JOIN blobs ON digest = part WHERE preamble = ? ORDER BY position",
            (row["preamble"],),
        )
        preamble = [compression.decompress(part["encoding"], part["data"]) for part in parts]
        return rebuild.reference(row["billing_line"], preamble, self.conversation(row["tip"]))

    def _reply(self, exchange: str) -> bytes:
        row = self.db.execute(
            "SELECT encoding, data FROM exchanges JOIN nodes ON nodes.digest = reply JOIN blobs ON blobs.digest = message"
            " WHERE exchanges.id = ?",
            (exchange,),
        ).fetchone()
        return compression.decompress(row["encoding"], row["data"]) if row else b""

    def conversation(self, node: bytes | None) -> list[bytes]:
        """Return the JSON of each message from the root down to `node`."""
        with errors(self.path):
            rows = self.db.execute(
                "WITH RECURSIVE line (digest, parent, message, depth) AS ("
                "  SELECT digest, parent, message, depth FROM nodes WHERE digest = ?"
                "  UNION ALL SELECT n.digest, n.parent, n.message, n.depth FROM nodes n JOIN line ON n.digest = line.parent"
                ") SELECT encoding, data FROM line JOIN blobs ON blobs.digest = line.message ORDER BY depth",
                (node,),
            ).fetchall()
        return [compression.decompress(row["encoding"], row["data"]) for row in rows]

    def headers(self, exchange: str, side: str) -> list[tuple[str, str]] | None:
        """Return one side's headers, secrets masked."""
        with errors(self.path):
            row = self.db.execute(
                'SELECT template, "values" FROM headers WHERE exchange = ? AND side = ?', (exchange, side)
            ).fetchone()
        template = self.part(row["template"]) if row else None
        return rebuild.fill(template, rebuild.load(row["values"])) if template else None

    def search(self, words: str, *, limit: int) -> list[Found]:
        """Return content blocks in which all of `words` stand, best first."""
        quoted = " ".join('"' + word.replace('"', '""') + '"' for word in words.replace("\0", " ").split())
        if not quoted:
            raise StoreError("there is nothing to search for; give a word or more")
        with errors(self.path):
            rows = self.db.execute(
                "SELECT n.role, b.type, b.tool_name, n.digest AS node,"
                " snippet(block_search, 0, '[', ']', ' … ', 24) AS snippet"
                " FROM block_search JOIN blocks b ON b.id = block_search.rowid JOIN nodes n ON n.digest = b.node"
                " WHERE block_search MATCH ? ORDER BY rank LIMIT ?",
                (quoted, limit),
            ).fetchall()
            return [self._found(row) for row in rows]

    def _found(self, row: sqlite3.Row) -> Found:
        """Say where a block first stood: in the answer that made it, or in the first request that carried it."""
        exchange = self.db.execute(
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
        with errors(self.path):
            states = dict(self.db.execute("SELECT state, count(*) FROM exchanges GROUP BY state").fetchall())
            counts = {
                table: self.db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                for table in ("blobs", "nodes", "blocks", "preambles")
            }
        size = sum(
            file.stat().st_size for file in (self.path, Path(f"{self.path}-wal")) if file.exists()
        )  # the -shm file is an index of the other two
        return {
            "place": str(self.path),
            "schema": self.version(),
            "exchanges": states,
            **counts,
            "bytes": size,
        }
