"""How exchanges leave an SQLite store, and the room that they took leaves the file.

`delete` takes away rows of exchanges, and any process may call it. All that they point to is shared, so `sweep` looks from
the exchanges that are left at what is still pointed to, and frees the rest. `shrink` then gives the free room back. How far
that work is stands in the settings table, so it goes on where it stopped, whoever stopped it.

A sweep looks at everything: nothing is counted that could be miscounted, and what nothing ever pointed to goes as well.
Measured with 10,000 exchanges (120 MB) on two cores: a look takes 0.15 s; to delete 1,000 of them, to free what only they
pointed to and to give the room back takes 1.5 s, 2.2 s with `wipe`, in pieces of less than a second, between which others
write.

What a person deletes was perhaps a secret. SQLite overwrites what it frees (`secure_delete`), yet where it moves rows between
pages it may leave a copy behind; measured, of one text in a thousand. So `wipe` has the whole file written anew, by way of a
file without a name in SQLite's temporary folder. In any case the full-text index is merged: until then the words of what was
deleted stand in it. Refuses to know why exchanges are deleted.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ccproxy.errors import StoreBusyError, StoreError
from ccproxy.records import State
from ccproxy.stores.contract import Counted, Freed, Leftover, Selection
from ccproxy.stores.sqlite.file import ORIGINAL_COLUMNS, errors
from ccproxy.stores.sqlite.writing import LEFTOVER, WIPE, Writing

STEP_EXCHANGES = 200  # deleted in one transaction: others who write wait for a moment only
STEP_ROWS = 2000  # of each table freed by one sweep
STEP_PAGES = 2000  # given back by one shrink, or merged
ALIVE_STEPS = 100_000  # of SQLite's machine between two signs of life
ROW_BYTES = 2000  # what an exchange takes besides its bodies, about
NO_AUTO_VACUUM = 0

_MARK = (
    "CREATE TEMP TABLE kept (digest BLOB PRIMARY KEY) WITHOUT ROWID",
    "WITH RECURSIVE line (digest) AS (SELECT tip FROM exchanges UNION SELECT reply FROM exchanges"
    " UNION SELECT parent FROM nodes JOIN line USING (digest))"
    " INSERT INTO kept SELECT digest FROM line WHERE digest IS NOT NULL",
    "CREATE TEMP TABLE doomed (digest BLOB PRIMARY KEY) WITHOUT ROWID",
)
_DOOM = "INSERT INTO doomed SELECT digest FROM nodes WHERE digest NOT IN kept LIMIT ?"
_FREE_BLOCKS = (
    # An index without a text of its own must be told what it is to forget.
    "INSERT INTO block_search (block_search, rowid, text, tool_name)"
    " SELECT 'delete', id, text, tool_name FROM blocks WHERE node IN doomed AND text <> ''",
    "DELETE FROM blocks WHERE node IN doomed",
)
_FREE_NODES = "DELETE FROM nodes WHERE digest IN doomed"
_UNMARK = ("DROP TABLE kept", "DROP TABLE doomed")
_FREE_PREAMBLES = (
    "DELETE FROM preambles WHERE digest IN (SELECT digest FROM preambles"
    " WHERE digest NOT IN (SELECT preamble FROM exchanges WHERE preamble IS NOT NULL) LIMIT ?)"
)
_FREE_MEMBERS = "DELETE FROM preamble_parts WHERE preamble NOT IN (SELECT digest FROM preambles)"
_FREE_BLOBS = (
    "DELETE FROM blobs WHERE id IN (SELECT id FROM blobs WHERE digest NOT IN (SELECT message FROM nodes"
    " UNION SELECT part FROM preamble_parts UNION SELECT template FROM headers) LIMIT ?)"
)
_EXCESS = (
    "WITH weighed AS (SELECT started_at, ? + (SELECT coalesce(sum(length(data)), 0) FROM bodies WHERE exchange = id) AS weight"
    "  FROM exchanges WHERE state <> ?),"
    " summed AS (SELECT started_at, sum(weight) OVER (ORDER BY started_at) AS so_far, sum(weight) OVER () AS total FROM weighed)"
    " SELECT min(started_at) + 1 FROM summed WHERE so_far >= total * ?"
)


class Pruning(Writing):
    """The deleting half of the contract."""

    _merging = False  # whether this process has begun to merge the full-text index
    _foreign: int | None = None

    def count(self, selection: Selection) -> Counted:
        """Return what a selection comes to."""
        where, values = _condition(selection)
        with errors(self.path):
            row = self.db.execute(
                "SELECT coalesce(sum(state <> :open), 0), coalesce(sum(state = :open), 0),"
                " coalesce(sum((state <> :open) * (request_bytes + response_bytes)), 0)"
                f" FROM exchanges WHERE {where}",
                values,
            ).fetchone()
        return Counted(exchanges=row[0], running=row[1], bytes=row[2])

    def delete(self, selection: Selection, *, most: int | None = None, wipe: bool = True) -> int:
        """Delete the selected exchanges that have ended, the oldest first, a few in each transaction."""
        where, values = _condition(selection)
        with errors(self.path):
            rows = self.db.execute(
                f"SELECT id FROM exchanges WHERE state <> :open AND {where} ORDER BY started_at LIMIT :most",
                {**values, "most": -1 if most is None else most},
            ).fetchall()
        ids = [(row["id"],) for row in rows]
        steps = range(0, len(ids), STEP_EXCHANGES)
        return sum(self._delete(ids[start : start + STEP_EXCHANGES], wipe) for start in steps)

    def _delete(self, ids: Sequence[tuple[str]], wipe: bool) -> int:
        with errors(self.path), self.transaction():
            self.db.executemany(
                "INSERT OR IGNORE INTO deleted SELECT id, writer FROM exchanges"
                " WHERE id = ? AND writer IN (SELECT writer FROM journal_positions)",
                ids,
            )
            for table in ("bodies", "headers", "timelines"):
                self.db.executemany(f"DELETE FROM {table} WHERE exchange = ?", ids)
            deleted = self.db.executemany("DELETE FROM exchanges WHERE id = ?", ids).rowcount
            if deleted:
                self.note_leftover(wipe=wipe)
        return deleted

    def leftover(self) -> Leftover | None:
        """Return what deletions have left to be done."""
        with errors(self.path):
            row = self.db.execute("SELECT value FROM settings WHERE key = ?", (LEFTOVER,)).fetchone()
        return Leftover(row["value"]) if row else None

    def sweep(self) -> Freed:
        """Free at most so many rows of each table, in one transaction."""
        self._known.clear()
        most = (STEP_ROWS,)
        with errors(self.path), self.transaction():
            for statement in _MARK:
                self.db.execute(statement)
            self.db.execute(_DOOM, most)
            for statement in _FREE_BLOCKS:
                self.db.execute(statement)
            nodes = self.db.execute(_FREE_NODES).rowcount
            for statement in _UNMARK:
                self.db.execute(statement)
            preambles = self.db.execute(_FREE_PREAMBLES, most).rowcount
            self.db.execute(_FREE_MEMBERS)
            blobs = self.db.execute(_FREE_BLOBS, most).rowcount
            done = max(nodes, preambles, blobs) < STEP_ROWS
            if done:
                self.db.execute("DELETE FROM deleted WHERE writer NOT IN (SELECT writer FROM journal_positions)")
                self.db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (LEFTOVER, Leftover.SPACE))
        self._merging = False
        return Freed(nodes, preambles, blobs, done)

    def shrink(self, alive: Callable[[], None] | None = None) -> bool:
        """Merge a piece of the full-text index, give a piece of the file back, or see to it that the disk has it."""
        with errors(self.path), self._signs_of_life(alive):
            if self._merge() or self._give_back():
                return True
            if self._note(WIPE) or self.number("auto_vacuum") == NO_AUTO_VACUUM:
                self._checkpoint()  # now, since what it gives back may be the room that the next step needs
                self.db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # for a file from before this was so for all
                self.db.execute("VACUUM")
            self._checkpoint()
            with self.transaction():
                if self._note(LEFTOVER) == Leftover.SPACE:
                    self.db.execute("DELETE FROM settings WHERE key IN (?, ?)", (LEFTOVER, WIPE))
        self._merging = False
        return False

    def _merge(self) -> bool:
        """Merge a piece of the full-text index; return whether there was one."""
        before = self.db.total_changes
        pages = STEP_PAGES if self._merging else -STEP_PAGES  # below zero it begins: all that there is at this moment
        self.db.execute("INSERT INTO block_search (block_search, rank) VALUES ('merge', ?)", (pages,))
        self._merging = True
        return self.db.total_changes - before >= 2  # as its manual says

    def _give_back(self) -> bool:
        """Cut a piece of free room off the file's end; return whether there was some."""
        if self.number("auto_vacuum") == NO_AUTO_VACUUM or not self.number("freelist_count"):
            return False
        self.db.executescript(f"PRAGMA incremental_vacuum({STEP_PAGES})")  # `execute` would give one page back
        return True

    def _checkpoint(self) -> None:
        """Bring all that is written into the file itself, and empty what stands beside it."""
        if self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            raise StoreBusyError(f"the store at {self.path} is being read, so it cannot become smaller right now")

    def _note(self, key: str) -> str | None:
        row = self.db.execute("SELECT value FROM settings WHERE key = ?", (key,)).fetchone()
        return row["value"] if row else None

    @contextlib.contextmanager
    def _signs_of_life(self, alive: Callable[[], None] | None) -> Iterator[None]:
        if alive is not None:
            self.db.set_progress_handler(alive, ALIVE_STEPS)
        try:
            yield
        finally:
            self.db.set_progress_handler(None, 0)

    def used_bytes(self) -> int:
        """Return how many bytes the pages in use take, without the table of an original whose file this was."""
        with errors(self.path):
            pages = self.number("page_count") - self.number("freelist_count")
            return pages * self.number("page_size") - self._foreign_bytes()

    def _foreign_bytes(self) -> int:
        if self._foreign is None:
            columns = " + ".join(f"coalesce(length({name}), 0)" for name in ORIGINAL_COLUMNS)
            query = f"SELECT coalesce(sum({columns}), 0) FROM requests"
            self._foreign = self.db.execute(query).fetchone()[0] if self.is_original() else 0
        return self._foreign or 0

    def excess(self, limit: int) -> int | None:
        """Return the moment before which exchanges must go; what they take of what is shared is taken to be alike for all."""
        used = self.used_bytes()
        if used <= limit:
            return None
        with errors(self.path):
            row = self.db.execute(_EXCESS, (ROW_BYTES, State.OPEN, (used - limit) / used)).fetchone()
        moment: int | None = row[0]
        return moment

    def session_named(self, beginning: str) -> str:
        """Return the one session whose id is, or begins with, `beginning`."""
        with errors(self.path):
            rows = self.db.execute(
                "SELECT DISTINCT session_id FROM exchanges WHERE session_id >= :it AND substr(session_id, 1, length(:it)) = :it"
                " ORDER BY session_id LIMIT 2",
                {"it": beginning},
            ).fetchall()
        if not beginning or not rows:
            raise StoreError(f'no session has the id "{beginning}"; `ccproxy show` names the session of an exchange')
        if len(rows) > 1 and rows[0]["session_id"] != beginning:
            raise StoreError(f'more than one session has an id like "{beginning}"; give more of it')
        found: str = rows[0]["session_id"]
        return found


def _condition(selection: Selection) -> tuple[str, dict[str, Any]]:
    """Return a selection as SQL, and the values in it."""
    columns = {"exchange": "id = :exchange", "session": "session_id = :session", "before": "started_at < :before"}
    values = {name: getattr(selection, name) for name in columns}
    chosen = [condition for name, condition in columns.items() if values[name] is not None]
    return " AND ".join(chosen) or "true", {**values, "open": State.OPEN}
