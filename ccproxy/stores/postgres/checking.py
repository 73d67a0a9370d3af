"""What `ccproxy db check` looks at in a PostgreSQL store: parts, the tree, and pointers to what is not there.

Reads a few rows at a time, so that a long check holds up nobody. Refuses to judge, and to mend.
"""

from __future__ import annotations

from collections.abc import Iterator

from ccproxy.stores.contract import Packed, Record
from ccproxy.stores.postgres.server import PostgresServer

# Every pointer of the schema, and where it points.
POINTERS = {
    "exchanges.tip": "nodes.digest",
    "exchanges.reply": "nodes.digest",
    "exchanges.preamble": "preambles.digest",
    "nodes.parent": "nodes.digest",
    "nodes.message": "blobs.digest",
    "blocks.node": "nodes.digest",
    "block_search.id": "blocks.id",
    "preamble_parts.preamble": "preambles.digest",
    "preamble_parts.part": "blobs.digest",
    "bodies.exchange": "exchanges.id",
    "headers.exchange": "exchanges.id",
    "headers.template": "blobs.digest",
    "timelines.exchange": "exchanges.id",
}
STEP = 500  # rows


class Checking(PostgresServer):
    """The part of the contract that a check needs."""

    def parts(self) -> Iterator[Packed]:
        """Yield every part as it is stored."""
        for row in self._each("blobs", "digest, encoding, data, size"):
            yield Packed(**row)

    def tree(self) -> Iterator[tuple[bytes, bytes | None, bytes]]:
        """Yield every node: its digest, its parent's, and its message's."""
        for row in self._each("nodes", "digest, parent, message"):
            yield row["digest"], row["parent"], row["message"]

    def _each(self, table: str, columns: str) -> Iterator[Record]:
        last = b""
        query = f"SELECT {columns} FROM {table} WHERE digest > %s ORDER BY digest LIMIT %s"
        while rows := self.rows(query, (last, STEP)):
            yield from rows
            last = rows[-1]["digest"]

    def dangling(self) -> dict[str, int]:
        """Return how many rows point at something that is not there, by `table.column`."""
        found = {}
        for pointer, target in POINTERS.items():
            table, column = pointer.split(".")
            other, key = target.split(".")
            [row] = self.rows(
                f"SELECT count(*) AS number FROM {table} AS a WHERE a.{column} IS NOT NULL"
                f" AND NOT EXISTS (SELECT 1 FROM {other} AS b WHERE b.{key} = a.{column})"
            )
            if row["number"]:
                found[pointer] = row["number"]
        return found
