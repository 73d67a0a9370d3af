"""A request as a whole: limits, sampling, form of the answer, and what is left out with and without a word."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from ccproxy.protocol.openai.dialect import Dialect
from ccproxy.protocol.openai.request import UntranslatableError, to_chat
from tests.support.chat_requests import check_types, order_problems, translated

Object = dict[str, Any]
HELLO = [{"role": "user", "content": "hello"}]
ACCOUNT = "99999999-8888-7777-6666-555555555555"


def test_the_smallest_request() -> None:
    """What says nothing but a question becomes nothing but a question."""
    chat = to_chat(json.dumps({"model": "claude", "max_tokens": 5, "messages": HELLO}).encode(), "gpt-4o", Dialect())
    assert json.loads(chat.body) == {"model": "gpt-4o", "messages": HELLO, "max_tokens": 5}
    assert (chat.losses, chat.stream) == ((), False)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "the body is no JSON object"),
        (b"[]", "the body is no JSON object"),
        (b'{"messages":[', "the body is no JSON object"),
        (b'{"a":"\xff"}', "the body is not UTF-8"),
        (b"{}", "the body has no messages"),
        (b'{"messages":{}}', "the body has no messages"),
        (b'{"messages":null}', "the body has no messages"),
        (b'{"messages":[]}', "the messages of the request say nothing"),
        (b'{"messages":[{"role":"user","content":[]}],"system":"x"}', "the messages of the request say nothing"),
        (b'{"prompt":"\\n\\nHuman: hello","max_tokens_to_sample":5}', "the body has no messages"),
        (b'{"a":' * 5000, "the body is no JSON object"),
    ],
)
def test_what_is_no_messages_request(body: bytes, why: str) -> None:
    """A body that is no Messages request is refused, in one sentence."""
    with pytest.raises(UntranslatableError) as raised:
        to_chat(body, "gpt-4o", Dialect())
    assert str(raised.value) == why


@pytest.mark.parametrize(
    ("stream", "dialect", "said"),
    [
        (True, Dialect(), {"stream": True, "stream_options": {"include_usage": True}}),
        (True, Dialect(streams_usage=False), {"stream": True}),
        (False, Dialect(), {}),
        (None, Dialect(), {}),
    ],
)
def test_streams(stream: Any, dialect: Dialect, said: Object) -> None:
    """A stream is asked for with its usage, but for providers that do not know how."""
    chat = to_chat(json.dumps({"messages": HELLO, "stream": stream}).encode(), "m", dialect)
    assert json.loads(chat.body) == {"model": "m", "messages": HELLO, **said}
    assert chat.stream is bool(stream)
    assert not chat.losses


@pytest.mark.parametrize(("most", "said"), [(None, 32000), (32000, 32000), (16384, 16384), (64000, 32000)])
@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_the_limit_of_the_answer(field: str, most: int | None, said: int) -> None:
    """The limit is that of the client, lowered to what the model writes, which is told."""
    chat, losses = translated({"max_tokens": 32000}, Dialect(field, most))
    assert {name: value for name, value in chat.items() if "tokens" in name} == {field: said}
    assert losses == (() if said == 32000 else ("max_tokens 32000 lowered to 16384, the most that gpt-4o writes",))


@pytest.mark.parametrize("limit", ["many", None, 1.5, [1]])
def test_a_limit_that_is_none(limit: Any) -> None:
    """A limit that is no number is a loss."""
    chat, losses = translated({"max_tokens": limit})
    assert "max_tokens" not in chat
    assert losses == ("max_tokens is left out: it is no number",)


def test_stop_sequences() -> None:
    """Four stop sequences go over; more are told, and for models that take none all are."""
    assert translated({"stop_sequences": ["a", "b"]})[0]["stop"] == ["a", "b"]
    assert "stop" not in translated({"stop_sequences": []})[0]
    chat, losses = translated({"stop_sequences": list("abcdef")})
    assert chat["stop"] == list("abcd")
    assert losses == ("2 of 6 stop sequences are left out: Chat Completions takes 4",)
    chat, losses = translated({"stop_sequences": ["a"]}, Dialect(stops=False), "o3")
    assert "stop" not in chat
    assert losses == ("stop_sequences is left out: o3 takes none",)


def test_sampling() -> None:
    """Temperature and top_p go over as they are written, where they are given and where the model samples."""
    chat = to_chat(b'{"messages":[{"role":"user","content":"x"}],"temperature":0.70,"top_p":1}', "m", Dialect())
    assert b'"temperature":0.70,"top_p":1' in chat.body
    assert not chat.losses
    chat_said, losses = translated({"temperature": 0, "top_p": 0.9}, Dialect(samples=False), "o3")
    assert not chat_said.keys() & {"temperature", "top_p"}
    assert losses == ("temperature is left out: o3 takes none", "top_p is left out: o3 takes none")
    assert translated({"temperature": "hot", "top_p": None})[1] == ("temperature is left out: it is no number",)


SCHEMA = {
    "type": "object",
    "properties": {"title": {"type": "string"}},
    "required": ["title"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    "request_",
    [
        {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        {"output_format": {"type": "json_schema", "schema": SCHEMA}},
    ],
)
def test_a_schema_for_the_answer(request_: Object) -> None:
    """A schema that the answer must have is one for the answer here, enforced where it can be."""
    chat, losses = translated(request_)
    assert chat["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
    }
    assert not losses


def test_a_schema_that_cannot_be_enforced() -> None:
    """A schema that OpenAI cannot hold an answer to is only asked for, and that is told."""
    loose = {**SCHEMA, "required": []}
    chat, losses = translated({"output_config": {"format": {"type": "json_schema", "schema": loose}}})
    assert chat["response_format"]["json_schema"] == {"name": "answer", "schema": loose}
    assert losses == ("the schema of the answer is asked for, not enforced: OpenAI enforces simpler ones only",)


@pytest.mark.parametrize("form", [None, {}, {"type": "json_schema"}, {"schema": 5}, "json"])
def test_no_schema_for_the_answer(form: Any) -> None:
    """Without a schema the answer has any form."""
    assert "response_format" not in translated({"output_config": {"format": form}})[0]


def test_what_goes_without_a_word() -> None:
    """Who asks is nobody else's business, and what changes nothing in the answer is no loss."""
    quiet = {
        "metadata": {"user_id": json.dumps({"device_id": "d" * 64, "account_uuid": ACCOUNT, "session_id": ACCOUNT})},
        "cache_control": {"type": "ephemeral"},
        "service_tier": "auto",
        "diagnostics": {"previous_message_id": "msg_1"},
        "betas": ["x"],
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "high"},
        "mcp_servers": [],
        "container": None,
    }
    assert translated(quiet) == translated({})


