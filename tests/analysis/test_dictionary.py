"""The dictionary of columns holds everywhere: in frames, in the views of SQL, and where nothing was captured."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import analysis
from analysis import Capture
from analysis.dictionary import GRAINS, MOMENT, REAL, TEXT, WHOLE, YES_NO, document
from analysis.views import ORDER
from tests.support.captures import frame

KEYS = {
    "exchange_id", "result_exchange_id", "session_id", "thread_id", "parent_thread_id", "node", "result_node", "parent", "tip",
    "reply", "preamble", "part", "tool_use_id", "spawn_tool_use_id", "agent_id", "parent_agent_id",
}  # fmt: skip
SAME_EVERYWHERE = (
    "exchange_id",
    "session_id",
    "thread_id",
    "agent_id",
    "node",
    "preamble",
    "tool_use_id",
    "model",
    "position",
)
# grain.column of the handmade capture to the reason why it is null in every row
NEVER_THERE = dict.fromkeys(
    (f"exchanges.{name}" for name in ("agent_name", "agent_sign", "endpoint", "losses")),
    "nothing in it is routed: test_routed.py",
)
PAGE = Path(analysis.__file__).with_name("COLUMNS.md")


@pytest.mark.parametrize("bodies", [False, True])
@pytest.mark.parametrize("grain", GRAINS)
def test_a_frame_has_exactly_the_columns_of_the_dictionary(capture: Capture, grain: str, bodies: bool) -> None:
    """Names, types and order are the dictionary's, in the plan and in what is read."""
    expected = GRAINS[grain].schema(bodies=bodies)
    assert dict(frame(capture, grain, bodies=bodies).schema) == expected
    assert list(frame(capture, grain, bodies=bodies).columns) == list(expected)


@pytest.mark.parametrize("bodies", [False, True])
@pytest.mark.parametrize("grain", GRAINS)
def test_so_has_one_without_rows(empty: Capture, grain: str, bodies: bool) -> None:
    """Where nothing was captured yet, names and types are the same."""
    found = frame(empty, grain, bodies=bodies)
    assert (found.height, dict(found.schema)) == (0, GRAINS[grain].schema(bodies=bodies))


@pytest.mark.parametrize("grain", GRAINS)
def test_a_view_has_the_columns_of_its_frame(capture: Capture, grain: str) -> None:
    """SQL knows each grain by its name, with the same columns and types, those of any length included."""
    found = capture.sql(f"SELECT * FROM {grain} LIMIT 1")
    assert dict(found.schema) == GRAINS[grain].schema(bodies=True)
    described = capture.sql(f"DESCRIBE {grain}")
    assert described["column_name"].to_list() == list(GRAINS[grain].schema(bodies=True))


@pytest.mark.parametrize("grain", GRAINS)
def test_so_has_a_view_without_rows(empty: Capture, grain: str) -> None:
    """Where nothing was captured yet, a query gives the same columns."""
    found = empty.sql(f"SELECT * FROM {grain}")
    assert (found.height, dict(found.schema)) == (0, GRAINS[grain].schema(bodies=True))


def test_all_grains_are_views() -> None:
    """The order in which views are made names each grain once."""
    assert sorted(ORDER) == sorted(GRAINS)


def test_keys_have_one_name_and_one_type() -> None:
    """What frames are joined by is text, called the same wherever it stands; what is called the same has one type."""
    types: dict[str, set[str]] = {}
    for grain in GRAINS.values():
        for column in grain.columns:
            types.setdefault(column.name, set()).add(repr(column.type))
            if column.name in KEYS:
                assert column.type == TEXT, f"{grain.name}.{column.name}"
    assert {name: kinds for name, kinds in types.items() if len(kinds) > 1} == {}
    assert types.keys() >= KEYS | set(SAME_EVERYWHERE)


@pytest.mark.parametrize("grain", GRAINS)
def test_rows_are_in_the_order_that_the_dictionary_says(capture: Capture, grain: str) -> None:
    """Each frame comes in the order of its grain's key, which no two rows share."""
    found = frame(capture, grain)
    order = GRAINS[grain].order
    assert found.select(order).rows() == found.select(order).unique().sort(order).rows()


