"""What lists are made of: exchanges by filter, figures by day, the event times of an answer. All of it in SQL.

Refuses to know bodies: a list costs the same whatever hangs on its rows.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import msgspec

from ccproxy.records import Timeline
from ccproxy.stores.contract import Filter, Page, Record
from ccproxy.stores.sqlite import conditions
from ccproxy.stores.sqlite.file import errors
from ccproxy.stores.sqlite.filtering import Filtering

_BY_ID = "exchanges INDEXED BY sqlite_autoindex_exchanges_1"
_ID_CHARACTERS = frozenset("0123456789abcdef-")
_ID_LENGTH = 36
_SUMS = (
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_5m_tokens",
    "cache_write_1h_tokens", "web_searches",
)  # fmt: skip
_numbers = msgspec.json.Decoder(list[int])
_runs = msgspec.json.Decoder(list[tuple[str, int]])


class Listing(Filtering):
    """The lists of the contract."""

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Show the store as of one moment; inside another snapshot, as of that one."""
        if self.db.in_transaction:
            yield
            return
        with errors(self.path):
            self.db.execute("BEGIN")
        try:
            yield
        finally:
            self.db.execute("ROLLBACK")

    def listing(self, wanted: Filter, *, limit: int, offset: int = 0, before: str | None = None) -> Page:
        """Return exchange rows, newest first, and how many there are in all."""
        condition, parameters = self.where(wanted)
        with errors(self.path), self.snapshot():
            if "words" in parameters:  # they are looked for once, for the page and for the total
                everything = self._ids(f"{condition} ORDER BY id DESC", parameters)
                total = len(everything)
                ids = [key for key in everything if before is None or key < before][offset : offset + limit + 1]
            else:
                total, all_of_them = self._total(condition, parameters), self._total(conditions.ALL, {})
                below = "" if before is None else " AND id < :before"
                parameters |= {"before": before, "limit": limit + 1, "offset": min(offset, total)}
                # From the newest on, where that passes over fewer rows than there are to be sorted.
                place = _BY_ID if 2 * total >= all_of_them else "exchanges"
                ids = self._ids(f"{condition}{below} ORDER BY id DESC LIMIT :limit OFFSET :offset", parameters, place)
            return Page(self._rows(ids[:limit]), total, len(ids) > limit)

    def _total(self, condition: str, parameters: conditions.Parameters) -> int:
        query = f"SELECT count(*) FROM exchanges WHERE {condition}"
        if condition == conditions.ALL:  # to count a million rows takes too long
            query = "SELECT CAST(value AS INTEGER) FROM settings WHERE key = 'exchanges'"
        total: int = self.db.execute(query, parameters).fetchone()[0]
        return total

    def _ids(self, condition: str, parameters: conditions.Parameters, place: str = "exchanges") -> list[str]:
        return [row["id"] for row in self.db.execute(f"SELECT id FROM {place} WHERE {condition}", parameters)]

    def _rows(self, ids: list[str]) -> list[Record]:
        rows = self.db.execute(
            f"SELECT {', '.join(self.columns)} FROM exchanges WHERE id IN ({conditions.marks(ids)}) ORDER BY id DESC",
            ids,
        )
        return [dict(zip(self.columns, row, strict=True)) for row in rows]

    def named(self, id_part: str) -> list[Record]:
        """Return the exchange of this id, or up to two whose id begins or ends with it."""
        wanted = id_part.strip().lower()
        if not wanted or not set(wanted) <= _ID_CHARACTERS:
            return []
        with errors(self.path):
            found = self._rows([wanted])
            if found or len(wanted) >= _ID_LENGTH:
                return found
            return self._rows(self._ids("id LIKE :part || '%' OR id LIKE '%' || :part LIMIT 2", {"part": wanted}))

    def timeline(self, exchange: str) -> Timeline | None:
        """Return the arrival, kind and size of each stream event."""
        with errors(self.path):
            row = self.db.execute(
                "SELECT arrivals, kinds, sizes FROM timelines WHERE exchange = ?", (exchange,)
            ).fetchone()
        if row is None:
            return None
        kinds = [kind for kind, times in _runs.decode(row["kinds"]) for _ in range(times)]
        return Timeline(_numbers.decode(row["arrivals"]), kinds, _numbers.decode(row["sizes"]))

    def usage(self, wanted: Filter) -> list[Record]:
        """Return counts and tokens by day and model."""
        sums = ", ".join(f"coalesce(sum({name}), 0) AS {name}" for name in _SUMS)
        condition, parameters = self.where(wanted)
        with errors(self.path):
            rows = self.db.execute(
                "SELECT date(started_at / 1000000, 'unixepoch') AS day,"
                " coalesce(response_model, routed_model, requested_model) AS model, count(*) AS exchanges,"
                f" coalesce(sum({conditions.WENT_WRONG}), 0) AS errors, {sums}"
                f" FROM exchanges WHERE {condition} GROUP BY 1, 2 ORDER BY 1 DESC, 2",
                parameters,
            )
            return [dict(row) for row in rows]

    def states(self, wanted: Filter) -> dict[str, int]:
        """Return how many exchanges there are in each state."""
        condition, parameters = self.where(wanted)
        with errors(self.path):
            rows = self.db.execute(
                f"SELECT state, count(*) FROM exchanges WHERE {condition} GROUP BY state", parameters
            )
            return dict(rows.fetchall())
