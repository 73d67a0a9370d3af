"""Tool calls in a stream: which fragment is whose, in every way that providers number, name and cut them."""

from __future__ import annotations

from typing import Any

import pytest

from ccproxy.protocol.openai.stream import ChatStream
from tests.support import well_formed
from tests.support.chat import called, chunk, counted, framed, translated

USAGE = counted(prompt_tokens=1, completion_tokens=1)
END = chunk({}, "tool_calls")
MADE = "toolu_89abcdef0123456789abcdef_"  # of the message's id; the number of the call follows

# The fragments, and the calls that they are: ids, names, inputs.
CALLS: dict[str, tuple[list[dict[str, Any]], list[tuple[str, str, Any]]]] = {
    "OpenAI": (
        [called(0, "", id_="call_1", name="f"), called(0, '{"a'), called(0, '":1}')],
        [("call_1", "f", {"a": 1})],
    ),
    "whole at once": ([called(0, '{"a":1}', id_="g6fVbXS8K", name="f")], [("g6fVbXS8K", "f", {"a": 1})]),
    "one after the other": (
        [
            called(0, "", id_="x", name="f"), called(0, '{"a":1}'),
            called(1, "", id_="y", name="g"), called(1, '{"b":'), called(1, "2}"),
        ],
        [("x", "f", {"a": 1}), ("y", "g", {"b": 2})],
    ),
    "interleaved": (
        [
            called(0, "", id_="x", name="f"), called(1, "", id_="y", name="g"), called(1, '{"b":'),
            called(0, '{"a":'), called(1, "2}"), called(0, "1}"),
        ],
        [("x", "f", {"a": 1}), ("y", "g", {"b": 2})],
    ),
    "several in one chunk": (
        [{"tool_calls": called(0, '{"a":1}', id_="x", name="f")["tool_calls"] + called(1, "{}", id_="y", name="g")["tool_calls"]}],
        [("x", "f", {"a": 1}), ("y", "g", {})],
    ),
    "a hole in the numbers": (
        [called(3, '{"a":1}', id_="x", name="f"), called(1, '{"b":2}', id_="y", name="g")],
        [("x", "f", {"a": 1}), ("y", "g", {"b": 2})],
    ),
    "no numbers": (
        [called(None, '{"a":', id_="x", name="f"), called(None, "1}"), called(None, '{"b":2}', id_="y", name="g")],
        [("x", "f", {"a": 1}), ("y", "g", {"b": 2})],
    ),
    "no numbers, ids in each": (
        [
            called(None, '{"a":', id_="x", name="f"), called(None, "1}", id_="x"),
            called(None, '{"b":', id_="y", name="g"), called(None, "2}", id_="y"),
        ],
        [("x", "f", {"a": 1}), ("y", "g", {"b": 2})],
    ),
    "neither numbers nor ids": (
        [called(None, '{"a":1}', id_="", name="f"), called(None, '{"a":2}', id_="", name="f")],
        [(MADE + "0", "f", {"a": 1}), (MADE + "1", "f", {"a": 2})],
    ),
    "neither numbers nor ids, and the same twice": (
        [called(None, '{"a":1}', name="f"), called(None, '{"a":1}', name="f")],
        [(MADE + "0", "f", {"a": 1}), (MADE + "1", "f", {"a": 1})],
    ),
    "neither numbers nor ids, in one chunk": (
        [{"tool_calls": called(None, "{}", name="f")["tool_calls"] + called(None, '{"b":2}', name="f")["tool_calls"]}],
        [(MADE + "0", "f", {}), (MADE + "1", "f", {"b": 2})],
    ),
    "one number for all, as Gemini counts": (
        [called(0, '{"a":1}', id_="x", name="f"), called(0, '{"a":2}', id_="y", name="f"), called(0, "{}", id_="z", name="g")],
        [("x", "f", {"a": 1}), ("y", "f", {"a": 2}), ("z", "g", {})],
    ),
    "one number, no ids, other names": (
        [called(0, '{"a":1}', name="f"), called(0, '{"b":2}', name="g")],
        [(MADE + "0", "f", {"a": 1}), (MADE + "1", "g", {"b": 2})],
    ),
    "one number for all without arguments": (
        [called(0, "", id_="x", name="f"), called(0, "", id_="y", name="f")],
        [("x", "f", {}), ("y", "f", {})],
    ),
    "objects behind each other, as GPT-5 sent": (
        [called(0, '{"a":1}', id_="x", name="f"), called(0, '{"a":2}'), called(0, '{"a":3}{"a"'), called(0, ":4}")],
        [("x", "f", {"a": 1}), (MADE + "1", "f", {"a": 2}), (MADE + "2", "f", {"a": 3}), (MADE + "3", "f", {"a": 4})],
    ),
    "an id of its own in each fragment, as vLLM did": (
        [called(0, "", id_="x", name="f"), called(0, '{"a":', id_="y"), called(0, "1}", id_="z"), called(0, "", id_="w")],
        [("x", "f", {"a": 1})],
    ),
    "id and name in each fragment": (
        [called(0, "", id_="x", name="f"), called(0, '{"a":', id_="x", name="f"), called(0, "1}", id_="x", name="f")],
        [("x", "f", {"a": 1})],
    ),
    "the name in each fragment, no numbers": (
        [called(None, '{"a":', name="f"), called(None, "1}", name="f")],
        [(MADE + "0", "f", {"a": 1})],
    ),
    "empty ids and names in the others": (
        [called(0, "", id_="x", name="f"), called(0, '{"a":1}', id_="", name="")],
        [("x", "f", {"a": 1})],
    ),
    "the id comes late": (
        [called(0, "", name="f"), called(0, "", id_="x"), called(0, '{"a":1}')],
        [("x", "f", {"a": 1})],
    ),
    "the id comes with the arguments": (
        [called(0, "", name="f"), called(0, '{"a":1}', id_="x")],
        [("x", "f", {"a": 1})],
    ),
    "the id comes too late": (
        [called(0, '{"a":', name="f"), called(0, "1}"), called(0, "", id_="x")],
        [(MADE + "0", "f", {"a": 1})],
    ),
    "the name comes late": (
        [called(0, "", id_="x"), called(0, '{"a":'), called(0, "1}", name="f")],
        [("x", "f", {"a": 1})],
    ),
    "the arguments come at the end": (
        [called(0, id_="x", name="f"), called(0), called(0, ""), called(0, '{"a":1}')],
        [("x", "f", {"a": 1})],
    ),
    "the arguments are repeated at the end": (
        [called(0, "", id_="x", name="f"), called(0, '{"a":'), called(0, "1}"), called(0, '{"a":1}')],
        [("x", "f", {"a": 1})],
    ),
    "the arguments are an object": ([called(0, {"a": {"b": [1]}}, id_="x", name="f")], [("x", "f", {"a": {"b": [1]}})]),
    "no arguments": ([called(0, "", id_="x", name="f")], [("x", "f", {})]),
    "no arguments, as an object": ([called(0, {}, id_="x", name="f")], [("x", "f", {})]),
    "no arguments, as null": ([called(0, "null", id_="x", name="f")], [("x", "f", {})]),
    "no arguments, as braces": ([called(0, "{}", id_="x", name="f")], [("x", "f", {})]),
    "no arguments, in pieces": ([called(0, "{", id_="x", name="f"), called(0, "}")], [("x", "f", {})]),
    "no arguments, as spaces": ([called(0, " \n", id_="x", name="f")], [("x", "f", {})]),
    "braces before the arguments, as Bedrock sends": (
        [called(0, "{}", id_="x", name="f"), called(0, '{"a":'), called(0, "1}")],
        [("x", "f", {"a": 1})],
    ),
    "spaces around": ([called(0, " \n{", id_="x", name="f"), called(0, ' "a" : 1 }'), called(0, " \n")], [("x", "f", {"a": 1})]),
    "a brace too many": ([called(0, '{"a":1}}', id_="x", name="f"), called(0, "}")], [("x", "f", {"a": 1})]),
    "JSON in JSON": ([called(0, '"{\\"a\\"', id_="x", name="f"), called(0, ':1}"')], [("x", "f", {"a": 1})]),
    "a list": ([called(0, "[1", id_="x", name="f"), called(0, ",2]")], [("x", "f", {"_arguments": [1, 2]})]),
    "a list that is none": ([called(0, [1, 2], id_="x", name="f")], [("x", "f", {"_arguments": [1, 2]})]),
    "a text": ([called(0, "weather in Paris", id_="x", name="f")], [("x", "f", {"_arguments": "weather in Paris"})]),
    "signs that are in texts": (
        [called(0, '{"a":"}{\\"', id_="x", name="f"), called(0, "]\\"), called(0, '"}\\\\"}'), called(1, "{}", id_="y", name="g")],
        [("x", "f", {"a": '}{"]"}\\'}), ("y", "g", {})],
    ),
    "a function call as it was before tools": (
        [{"function_call": {"name": "f", "arguments": ""}}, {"function_call": {"arguments": '{"a":1}'}}],
        [(MADE + "0", "f", {"a": 1})],
    ),
    "an id that was used before": (
        [called(0, '{"a":1}', id_="x", name="f"), called(1, '{"b":2}', id_="x", name="g")],
        [("x", "f", {"a": 1}), (MADE + "1", "g", {"b": 2})],
    ),
    "an id that was made before": (
        [called(0, '{"a":1}', id_=MADE + "1", name="f"), called(1, '{"b":2}', name="g")],
        [(MADE + "1", "f", {"a": 1}), (MADE + "1_", "g", {"b": 2})],
    ),
    "a number as id": ([called(0, "{}", id_=7, name="f")], [("7", "f", {})]),
    "an id of other signs": ([called(0, "{}", id_="functions.f:0", name="f")], [("functions.f:0", "f", {})]),
    "a call that is no list": ([{"tool_calls": called(0, "{}", id_="x", name="f")["tool_calls"][0]}], [("x", "f", {})]),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_calls(name: str) -> None:
    """However its fragments come, each call has its id, its name and its whole input, in the order in which the calls began."""
    deltas, wanted = CALLS[name]
    got = translated(framed(*map(chunk, deltas), END, USAGE))
    assert got.calls == wanted
    assert got.message is not None
    assert got.message["stop_reason"] == "tool_use"


@pytest.mark.parametrize("name", CALLS)
def test_calls_whose_last_fragment_has_the_reason(name: str) -> None:
    """A finish reason in the chunk of the last fragment closes the calls after it, not before."""
    deltas, wanted = CALLS[name]
    got = translated(framed(*map(chunk, deltas[:-1]), chunk(deltas[-1], "tool_calls"), USAGE))
    assert got.calls == wanted


def _types(data: bytes) -> list[str]:
    return [event["type"].removeprefix("content_block_") for event in well_formed.payloads(data)]


def test_only_what_must_wait_waits() -> None:
    """While one call streams, fragments of another wait; they are told as soon as the first one's arguments are whole."""
    stream = ChatStream("msg_1", "m")
    fragments = [
        called(0, "", id_="x", name="f"),
        called(0, '{"a":'),
        called(1, '{"b"', id_="y", name="g"),
        called(1, ":2"),
        called(0, "1"),
        called(0, "}"),
        called(1, "}"),
    ]
    said = [_types(stream.feed(framed(chunk(fragment), done=False))) for fragment in fragments]
    assert said == [["start"], ["delta"], [], [], ["delta"], ["delta", "stop", "start", "delta"], ["delta"]]


def test_words_behind_an_unfinished_call_wait() -> None:
    """Text that comes in the middle of a call is told behind it, since the call cannot go on after its end."""
    stream = ChatStream("msg_1", "m")
    fragments = [
        called(0, '{"a":', id_="x", name="f"),
        {"content": "te"},
        {"content": "xt"},
        called(0, "1}"),
        {"content": "!"},
    ]
    said = [_types(stream.feed(framed(chunk(fragment), done=False))) for fragment in fragments]
    assert said == [["start", "delta"], [], [], ["delta", "stop", "start", "delta"], ["delta"]]


def test_empty_arguments_are_told_without_a_delta() -> None:
    """A call without arguments is a block that begins and ends; clients take that for an empty object."""
    for arguments in ("", "{}", None, {}, "null"):
        stream = ChatStream("msg_1", "m")
        data = stream.feed(framed(chunk(called(0, arguments, id_="x", name="f")), END))
        assert _types(data) == ["start", "stop", "message_delta", "message_stop"]


def test_a_call_that_breaks_off_keeps_what_came() -> None:
    """At the answer's longest the arguments may break off in the middle; what came of them stays, and the loss is told."""
    got = translated(framed(chunk(called(0, '{"a":1,"b":"x', id_="x", name="f")), chunk({}, "length"), USAGE))
    assert got.message is not None
    assert got.message["stop_reason"] == "max_tokens"
    assert '"partial_json":"{\\"a\\":1,\\"b\\":\\"x"' in got.data.decode()
    assert got.stream.losses == ["the arguments of a call of 'f' are not whole"]


# Fragments, the number of calls they are, and a word of the loss.
LOST: dict[str, tuple[list[Any], int, str]] = {
    "no name": ([called(0, '{"a":1}', id_="x")], 0, "without a name"),
    "no name, before another": ([called(0, "{}", id_="x"), called(1, "{}", id_="y", name="g")], 1, "without a name"),
    "behind the arguments": ([called(0, '{"a":1} thanks', id_="x", name="f")], 1, "behind the arguments"),
    "no object": ([called(0, "[1]", id_="x", name="f")], 1, "no JSON object"),
    "another kind": (
        [{"tool_calls": [{"index": 0, "id": "x", "type": "custom", "custom": {"name": "f", "input": "a"}}]}],
        0,
        "no function",
    ),
    "nothing one can call": ([{"tool_calls": ["f"]}], 0, "no function"),
    "a member of its own, as Gemini has": (
        [{"tool_calls": [{"index": 0, "id": "x", "function": {"name": "f", "arguments": "{}"}, "extra_content": {"google": {}}}]}],
        1,
        "'extra_content'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LOST)
def test_what_of_calls_cannot_be_said_is_told(name: str) -> None:
    """A call that cannot be told, or a part of it, is listed; the others go on."""
    deltas, number, word = LOST[name]
    got = translated(framed(*map(chunk, deltas), END, USAGE))
    assert len(got.calls) == number
    assert any(word in loss for loss in got.stream.losses)


def test_a_fragment_after_the_end_is_told() -> None:
    """Arguments that come after the finish reason are too late for their block; that is told, and no new call is made of them."""
    got = translated(framed(chunk(called(0, '{"a":', id_="x", name="f"), "stop"), chunk(called(0, "1}")), USAGE))
    assert len(got.calls) == 1
    assert "arguments of a call of 'f' came after its end" in got.stream.losses


def test_a_name_that_comes_after_the_end_makes_no_call() -> None:
    """A call that was left out since it had no name is not counted when its name comes too late: there is nothing to answer."""
    got = translated(framed(chunk(called(0, "{}", id_="x"), "stop"), chunk(called(0, name="f")), USAGE))
    assert got.message is not None
    assert (got.calls, got.message["stop_reason"]) == ([], "end_turn")


def test_a_model_that_repeats_itself_is_no_trap() -> None:
    """Thousands of objects behind each other, as a model writes them that goes in circles, are as many calls, and nothing raises."""
    circles = "".join(f'{{"a":{number}}}' for number in range(3000))
    got = translated(framed(chunk(called(0, circles, id_="x", name="f")), END))
    assert [given["a"] for _, _, given in got.calls] == list(range(3000))


def test_shortened_names_become_the_clients_again() -> None:
    """A tool whose name had to be shortened for the provider has its own name again; all others stay."""
    deltas = [called(0, "{}", id_="x", name="short_1"), called(1, "{}", id_="y", name="other")]
    got = translated(framed(*map(chunk, deltas), END), names={"short_1": "mcp__a_very_long_name"})
    assert [name for _, name, _ in got.calls] == ["mcp__a_very_long_name", "other"]


def test_a_name_in_pieces_is_put_together() -> None:
    """A name that comes in pieces is whole again where the names that were sent are known, before its block begins."""
    names = {name: name for name in ("edit", "edit_existing_file", "read")}
    deltas = [called(0, "", id_="x", name="edit_ex"), called(0, "", name="isting_file"), called(0, '{"a":1}')]
    assert translated(framed(*map(chunk, deltas), END), names=names).calls == [("x", "edit_existing_file", {"a": 1})]
    whole = [called(0, "", id_="x", name="edit"), called(0, '{"a":1}', name="edit")]
    assert translated(framed(*map(chunk, whole), END), names=names).calls == [("x", "edit", {"a": 1})]
    half = [called(0, '{"a":1}', id_="x", name="edit_ex")]
    assert translated(framed(*map(chunk, half), END), names=names).calls == [("x", "edit_ex", {"a": 1})]


def test_ids_are_the_same_each_time() -> None:
    """An id that is made is made of the message's id and the call's number, so a second translation makes the same."""
    data = framed(chunk(called(0, "{}", name="f")), END)
    assert translated(data).calls == translated(data).calls == [(MADE + "0", "f", {})]
    assert len(MADE + "0") <= 40  # the longest id that OpenAI takes