@pytest.mark.parametrize("grain", GRAINS)
def test_every_column_is_filled_somewhere(attached: Capture, grain: str) -> None:
    """No column is there for show: the handmade capture has a value in each, or the reason why not stands here."""
    found = frame(attached, grain)
    empty = {f"{grain}.{name}" for name in found.columns if found[name].null_count() == found.height}
    assert empty == {name for name in NEVER_THERE if name.startswith(f"{grain}.")}


def test_rows_of_one_grain_find_those_of_another(capture: Capture) -> None:
    """Every key that is not null leads to the row it names."""
    ways = [
        ("exchanges", "session_id", "sessions", "session_id"), ("exchanges", "thread_id", "threads", "thread_id"),
        ("exchanges", "tip", "messages", "node"), ("exchanges", "reply", "messages", "node"),
        ("exchanges", "preamble", "prompt_parts", "preamble"), ("threads", "parent_thread_id", "threads", "thread_id"),
        ("threads", "spawn_tool_use_id", "tool_calls", "tool_use_id"), ("messages", "exchange_id", "exchanges", "exchange_id"),
        ("messages", "parent", "messages", "node"), ("blocks", "node", "messages", "node"),
        ("blocks", "tool_use_id", "tool_calls", "tool_use_id"), ("tool_calls", "exchange_id", "exchanges", "exchange_id"),
        ("tool_calls", "result_exchange_id", "exchanges", "exchange_id"), ("tool_calls", "node", "messages", "node"),
        ("tool_calls", "result_node", "messages", "node"), ("events", "exchange_id", "exchanges", "exchange_id"),
    ]  # fmt: skip
    for grain, column, other, key in ways:
        given = set(frame(capture, grain, bodies=False)[column].drop_nulls())
        assert given, f"{grain}.{column}"
        assert given <= set(frame(capture, other, bodies=False)[key]), f"{grain}.{column}"


def test_columns_tells_what_there_is() -> None:
    """`analysis.columns` lists every column of a frame with its type, unit, meaning and source; without a name, of all frames."""
    found = analysis.columns("tool_calls")
    assert found["name"].to_list() == list(GRAINS["tool_calls"].schema(bodies=True))
    assert found.columns == ["grain", "name", "type", "unit", "meaning", "source", "body"]
    row = found.row(by_predicate=pl.col("name") == "wire_ms", named=True)
    assert (row["type"], row["unit"], row["source"], row["body"]) == ("number", "ms", "proxy", False)
    everything = analysis.columns()
    assert everything["grain"].unique(maintain_order=True).to_list() == list(GRAINS)
    assert everything.height == sum(len(grain.columns) for grain in GRAINS.values())
    assert everything.filter(pl.col("meaning").str.len_chars() < 3).is_empty()
    assert everything.filter(pl.col("source") == "").is_empty()
    assert set(everything["type"]) == {"text", "integer", "number", "true/false", "time", "list of texts"}


@pytest.mark.parametrize("name", ["exchange", "Exchanges", "", "sqlite_master"])
def test_columns_refuses_what_is_no_frame(name: str) -> None:
    """A name that there is not is refused, and the sentence has those that there are."""
    with pytest.raises(
        ValueError, match=rf'there is no frame "{name}"; there are exchanges, sessions, .*, prompt_parts$'
    ):
        analysis.columns(name)


def test_units_are_those_of_the_types() -> None:
    """Times are UTC, what is called `_ms`, `_tokens` or `bytes` is counted in it, and flags have no unit."""
    for grain in GRAINS.values():
        for column in grain.columns:
            place = f"{grain.name}.{column.name}"
            assert (column.type == MOMENT) == (column.unit == "UTC"), place
            if column.name.endswith("_ms"):
                assert (column.type, column.unit) == (REAL, "ms"), place
            if column.name.endswith("_tokens"):
                assert (column.type, column.unit) == (WHOLE, "tokens"), place
            if column.name.endswith("bytes"):
                assert (column.type, column.unit) == (WHOLE, "bytes"), place
            if column.type == YES_NO:
                assert column.unit == "", place


def test_the_page_is_the_dictionary() -> None:
    """COLUMNS.md is what the dictionary says now; `document()` writes it anew."""
    assert PAGE.read_text() == document()
