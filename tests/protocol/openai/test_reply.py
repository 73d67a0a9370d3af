"""Whole answers in Chat Completions as Anthropic's messages, and whole messages as the streams that say them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccproxy.protocol import sse
from ccproxy.protocol.demotion import unstreamed
from ccproxy.protocol.message import build
from ccproxy.protocol.openai.reply import Reply, as_stream, to_message
from tests.support import well_formed
from tests.support.chat import ASKED_FOR, MESSAGE_ID, MODEL, chunk, completion, framed, translated

USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 50,
    "total_tokens": 150,
    "prompt_tokens_details": {"cached_tokens": 80},
    "completion_tokens_details": {"reasoning_tokens": 30},
}


def _call(id_: str, name: str, arguments: Any) -> dict[str, Any]:
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


def _reply(body: bytes, **options: Any) -> Reply:
    return to_message(body, MESSAGE_ID, ASKED_FOR, **options)


def test_a_whole_answer() -> None:
    """Reasoning, text, calls, the stop reason and the counts of an answer are the message's; id and model are the client's."""
    message = {
        "reasoning_content": "Let me see.",
        "content": "I look.",
        "refusal": None,
        "annotations": [],
        "tool_calls": [_call("call_1", "Read", '{"path":"a"}'), _call("call_2", "Read", '{"path": "b"}')],
    }
    assert _reply(completion(message, "tool_calls", usage=USAGE, service_tier="default")) == Reply(
        {
            "id": MESSAGE_ID,
            "type": "message",
            "role": "assistant",
            "model": ASKED_FOR,
            "content": [
                {"type": "thinking", "thinking": "Let me see.", "signature": "ccproxy:reasoning_content"},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "call_1", "name": "Read", "input": {"path": "a"}},
                {"type": "tool_use", "id": "call_2", "name": "Read", "input": {"path": "b"}},
            ],
            "stop_reason": "tool_use",
            "stop_sequence": None,
            "usage": {
                "input_tokens": 20,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 80,
                "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
                "output_tokens": 50,
                "service_tier": "standard",
                "output_tokens_details": {"thinking_tokens": 30},
            },
        },
        MODEL,
        counted=True,
    )


@pytest.mark.parametrize(
    ("message", "finish", "content", "reason"),
    [
        ({"content": None}, "stop", [], "end_turn"),
        ({"content": ""}, "length", [], "max_tokens"),
        ({"refusal": "No."}, "stop", [{"type": "text", "text": "No."}], "refusal"),
        ({"content": "x"}, "content_filter", [{"type": "text", "text": "x"}], "refusal"),
        (
            {"function_call": {"name": "f", "arguments": ""}},
            "function_call",
            [{"type": "tool_use", "id": "toolu_89abcdef0123456789abcdef_0", "name": "f", "input": {}}],
            "tool_use",
        ),
        (
            {"tool_calls": [_call("x", "f", '{"a":1,"b":"lo')]},
            "length",
            [{"type": "tool_use", "id": "x", "name": "f", "input": {"a": 1}}],
            "max_tokens",
        ),
        (
            {"tool_calls": [_call("x", "f", {"a": 1}), _call("x", "f", "")]},
            "stop",
            [
                {"type": "tool_use", "id": "x", "name": "f", "input": {"a": 1}},
                {"type": "tool_use", "id": "toolu_89abcdef0123456789abcdef_1", "name": "f", "input": {}},
            ],
            "tool_use",
        ),
    ],
    ids=["null", "empty", "a refusal", "a filter", "a function call", "cut off", "the same id twice"],
)
def test_messages(message: dict[str, Any], finish: str, content: list[Any], reason: str) -> None:
    """Empty answers, refusals, calls without arguments, cut-off calls and ids that are there twice come out whole."""
    reply = _reply(completion(message, finish, usage=USAGE))
    assert reply.message is not None
    assert (reply.message["content"], reply.message["stop_reason"]) == (content, reason)


def test_names_and_losses() -> None:
    """Shortened names become the client's again, and what cannot be said is listed."""
    message = {"content": "x", "audio": {"data": "AA"}, "tool_calls": [_call("x", "short", "{}")]}
    reply = _reply(completion(message), names={"short": "long"})
    assert reply.message is not None
    assert reply.message["content"][1]["name"] == "long"
    assert reply.losses == ("the member 'audio' of the answer was left out", "the provider counted no tokens")


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (b"", "api_error", "p: the answer is no JSON object"),
        (b"<html>", "api_error", "p: the answer is no JSON object"),
        (b"[1]", "api_error", "p: the answer is no JSON object"),
        (b"{}", "api_error", "p: the answer has no choices"),
        (b'{"choices":[]}', "api_error", "p: the answer has no choices"),
        (b'{"error":{"message":"Slow down","code":429}}', "rate_limit_error", "p: Slow down"),
        (completion({"content": "x"}, "error"), "api_error", "p: the model broke off with an error"),
        (b'{"object":"response","output":[],"type":"response.completed"}', "api_error", "p: the answer is one of the Responses API"),
        (b'{"object":"text_completion","choices":[{"text":"x"}]}', "api_error", "p: the answer is a text completion"),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_an_error(body: bytes, kind: str, words: str) -> None:
    """A body that has no answer comes to an error that says what is wrong, also where its status was 200."""
    reply = _reply(body, provider="p")
    assert reply.message is None
    assert reply.error is not None
    assert reply.error["error"]["type"] == kind
    assert reply.error["error"]["message"].startswith(words)


