"""What a request says, taken apart from its bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dashboards.data import anatomy


def _read(**body: Any) -> anatomy.Request:
    return anatomy.read(json.dumps(body).encode())


def test_all_of_a_request_is_found() -> None:
    """System, tools and messages stand apart, and whatever else there is counts as parameters, unknown members too."""
    found = _read(
        model="m",
        system="be brief",
        tools=[{"name": "Read"}],
        messages=[{"role": "user", "content": "hi"}],
        novel={"a": 1},
    )
    assert [(block.type, block.text) for block in found.system] == [("text", "be brief")]
    assert [tool.name for tool in found.tools] == ["Read"]
    assert [(one.place, one.role, one.characters) for one in found.messages] == [(0, "user", 2)]
    assert dict(found.parameters) == {"model": "m", "novel": {"a": 1}}


def test_marks_of_the_cache_are_told() -> None:
    """A part that is marked says for how long: 5 minutes where nothing else is said."""
    mark, hour = {"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}
    found = _read(
        system=[{"type": "text", "text": "a", "cache_control": hour}],
        tools=[{"name": "a", "cache_control": mark}, {"name": "b"}],
        messages=[
            {
                "role": "user",
                "content": [{"type": "text", "text": "x"}, {"type": "text", "text": "y", "cache_control": mark}],
            }
        ],
    )
    assert found.system[0].cache == "1h"
    assert [tool.cache for tool in found.tools] == ["5m", ""]
    assert found.messages[0].cache == "5m"


@pytest.mark.parametrize(
    ("block", "text", "name"),
    [
        ({"type": "text", "text": "words"}, "words", ""),
        ({"type": "thinking", "thinking": "hm", "signature": "s"}, "hm", ""),
        ({"type": "tool_use", "id": "t", "name": "Bash", "input": {"command": "ls"}}, '{\n  "command": "ls"\n}', "Bash"),
        ({"type": "tool_result", "tool_use_id": "t", "content": "ok"}, "ok", "t"),
        ({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "a"}, "b"]}, "a\nb", "t"),
        ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}, "[image image/png, 3 bytes]", ""),
        ({"type": "image", "source": {"type": "url", "url": "http://x/y.png"}}, "[image http://x/y.png]", ""),
        ({"type": "document", "title": "T", "source": {"type": "text", "data": "plain"}}, "plain", "T"),
        ({"type": "redacted_thinking", "data": "xyz"}, '{\n  "data": "xyz"\n}', ""),
        ({"type": "hologram", "beam": 3, "cache_control": {}}, '{\n  "beam": 3\n}', ""),
        ({"type": "tool_result", "tool_use_id": "t", "content": []}, '{\n  "tool_use_id": "t",\n  "content": []\n}', "t"),
    ],
)  # fmt: skip
def test_each_block_says_something(block: dict[str, Any], text: str, name: str) -> None:
    """A block of any type has a text; one of an unknown type is shown as JSON."""
    [found] = anatomy.blocks([block])
    assert (found.type, found.text, found.name, found.characters) == (block["type"], text, name, len(text))


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"", "no body"),
        (b"{", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[1]", "no object"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)  # fmt: skip
def test_bytes_that_are_no_request_are_told(raw: bytes, problem: str) -> None:
    """What cannot be taken apart says why, and never raises."""
    assert problem in anatomy.read(raw).problem


@pytest.mark.parametrize("depth", [*range(100, 1100, 100), 970, 980, 990])
def test_depth_does_no_harm(depth: int) -> None:
    """However deeply a schema is nested, it is shown, or said to be too deep."""
    found = anatomy.read(b'{"tools":[{"input_schema":' + b"[" * depth + b"]" * depth + b"}]}")
    assert found.tools or "nested too deeply" in found.problem


@pytest.mark.parametrize("odd", [None, 1, "text", [1, "x", None], {"a": 1}])
def test_parts_of_odd_types_are_borne(odd: Any) -> None:
    """Members that are not what they should be do no harm."""
    found = _read(system=odd, tools=odd, messages=odd)
    assert found.problem == ""
    assert (
        anatomy.read(json.dumps({"messages": [{"role": odd, "content": odd}], "tools": [odd]}).encode()).problem == ""
    )


def test_marks_can_be_left_out_of_account() -> None:
    """Without the marks, the same parts are the same, at any depth."""
    marked = {"a": [{"b": 1, "cache_control": {"type": "ephemeral"}}], "cache_control": {}}
    assert anatomy.unmarked(marked) == {"a": [{"b": 1}]}
