"""The tree of agents: figures rolled up by hand, and trees that are none."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from analysis.measures.agents import agents
from tests.support.frames import at, frame

OWN = [
    "exchanges", "input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "cost_usd", "model_ms", "wall_ms",
]  # fmt: skip
COLUMNS = [
    "thread_id", "session_id", "agent", "parent_thread_id", "depth", "path", "children", "started_at", "ended_at", *OWN,
    *(f"total_{name}" for name in OWN),
]  # fmt: skip


def thread(name: str, parent: str | None, start: float, end: float, session: str = "s") -> dict[str, Any]:
    """Return a run of an agent, called by its name in upper case, between two seconds."""
    return {
        "thread_id": name, "session_id": session, "agent": name.upper(), "parent_thread_id": parent, "started_at": at(start),
        "ended_at": at(end),
    }  # fmt: skip


def exchange(name: str | None, **columns: Any) -> dict[str, Any]:
    """Return an exchange of a thread that took a second and cost 1 USD, for 200,000 tokens at 5 USD per million."""
    return {
        "thread_id": name, "provider": "anthropic", "model": "claude-opus-4-5", "started_at": at(0), "duration_ms": 1000.0,
        "input_tokens": 200_000, **columns,
    }  # fmt: skip


# main starts a and b, and a starts c; c and b run on after main has ended.
THREADS = [
    thread("main", None, 0, 100),
    thread("a", "main", 10, 50),
    thread("b", "main", 20, 130),
    thread("c", "a", 30, 60),
]


def tree(*threads: dict[str, Any]) -> dict[str, tuple[str | None, int, int, list[str]]]:
    """Return for each thread, in order, its parent, depth, number of children and path."""
    found = agents(frame("threads", *threads), frame("exchanges")).collect()
    rows = found.select("thread_id", "parent_thread_id", "depth", "children", "path").iter_rows()
    return {name: (parent, depth, children, path) for name, parent, depth, children, path in rows}


def test_the_tree_has_depths_paths_and_children() -> None:
    """Each thread has its depth, its path from the top and the number of those it started, in the order of the tree."""
    found = tree(*THREADS)

    assert list(found.items()) == [
        ("main", (None, 0, 2, ["MAIN"])),
        ("a", ("main", 1, 1, ["MAIN", "A"])),
        ("c", ("a", 2, 0, ["MAIN", "A", "C"])),
        ("b", ("main", 1, 0, ["MAIN", "B"])),
    ]


def test_figures_are_rolled_up() -> None:
    """The total of a thread is its own figures and those of all below it; total time goes from first start to last end."""
    cached = {
        "input_tokens": None,
        "cache_read_tokens": 1_000_000,
        "cache_write_tokens": 80_000,
        "output_tokens": 20_000,
    }
    rows = [
        exchange("main"),
        exchange("main"),
        exchange("c", **cached),
        exchange("b", duration_ms=None),
        exchange(None),
    ]

    found = agents(frame("threads", *THREADS), frame("exchanges", *rows)).collect()

    assert found.columns == COLUMNS
    own = {row["thread_id"]: tuple(row[name] for name in OWN) for row in found.iter_rows(named=True)}
    total = {row["thread_id"]: tuple(row[f"total_{name}"] for name in OWN) for row in found.iter_rows(named=True)}
    # c: cache read 0.50, written 0.50, output 0.50 USD
    c = (1, 0, 1_000_000, 80_000, 20_000, pytest.approx(1.5), 1000.0)
    assert own == {
        "main": (2, 400_000, 0, 0, 0, 2.0, 2000.0, 100_000.0),
        "a": (0, 0, 0, 0, 0, 0.0, 0.0, 40_000.0),
        "c": (*c, 30_000.0),
        "b": (1, 200_000, 0, 0, 0, 1.0, 0.0, 110_000.0),
    }
    assert total == {
        "main": (4, 600_000, 1_000_000, 80_000, 20_000, pytest.approx(4.5), 3000.0, 130_000.0),
        "a": (*c, 50_000.0),
        "c": (*c, 30_000.0),
        "b": own["b"],
    }


def test_sessions_come_one_after_the_other() -> None:
    """Each session's threads stand together, the sessions and their agents in the order in which they began."""
    rows = [
        thread("late", None, 50, 60, "t"),
        thread("late/x", "late", 52, 53, "t"),
        thread("early", None, 1, 99, "u"),
        thread("early/z", "early", 51, 52, "u"),
        thread("early/lost", "gone", 70, 71, "u"),
        thread("early/y", "early", 80, 81, "u"),
    ]
    random.Random(2).shuffle(rows)

    assert list(tree(*rows)) == ["early", "early/z", "early/y", "early/lost", "late", "late/x"]