@pytest.mark.parametrize(
    "member",
    [
        "top_k",
        "container",
        "mcp_servers",
        "safeguards",
        "inference_geo",
        "speed",
        "thread",
        "something_new",
        "compaction",
    ],
)
def test_what_has_no_place_is_told_by_name(member: str) -> None:
    """A member that Chat Completions has no place for is a loss that names it."""
    chat, losses = translated({member: [{"x": 1}]})
    assert chat == translated({})[0]
    assert losses == (f"{member} is left out: Chat Completions has nothing like it",)


def test_edits_of_the_context_are_told() -> None:
    """An edit of the context that changes more than thinking is a loss that names it."""
    edits = [{"type": "clear_tool_uses_20250919"}, {"type": "clear_thinking_20251015"}, 5]
    assert translated({"context_management": {"edits": edits}})[1] == (
        "context_management clear_tool_uses_20250919 is left out: Chat Completions has nothing like it",
        "context_management None is left out: Chat Completions has nothing like it",
    )
    assert translated({"context_management": "x"})[1] == ()


def test_what_else_the_output_config_says_is_told() -> None:
    """A member of output_config that nobody has heard of is a loss."""
    assert translated({"output_config": {"task_budget": {"total": 5}}})[1] == ("output_config.task_budget is left out",)


@pytest.mark.parametrize(
    "wrong",
    [
        {"foo": 1},
        {"max_tokens": "5"},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {}}]}]},
        {"messages": [{"role": "tool", "content": "x"}]},
        {
            "messages": [
                {"role": "tool", "tool_call_id": "a", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}
            ]
        },
        {"tools": [{"type": "function", "function": {"name": "x", "input_schema": {}}}]},
        {"tool_choice": "any"},
        {"reasoning_effort": "huge"},
    ],
)
def test_the_check_refuses_wrong_requests(wrong: Object) -> None:
    """The check against the SDK's types fails on an unknown member and on a wrong type, at any depth."""
    check_types({"model": "m", "messages": HELLO})
    with pytest.raises(ValidationError):
        check_types({"model": "m", "messages": HELLO, **wrong})


CALL = {"role": "assistant", "content": None, "tool_calls": [{"id": "a"}]}
ANSWER = {"role": "tool", "tool_call_id": "a", "content": ""}


@pytest.mark.parametrize(
    "messages",
    [[CALL], [CALL, *HELLO, ANSWER], [ANSWER], [CALL, ANSWER, ANSWER], [{**CALL, "tool_calls": [{"id": "a"}, {"id": "a"}]}, ANSWER],
     [{"role": "user", "content": ""}], [{"role": "assistant", "content": None}]],
)  # fmt: skip
def test_the_check_refuses_a_wrong_order(messages: list[Object]) -> None:
    """The check of the order fails on calls without answers, answers without calls, and empty messages."""
    assert not order_problems([*HELLO, CALL, ANSWER])
    assert order_problems(messages)
