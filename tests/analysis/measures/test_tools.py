"""Tools: sums, rates and nearest-rank percentiles by hand, and calls that were made twice."""

from __future__ import annotations

import random
from typing import Any

import polars as pl
import pytest

from analysis.measures.tools import by_server, repeats, tools
from tests.support.frames import at, frame

FIGURES = [
    "calls", "answered", "errors", "error_rate", "wire_p50_ms", "wire_p95_ms", "wire_max_ms", "wire_ms", "client_ms",
    "input_characters", "result_characters", "result_p95_characters",
]  # fmt: skip


def call(number: int, tool: str = "Read", **columns: Any) -> dict[str, Any]:
    """Return a call that was answered."""
    return {
        "tool_use_id": f"t{number:03}", "session_id": "s", "thread_id": "s/main", "called_at": at(number), "tool_name": tool,
        "answered": True, "is_error": False, "input_characters": 10, "result_characters": 100, "wire_ms": float(number),
        **columns,
    }  # fmt: skip


def unanswered(number: int, tool: str = "Read") -> dict[str, Any]:
    """Return a call whose result never came."""
    return call(number, tool, answered=False, is_error=None, result_characters=None, wire_ms=None)


def test_calls_add_up_by_tool() -> None:
    """There is one row per tool, with sums, the share of errors among the results, and percentiles by nearest rank."""
    reads = [call(n, result_characters=n * 10, client_ms=2.5 if n < 3 else None, is_error=n > 15) for n in range(1, 21)]
    rows = [call(50, "Bash", wire_ms=7.0), *reads, unanswered(60), unanswered(61, "Task")]

    found = tools(frame("tool_calls", *rows)).collect()

    assert found.columns == ["tool_name", *FIGURES]
    # of 20 durations 1 to 20 the 10th and the 19th; of 20 results the 19th
    assert found.row(0) == ("Read", 21, 20, 5, 0.25, 10.0, 19.0, 20.0, 210.0, 5.0, 210, 2_100, 190)
    assert found.row(1) == ("Bash", 1, 1, 0, 0.0, 7.0, 7.0, 7.0, 7.0, None, 10, 100, 100)
    assert found.row(2) == ("Task", 1, 0, 0, None, None, None, None, None, None, 10, 0, None)


def test_the_most_called_come_first() -> None:
    """Groups come by their calls, then by their names, in whatever order the rows are."""
    rows = [call(n, name) for n, name in enumerate(["b", "a", "c", "c", "d", "d", "d"])]
    random.Random(5).shuffle(rows)

    assert tools(frame("tool_calls", *rows)).collect()["tool_name"].to_list() == ["d", "c", "a", "b"]


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("thread_id", [("s/main", 2), ("s/a", 1)]),
        (["tool_name", "thread_id"], [("Bash", "s/main", 1), ("Read", "s/a", 1), ("Read", "s/main", 1)]),
        ((), [(3,)]),
    ],
)
def test_calls_add_up_by_any_columns(by: Any, groups: list[tuple[Any, ...]]) -> None:
    """Calls add up by any column, by several, and over all."""
    rows = [call(1), call(2, thread_id="s/a"), call(3, "Bash")]

    found = tools(frame("tool_calls", *rows), by).collect()

    names = [by] if isinstance(by, str) else list(by)
    assert found.select(*names, "calls").rows() == groups
    assert found.columns == [*names, *FIGURES]


def test_tools_of_no_server_are_built_in() -> None:
    """By server, the tools that belong to none are one group of the client's own."""
    rows = [call(1), call(2, "Bash"), call(3, "mcp__github__search", mcp_server="github")]

    found = by_server(frame("tool_calls", *rows)).collect()

    assert found.select("mcp_server", "calls").rows() == [("built in", 2), ("github", 1)]
    assert found.columns == ["mcp_server", *FIGURES]


def test_no_calls_give_no_groups() -> None:
    """A frame without calls gives a frame without rows that has all columns."""
    none = frame("tool_calls")

    assert tools(none).collect().shape == (0, 13)
    assert by_server(none.collect()).collect().shape == (0, 13)
    assert repeats(frame("tool_calls", bodies=True)).collect().shape == (0, 7)


def test_the_same_call_again_wastes_its_result() -> None:
    """A tool called again with the same input in a session wasted all results but the first one, by time."""
    same = {"input": '{"file_path":"/a"}'}
    rows = [
        call(9, **same, result_characters=300),
        call(4, **same, result_characters=1_000),
        call(6, **same, result_characters=None),
        call(5, input='{"file_path":"/b"}'),
        call(7, "Edit", **same),
        call(8, **same, session_id="t"),
    ]

    found = repeats(frame("tool_calls", *rows, bodies=True)).collect()

    assert found.columns == ["session_id", "tool_name", "calls", "wasted_characters", "first_at", "last_at", "input"]
    assert found.rows() == [("s", "Read", 3, 300, at(4), at(9), '{"file_path":"/a"}')]


def test_the_first_of_calls_side_by_side_is_told_by_its_id() -> None:
    """Of calls made at the same moment the one with the lowest id counts as the first."""
    rows = [call(n, input="{}", called_at=at(0), result_characters=n) for n in (3, 1, 2)]

    assert repeats(frame("tool_calls", *rows, bodies=True)).collect()["wasted_characters"].item() == 5


def test_the_most_wasteful_repetition_comes_first() -> None:
    """Repetitions come by what they wasted, with inputs cut at 200 characters that were compared whole."""
    long = "x" * 200
    rows = [
        *(call(n, input=long + "a", result_characters=1) for n in range(3)),
        *(call(n, input=long + "b", result_characters=50) for n in range(3, 5)),
        call(7, input=long),
    ]

    found = repeats(frame("tool_calls", *rows, bodies=True)).collect()

    assert found.select("calls", "wasted_characters", "input").rows() == [(2, 50, long), (3, 2, long)]


@pytest.mark.parametrize("missing", [{"session_id": None}, {"input": None}])
def test_what_is_not_known_is_no_repetition(missing: dict[str, None]) -> None:
    """Calls of unknown sessions or inputs are not taken for the same."""
    rows = [call(n, **{"input": "{}", **missing}) for n in range(2)]

    assert repeats(frame("tool_calls", *rows, bodies=True)).collect().is_empty()


def test_repeats_need_the_inputs() -> None:
    """Without the column of inputs a sentence says what to ask for."""
    with pytest.raises(ValueError, match="repeats compares inputs: ask for tool_calls with bodies"):
        repeats(frame("tool_calls", call(1)))


def test_measures_stay_lazy() -> None:
    """The frames that come out are lazy, also of frames that are not."""
    calls = frame("tool_calls", call(1), bodies=True).collect()

    assert all(isinstance(found, pl.LazyFrame) for found in (tools(calls), by_server(calls), repeats(calls)))
