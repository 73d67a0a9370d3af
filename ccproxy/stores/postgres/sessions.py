"""Sessions, as the store can tell them: their figures, and the messages of their conversations as a tree.

Refuses to know how a tree becomes a thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ccproxy.stores import compression, rebuild, words
from ccproxy.stores.contract import Branch, Filter, Page, Record
from ccproxy.stores.postgres import conditions
from ccproxy.stores.postgres.filtering import Filtering

_FIRST_TEXTS = 20  # blocks that are looked at for the first thing a person said
_TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
_FIGURES = (
    "min(started_at) AS started_at, max(greatest(started_at, coalesce(ended_at, 0))) AS last_activity_at,"
    " count(*) AS exchanges, count(*) FILTER (WHERE kind = 'main') AS turns, count(*) FILTER (WHERE state = 'open') AS running,"
    f" count(*) FILTER (WHERE {conditions.WENT_WRONG}) AS errors, count(DISTINCT agent_id) AS agents, "
    + ", ".join(f"coalesce(sum({name}), 0)::bigint AS {name}" for name in _TOKENS)
)
_MODEL = "coalesce(response_model, routed_model, requested_model)"
_CLIENT = "client || coalesce(' ' || client_version, '')"
_TREE = """
WITH RECURSIVE theirs AS MATERIALIZED (SELECT tip, reply FROM exchanges WHERE session_id = %s),
tree (digest, parent, role, message) AS (
  SELECT digest, parent, role, message FROM nodes WHERE digest IN (SELECT tip FROM theirs UNION SELECT reply FROM theirs)
  UNION SELECT n.digest, n.parent, n.role, n.message FROM tree JOIN nodes n ON n.digest = tree.parent
) SELECT digest, parent, role, message FROM tree
"""
_FIRST_SAID = """
WITH RECURSIVE line (digest, parent, role, depth) AS (
  SELECT digest, parent, role, depth FROM nodes WHERE digest = (SELECT tip FROM exchanges
    WHERE session_id = %s AND tip IS NOT NULL ORDER BY kind <> 'main', id LIMIT 1)
  UNION ALL SELECT n.digest, n.parent, n.role, n.depth FROM nodes n JOIN line ON n.digest = line.parent
) SELECT text FROM line JOIN blocks ON node = digest WHERE role = 'user' AND type = 'text' ORDER BY depth, position LIMIT %s
"""


class Sessions(Filtering):
    """What the contract says about sessions."""

    def sessions(self, wanted: Filter, *, limit: int, offset: int = 0) -> Page:
        """Return sessions, the one with the newest exchange first."""
        condition, parameters = self.where(replace(wanted, words=None))
        phrases = words.wanted(wanted.words or "")
        if phrases is not None:
            condition += f" AND session_id IN ({conditions.sessions_in_which_it_stood(phrases)})"
            parameters |= conditions.searched(phrases)
        with self.snapshot():
            rows = self.rows(
                f"SELECT session_id FROM exchanges WHERE session_id IS NOT NULL AND {condition}"
                " GROUP BY session_id ORDER BY max(started_at) DESC, session_id",
                parameters,
            )
            ids = [row["session_id"] for row in rows]
            chosen = ids[offset : offset + limit]
            return Page([self._session(key) for key in chosen], len(ids), len(ids) > offset + limit)

    def _session(self, session: str) -> Record:
        [figures] = self.rows(f"SELECT {_FIGURES} FROM exchanges WHERE session_id = %s", (session,))
        return {
            "id": session,
            **figures,
            "models": self._different(_MODEL, session),
            "clients": self._different(_CLIENT, session),
            "cwd": self._one(
                "SELECT cwd FROM exchanges WHERE session_id = %s AND cwd IS NOT NULL ORDER BY id", session
            ),
            "title": self._one(
                "SELECT text FROM exchanges JOIN blocks ON node = reply WHERE session_id = %s AND kind = 'title'"
                " AND type = 'text' ORDER BY exchanges.id DESC, position",
                session,
            ),
            "first_texts": [row["text"] for row in self.rows(_FIRST_SAID, (session, _FIRST_TEXTS))],
        }

    def _different(self, expression: str, session: str) -> str:
        """Return the different values of an expression in a session, the one that came first first, as a JSON list."""
        rows = self.rows(
            f"SELECT {expression} AS value FROM exchanges WHERE session_id = %s GROUP BY 1 ORDER BY min(started_at), min(id)",
            (session,),
        )
        return rebuild.dump([row["value"] for row in rows])

    def _one(self, query: str, session: str) -> str | None:
        row = self.row(f"{query} LIMIT 1", (session,))
        return next(iter(row.values())) if row else None

    def session_exchanges(self, session: str) -> list[Record]:
        """Return the exchange rows of a session, oldest first."""
        return self.rows("SELECT * FROM exchanges WHERE session_id = %s ORDER BY id", (session,))

    def branches(self, session: str) -> list[Branch]:
        """Return every message of a session's conversations in its place."""
        return [Branch(**row) for row in self.rows(_TREE, (session,))]

    def messages(self, digests: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the JSON of messages."""
        rows = self.rows("SELECT digest, encoding, data FROM blobs WHERE digest = ANY(%s)", (list(digests),))
        return {row["digest"]: compression.decompress(row["encoding"], row["data"]) for row in rows}

    def producers(self, digests: Sequence[bytes]) -> dict[bytes, Record]:
        """Return the exchanges whose answers these nodes are."""
        rows = self.rows("SELECT * FROM exchanges WHERE reply = ANY(%s) ORDER BY id DESC", (list(digests),))
        return {row["reply"]: row for row in rows}
