"""Tools as functions: their schemas, their names, and which must be called."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from ccproxy.protocol.openai.dialect import Dialect
from ccproxy.protocol.openai.request import to_chat, tool_names
from tests.support.chat_requests import translated

Object = dict[str, Any]
EMPTY = {"type": "object", "properties": {}}
READ = {
    "name": "Read",
    "description": "Reads a file.",
    "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}},
}


def function(tool: Object) -> tuple[Object, tuple[str, ...]]:
    said, losses = translated({"tools": [tool]})
    assert [one["type"] for one in said["tools"]] == ["function"]
    return said["tools"][0]["function"], losses


def parameters(schema: Any) -> Any:
    said, losses = function({"name": "T", "input_schema": schema})
    assert not losses
    return said["parameters"]


@pytest.mark.parametrize("kind", [{}, {"type": "custom"}, {"type": None}])
def test_a_tool_is_a_function(kind: Object) -> None:
    """A tool of the client is a function, with its description and its schema."""
    tool = {**READ, **kind, "cache_control": {"type": "ephemeral"}, "eager_input_streaming": True}
    assert function(tool) == ({"name": "Read", "description": "Reads a file.", "parameters": READ["input_schema"]}, ())


def test_no_tools_are_none() -> None:
    """Without tools the request has no such member."""
    assert "tools" not in translated({"tools": []})[0]
    assert "tools" not in translated({"tools": None})[0]
    assert translated({"tools": {"name": "x"}})[1] == ("tools is left out: it is no list",)


WHOLE = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "kind": {"enum": ["a", 1, None]},
        "either": {"anyOf": [{"$ref": "#/$defs/point"}, {"type": "null"}]},
        "type": {"type": "string", "const": "x"},
        "map": {"type": "object", "additionalProperties": {"type": "number", "minimum": 0.5}},
        "list": {
            "type": "array",
            "items": {"type": "integer", "maximum": 123456789012345678901234567890},
            "minItems": 1,
        },
    },
    "required": ["kind"],
    "additionalProperties": False,
    "$defs": {"point": {"type": "object", "properties": {"x": {"type": "number"}}}},
    "if": {"properties": {"kind": {"const": "a"}}},
}


def test_schemas_go_over_whole() -> None:
    """Nothing of a schema is lost, whatever its keywords are, not even its spaces."""
    assert parameters(WHOLE) == WHOLE
    raw = json.dumps(WHOLE, indent=3).encode()
    body = b'{"messages":[{"role":"user","content":"x"}],"tools":[{"name":"T","input_schema":%s}]}' % raw
    assert raw in to_chat(body, "gpt-4o", Dialect()).body


@pytest.mark.parametrize(
    ("schema", "sent"),
    [
        (None, EMPTY),
        ({}, EMPTY),
        ("object", EMPTY),
        ([], EMPTY),
        ({"type": "object"}, EMPTY),
        ({"properties": {"a": {}}}, {"type": "object", "properties": {"a": {}}}),
        ({"type": "object", "required": []}, {**EMPTY, "required": []}),
        ({"type": ["object", "null"]}, {"type": ["object", "null"]}),
    ],
)
def test_a_schema_is_that_of_an_object(schema: Any, sent: Object) -> None:
    """A schema without a type or without members gets them, since OpenAI refuses it otherwise."""
    assert parameters(schema) == sent


def test_a_schema_that_is_missing() -> None:
    """A tool without a schema takes nothing."""
    assert function({"name": "T"})[0] == {"name": "T", "parameters": EMPTY}


def bare(depth: Any) -> Object:
    return {"type": "object", "properties": {"x": depth}}


LIST, FULL = {"type": "array"}, {"type": "array", "items": {}}


@pytest.mark.parametrize(
    ("inside", "sent"),
    [
        (LIST, FULL),
        ({"type": ["array", "null"]}, {"type": ["array", "null"], "items": {}}),
        ({"type": "array", "items": LIST}, {"type": "array", "items": FULL}),
        ({"anyOf": [LIST, {"type": "string"}]}, {"anyOf": [FULL, {"type": "string"}]}),
        ({"type": "object", "additionalProperties": LIST}, {"type": "object", "additionalProperties": FULL}),
        (
            {"type": "object", "properties": {"a": {"allOf": [LIST]}}},
            {"type": "object", "properties": {"a": {"allOf": [FULL]}}},
        ),
        ({"$defs": {"l": LIST}}, {"$defs": {"l": FULL}}),
        ({"type": "array", "prefixItems": [LIST]}, {"type": "array", "prefixItems": [FULL], "items": {}}),
        ({"type": "array", "items": False}, {"type": "array", "items": False}),
        ({"enum": [LIST], "default": LIST, "examples": [LIST]}, {"enum": [LIST], "default": LIST, "examples": [LIST]}),
        ({"type": "object", "properties": {"type": LIST}}, {"type": "object", "properties": {"type": FULL}}),
    ],
)
def test_every_list_has_items(inside: Object, sent: Object) -> None:
    """A list that does not say of what gets items at any depth; what only looks like a schema is left alone."""
    assert parameters(bare(inside)) == bare(sent)
    assert parameters({**LIST, "type": "object", "properties": {}, "items": inside})["items"] == sent


def test_a_schema_of_great_depth_goes_on() -> None:
    """A schema that is nested out of all measure is passed on as it is."""
    raw = b'{"type":"object","properties":' + b'{"a":' * 300 + b"{}" + b"}" * 300 + b"}"
    body = b'{"messages":[{"role":"user","content":"x"}],"tools":[{"name":"T","input_schema":%s}]}' % raw
    assert raw in to_chat(body, "gpt-4o", Dialect()).body


CLOSED = {
    "type": "object",
    "properties": {"a": {"type": "array", "items": {"$ref": "#/$defs/b"}}},
    "required": ["a"],
    "additionalProperties": False,
    "$defs": {"b": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
}


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (CLOSED, True),
        ({**CLOSED, "required": []}, False),
        ({**CLOSED, "additionalProperties": True}, False),
        ({**CLOSED, "properties": {"a": {"type": "string", "minLength": 3}}}, False),
        ({**CLOSED, "properties": {"a": {"type": "object", "properties": {}}}}, False),
        ({**CLOSED, "$defs": {"b": {"oneOf": []}}}, False),
        ({"type": "object"}, False),
    ],
)
def test_strict_tools(schema: Object, strict: bool) -> None:
    """A tool is strict where OpenAI can hold a call to its schema; else that it is not is told."""
    said, losses = function({"name": "T", "input_schema": schema, "strict": True})
    assert said.get("strict", False) is strict
    assert losses == (() if strict else ("strict of tool T is left out: its schema is none that OpenAI enforces",))
    assert "strict" not in function({"name": "T", "input_schema": schema, "strict": False})[0]


@pytest.mark.parametrize(
    ("tool", "loss"),
    [
        (
            {"type": "web_search_20250305", "name": "web_search"},
            "tool web_search (web_search_20250305) is left out: only Anthropic has it",
        ),
        ({"type": "bash_20250124", "name": "bash"}, "tool bash (bash_20250124) is left out: only Anthropic has it"),
        (
            {"type": "mcp_toolset", "mcp_server_name": "wiki"},
            "tool wiki (mcp_toolset) is left out: only Anthropic has it",
        ),
        ({"description": "x"}, "a tool without a name is left out (tools[1])"),
        (5, "a tool without a name is left out (tools[1])"),
    ],
)
def test_tools_that_are_left_out(tool: Any, loss: str) -> None:
    """A tool that is not the client's own is a loss that names it; the others stay."""
    said, losses = translated({"tools": [READ, tool]})
    assert [one["function"]["name"] for one in said["tools"]] == ["Read"]
    assert losses == (loss,)


