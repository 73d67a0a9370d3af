"""Messages as a tree: found wherever they stand, and where two paths part."""

from __future__ import annotations

import polars as pl

from analysis.measures.tree import Tree
from tests.support.weights import PATHS, held, mixed, request, tree


def test_messages_are_found_across_sessions() -> None:
    """A session that was continued from others holds their messages; those of other sessions are not looked at."""
    messages = tree(PATHS, u0="older", a1="old", u2="old")
    assert held(request("1", 1000, "u4", None), messages=messages)["1"]["user", None][0] == 110
    sessions, tips = pl.Series(["s"], dtype=pl.String), pl.Series(["u4"], dtype=pl.String)
    assert len(Tree.of(tree({**PATHS, "z": None}, z="foreign"), sessions, tips).nodes) == 6


def test_a_tree_whose_root_is_gone_stands() -> None:
    """Messages below one that is no longer known are a tree of their own."""
    rows = [
        {"node": "b", "parent": "gone", "depth": 7, "session_id": "s"},
        {"node": "c", "parent": "b", "depth": 8, "session_id": "s"},
    ]
    found = Tree.of(mixed("messages", rows), pl.Series(["s"]), pl.Series(["c", None]))
    assert (found.nodes["node"].to_list(), found.parents, found.depths) == (["b", "c"], [-1, 0], [0, 1])
    assert found.places(pl.Series(["c", "gone", None, "b"])) == [1, -1, -1, 0]
    assert [found.fork(*pair) for pair in ((1, 0), (1, 1), (1, -1), (-1, -1))] == [0, 1, -1, -1]
