"""What tool results went on costing, worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from analysis.measures.cost import cost
from analysis.measures.tool_results import tool_results
from tests.support.frames import frame
from tests.support.weights import BLOCKS, PARTS, PATHS, block, mixed, prices, request, tree

RESULTS = [
    "tool_use_id", "tool_name", "session_id", "node", "characters", "tokens", "requests", "token_turns", "cost_usd",
]  # fmt: skip


def lives(*requests: dict[str, Any], path: Path | None = None, **more: Any) -> list[dict[str, Any]]:
    """Return what became of tool results."""
    frames = (
        more.get("messages", tree(PATHS)),
        more.get("blocks", mixed("blocks", BLOCKS)),
        mixed("prompt_parts", PARTS),
    )
    return tool_results(mixed("exchanges", list(requests)), *frames, prices=path).collect().to_dicts()


def test_a_result_costs_as_long_as_it_is_carried(tmp_path: Path) -> None:
    """Each request that holds a result pays for it by its share: here 400 and 150 of 1000 and of 1100 characters."""
    rows = [
        request("1", 500, "u0"),
        request("2", 2000, "u2"),
        request("3", 3300, "u4"),
        request("4", 0, "u4", cache_read_tokens=1100, context_tokens=1100),
    ]
    bash, read = lives(*rows, path=prices(tmp_path))
    assert list(bash) == RESULTS
    assert [bash[name] for name in RESULTS[:5]] == ["t1", "Bash", "s", "u2", 400]
    # 2, 3 and 1 tokens a character; 20, 30 and 1 USD a million characters
    assert (bash["tokens"], bash["requests"], bash["token_turns"]) == (800.0, 3, pytest.approx(400 * 6))
    assert bash["cost_usd"] == pytest.approx(400 * 51e-6)
    assert [read[name] for name in RESULTS[:7]] == ["t2", "Read", "s", "u2", 150, 300.0, 3]
    assert read["cost_usd"] == pytest.approx(150 * 51e-6)


def test_shares_come_to_the_cost_of_input(tmp_path: Path) -> None:
    """If all content were tool results, what they cost would be what all input cost."""
    rows = [
        request("1", 100, "u0", None, cache_write_tokens=50, cache_write_5m_tokens=50, context_tokens=150),
        request("2", 70, "u2", None), request("3", 31, "x2", None), request("4", 33, "a3", None, cache_read_tokens=9, context_tokens=42),
    ]  # fmt: skip
    blocks = [block(node, 0, "tool_result", 7 + number, tool_use_id=node) for number, node in enumerate(PATHS)]
    found = lives(*rows, path=prices(tmp_path), blocks=mixed("blocks", blocks))
    paid = cost(mixed("exchanges", rows), prices(tmp_path)).select("cost_usd").collect().to_series().sum()
    assert sum(row["cost_usd"] for row in found) == pytest.approx(paid)
    assert sum(row["token_turns"] for row in found) == pytest.approx(150 + 70 + 31 + 42)


def test_a_result_that_moved_is_one(tmp_path: Path) -> None:
    """A result that stands in two places, since a message before it changed, has both lives; its size is the first's."""
    [bash, _] = lives(request("1", 650, "x2"), request("2", 1000, "u2"), path=prices(tmp_path))
    # x2: 200 + 250 + 250 = 700 characters in 650 tokens; u2: 1000 in 1000
    assert (bash["node"], bash["characters"], bash["requests"]) == ("x2", 250, 2)
    assert bash["tokens"] == pytest.approx(250 * 650 / 700)
    assert bash["token_turns"] == pytest.approx(250 * 650 / 700 + 400)


def test_sessions_may_use_the_same_ids(tmp_path: Path) -> None:
    """Results of two sessions are two, whatever their ids; one without any id is one by itself."""
    blocks = [
        block("u0", 0, "tool_result", 10, tool_use_id="t"), block("a1", 0, "tool_result", 20, tool_use_id="t"),
        block("a1", 1, "tool_result", 30), block("a1", 2, "tool_result", 40),
    ]  # fmt: skip
    messages = tree({"u0": None, "a1": None}, a1="s2")
    rows = [request("1", 10, "u0", None), request("2", 90, "a1", None, session_id="s2")]
    found = lives(*rows, path=prices(tmp_path), messages=messages, blocks=mixed("blocks", blocks))
    assert [(row["session_id"], row["tool_use_id"], row["tokens"]) for row in found] == [
        ("s", "t", 10.0), ("s2", "t", 20.0), ("s2", None, 30.0), ("s2", None, 40.0),
    ]  # fmt: skip


def test_a_cost_is_not_guessed(tmp_path: Path) -> None:
    """Where one of the requests has no price, neither has the result; its tokens are known."""
    rows = [request("1", 2000, "u2"), request("2", 1100, "u4", model="nobody's")]
    bash = lives(*rows, path=prices(tmp_path))[0]
    assert (bash["requests"], bash["token_turns"], bash["cost_usd"]) == (2, pytest.approx(1200), None)
    assert lives(rows[0], path=prices(tmp_path))[0]["cost_usd"] is not None


def test_results_that_nobody_carried_are_not_told() -> None:
    """A result is told from the first request that held it; a request that holds nothing known adds nothing."""
    assert lives(request("1", 600, "u0"), request("2", 600, "gone"), request("3", None, "u2")) == []


def test_an_empty_result_costs_nothing(tmp_path: Path) -> None:
    """A result without characters is told, with nothing."""
    blocks = [block("u0", 0, "text", 10), block("u0", 1, "tool_result", 0, tool_use_id="t")]
    [only] = lives(request("1", 10, "u0", None), path=prices(tmp_path), blocks=mixed("blocks", blocks))
    assert [only[name] for name in RESULTS[4:]] == [0, 0.0, 1, 0.0, 0.0]


def test_no_exchanges_have_no_results(tmp_path: Path) -> None:
    """Without exchanges there are no rows, and all columns, with a file of prices and without."""
    empty = frame("exchanges"), frame("messages"), frame("blocks"), frame("prompt_parts")
    for found in (tool_results(*empty).collect(), tool_results(*empty, prices=prices(tmp_path)).collect()):
        assert (found.columns, found.height) == (RESULTS, 0)
