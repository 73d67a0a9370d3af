"""What lists are made of: exchanges by filter, figures by day, the event times of an answer. All of it in SQL.

Refuses to know bodies: a list costs the same whatever hangs on its rows.
"""

from __future__ import annotations

import msgspec

from ccproxy.records import Timeline
from ccproxy.stores.contract import Filter, Page, Record
from ccproxy.stores.postgres import conditions
from ccproxy.stores.postgres.filtering import Filtering

_SUMS = (
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_5m_tokens",
    "cache_write_1h_tokens", "web_searches",
)  # fmt: skip
# Years that have a name in four digits, in microseconds; SQLite has no day outside of them, and PostgreSQL an error.
_FIRST_DAY, _LAST_DAY = -62135596800_000000, 253402300799_999999
_DAY = (
    f"CASE WHEN started_at BETWEEN {_FIRST_DAY} AND {_LAST_DAY} THEN"
    " to_char(to_timestamp(started_at / 1000000) AT TIME ZONE 'UTC', 'YYYY-MM-DD') END"
)
_FEW = 8  # where a filter leaves less than one row in so many, these are sorted
_numbers = msgspec.json.Decoder(list[int])
_runs = msgspec.json.Decoder(list[tuple[str, int]])


class Listing(Filtering):
    """The lists of the contract."""

    def listing(self, wanted: Filter, *, limit: int, offset: int = 0, before: str | None = None) -> Page:
        """Return exchange rows, newest first, and how many there are in all."""
        condition, parameters = self.where(wanted)
        with self.snapshot():
            if wanted.words and "words" in parameters:  # they are looked for once, for the page and for the total
                everything = self._ids(f"{condition} ORDER BY id DESC", parameters)
                total = len(everything)
                ids = [key for key in everything if before is None or key < before][offset : offset + limit + 1]
            else:
                total = self._total(condition, parameters)
                below = "" if before is None else " AND id < %(before)s"
                parameters |= {"before": before, "limit": limit + 1, "offset": min(offset, total)}
                found = f"SELECT id FROM exchanges WHERE {condition}{below}"
                if total * _FEW < self._total(conditions.ALL, {}):
                    # Else the server may walk through all rows, from the newest on, for those of a day long ago.
                    found = f"WITH found AS MATERIALIZED ({found}) SELECT id FROM found"
                rows = self.rows(f"{found} ORDER BY id DESC LIMIT %(limit)s OFFSET %(offset)s", parameters)
                ids = [row["id"] for row in rows]
            return Page(self._rows(ids[:limit]), total, len(ids) > limit)

    def _total(self, condition: str, parameters: conditions.Parameters) -> int:
        query = f"SELECT count(*) AS total FROM exchanges WHERE {condition}"
        if condition == conditions.ALL:  # to count a million rows takes too long
            query = "SELECT coalesce(sum(exchanges), 0)::bigint AS total FROM tallies"
        [row] = self.rows(query, parameters)
        total: int = row["total"]
        return total

    def _ids(self, condition: str, parameters: conditions.Parameters) -> list[str]:
        return [row["id"] for row in self.rows(f"SELECT id FROM exchanges WHERE {condition}", parameters)]

    def _rows(self, ids: list[str]) -> list[Record]:
        return self.rows("SELECT * FROM exchanges WHERE id = ANY(%s) ORDER BY id DESC", (ids,))

    def named(self, id_part: str) -> list[Record]:
        """Return the exchange of this id, or up to two whose id begins or ends with it."""
        return self._rows([id_part.strip().lower()]) or self.ended(id_part) or []

    def timeline(self, exchange: str) -> Timeline | None:
        """Return the arrival, kind and size of each stream event."""
        row = self.row("SELECT arrivals, kinds, sizes FROM timelines WHERE exchange = %s", (exchange,))
        if row is None:
            return None
        kinds = [kind for kind, times in _runs.decode(row["kinds"]) for _ in range(times)]
        return Timeline(_numbers.decode(row["arrivals"]), kinds, _numbers.decode(row["sizes"]))

    def usage(self, wanted: Filter) -> list[Record]:
        """Return counts and tokens by day and model."""
        sums = ", ".join(f"coalesce(sum({name}), 0)::bigint AS {name}" for name in _SUMS)
        condition, parameters = self.where(wanted)
        return self.rows(
            f"SELECT {_DAY} AS day, coalesce(response_model, routed_model, requested_model) AS model, count(*) AS exchanges,"
            f" count(*) FILTER (WHERE {conditions.WENT_WRONG}) AS errors, {sums}"
            f" FROM exchanges WHERE {condition} GROUP BY 1, 2 ORDER BY 1 DESC NULLS LAST, 2 NULLS FIRST",
            parameters,
        )

    def states(self, wanted: Filter) -> dict[str, int]:
        """Return how many exchanges there are in each state."""
        condition, parameters = self.where(wanted)
        rows = self.rows(
            f"SELECT state, count(*) AS number FROM exchanges WHERE {condition} GROUP BY state", parameters
        )
        return {row["state"]: row["number"] for row in rows}
