"""Messages as the tree that they are: which stands after which, and where two conversations part.

Fetches whole sessions, and those that these were continued from, however far back. Refuses to know what messages say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

Frame = pl.LazyFrame | pl.DataFrame


@dataclass(frozen=True, slots=True)
class Tree:
    """Messages by their place in a list in which each stands after its parent: node, parent, session_id, place."""

    nodes: pl.DataFrame
    parents: Sequence[int]  # -1 above a root, and where the parent is no longer known
    depths: Sequence[int]

    @classmethod
    def of(cls, messages: Frame, sessions: pl.Series, tips: pl.Series) -> Tree:
        """Return the messages of some sessions, with those that `tips` and they themselves have above them elsewhere.

        A session that was continued from another one has its first messages there: so whole sessions are fetched, until
        nothing is missing that the store knows.
        """
        source = messages.lazy().select("node", "parent", "depth", "session_id")
        wanted, known = sessions.unique(), sessions.clear()
        found = source.clear().collect()
        while len(wanted):
            found = found.vstack(source.filter(among("session_id", wanted)).collect())
            known = known.append(wanted)
            above = pl.concat([tips, found["parent"]]).drop_nulls().unique()
            missing = above.filter(~above.is_in(found["node"].implode()))
            if missing.is_empty():
                break
            owners = source.filter(among("node", missing)).select("session_id").unique().collect().to_series()
            wanted = owners.filter(~owners.is_in(known.implode(), nulls_equal=True))
        return cls._ordered(found)

    @classmethod
    def _ordered(cls, found: pl.DataFrame) -> Tree:
        places = pl.int_range(pl.len(), dtype=pl.Int64).alias("place")
        nodes = found.sort("depth", "node").select("node", "parent", "session_id").with_columns(places)
        above = nodes.select("parent").join(
            nodes.select(pl.col("node").alias("parent"), "place"), on="parent", how="left", maintain_order="left"
        )
        parents = above["place"].fill_null(-1).to_list()
        depths: list[int] = []
        for parent in parents:
            depths.append(depths[parent] + 1 if parent >= 0 else 0)
        return cls(nodes, parents, depths)

    def places(self, nodes: pl.Series) -> list[int]:
        """Return the place of each node, -1 where it is not known."""
        known = self.nodes.select("node", "place")
        return (
            nodes.alias("node")
            .to_frame()
            .join(known, on="node", how="left", maintain_order="left")["place"]
            .fill_null(-1)
            .to_list()
        )

    def above(self, place: int, depth: int) -> int:
        """Return the place of the message of that depth above a place, or at it."""
        while place >= 0 and self.depths[place] > depth:
            place = self.parents[place]
        return place

    def fork(self, one: int, other: int) -> int:
        """Return the place of the last message that two paths share, or -1."""
        depth = min(self.depths[one] if one >= 0 else -1, self.depths[other] if other >= 0 else -1)
        one, other = self.above(one, depth), self.above(other, depth)
        while one != other:
            one, other = self.parents[one], self.parents[other]
        return one


def among(column: str, values: pl.Series) -> pl.Expr:
    """Return whether a column has one of these values, null included."""
    return pl.col(column).is_in(values.implode(), nulls_equal=True)
