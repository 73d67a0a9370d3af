"""What changed from one request to another, by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dashboards.data import Data, anatomy, exchange
from dashboards.data import comparing as data
from dashboards.pages import comparing as page
from tests.support.handmade import assistant, ids, text, user

MARK = {"cache_control": {"type": "ephemeral"}}


def _compare(old: dict[str, Any], new: dict[str, Any], *betas: str) -> data.Comparison:
    return data.compare(*(anatomy.read(json.dumps(body).encode()) for body in (old, new)), *betas)


def _kinds(changes: tuple[data.Change, ...]) -> list[tuple[str, str]]:
    return [(change.name, change.kind) for change in changes]


def test_the_same_requests_do_not_differ() -> None:
    """Nothing changed between a request and itself, be the marks of the cache elsewhere and a text a list of one block."""
    old = {"model": "m", "system": "s", "tools": [{"name": "a"}], "messages": [user(text("x"))]}
    new = {
        "model": "m",
        "system": [{**text("s"), **MARK}],
        "tools": [{"name": "a", **MARK}],
        "messages": [{"role": "user", "content": "x"}],
    }
    found = _compare(old, new)
    assert {change.kind for change in (*found.system, *found.tools, *found.parameters)} == {"same"}
    assert found.system[0].note == "cache mark none → 5m"
    assert found.messages == data.Messages(1)
    assert page.summary(found)[2][2] == "the same (1)"


def test_system_blocks_are_matched_by_what_they_say() -> None:
    """A block that was put in between does not make the others differ; one that changed says which lines."""
    old = {"system": [text("one"), text("two\nlines"), text("three")]}
    new = {"system": [text("zero"), text("one"), text("two\nchanged"), text("three")]}
    found = _compare(old, new).system
    assert _kinds(found) == [("block 0", "added"), ("block 1", "same"), ("block 2", "changed"), ("block 3", "same")]
    assert [(row.kind, row.text) for row in found[2].rows] == [("same", "two"), ("del", "lines"), ("add", "changed")]
    assert found[2].counts == (1, 1)
    assert _kinds(_compare(new, old).system)[0] == ("block 0", "removed")


def test_tools_are_matched_by_name() -> None:
    """Added, removed and changed tools are told, with the lines of description and schema, and whether their order changed."""
    schema = {"type": "object", "properties": {"path": {}}}
    old = {
        "tools": [{"name": "a"}, {"name": "b", "description": "B", "input_schema": {"type": "object"}}, {"name": "c"}]
    }
    new = {
        "tools": [
            {"name": "c"},
            {"name": "b", "description": "B", "input_schema": schema},
            {"name": "d"},
            {"name": "d"},
        ]
    }
    found = _compare(old, new)
    assert _kinds(found.tools) == [("c", "same"), ("b", "changed"), ("d", "added"), ("d #2", "added"), ("a", "removed")]
    assert any(row.kind == "add" and '"path"' in row.text for row in found.tools[1].rows)
    assert found.tools_moved
    assert not _compare(old, {"tools": [{"name": "a"}, {"name": "x"}, {"name": "b"}]}).tools_moved
    assert page.summary(found)[1][2] == "1 changed, 2 added, 1 removed, 1 the same, in another order"


def test_a_turn_adds_messages() -> None:
    """What a usual turn adds stands behind what is the same."""
    old = [user(text("a")), assistant(text("b"))]
    found = _compare({"messages": old}, {"messages": [*old, user(text("c"))]}).messages
    assert (found.shared, len(found.removed), [message.place for message in found.added], found.part) == (
        2,
        0,
        [2],
        False,
    )


def test_the_first_difference_is_found_to_its_block() -> None:
    """Where a message in the middle changed, its place and block are told, and that those behind it say the same."""
    old = [user(text("a")), user(text("b"), text("old")), assistant(text("c")), user(text("d"))]
    new = [user(text("a")), user(text("b"), text("new")), assistant(text("c")), user(text("d")), assistant(text("e"))]
    found = _compare({"messages": old}, {"messages": new}).messages
    assert (found.shared, found.block, found.again, len(found.removed), len(found.added)) == (1, 1, 2, 1, 2)
    assert _kinds(found.blocks) == [("block 0", "same"), ("block 1", "changed")]
    assert (
        page.summary(data.Comparison(messages=found))[2][2]
        == "they part at message 1, 1 no longer there, 2 new, 2 as before"
    )


def test_a_rewind_removes_messages() -> None:
    """Messages that are gone are told as that."""
    old = [user(text("a")), assistant(text("b")), user(text("c"))]
    found = _compare({"messages": old}, {"messages": old[:1]}).messages
    assert (found.shared, len(found.removed), found.added, found.block) == (1, 2, (), None)


def test_parameters_and_betas_are_compared() -> None:
    """Each parameter says what became of it, and so does each beta."""
    found = _compare(
        {"model": "a", "gone": 1, "same": [1]}, {"model": "b", "came": {"x": 2}, "same": [1]}, "one,two", "two, three"
    )
    assert _kinds(found.parameters) == [
        ("anthropic-beta", "changed"), ("came", "added"), ("gone", "removed"), ("model", "changed"), ("same", "same"),
    ]  # fmt: skip
    assert [(row.kind, row.text) for row in found.parameters[0].rows] == [
        ("del", "one"),
        ("same", "two"),
        ("add", "three"),
    ]


def test_what_cannot_be_read_is_told() -> None:
    """Where one of the two is no request, that is all there is to say."""
    found = data.compare(anatomy.read(b"{}"), anatomy.read(b"nonsense"))
    assert "no JSON" in found.problem
    assert page.summary(found) == []
    deep = b'{"metadata":' + b'{"a":' * 300 + b"1" + b"}" * 300 + b"}"
    assert data.compare(anatomy.read(deep), anatomy.read(deep)).parameters[0].kind == "same"


@pytest.mark.parametrize(("number", "cause"), [(2, None), (1, "first_request"), (7, None), (10, None)])
def test_a_break_of_the_cache_has_its_cause(handmade_data: Data, number: int, cause: str | None) -> None:
    """The measure's verdict on this exchange is told; an exchange that read what was there has none, nor has one in no thread."""
    row = exchange.one(handmade_data, ids(number)[0])
    assert row is not None
    found = data.broken(handmade_data, row)
    assert (found and found["cause"]) == cause
