"""The calls that start agents are found in any answer, however it is cut, before it is over."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccproxy.routing.spawns import Spawn, SpawnReader, agent_key, prompt_key
from tests.support.splits import cut_at, decode, fixed_cuts, random_cuts
from tests.support.standin import message, stream_of, text, thinking, tool_use

CALLS = [
    thinking("Let me delegate."),
    text("I ask two agents."),
    tool_use("Agent", {"subagent_type": "code-reviewer", "prompt": "Review 東京 🎉", "description": "r"}, "toolu_1"),
    tool_use("Bash", {"command": "echo Agent", "prompt": "no"}, "toolu_2"),
    tool_use("Task", {"prompt": "Look around\nand report", "description": "d"}, "toolu_3"),
    tool_use("Agent", {"subagent_type": "Explore"}, "toolu_4"),
]
FOUND = [Spawn("code-reviewer", "Review 東京 🎉"), Spawn("general-purpose", "Look around\nand report")]


START = b'event: content_block_start\ndata: {"index":0,"content_block":{"type":"tool_use","name":"Task"}}\n\n'


def read(*pieces: bytes, streamed: bool) -> list[Spawn]:
    """Return what a reader finds."""
    return decode(SpawnReader(streamed=streamed), list(pieces))


STREAM = b"".join(stream_of(message(CALLS)))
BODY = json.dumps(message(CALLS)).encode()


@given(random_cuts())
@settings(deadline=None)
def test_a_stream_tells_its_calls_however_it_is_cut(places: list[int]) -> None:
    """Agents and tasks are found with their names and prompts; other tools and calls without a prompt start nobody."""
    assert read(*cut_at(STREAM, places), streamed=True) == FOUND
    assert read(*cut_at(BODY, places), streamed=False) == FOUND


def test_a_stream_may_come_byte_by_byte() -> None:
    """No cut is too fine."""
    for pieces in fixed_cuts(STREAM):
        assert read(*pieces, streamed=True) == FOUND


def test_a_call_is_told_with_its_last_piece() -> None:
    """A client may start an agent as soon as its call is complete, so the call is known by then."""
    reader = SpawnReader(streamed=True)
    told = [reader.feed(event) for event in stream_of(message(CALLS))]
    [place] = [place for place, found in enumerate(told) if found == FOUND[:1]]
    assert b"content_block_stop" in stream_of(message(CALLS))[place]


@pytest.mark.parametrize("value", [None, [], {}, {"content": None}, {"content": [None, 1, {"type": "tool_use"}]}, "x"])
def test_odd_messages_start_nobody(value: Any) -> None:
    """What is no message has no calls."""
    assert read(json.dumps(value).encode(), streamed=False) == []


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_nothing_raises(data: bytes) -> None:
    """Whatever passes, it passes."""
    read(data, streamed=True)
    read(data, streamed=False)
    read(START + data, streamed=True)


def test_keys_differ_by_session_prompt_and_agent() -> None:
    """Space around a prompt does not count, everything else does."""
    assert prompt_key("s", " do it\n") == prompt_key("s", "do it")
    keys = {prompt_key("s", "do it"), prompt_key("t", "do it"), prompt_key("s", "do"), agent_key("s", "do it")}
    assert len(keys) == 4
    assert {len(key) for key in keys} == {16}
