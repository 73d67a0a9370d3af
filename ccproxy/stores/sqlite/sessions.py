"""Sessions, as the store can tell them: their figures, and the messages of their conversations as a tree.

Refuses to know how a tree becomes a thread.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ccproxy.stores import compression
from ccproxy.stores.contract import Branch, Filter, Page, Record
from ccproxy.stores.sqlite import conditions
from ccproxy.stores.sqlite.file import errors
from ccproxy.stores.sqlite.filtering import Filtering

_AT_ONCE = 500  # values in one query
_FIRST_TEXTS = 20  # blocks that are looked at for the first thing a person said
_FIGURES = (
    "min(started_at) AS started_at, max(max(started_at, coalesce(ended_at, 0))) AS last_activity_at, count(*) AS exchanges,"
    " sum(kind = 'main') AS turns, sum(state = 'open') AS running,"
    f" coalesce(sum({conditions.WENT_WRONG}), 0) AS errors, count(DISTINCT agent_id) AS agents,"
    " coalesce(sum(input_tokens), 0) AS input_tokens, coalesce(sum(output_tokens), 0) AS output_tokens,"
    " coalesce(sum(cache_read_tokens), 0) AS cache_read_tokens, coalesce(sum(cache_write_tokens), 0) AS cache_write_tokens,"
    " json_group_array(DISTINCT coalesce(response_model, routed_model, requested_model)) AS models,"
    " json_group_array(DISTINCT client || coalesce(' ' || client_version, '')) AS clients"
)

_NEWEST_OF_SOME = (
    "SELECT session_id FROM exchanges WHERE session_id IS NOT NULL AND {condition}"
    " GROUP BY session_id ORDER BY max(started_at) DESC, session_id"
)
# From session to session along the index: a session has many exchanges.
_NEWEST_OF_ALL = (
    "WITH RECURSIVE session (id) AS (SELECT min(session_id) FROM exchanges UNION ALL"
    " SELECT (SELECT min(session_id) FROM exchanges WHERE session_id > session.id) FROM session WHERE id IS NOT NULL)"
    " SELECT id AS session_id FROM session WHERE id IS NOT NULL AND {condition}"
    " ORDER BY (SELECT max(started_at) FROM exchanges WHERE session_id = session.id) DESC, id"
)


class Sessions(Filtering):
    """What the contract says about sessions."""

    def sessions(self, wanted: Filter, *, limit: int, offset: int = 0) -> Page:
        """Return sessions, the one with the newest exchange first."""
        condition, parameters = self.where(replace(wanted, words=None))
        newest = _NEWEST_OF_ALL if wanted == Filter() else _NEWEST_OF_SOME
        if words := conditions.match(wanted.words or ""):
            condition += f" AND session_id IN ({conditions.sessions_in_which_it_stood()})"
            parameters["words"] = words
        with errors(self.path):
            rows = self.db.execute(newest.format(condition=condition), parameters)
            ids = [row["session_id"] for row in rows]
            chosen = ids[offset : offset + limit]
            return Page([self._session(key) for key in chosen], len(ids), len(ids) > offset + limit)

    def _session(self, session: str) -> Record:
        figures = self.db.execute(f"SELECT {_FIGURES} FROM exchanges WHERE session_id = ?", (session,)).fetchone()
        return {
            "id": session,
            **dict(figures),
            "cwd": self._one("SELECT cwd FROM exchanges WHERE session_id = ? AND cwd IS NOT NULL ORDER BY id", session),
            "title": self._one(
                "SELECT text FROM exchanges JOIN blocks ON node = reply WHERE session_id = ? AND kind = 'title'"
                " AND type = 'text' ORDER BY exchanges.id DESC, position",
                session,
            ),
            "first_texts": self._first_texts(session),
        }

    def _one(self, query: str, session: str) -> str | None:
        row = self.db.execute(f"{query} LIMIT 1", (session,)).fetchone()
        return row[0] if row else None

    def _first_texts(self, session: str) -> list[str]:
        """Return the first texts of the conversation that the session began with."""
        tip = self._one(
            "SELECT tip FROM exchanges WHERE session_id = ? AND tip IS NOT NULL ORDER BY kind <> 'main', id", session
        )
        rows = self.db.execute(
            "WITH RECURSIVE line (digest, parent, role, depth) AS ("
            "  SELECT digest, parent, role, depth FROM nodes WHERE digest = ?"
            "  UNION ALL SELECT n.digest, n.parent, n.role, n.depth FROM nodes n JOIN line ON n.digest = line.parent"
            ") SELECT text FROM line JOIN blocks ON node = digest WHERE role = 'user' AND type = 'text'"
            " ORDER BY depth, position LIMIT ?",
            (tip, _FIRST_TEXTS),
        )
        return [row["text"] for row in rows]

    def session_exchanges(self, session: str) -> list[Record]:
        """Return the exchange rows of a session, oldest first."""
        with errors(self.path):
            rows = self.db.execute("SELECT * FROM exchanges WHERE session_id = ? ORDER BY id", (session,))
            return [dict(row) for row in rows]

    def branches(self, session: str) -> list[Branch]:
        """Return every message of a session's conversations in its place."""
        with errors(self.path):
            rows = self.db.execute(
                "WITH RECURSIVE tree (digest, parent, role, message) AS ("
                "  SELECT digest, parent, role, message FROM nodes WHERE digest IN (SELECT tip FROM exchanges"
                "    WHERE session_id = :session UNION SELECT reply FROM exchanges WHERE session_id = :session)"
                "  UNION SELECT n.digest, n.parent, n.role, n.message FROM tree JOIN nodes n ON n.digest = tree.parent"
                ") SELECT digest, parent, role, message FROM tree",
                {"session": session},
            )
            return [Branch(**dict(row)) for row in rows]

    def messages(self, digests: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the JSON of messages."""
        found: dict[bytes, bytes] = {}
        with errors(self.path):
            for some in _batches(digests):
                rows = self.db.execute(
                    f"SELECT digest, encoding, data FROM blobs WHERE digest IN ({conditions.marks(some)})", some
                )
                found |= {row["digest"]: compression.decompress(row["encoding"], row["data"]) for row in rows}
        return found

    def producers(self, digests: Sequence[bytes]) -> dict[bytes, Record]:
        """Return the exchanges whose answers these nodes are."""
        found: dict[bytes, Record] = {}
        with errors(self.path):
            for some in _batches(digests):
                rows = self.db.execute(
                    f"SELECT * FROM exchanges WHERE reply IN ({conditions.marks(some)}) ORDER BY id DESC", some
                )
                found |= {row["reply"]: dict(row) for row in rows}
        return found


def _batches(digests: Sequence[bytes]) -> Iterator[list[bytes]]:
    remaining = iter(digests)
    while some := list(itertools.islice(remaining, _AT_ONCE)):
        yield some
