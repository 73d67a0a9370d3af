"""A query as a lazy polars frame: nothing is read until it is collected, and then only the columns that are needed.

Refuses to know what the query asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import polars as pl
from polars.io.plugins import register_io_source

Scan = Callable[[str, Mapping[str, pl.DataType], int | None], Iterator[pl.DataFrame]]


def lazy(scan: Scan, view: str, schema: Mapping[str, pl.DataType], order: str) -> pl.LazyFrame:
    """Return a lazy frame of a view with exactly this schema. `scan` runs a query; rows come in the `order` of these columns."""

    def read(
        columns: list[str] | None, predicate: pl.Expr | None, rows: int | None, _batch: int | None
    ) -> Iterator[pl.DataFrame]:
        """Give the pieces of the columns that polars needs: the first `rows`, and of these what the predicate lets through."""
        wanted = {name: schema[name] for name in columns} if columns is not None else dict(schema)
        for piece in scan(f"SELECT {', '.join(wanted)} FROM {view} ORDER BY {order}", wanted, rows):
            yield piece if predicate is None else piece.filter(predicate)

    return register_io_source(read, schema=dict(schema), validate_schema=True)
