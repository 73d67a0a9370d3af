"""Rows on their way into a table: many in one statement, those that are there already passed over.

Rows are put in the order in which they come. Writers that put the same rows at once wait for each other and do not block each
other for ever as long as all of them keep to one order, of tables and of rows. Refuses to know what is in the rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from ccproxy.stores.contract import Record

CHUNK_BYTES = 8 << 20  # in one statement, about


@dataclass(frozen=True, slots=True)
class Table:
    """A table, its columns with their types (in the order of the rows' values), and what is told of each row that is new."""

    name: str
    columns: dict[str, str]
    told: str

    def put(self, db: psycopg.Connection[Record], rows: Sequence[Sequence[Any]]) -> list[Record]:
        """Put rows into the table; return what is told of those that were not there."""
        arrays = ", ".join(f"%s::{kind}[]" for kind in self.columns.values())
        query = (
            f"INSERT INTO {self.name} ({', '.join(self.columns)}) SELECT * FROM unnest({arrays})"
            f" ON CONFLICT DO NOTHING RETURNING {self.told}"
        )
        found: list[Record] = []
        for some in _chunks(rows):
            found += db.execute(query, [list(column) for column in zip(*some, strict=True)], binary=True)
        return found


def _chunks(rows: Sequence[Sequence[Any]]) -> Iterator[Sequence[Sequence[Any]]]:
    start = size = 0
    for number, row in enumerate(rows):
        size += sum(len(value) for value in row if isinstance(value, bytes | str))
        if size > CHUNK_BYTES:
            yield rows[start : number + 1]
            start, size = number + 1, 0
    if start < len(rows):
        yield rows[start:]


BLOBS = Table("blobs", {"digest": "bytea", "encoding": "text", "data": "bytea", "size": "bigint"}, "digest")
NODES = Table(
    "nodes", {"digest": "bytea", "parent": "bytea", "role": "text", "depth": "bigint", "message": "bytea"}, "digest"
)
BLOCKS = Table(
    "blocks",
    {
        "node": "bytea", "position": "bigint", "type": "text", "tool_name": "text", "tool_use_id": "text",
        "is_error": "bigint", "characters": "bigint", "text": "text", "exchange": "text",
    },
    "id, node, position",
)  # fmt: skip
BLOCK_SEARCH = Table("block_search", {"id": "bigint", "words": "text"}, "id")
PREAMBLES = Table("preambles", {"digest": "bytea", "system_parts": "bigint", "tools": "bigint"}, "digest")
PREAMBLE_PARTS = Table(
    "preamble_parts",
    {"preamble": "bytea", "position": "bigint", "kind": "text", "name": "text", "part": "bytea"},
    "position",
)
BODIES = Table(
    "bodies",
    {"exchange": "text", "side": "text", "encoding": "text", "data": "bytea", "size": "bigint"},
    "octet_length(data) AS bytes",
)
HEADERS = Table("headers", {"exchange": "text", "side": "text", "template": "bytea", '"values"': "text"}, "exchange")
TIMELINES = Table("timelines", {"exchange": "text", "arrivals": "text", "kinds": "text", "sizes": "text"}, "exchange")
UNSWEPT = Table("unswept", {"kind": "text", "digest": "bytea"}, "kind")
