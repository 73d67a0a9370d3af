"""What filled the window, against a conversation told by hand."""

from __future__ import annotations

import random

import polars as pl
import pytest

from analysis.measures.context import context
from analysis.measures.weighing import CATEGORIES
from tests.support.frames import at, frame
from tests.support.weights import BLOCKS, PARTS, PATHS, block, held, mixed, request, tree


def test_a_request_is_split_by_what_it_holds() -> None:
    """Its preamble and all messages up to its tip, in characters, and in tokens that come to what the API counted."""
    found = held(request("1", 600, "u0"), request("2", 2000, "u4"))
    # 200 characters of preamble, 100 of u0: 2 tokens a character
    assert found["1"] == {
        ("system", None): (120, 240.0), ("tools", None): (50, 100.0), ("mcp_tools", "git"): (30, 60.0), ("user", None): (100, 200.0),
    }  # fmt: skip
    # 200, 100, 150, 550, 90 and 10 characters: 1100, in 2000 tokens
    characters = {
        ("system", None): 120, ("tools", None): 50, ("mcp_tools", "git"): 30, ("user", None): 110, ("assistant", None): 150,
        ("thinking", None): 40, ("tool_call", "Bash"): 20, ("tool_call", "Read"): 30, ("tool_result", "Bash"): 400,
        ("tool_result", "Read"): 150,
    }  # fmt: skip
    assert found["2"] == {key: (count, pytest.approx(count * 2000 / 1100)) for key, count in characters.items()}


def test_rows_come_in_order() -> None:
    """By time, then by category and name; with the ids that join."""
    exchanges = mixed("exchanges", [request("2", 900, "u2"), request("1", 600, "u0")])
    rows = context(exchanges, tree(PATHS), mixed("blocks", BLOCKS), mixed("prompt_parts", PARTS)).collect()
    assert rows.columns == [
        "exchange_id",
        "session_id",
        "thread_id",
        "started_at",
        "category",
        "name",
        "characters",
        "tokens",
    ]
    assert rows.row(0)[:6] == ("1", "s", "s/main", at(1), "system", None)
    keys = [(row["exchange_id"], CATEGORIES.index(row["category"]), row["name"] or "") for row in rows.to_dicts()]
    assert keys == sorted(keys)


def test_branches_hold_only_their_own() -> None:
    """Paths that part share what is above, and nothing of each other."""
    found = held(request("1", 650, "u2", None), request("2", 500, "x2", None), request("3", 250, "a1", None))
    assert [found[name].get(("tool_result", "Bash"), (0, 0))[0] for name in "123"] == [400, 250, 0]
    assert {found[name]["user", None][0] for name in "123"} == {100}


def test_tokens_sum_to_what_was_counted() -> None:
    """Whatever a request holds, its tokens come to its context_tokens, also where these are only known by their parts."""
    parts = request("1", 7, "u4", context_tokens=None, cache_read_tokens=1000, cache_write_tokens=300)
    for tokens, row in ((1307, parts), (12_345, request("1", 12_345, "x2")), (5, request("1", 5, None))):
        assert sum(count for _, count in held(row)["1"].values()) == pytest.approx(tokens)


def test_unknown_content_is_other() -> None:
    """A request of which nothing is known is other, without a character; one that was not answered has no rows."""
    found = held(request("1", 70, "gone", None), request("2", None, "u0"), request("3", 0, "u0", None))
    assert found == {"1": {("other", None): (0, 70.0)}, "3": {("user", None): (100, 0.0)}}


def test_any_tree_comes_to_the_sums_of_its_paths() -> None:
    """In a tree that grew at random each request holds just the messages from its tip up to the root."""
    paths: dict[str, str | None] = {"n0": None}
    for number in range(1, 60):
        paths[f"n{number}"] = random.choice([None, *paths]) if number % 5 == 0 else random.choice(list(paths)[-3:])
    sizes = {node: random.randint(1, 99) for node in paths}
    tips = random.choices(list(paths), k=30)
    blocks = mixed("blocks", [block(node, 0, "text", size) for node, size in sizes.items()])
    rows = [request(str(number), 1000, tip, None) for number, tip in enumerate(tips)]
    found = held(*rows, messages=tree(paths), blocks=blocks)
    for number, tip in enumerate(tips):
        node: str | None = tip
        expected = 0
        while node:
            expected, node = expected + sizes[node], paths[node]
        assert found[str(number)] == {("user", None): (expected, 1000.0)}


def test_no_exchanges_fill_nothing() -> None:
    """Without exchanges there are no rows, and all columns."""
    empty = context(frame("exchanges"), frame("messages"), frame("blocks"), frame("prompt_parts")).collect()
    assert (empty.height, empty.schema["tokens"]) == (0, pl.Float64)
