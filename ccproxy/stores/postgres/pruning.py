"""How exchanges leave a PostgreSQL store, and the room that they took is made free.

`delete` takes away rows of exchanges, and any process may call it. All that they point to is shared, so it is noted, and
`sweep` looks at each thing noted whether others still point to it. What nobody does goes, and what it pointed to is noted in
its turn. Nothing is counted that could be miscounted, and the work grows with what was deleted, not with what is there. Both
keep writers waiting, for a moment at a time.

`shrink` has the server clean up (VACUUM), so that the room is used again. Only what is free at the end of a table's file goes
back to the disk, as the server can do no more without locking everybody out. For the same reason `wipe` asks in vain: what was
deleted cannot be read any more, yet its bytes may stand in the server's files, its log and its backups until they are written
over. `VACUUM FULL`, by hand, writes the tables anew. Refuses to know why exchanges are deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ccproxy.errors import StoreBusyError, StoreError
from ccproxy.stores.contract import Counted, Freed, Leftover, Selection
from ccproxy.stores.postgres import locks, weights
from ccproxy.stores.postgres.server import Database
from ccproxy.stores.postgres.writing import BLOB, GENERATION, LEFTOVER, NODE, PREAMBLE, Writing

STEP_EXCHANGES = 200  # deleted in one transaction: others who write wait for a moment only
STEP_NOTED = 500  # things noted, of each kind, that one sweep looks at
STEP_ROWS = 2000  # nodes freed by one sweep
ALIVE_S = 0.25  # between two signs of life
_LEFT_BEHIND = (
    "exchanges", "bodies", "headers", "timelines", "nodes", "blocks", "block_search", "blobs", "preambles", "preamble_parts",
    "unswept", "deleted",
)  # fmt: skip

_HELD = (
    "(SELECT 1 FROM exchanges e WHERE e.tip = n.digest LIMIT 1) IS NULL"
    " AND (SELECT 1 FROM exchanges e WHERE e.reply = n.digest LIMIT 1) IS NULL"
)
# From leaves that nobody points to up to where somebody does; below comes before above, so any beginning of it can be freed.
_FREE_NODES = f"""
WITH RECURSIVE free (digest, parent, message) AS (
  SELECT digest, parent, message FROM nodes n
  WHERE digest = ANY(%s) AND {_HELD} AND (SELECT 1 FROM nodes c WHERE c.parent = n.digest LIMIT 1) IS NULL
  UNION
  SELECT n.digest, n.parent, n.message FROM free JOIN nodes n ON n.digest = free.parent
  WHERE {_HELD} AND (SELECT 1 FROM nodes c WHERE c.parent = n.digest AND c.digest <> free.digest LIMIT 1) IS NULL
) SELECT digest, parent, message FROM free LIMIT %s
"""
_FREE_PREAMBLES = """
DELETE FROM preambles p WHERE digest = ANY(%s)
  AND (SELECT 1 FROM exchanges e WHERE e.preamble = p.digest LIMIT 1) IS NULL RETURNING digest
"""
_FREE_BLOBS = """
DELETE FROM blobs b WHERE digest = ANY(%s)
  AND (SELECT 1 FROM nodes n WHERE n.message = b.digest LIMIT 1) IS NULL
  AND (SELECT 1 FROM preamble_parts p WHERE p.part = b.digest LIMIT 1) IS NULL
  AND (SELECT 1 FROM headers h WHERE h.template = b.digest LIMIT 1) IS NULL RETURNING octet_length(data) AS bytes
