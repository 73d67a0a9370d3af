"""A filter, as the store's questions about exchanges take it.

Refuses to know what is asked about them.
"""

from __future__ import annotations

from ccproxy.stores.contract import Filter, Record
from ccproxy.stores.postgres import conditions
from ccproxy.stores.postgres.server import PostgresServer

_ID_CHARACTERS = frozenset("0123456789abcdef-")
_END = 12  # of an id's characters, as many as its index has


class Filtering(PostgresServer):
    """What lists, sessions and single exchanges are looked up by."""

    def where(self, wanted: Filter) -> tuple[str, conditions.Parameters]:
        """Return the condition for rows of `exchanges`, and its parameters."""
        return conditions.where(wanted, self._names)

    def _names(self, column: str, piece: str) -> list[str]:
        return [row["value"] for row in self.rows(conditions.names_with(column), {"piece": piece})]

    def ended(self, id_part: str) -> list[Record] | None:
        """Return up to two exchanges whose id begins or ends with this, the newer first; None where it can be part of no id."""
        wanted = id_part.strip().lower()
        if not wanted or not set(wanted) <= _ID_CHARACTERS:
            return None
        return self.rows(
            "SELECT * FROM exchanges WHERE id LIKE %s OR (reverse(right(id, 12)) LIKE %s AND id LIKE %s)"
            " ORDER BY id DESC LIMIT 2",
            (f"{wanted}%", f"{wanted[-_END:][::-1]}%", f"%{wanted}"),
        )
