"""What a Chat Completions request must be: the types of OpenAI's own SDK, and the order that the API wants.

The SDK's types are TypedDicts, which pydantic reads leniently; here an unknown member is an error, and a list is looked through.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from openai.types.chat.completion_create_params import CompletionCreateParams
from pydantic import TypeAdapter
from pydantic_core import SchemaValidator

from ccproxy.protocol.openai.dialect import Dialect
from ccproxy.protocol.openai.request import ChatRequest, to_chat

Object = dict[str, Any]


def _strict(schema: Any) -> Any:
    """Return a core schema in which objects are closed and iterables are lists, which are validated at once."""
    if isinstance(schema, list | tuple):
        return type(schema)(_strict(inner) for inner in schema)
    if not isinstance(schema, dict):
        return schema
    schema = {key: value if key in {"metadata", "serialization"} else _strict(value) for key, value in schema.items()}
    if schema.get("type") == "typed-dict":
        return {**schema, "extra_behavior": "forbid"}
    if schema.get("type") == "generator":
        return {"type": "list", "items_schema": schema["items_schema"]}
    return schema


@cache
def _validator() -> SchemaValidator:
    return SchemaValidator(_strict(TypeAdapter(CompletionCreateParams).core_schema))


def check_types(chat: Object) -> None:
    """Raise pydantic's ValidationError where the SDK has no such request. `reasoning_content` is DeepSeek's, and passes."""
    messages = [
        {key: value for key, value in message.items() if key != "reasoning_content"} for message in chat["messages"]
    ]
    _validator().validate_json(json.dumps({**chat, "messages": messages}), strict=True)


def order_problems(messages: list[Object]) -> list[str]:
    """Return what the API would refuse about the order and the emptiness of messages."""
    problems, waiting = [], []
    for number, message in enumerate(messages):
        role, content = message["role"], message.get("content")
        if role == "tool":
            if message["tool_call_id"] not in waiting:
                problems.append(f"{number}: an answer to no call")
            waiting = [call for call in waiting if call != message["tool_call_id"]]
            problems += [] if isinstance(content, str) else [f"{number}: a tool says more than text"]
            continue
        if waiting:
            problems.append(f"{number}: calls without an answer: {waiting}")
        waiting = [call["id"] for call in message.get("tool_calls", [])]
        if len(set(waiting)) != len(waiting):
            problems.append(f"{number}: two calls with one id")
        if not content and not waiting:
            problems.append(f"{number}: nothing is said")
        if any(len(call) > 40 for call in waiting):
            problems.append(f"{number}: the id of a call is too long")
    return [*problems, *([f"end: calls without an answer: {waiting}"] if waiting else [])]


def translated(
    request: Object, dialect: Dialect | None = None, model: str = "gpt-4o"
) -> tuple[Object, tuple[str, ...]]:
    """Return a request of ours as a chat request, checked, and what was lost."""
    whole = {
        "model": "claude-opus-5-5",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "hello"}],
        **request,
    }
    chat = checked(to_chat(json.dumps(whole).encode(), model, dialect or Dialect()))
    return json.loads(chat.body), chat.losses


def checked(chat: ChatRequest) -> ChatRequest:
    """Return a chat request that the SDK's types accept, and the API's order."""
    said = json.loads(chat.body)
    check_types(said)
    assert not order_problems(said["messages"])
    assert len(set(chat.losses)) == len(chat.losses)
    return chat


def conversation(*messages: Any, dialect: Dialect | None = None, **more: Any) -> tuple[list[Object], tuple[str, ...]]:
    """Return the messages of a chat and the losses. A message is a role and a content."""
    said, losses = translated({"messages": [{"role": r, "content": c} for r, c in messages], **more}, dialect)
    return said["messages"], losses
