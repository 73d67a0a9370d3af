"""A filter, as the store's questions about exchanges take it.

Refuses to know what is asked about them.
"""

from __future__ import annotations

from ccproxy.stores.contract import Filter
from ccproxy.stores.sqlite import conditions
from ccproxy.stores.sqlite.file import SqliteFile


class Filtering(SqliteFile):
    """What lists and sessions are looked up by."""

    def where(self, wanted: Filter) -> tuple[str, conditions.Parameters]:
        """Return the condition for rows of `exchanges`, and its parameters."""
        return conditions.where(wanted, self._names)

    def _names(self, column: str, **among: str | None) -> list[str]:
        """Return the different values of a column; `among` the rows with another value."""
        if not self.is_large():
            given = "".join(f" AND {name} IS :{name}" for name in among)
            rows = self.db.execute(f"SELECT DISTINCT {column} FROM exchanges WHERE {column} IS NOT NULL{given}", among)
            return [row[0] for row in rows]
        return self._names_by_index(column, among)

    def _names_by_index(self, column: str, among: dict[str, str | None]) -> list[str]:
        """Go from value to value along the column's index."""
        given = "".join(f" AND {name} IS :{name}" for name in among)
        query = f"SELECT min({column}) FROM exchanges WHERE {column} > :last{given}"
        found: list[str] = []
        while (name := self.db.execute(query, {"last": found[-1] if found else "", **among}).fetchone()[0]) is not None:
            found.append(name)
        return [*self._empty(column, given, among), *found]

    def _empty(self, column: str, given: str, among: dict[str, str | None]) -> list[str]:
        row = self.db.execute(f"SELECT 1 FROM exchanges WHERE {column} = ''{given} LIMIT 1", among).fetchone()
        return [""] if row else []