"""
_EXCESS = """
WITH weighed AS (
  SELECT started_at, %s + coalesce(bytes, 0) AS weight FROM exchanges
  LEFT JOIN (SELECT exchange, sum(octet_length(data)) AS bytes FROM bodies GROUP BY exchange) b ON exchange = id
  WHERE state <> 'open'
), summed AS (
  SELECT started_at, sum(weight) OVER (ORDER BY started_at) AS so_far, sum(weight) OVER () AS total FROM weighed
) SELECT min(started_at) + 1 AS moment FROM summed WHERE so_far >= total * %s::float8
"""


class Pruning(Writing):
    """The deleting half of the contract."""

    _to_clean: list[str] | None = None  # tables, while the server is being asked to clean up

    def count(self, selection: Selection) -> Counted:
        """Return what a selection comes to."""
        where, values = _condition(selection)
        [row] = self.rows(
            "SELECT count(*) FILTER (WHERE state <> 'open') AS exchanges, count(*) FILTER (WHERE state = 'open') AS running,"
            " coalesce(sum(request_bytes + response_bytes) FILTER (WHERE state <> 'open'), 0)::bigint AS bytes"
            f" FROM exchanges WHERE {where}",
            values,
        )
        return Counted(**row)

    def delete(self, selection: Selection, *, most: int | None = None, wipe: bool = True) -> int:
        """Delete the selected exchanges that have ended, the oldest first, a few in each transaction."""
        where, values = _condition(selection)
        rows = self.rows(
            f"SELECT id FROM exchanges WHERE state <> 'open' AND {where} ORDER BY started_at LIMIT %(most)s",
            {**values, "most": most},
        )
        ids = [row["id"] for row in rows]
        steps = range(0, len(ids), STEP_EXCHANGES)
        return sum(self._delete(ids[start : start + STEP_EXCHANGES]) for start in steps)

    def _delete(self, ids: Sequence[str]) -> int:
        with self.transaction() as db:
            locks.hold(db, locks.CHANGE, self.schema)
            gone = db.execute(
                "DELETE FROM exchanges WHERE id = ANY(%s) RETURNING id, writer, tip, reply, preamble",
                (ids,),
                binary=True,
            ).fetchall()
            db.execute(
                "INSERT INTO deleted SELECT id, writer FROM unnest(%s::text[], %s::text[]) AS gone (id, writer)"
                " WHERE writer IN (SELECT writer FROM journal_positions) ON CONFLICT DO NOTHING",
                ([row["id"] for row in gone], [row["writer"] for row in gone]),
            )
            bodies = _deleted(db, "bodies", "exchange", ids, "octet_length(data) AS bytes")
            headers = _deleted(db, "headers", "exchange", ids, "template")
            _deleted(db, "timelines", "exchange", ids, "exchange")
            loose = {(NODE, row[end]) for row in gone for end in ("tip", "reply")}
            loose |= {(PREAMBLE, row["preamble"]) for row in gone} | {(BLOB, row["template"]) for row in headers}
            if gone:
                self.note_unswept(db, loose)
            self._tally(db, -len(gone), -weights.EXCHANGE * len(gone) - sum(row["bytes"] for row in bodies))
        return len(gone)

    def leftover(self) -> Leftover | None:
        """Return what deletions have left to be done."""
        row = self.row("SELECT value FROM settings WHERE key = %s", (LEFTOVER,))
        return Leftover(row["value"]) if row else None

    def sweep(self) -> Freed:
        """Look at some of what was noted, in one transaction. Only one at a time does."""
        with self.transaction() as db:
            if not locks.try_hold(db, locks.SWEEP, self.schema):
                raise StoreBusyError(f"the store at {self.place} is being swept by another process")
            locks.hold(db, locks.CHANGE, self.schema)
            db.execute("SET LOCAL enable_seqscan = off")  # what nobody points to is missed by a scan only at its end
            freed = self._free(db)
            if freed.done:
                db.execute("DELETE FROM deleted WHERE writer NOT IN (SELECT writer FROM journal_positions)")
                db.execute(
                    "INSERT INTO settings VALUES (%s, %s) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                    (LEFTOVER, Leftover.SPACE),
                )
            if freed.nodes or freed.preambles or freed.blobs:
                db.execute(
                    "INSERT INTO settings AS s VALUES (%s, '1')"
                    " ON CONFLICT (key) DO UPDATE SET value = (s.value::bigint + 1)::text",
                    (GENERATION,),
                )
        self._known.forget()
        self._to_clean = None
        return freed

    def _free(self, db: Database) -> Freed:
        nodes, loose, weight = _free_nodes(db, _taken(db, NODE))
        preambles, parts = _free_preambles(db, _taken(db, PREAMBLE))
        if loose or parts:
            self.note_unswept(db, {*loose, *((BLOB, part) for part in parts)})
        blobs = db.execute(_FREE_BLOBS, (_taken(db, BLOB),), binary=True).fetchall()
        weight += weights.MEMBER * len(parts) + sum(weights.BLOB + row["bytes"] for row in blobs)
        self._tally(db, 0, -weight)
        [left] = db.execute("SELECT EXISTS (SELECT FROM unswept) AS more").fetchall()
        return Freed(nodes, preambles, len(blobs), done=not left["more"])

    def shrink(self, alive: Callable[[], None] | None = None) -> bool:
        """Have the server clean up one table."""
        if self._to_clean is None:
            self._to_clean = list(_LEFT_BEHIND)
        if self._to_clean:
            self._clean(self._to_clean[-1], alive)
            self._to_clean.pop()
            return True
        with self.using() as db:
            db.execute("DELETE FROM settings WHERE key = %s AND value = %s", (LEFTOVER, Leftover.SPACE))
        self._to_clean = None
        return False

    def _clean(self, table: str, alive: Callable[[], None] | None) -> None:
        """Clean up a table, or leave it to another who does so right now; it takes as long as it takes."""
        with self.using() as db, ThreadPoolExecutor(1) as threads:
            db.execute("SET statement_timeout = 0")
            try:
                cleaned = threads.submit(db.execute, f"VACUUM (SKIP_LOCKED) {table}")
                while True:
                    try:
                        cleaned.result(ALIVE_S)
                        return
                    except TimeoutError:
                        if alive is not None:
                            alive()
            finally:
                if not db.closed:
                    db.execute("RESET statement_timeout")

    def used_bytes(self) -> int:
        """Return how many bytes the store takes, by the weight of what was written and deleted."""
        [row] = self.rows("SELECT coalesce(sum(bytes), 0)::bigint AS bytes FROM tallies")
        used: int = row["bytes"]
        return max(0, used)

    def excess(self, limit: int) -> int | None:
        """Return the moment before which exchanges must go; what they take of what is shared is taken to be alike for all."""
        used = self.used_bytes()
        if used <= limit:
            return None
        [row] = self.rows(_EXCESS, (weights.EXCHANGE, (used - limit) / used))
        moment: int | None = row["moment"]
        return moment

    def session_named(self, beginning: str) -> str:
        """Return the one session whose id is, or begins with, `beginning`."""
        rows = self.rows(
            "SELECT DISTINCT session_id FROM exchanges WHERE session_id >= %(it)s AND session_id <= %(it)s || %(last)s"
            " AND starts_with(session_id, %(it)s) ORDER BY session_id LIMIT 2",
            {"it": beginning, "last": "\U0010ffff"},
        )
        if not beginning or not rows:
            raise StoreError(f'no session has the id "{beginning}"; `ccproxy show` names the session of an exchange')
        if len(rows) > 1 and rows[0]["session_id"] != beginning:
            raise StoreError(f'more than one session has an id like "{beginning}"; give more of it')
        found: str = rows[0]["session_id"]
        return found


def _taken(db: Database, kind: str) -> list[bytes]:
    """Take some of what was noted."""
    rows = db.execute(
        "DELETE FROM unswept WHERE kind = %(kind)s AND digest IN"
        " (SELECT digest FROM unswept WHERE kind = %(kind)s LIMIT %(most)s) RETURNING digest",
        {"kind": kind, "most": STEP_NOTED},
        binary=True,
    )
    return [row["digest"] for row in rows]


def _free_nodes(db: Database, noted: list[bytes]) -> tuple[int, set[tuple[str, bytes | None]], int]:
    """Free messages with their blocks; return how many, what they pointed to, and what they weighed."""
    freed = db.execute(_FREE_NODES, (noted, STEP_ROWS), binary=True).fetchall()
    digests = [row["digest"] for row in freed]
    db.execute("DELETE FROM block_search WHERE id IN (SELECT id FROM blocks WHERE node = ANY(%s))", (digests,))
    blocks = _deleted(db, "blocks", "node", digests, "characters")
    _deleted(db, "nodes", "digest", digests, "digest")
    loose = {(NODE, row["parent"]) for row in freed} | {(BLOB, row["message"]) for row in freed}
    weight = sum(weights.block(row["characters"]) for row in blocks)
    return (
        len(freed),
        loose - {(NODE, digest) for digest in digests} - {(NODE, None)},
        weight + weights.NODE * len(freed),
    )


def _free_preambles(db: Database, noted: list[bytes]) -> tuple[int, list[bytes]]:
    """Free preambles; return how many, and the parts of them."""
    freed = [row["digest"] for row in db.execute(_FREE_PREAMBLES, (noted,), binary=True)]
    return len(freed), [row["part"] for row in _deleted(db, "preamble_parts", "preamble", freed, "part")]


def _deleted(db: Database, table: str, column: str, keys: Sequence[str | bytes], told: str) -> list[dict[str, Any]]:
    """Delete the rows with these keys, and return what is told of each."""
    query = f"DELETE FROM {table} WHERE {column} = ANY(%s) RETURNING {told}"
    return db.execute(query, (list(keys),), binary=True).fetchall()


def _condition(selection: Selection) -> tuple[str, dict[str, Any]]:
    """Return a selection as SQL, and the values in it."""
    columns = {
        "exchange": "id = %(exchange)s",
        "session": "session_id = %(session)s",
        "before": "started_at < %(before)s",
    }
    values = {name: getattr(selection, name) for name in columns}
    chosen = [condition for name, condition in columns.items() if values[name] is not None]
    return " AND ".join(chosen) or "true", values