def test_what_else_a_tool_has_is_told() -> None:
    """Examples are a loss; that a tool would be loaded later is told once."""
    later = {"name": "A", "input_schema": EMPTY, "defer_loading": True}
    said, losses = translated({"tools": [later, {**later, "name": "B", "input_examples": [{"x": 1}]}]})
    assert len(said["tools"]) == 2
    assert losses == (
        "tools with defer_loading are offered from the start",
        "the member input_examples of tool B is left out",
    )


LONG = "mcp__plugin_chrome-devtools-mcp_chrome-devtools__performance_analyze_insight"
SAME_START = LONG[:-1] + "s"


@pytest.mark.parametrize("name", [LONG, SAME_START, "files.read", "größe", "a b", "x" * 128, "\ud800"])
def test_names_that_openai_refuses(name: str) -> None:
    """A name that OpenAI refuses becomes one that it takes, always the same, and the client's own can be told from it."""
    request = {"tools": [{"name": name, "input_schema": EMPTY}, READ], "tool_choice": {"type": "tool", "name": name}}
    said, losses = translated(request)
    sent = said["tools"][0]["function"]["name"]
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", sent)
    assert said["tool_choice"]["function"]["name"] == sent
    assert not losses
    own = name.replace("\ud800", "\ufffd")
    assert tool_names(json.dumps(request).encode()) == {sent: own, READ["name"]: READ["name"]}


