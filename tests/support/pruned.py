"""A store after deletions: what must hold of it, how to bring that about, and exchanges to try it with.

Refuses to know what a test deletes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ccproxy.ingest.memory import Memory
from ccproxy.ingest.request import request_entry
from ccproxy.records import Captured, Entry
from ccproxy.stores.contract import Leftover, Store
from ccproxy.stores.postgres import PostgresStore
from ccproxy.stores.sqlite import SqliteStore
from tests.support.entries import captured, stream

TABLES = (
    "exchanges",
    "bodies",
    "headers",
    "timelines",
    "nodes",
    "blocks",
    "blobs",
    "preambles",
    "preamble_parts",
    "deleted",
)
UNREFERENCED = {
    "nodes": "SELECT digest FROM nodes WHERE digest NOT IN (WITH RECURSIVE line (digest) AS (SELECT tip FROM exchanges"
    " UNION SELECT reply FROM exchanges UNION SELECT parent FROM nodes JOIN line USING (digest))"
    " SELECT digest FROM line WHERE digest IS NOT NULL)",
    "blocks": "SELECT id FROM blocks WHERE node NOT IN (SELECT digest FROM nodes)",
    "preambles": "SELECT digest FROM preambles WHERE NOT EXISTS (SELECT 1 FROM exchanges WHERE preamble = digest)",
    "preamble_parts": "SELECT part FROM preamble_parts WHERE preamble NOT IN (SELECT digest FROM preambles)",
    "blobs": "SELECT digest FROM blobs WHERE digest NOT IN (SELECT message FROM nodes UNION SELECT part FROM preamble_parts"
    " UNION SELECT template FROM headers)",
    "bodies": "SELECT exchange FROM bodies WHERE exchange NOT IN (SELECT id FROM exchanges)",
    "headers": "SELECT exchange FROM headers WHERE exchange NOT IN (SELECT id FROM exchanges)",
    "timelines": "SELECT exchange FROM timelines WHERE exchange NOT IN (SELECT id FROM exchanges)",
}
# In PostgreSQL the index of words is a table: it has a row for each block with a text, and no other.
SEARCHED_IN_VAIN = (
    "SELECT coalesce(b.id, s.id) FROM (SELECT id FROM blocks WHERE text <> '') AS b FULL JOIN block_search AS s ON s.id = b.id"
    " WHERE b.id IS NULL OR s.id IS NULL"
)


def tidy(store: Store) -> None:
    """Do all that deletions left to be done."""
    while left := store.leftover():
        if left is Leftover.ROWS:
            store.sweep()
        else:
            store.shrink()


def counts(store: Store) -> dict[str, int]:
    """Return how many rows each table has."""
    return {table: _rows(store, f"SELECT count(*) FROM {table}")[0][0] for table in TABLES}


def assert_sound(store: Store) -> None:
    """Fail where the store is damaged, an index lies, or a row is left to which nothing points."""
    if isinstance(store, SqliteStore):
        assert store.db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        store.db.execute("INSERT INTO block_search (block_search, rank) VALUES ('integrity-check', 1)")
    else:
        assert _rows(store, SEARCHED_IN_VAIN) == []
        [(exchanges, weight)] = _rows(
            store, "SELECT coalesce(sum(exchanges), 0) AS n, coalesce(sum(bytes), 0) AS b FROM tallies"
        )
        [(present, blobs)] = _rows(
            store, "SELECT (SELECT count(*) FROM exchanges) AS n, (SELECT count(*) FROM blobs) AS b"
        )
        assert (exchanges, weight > 0) == (present, blobs > 0)
        assert weight >= 0
    for table, query in UNREFERENCED.items():
        assert _rows(store, query) == [], table


def _rows(store: Store, query: str) -> list[tuple[Any, ...]]:
    if isinstance(store, SqliteStore):
        return [tuple(row) for row in store.db.execute(query)]
    assert isinstance(store, PostgresStore)
    return [tuple(row.values()) for row in store.rows(query)]


def assert_whole(store: Store, exchanges: Sequence[Captured]) -> None:
    """Fail where the store does not give these exchanges back byte for byte."""
    for exchange in exchanges:
        assert store.body(exchange.id, "request") == exchange.request
        assert store.body(exchange.id, "response") == b"".join(data for _, data in exchange.chunks)
        assert store.headers(exchange.id, "request") == exchange.opening.headers
        assert exchange.heading
        assert store.headers(exchange.id, "response") == exchange.heading.headers


def one(number: int, *texts: str, answer: str | None = None, session: str = "s", **more: Any) -> Captured:
    """Return an exchange of a session whose turns say these texts."""
    messages = [{"role": "user" if n % 2 == 0 else "assistant", "content": text} for n, text in enumerate(texts)]
    content = [{"type": "text", "text": answer if answer is not None else f"answer {number}"}]
    header = [("x-claude-code-session-id", session), ("x-own", f"header {number}")]
    return captured(number, {"model": "m", "messages": messages}, stream(content), request_headers=header, **more)


def running(number: int, text: str) -> Entry:
    """Return the entry of an exchange that has not ended."""
    ask = {"model": "m", "messages": [{"role": "user", "content": text}]}
    return request_entry(captured(number, ask), Memory(lambda _digest: None))
