"""Content blocks as rows: every kind has its text, and a kind nobody knows keeps its JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ccproxy.ingest.blocks import blocks_of
from ccproxy.records import Block

KINDS: list[tuple[dict[str, Any], Block]] = [
    ({"type": "text", "text": "hello"}, Block(0, "text", "hello", characters=5)),
    ({"type": "text", "text": ""}, Block(0, "text", "", characters=0)),
    (
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        Block(0, "thinking", "hm", characters=2),
    ),
    ({"type": "redacted_thinking", "data": "AAAA"}, Block(0, "redacted_thinking")),
    (
        {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "ls"}},
        Block(0, "tool_use", '{"command":"ls"}', "Bash", "toolu_1", characters=16),
    ),
    (
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
        Block(0, "server_tool_use", "{}", "web_search", "srvtoolu_1", characters=2),
    ),
    (
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": "out", "is_error": True},
        Block(0, "tool_result", "out", None, "toolu_1", True, 3),
    ),
    (
        {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        Block(0, "tool_result", "a\nb", None, "t", characters=3),
    ),
    (
        {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image", "source": {"data": "AAAA"}}]},
        Block(0, "tool_result", "", None, "t"),
    ),
    ({"type": "tool_result", "tool_use_id": "t"}, Block(0, "tool_result", '{"tool_use_id":"t"}', None, "t", characters=19)),
    (
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"type": "web_search_result", "title": "T"}]},
        Block(
            0,
            "web_search_tool_result",
            '{"type":"web_search_result","title":"T"}',
            None,
            "s",
            characters=40,
        ),
    ),
    ({"type": "image", "source": {"type": "base64", "data": "AAAA"}}, Block(0, "image")),
    ({"type": "document", "source": {"type": "base64", "data": "AAAA"}}, Block(0, "document")),
    ({"type": "compaction", "content": "a summary"}, Block(0, "compaction", "a summary", characters=9)),
    ({"type": "novelty", "x": [1]}, Block(0, "novelty", '{"x":[1]}', characters=9)),
    ({"no": "type"}, Block(0, "other", '{"no":"type"}', characters=13)),
    ({"type": 7}, Block(0, "other", "{}", characters=2)),
]  # fmt: skip


@pytest.mark.parametrize(("item", "block"), KINDS, ids=[f"{i}-{block.type}" for i, (_, block) in enumerate(KINDS)])
def test_each_kind_of_block(item: dict[str, Any], block: Block) -> None:
    """Text, tool, id, error and size stand where search and analysis look for them."""
    assert blocks_of({"role": "user", "content": [item]}) == (block,)


@pytest.mark.parametrize(("item", "block"), KINDS[:6])
def test_a_marker_for_the_cache_changes_nothing(item: dict[str, Any], block: Block) -> None:
    """The marker that wanders from message to message is no part of a block."""
    marked = {**item, "cache_control": {"type": "ephemeral"}}
    assert blocks_of({"content": [marked]}) == (block,)


def test_a_string_is_one_text_block() -> None:
    """Both spellings of a text message give the same blocks."""
    assert blocks_of({"role": "user", "content": "hi"}) == blocks_of({"content": [{"type": "text", "text": "hi"}]})


def test_blocks_are_numbered_in_order() -> None:
    """Each block knows its position, whatever stands before it."""
    found = blocks_of({"content": [{"type": "text", "text": "a"}, "plain", None, {"type": "image"}]})
    assert [(block.position, block.type) for block in found] == [(0, "text"), (1, "other"), (2, "other"), (3, "image")]
    assert found[1].text == '"plain"'


@pytest.mark.parametrize("message", [None, 7, {}, {"content": None}, {"content": 7}, [], "text"])
def test_what_is_no_message_has_no_exception(message: Any) -> None:
    """Whatever JSON stands where a message should, blocks come out or none do."""
    assert all(isinstance(block, Block) for block in blocks_of(message))


def test_results_in_results_are_read_to_the_ground() -> None:
    """However deep the texts of a tool's result stand, they are found; what is binary is left out."""
    content = [{"type": "x", "content": [{"type": "text", "text": "deep"}]}, {"type": "y", "data": "AAAA", "n": 1}, "s"]
    [block] = blocks_of({"content": [{"type": "tool_result", "tool_use_id": "t", "content": content}]})
    assert block.text == "deep\n" + json.dumps({"type": "y", "n": 1}, separators=(",", ":")) + "\ns"
