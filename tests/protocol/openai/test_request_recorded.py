"""Every recorded request, said to providers of every kind: the SDK's types take it, and nothing of it gets lost on the way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ccproxy.protocol.anatomy import BILLING_NAME
from ccproxy.protocol.openai.dialect import dialect_of
from ccproxy.protocol.openai.request import to_chat
from tests.support import wire
from tests.support.chat_requests import checked

Object = dict[str, Any]
pytestmark = wire.needs_wire

PROVIDERS = [
    ("api.openai.com", "gpt-4o"),
    ("api.openai.com", "gpt-5.6"),
    ("openrouter.ai", "openai/o3"),
    ("api.deepseek.com", "deepseek-v4-pro"),
    ("api.mistral.ai", "mistral-large-latest"),
    ("127.0.0.1:8000", "qwen3.6"),
]


def of_claude_code() -> Iterator[tuple[str, bytes]]:
    for request in wire.requests():
        if request.body and request.path.partition("?")[0].endswith("/messages"):
            yield request.name, request.body


def of_others() -> Iterator[tuple[str, bytes]]:
    for path in sorted(wire.FOLDER.glob("anthropic_*/**/*.request.json")):
        request = json.loads(path.read_bytes())
        if request["url"].partition("?")[0].endswith("/messages"):
            yield path.name, json.dumps(request["body"]).encode()


def blocks(request: Object, kind: str) -> list[Object]:
    contents = [message["content"] for message in request["messages"] if isinstance(message["content"], list)]
    return [block for content in contents for block in content if block["type"] == kind]


@pytest.mark.parametrize(("host", "model"), PROVIDERS)
def test_every_recorded_request_is_accepted(host: str, model: str) -> None:
    """Each request of Claude Code and of others becomes one that the SDK's types take, in the order that the API wants."""
    found = 0
    for name, body in [*of_claude_code(), *of_others()]:
        try:
            chat = checked(to_chat(body, model, dialect_of(host, model)))
        except Exception as error:
            raise AssertionError(f"{name}: {error}") from error
        assert chat.stream is bool(json.loads(body).get("stream")), name
        found += 1
    assert found > 150


def test_claude_code_keeps_its_conversation() -> None:
    """Of a request of Claude Code every call with its input, every result and every tool arrives, and each text."""
    for name, body in of_claude_code():
        request, chat = (
            json.loads(body),
            json.loads(to_chat(body, "gpt-4o", dialect_of("api.openai.com", "gpt-4o")).body),
        )
        calls = [call for message in chat["messages"] for call in message.get("tool_calls", [])]
        assert [
            (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls
        ] == [(block["id"], block["name"], block["input"]) for block in blocks(request, "tool_use")], name
        answered = [message["tool_call_id"] for message in chat["messages"] if message["role"] == "tool"]
        assert answered == [block["tool_use_id"] for block in blocks(request, "tool_result")], name
        assert [tool["function"]["name"] for tool in chat.get("tools", [])] == [
            tool["name"] for tool in request.get("tools", [])
        ]
        assert [tool["function"]["parameters"] for tool in chat.get("tools", [])] == [
            tool["input_schema"] for tool in request.get("tools", [])
        ], name
        said = json.dumps(chat["messages"], ensure_ascii=False)
        for block in blocks(request, "text"):
            assert json.dumps(block["text"], ensure_ascii=False)[1:-1] in said, name


def test_claude_code_gives_nothing_away() -> None:
    """Neither the accounting line nor who the user is goes to another provider; what the conversation itself says stays."""
    told = 0
    for name, body in of_claude_code():
        request = json.loads(body)
        sent = to_chat(body, "gpt-4o", dialect_of("api.openai.com", "gpt-4o")).body.decode()
        user = (request.get("metadata") or {}).get("user_id", "")
        who = [json.loads(user).get(name) for name in ("device_id", "account_uuid")] if user.startswith("{") else [user]
        for secret in filter(None, who):
            assert secret not in sent, name
            told += 1
        if BILLING_NAME in json.dumps(request.get("system", "")):
            assert BILLING_NAME not in sent, name
            told += 1
    assert told > 100


def test_claude_code_loses_little() -> None:
    """To OpenAI's newest models a subagent of Claude Code loses nothing that is not named here."""
    expected = (
        "tools with defer_loading are offered from the start",
        "reasoning_effort is none: gpt-5.6 takes functions in Chat Completions only without reasoning",
        "temperature is left out: gpt-5.6 takes none",
        "stop_sequences is left out: gpt-5.6 takes none",
        "safeguards is left out: Chat Completions has nothing like it",
        "a thinking budget of",
    )
    for name, body in of_claude_code():
        losses = to_chat(body, "gpt-5.6", dialect_of("api.openai.com", "gpt-5.6")).losses
        assert all(loss.startswith(expected) for loss in losses), (name, losses)
