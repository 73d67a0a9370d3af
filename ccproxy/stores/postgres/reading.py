"""What anybody reads of a PostgreSQL store: rows, bodies, headers, conversations.

Owns those queries. Refuses to write.
"""

from __future__ import annotations

from ccproxy.errors import StoreError
from ccproxy.records import Body
from ccproxy.stores import compression, rebuild
from ccproxy.stores.contract import Record
from ccproxy.stores.postgres.filtering import Filtering

_TABLES = (
    "settings", "journal_positions", "writers", "exchanges", "blobs", "nodes", "blocks", "block_search", "preambles",
    "preamble_parts", "bodies", "headers", "timelines", "deleted", "unswept", "tallies",
)  # fmt: skip


class Reading(Filtering):
    """The reading half of the contract."""

    def exchanges(self, *, limit: int, before: str | None = None, changed_since: str | None = None) -> list[Record]:
        """Return exchange rows, newest first."""
        terms = ["true", *(["id < %(before)s"] if before else []), *(["id >= %(since)s"] if changed_since else [])]
        return self.rows(
            f"SELECT * FROM exchanges WHERE {' AND '.join(terms)} ORDER BY id DESC LIMIT %(limit)s",
            {"before": before, "since": changed_since, "limit": limit},
        )

    def exchange(self, id_prefix: str) -> Record:
        """Return the one exchange that this beginning or end of an id names."""
        rows = self.ended(id_prefix)
        if rows is None:
            raise StoreError(f'"{id_prefix}" is not an exchange id; `ccproxy tail` shows them')
        if not rows:
            raise StoreError(f'no exchange has the id "{id_prefix}"; `ccproxy tail` shows the newest ones')
        if len(rows) > 1:
            raise StoreError(f'more than one exchange has an id like "{id_prefix}"; give more of it')
        return rows[0]

    def body(self, exchange: str, side: str) -> bytes | None:
        """Return the exact bytes of one side's body."""
        with self.snapshot():
            row = self.row(
                "SELECT side, encoding, data, size FROM bodies WHERE exchange = %s AND side = %s", (exchange, side)
            )
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
        row = self.row("SELECT billing_line, preamble, tip FROM exchanges WHERE id = %s", (exchange,))
        if row is None:
            raise StoreError(f"the request of exchange {exchange} is damaged: the exchange itself is missing")
        parts = self.rows(
            "SELECT encoding, data FROM preamble_parts JOIN blobs ON digest = part WHERE preamble = %s ORDER BY position",
            (row["preamble"],),
        )
        return rebuild.reference(row["billing_line"], _texts(parts), self.conversation(row["tip"]))

    def _reply(self, exchange: str) -> bytes:
        rows = self.rows(
            "SELECT encoding, data FROM exchanges JOIN nodes ON nodes.digest = reply JOIN blobs ON blobs.digest = message"
            " WHERE exchanges.id = %s",
            (exchange,),
        )
        return b"".join(_texts(rows))

    def conversation(self, node: bytes | None) -> list[bytes]:
        """Return the JSON of each message from the root down to `node`."""
        rows = self.rows(
            "WITH RECURSIVE line (digest, parent, message, depth) AS ("
            "  SELECT digest, parent, message, depth FROM nodes WHERE digest = %s"
            "  UNION ALL SELECT n.digest, n.parent, n.message, n.depth FROM nodes n JOIN line ON n.digest = line.parent"
            ") SELECT encoding, data FROM line JOIN blobs ON blobs.digest = line.message ORDER BY depth",
            (node,),
        )
        return _texts(rows)

    def headers(self, exchange: str, side: str) -> list[tuple[str, str]] | None:
        """Return one side's headers, secrets masked."""
        row = self.row(
            'SELECT "values", encoding, data FROM headers JOIN blobs ON digest = template WHERE exchange = %s AND side = %s',
            (exchange, side),
        )
        return rebuild.fill(_texts([row])[0], rebuild.load(row["values"])) if row else None

    def stats(self) -> Record:
        """Return counts, size, schema version and place."""
        with self.snapshot():
            states = self.rows("SELECT state, count(*) AS number FROM exchanges GROUP BY state")
            counted = ", ".join(
                f"(SELECT count(*) FROM {table}) AS {table}" for table in ("blobs", "nodes", "blocks", "preambles")
            )
            [counts] = self.rows(f"SELECT {counted}")
            size = self.row(
                "SELECT sum(pg_total_relation_size(name::regclass))::bigint AS bytes FROM unnest(%s::text[]) name",
                (list(_TABLES),),
            )
            version = self.row("SELECT max(version) AS schema FROM schema_version")
        return {
            "place": self.place,
            **(version or {}),
            "exchanges": {row["state"]: row["number"] for row in states},
            **counts,
            **(size or {}),
        }


def _texts(rows: list[Record]) -> list[bytes]:
    return [compression.decompress(row["encoding"], row["data"]) for row in rows]