def test_names_stay_different() -> None:
    """Two long names that begin alike are two names."""
    body = json.dumps({"tools": [{"name": LONG}, {"name": SAME_START}]}).encode()
    assert sorted(tool_names(body).values()) == sorted([LONG, SAME_START])


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"tools":5}', b'{"tools":[5,{"name":7},{}]}'])
def test_no_names_to_put_back(body: bytes) -> None:
    """Where no tool is offered there is nothing to put back, whatever the body is."""
    assert tool_names(body) == {}


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (None, None),
        ({"type": "auto"}, "auto"),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "Read"}, {"type": "function", "function": {"name": "Read"}}),
    ],
)
def test_which_tool_must_be_called(choice: Any, said: Any) -> None:
    """Each form of tool_choice has its own in Chat Completions."""
    chat, losses = translated({"tools": [READ], **({"tool_choice": choice} if choice else {})})
    assert chat.get("tool_choice") == said
    assert "parallel_tool_calls" not in chat
    assert not losses


@pytest.mark.parametrize(
    ("choice", "loss"),
    [
        ({"type": "tool", "name": "Write"}, "tool_choice tool Write is left out: it names no tool of the request"),
        ({"type": "tool"}, "tool_choice tool is left out: it names no tool of the request"),
        ({"type": "whatever"}, "tool_choice whatever is left out: it names no tool of the request"),
    ],
)
def test_choices_that_cannot_be_said(choice: Object, loss: str) -> None:
    """A choice of a tool that is not offered, or of a kind nobody knows, is a loss."""
    chat, losses = translated({"tools": [READ], "tool_choice": choice})
    assert "tool_choice" not in chat
    assert losses == (loss,)


def test_a_choice_without_tools() -> None:
    """Without a tool there is nothing to choose; that a call was demanded is told."""
    assert translated({"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}) == translated({})
    chat, losses = translated({"tools": [{"type": "bash_20250124", "name": "bash"}], "tool_choice": {"type": "any"}})
    assert "tool_choice" not in chat
    assert losses[1:] == ("tool_choice any is left out: no tool is left to call",)


def test_one_call_at_a_time() -> None:
    """That calls shall not be parallel is said where the model takes it, and told where it does not."""
    request = {"tools": [READ], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}
    chat, losses = translated(request)
    assert chat["parallel_tool_calls"] is False
    assert not losses
    chat, losses = translated(request, Dialect(parallel=False))
    assert "parallel_tool_calls" not in chat
    assert losses == ("disable_parallel_tool_use is left out: the model does not take parallel_tool_calls",)
    assert (
        "parallel_tool_calls"
        not in translated({"tools": [READ], "tool_choice": {"type": "auto", "disable_parallel_tool_use": False}})[0]
    )