def test_a_pretty_answer_with_half_a_character_is_read() -> None:
    """Indented JSON and an escape without its other half cost nothing but that half."""
    body = json.dumps(json.loads(completion({"content": "a\ud83c"}, "stop")), indent=2).encode()
    reply = _reply(body)
    assert reply.message is not None
    assert reply.message["content"] == [{"type": "text", "text": "a�"}]


TEXTS = st.text(max_size=12)
INPUTS = st.dictionaries(
    st.text(max_size=3),
    st.none() | st.booleans() | st.integers(-5, 5) | TEXTS | st.lists(TEXTS, max_size=2),
    max_size=3,
)
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "reasoning_content": TEXTS,
        "reasoning": TEXTS,
        "content": TEXTS,
        "refusal": TEXTS,
        "tool_calls": st.lists(
            st.builds(
                _call,
                st.sampled_from(["", "a", "b", "c"]),
                st.sampled_from(["f", "g"]),
                INPUTS.map(json.dumps) | INPUTS | st.just("") | st.just('{"a":') | st.just("[1]"),
            ),
            max_size=4,
        ),
    },
)


def _cut(text: str) -> list[str]:
    return [text[place : place + 3] for place in range(0, len(text), 3)]


def _as_deltas(message: dict[str, Any]) -> list[dict[str, Any]]:
    deltas: list[dict[str, Any]] = []
    both = zip(_cut(message.get("reasoning_content", "")), _cut(message.get("reasoning", "")), strict=False)
    if not (message.get("reasoning_content") and message.get("reasoning")):
        deltas += [
            {member: piece} for member in ("reasoning_content", "reasoning") for piece in _cut(message.get(member, ""))
        ]
    else:
        deltas += [{"reasoning_content": first, "reasoning": second} for first, second in both]
        rest = _cut(message["reasoning_content"])[len(_cut(message["reasoning"])) :]
        deltas += [{"reasoning_content": piece} for piece in rest]
    deltas += [{"content": piece} for piece in _cut(message.get("content", ""))]
    deltas += [{"refusal": piece} for piece in _cut(message.get("refusal", ""))]
    for index, call in enumerate(message.get("tool_calls", [])):
        arguments = call["function"]["arguments"]
        pieces = _cut(arguments) if isinstance(arguments, str) else [arguments]
        deltas.append({"tool_calls": [{**call, "index": index, "function": {"name": call["function"]["name"]}}]})
        deltas += [{"tool_calls": [{"index": index, "function": {"arguments": piece}}]} for piece in pieces]
    return deltas


@settings(deadline=None)
@given(MESSAGES, st.sampled_from(["stop", "tool_calls", "length", "content_filter"]))
def test_streamed_and_whole_come_to_the_same(message: dict[str, Any], finish: str) -> None:
    """The same content, whole or streamed in small pieces, comes to the same message."""
    message.pop(
        "reasoning" if len(message.get("reasoning", "")) > len(message.get("reasoning_content", "")) else "", None
    )
    whole = _reply(completion(message, finish, usage=USAGE)).message
    streamed = translated(framed(*map(chunk, _as_deltas(message)), chunk({}, finish, usage=USAGE))).message
    assert whole == streamed


@settings(deadline=None)
@given(MESSAGES, st.sampled_from(["stop", "length"]))
def test_a_whole_message_and_its_stream_say_the_same(message: dict[str, Any], finish: str) -> None:
    """A message that is told as a stream is well formed, and builds the very same message."""
    whole = _reply(completion(message, finish, usage=USAGE)).message
    assert whole is not None
    stream = as_stream(whole)
    well_formed.check(stream)
    built = build(sse.Decoder().feed(stream))
    assert (built.message, built.complete, built.problems) == (whole, True, [])


def test_blocks_that_only_anthropic_has_are_told_whole() -> None:
    """A stream made of a message of Anthropic's own keeps citations, server tools and whatever no delta can say."""
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [
            {"type": "text", "text": "x", "citations": [{"type": "page_location", "cited_text": "y"}]},
            {"type": "redacted_thinking", "data": "abc"},
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
            {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
            {"type": "thinking", "thinking": "", "signature": "sig"},
        ],
        "stop_reason": "stop_sequence",
        "stop_sequence": "END",
        "stop_details": None,
        "container": {"id": "c"},
        "usage": {"input_tokens": 1, "output_tokens": 2},
    }
    built = build(sse.Decoder().feed(as_stream(message)))
    assert (built.message, built.problems, built.unknown) == (message, [], [])
    assert unstreamed(message) == message


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["content", "usage", "stop_reason", "id"]),
        st.none() | st.integers() | st.lists(st.none() | st.text(max_size=2)),
    )
)
def test_any_object_can_be_told_as_a_stream(message: dict[str, Any]) -> None:
    """An object that is no message, as a provider may send one, is told without an error of ours."""
    assert as_stream(message).endswith(b'data: {"type":"message_stop"}\n\n')


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "message", "delta", "content", "tool_calls", "function", "finish_reason", "usage", "index"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@settings(deadline=None)
@given(st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_a_message_or_an_error(body: bytes) -> None:
    """Whatever a provider answers comes to a message or to an error, and nothing raises."""
    reply = _reply(body)
    assert (reply.message is None) != (reply.error is None)
