"""What `ccproxy db check` looks at in an SQLite store: parts, the tree, and pointers to what is not there.

Owns those queries. Refuses to judge, and to mend.
"""

from __future__ import annotations

from collections.abc import Iterator

from ccproxy.stores.contract import Packed
from ccproxy.stores.sqlite.file import SqliteFile, errors

# Every pointer of the schema, and where it points.
POINTERS = {
    "exchanges.tip": "nodes.digest",
    "exchanges.reply": "nodes.digest",
    "exchanges.preamble": "preambles.digest",
    "nodes.parent": "nodes.digest",
    "nodes.message": "blobs.digest",
    "blocks.node": "nodes.digest",
    "preamble_parts.preamble": "preambles.digest",
    "preamble_parts.part": "blobs.digest",
    "bodies.exchange": "exchanges.id",
    "headers.exchange": "exchanges.id",
    "headers.template": "blobs.digest",
    "timelines.exchange": "exchanges.id",
}


class Checking(SqliteFile):
    """The part of the contract that a check needs."""

    def parts(self) -> Iterator[Packed]:
        """Yield every part as it is stored."""
        with errors(self.path):
            for row in self.db.execute("SELECT digest, encoding, data, size FROM blobs ORDER BY id"):
                yield Packed(**row)

    def tree(self) -> Iterator[tuple[bytes, bytes | None, bytes]]:
        """Yield every node: its digest, its parent's, and its message's."""
        with errors(self.path):
            for row in self.db.execute("SELECT digest, parent, message FROM nodes"):
                yield row["digest"], row["parent"], row["message"]

    def dangling(self) -> dict[str, int]:
        """Return how many rows point at something that is not there, by `table.column`."""
        found = {}
        for pointer, target in POINTERS.items():
            table, column = pointer.split(".")
            other, key = target.split(".")
            with errors(self.path):
                (count,) = self.db.execute(
                    f"SELECT count(*) FROM {table} AS a WHERE a.{column} IS NOT NULL"
                    f" AND NOT EXISTS (SELECT 1 FROM {other} AS b WHERE b.{key} = a.{column})"
                ).fetchone()
            if count:
                found[pointer] = count
        return found