def test_a_thread_whose_parent_is_missing_stands_at_the_top() -> None:
    """A thread whose parent is not in the frame is the top of a tree of its own."""
    assert tree(*THREADS[1:]) == {
        "a": (None, 0, 1, ["A"]),
        "c": ("a", 1, 0, ["A", "C"]),
        "b": (None, 0, 0, ["B"]),
    }


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([thread("a", "a", 0, 1)], {"a": (None, 0, 0, ["A"])}),
        (
            [thread("a", "b", 0, 1), thread("b", "a", 1, 2), thread("c", "b", 2, 3)],
            {"a": (None, 0, 1, ["A"]), "b": ("a", 1, 1, ["A", "B"]), "c": ("b", 2, 0, ["A", "B", "C"])},
        ),
        (
            [thread("a", "c", 0, 1), thread("b", "a", 1, 2), thread("c", "b", 2, 3)],
            {"a": (None, 0, 1, ["A"]), "b": ("a", 1, 1, ["A", "B"]), "c": ("b", 2, 0, ["A", "B", "C"])},
        ),
    ],
)
def test_a_circle_is_cut_where_it_began(rows: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    """Threads that would be each other's ancestors are a tree below the one that began first, and none is lost."""
    assert tree(*rows) == expected


def test_a_parent_that_seems_to_begin_later_is_a_parent() -> None:
    """Outside of circles a parent is believed, even if less of it was captured than of its child."""
    assert tree(thread("child", "main", 0, 9), thread("main", None, 5, 6))["child"] == ("main", 1, 0, ["MAIN", "CHILD"])


def test_a_deep_tree_is_rolled_up_to_its_top() -> None:
    """However deep a tree is, its top has the figures of all."""
    rows = [thread(f"t{n:03}", f"t{n - 1:03}" if n else None, n, 200) for n in range(100)]
    random.Random(4).shuffle(rows)

    found = agents(frame("threads", *rows), frame("exchanges", *(exchange(row["thread_id"]) for row in rows))).collect()

    assert found["total_exchanges"].to_list() == list(range(100, 0, -1))
    assert found["depth"].to_list() == list(range(100))


def test_nothing_gives_nothing() -> None:
    """Empty frames give an empty frame with all columns, and a thread without exchanges has zeros."""
    assert agents(frame("threads"), frame("exchanges")).collect().columns == COLUMNS

    found = agents(frame("threads", THREADS[0]).collect(), frame("exchanges").collect())
    assert isinstance(found, pl.LazyFrame)
    assert found.select(OWN).collect().row(0) == (0, 0, 0, 0, 0, 0.0, 0.0, 100_000.0)


def test_what_has_no_price_is_left_out_of_the_cost(tmp_path: Path) -> None:
    """An unknown model counts with its tokens and without a cost, until a file of prices knows it."""
    rows = frame("exchanges", exchange("main"), exchange("main", model="nobody"))
    own = tmp_path / "prices.json"
    own.write_text(json.dumps([{"model": "nobody", "input": 20, "output": 0}]))
    threads = frame("threads", THREADS[0])

    assert agents(threads, rows).select("input_tokens", "cost_usd").collect().row(0) == (400_000, 1.0)
    assert agents(threads, rows, own).collect()["cost_usd"].item() == 5.0
