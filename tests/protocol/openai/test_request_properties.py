"""What holds for every request: pairs, order and arguments stay, nothing raises, and nothing is dropped without a word."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ccproxy.protocol.openai.dialect import Dialect
from ccproxy.protocol.openai.estimate import estimate_tokens
from ccproxy.protocol.openai.request import UntranslatableError, to_chat, tool_names
from tests.support.chat_requests import checked

Object = dict[str, Any]
ACCOUNT, DEVICE = "99999999-8888-7777-6666-555555555555", "0123456789abcdef" * 4
BILLING = "x-anthropic-billing-header: cc_version=2.1.330.b8b; cc_entrypoint=sdk-cli;"
SECRETS = (ACCOUNT, DEVICE, "billing", "cc_version")
PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
inputs = st.dictionaries(st.text(max_size=8), values, max_size=4)
texts = st.text(min_size=1, max_size=20)
dialects = st.builds(
    Dialect,
    tokens_field=st.sampled_from(["max_tokens", "max_completion_tokens"]),
    most_tokens=st.none() | st.integers(1, 1000),
    reasons=st.booleans(),
    samples=st.booleans(),
    efforts=st.sampled_from([("low", "medium", "high"), ("none", "low", "high"), ("minimal", "max")]),
    thinks_with_tools=st.booleans(),
    stops=st.booleans(),
    parallel=st.booleans(),
    systems_anywhere=st.booleans(),
    streams_usage=st.booleans(),
    short_ids=st.booleans(),
    bridges=st.booleans(),
    echoes=st.booleans(),
)


def text(said: str) -> Object:
    return {"type": "text", "text": said}


@st.composite
def conversations(draw: st.DrawFn) -> list[Object]:
    """Draw a conversation as Anthropic takes it: every call is answered in the next message, in any order."""
    messages: list[Object] = []
    number = 0
    for _ in range(draw(st.integers(1, 4))):
        said = [text(one) for one in draw(st.lists(texts, min_size=1, max_size=2))]
        messages.append({"role": "user", "content": draw(st.just(said) | texts)})
        for _ in range(draw(st.integers(0, 2))):
            calls = []
            for arguments in draw(st.lists(inputs, min_size=1, max_size=3)):
                number += 1
                calls.append(
                    {
                        "type": "tool_use",
                        "id": f"toolu_{number}",
                        "name": draw(st.sampled_from(["Read", "Edit"])),
                        "input": arguments,
                    }
                )
            words = [text(one) for one in draw(st.lists(st.just("") | texts, max_size=2))]
            thoughts = [{"type": "thinking", "thinking": "hm", "signature": "c2ln"}] * draw(st.integers(0, 1))
            messages.append({"role": "assistant", "content": [*thoughts, *words, *calls]})
            results = [
                {
                    "type": "tool_result",
                    "tool_use_id": call["id"],
                    "content": draw(texts | st.lists(texts.map(text) | st.just(PNG), max_size=2)),
                }
                for call in draw(st.permutations(calls))
            ]
            messages.append(
                {"role": "user", "content": [*results, *[text(one) for one in draw(st.lists(texts, max_size=1))]]}
            )
            messages += [{"role": "system", "content": draw(texts)}] * draw(st.integers(0, 1))
        messages.append({"role": "assistant", "content": draw(texts)})
    return [*messages, {"role": "user", "content": draw(texts)}]


def contents(messages: list[Object], kind: str, roles: set[str]) -> list[Object]:
    found = []
    for message in messages:
        content = message["content"]
        blocks = [text(content)] if isinstance(content, str) else content
        found += [block for block in blocks if block["type"] == kind and message["role"] in roles]
    return found


@settings(deadline=None)
@given(conversations(), dialects)
def test_calls_keep_their_ids_arguments_and_order(messages: list[Object], dialect: Dialect) -> None:
    """Every call arrives once, in its order, with its arguments as the same JSON value, and is answered by its own result."""
    chat = json.loads(checked(to_chat(json.dumps({"messages": messages}).encode(), "m", dialect)).body)["messages"]
    calls = [call for message in chat for call in message.get("tool_calls", [])]
    sources = contents(messages, "tool_use", {"assistant"})
    assert [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls] == [
        (source["name"], source["input"]) for source in sources
    ]
    ids = {source["id"]: call["id"] for source, call in zip(sources, calls, strict=True)}
    assert dialect.short_ids or all(source == sent for source, sent in ids.items())
    results = contents(messages, "tool_result", {"user"})
    answers = [message for message in chat if message["role"] == "tool"]
    assert [answer["tool_call_id"] for answer in answers] == [ids[result["tool_use_id"]] for result in results]
    for answer, result in zip(answers, results, strict=True):
        content = result["content"]
        for said in (
            [content] if isinstance(content, str) else [block["text"] for block in content if block["type"] == "text"]
        ):
            assert said in answer["content"]


@settings(deadline=None)
@given(conversations(), dialects)
def test_what_is_said_keeps_its_order(messages: list[Object], dialect: Dialect) -> None:
    """Every text of the user and of the assistant arrives, in its order; every image too."""
    chat = json.loads(to_chat(json.dumps({"messages": messages}).encode(), "m", dialect).body)["messages"]
    for roles in ({"user"}, {"assistant"}):
        said = []
        for message in chat:
            content = message["content"] or "" if message["role"] in roles else ""
            said += [content] if isinstance(content, str) else [part.get("text", "") for part in content]
        rest = "\x00".join(said)
        for source in filter(None, (block["text"] for block in contents(messages, "text", roles))):
            before, found, rest = rest.partition(source)
            assert found, (source, before)
    images = sum(
        len(message["content"]) - sum("text" in part for part in message["content"])
        for message in chat
        if isinstance(message["content"], list)
    )
    nested = [
        block for result in contents(messages, "tool_result", {"user"}) for block in result["content"] if block == PNG
    ]
    assert images == len(nested)


@settings(deadline=None)
@given(conversations(), dialects)
def test_nobody_is_told_who_asks(messages: list[Object], dialect: Dialect) -> None:
    """Neither the accounting line nor an id of the account or the device goes on, nor into a loss."""
    assume(not any(secret in json.dumps(messages) for secret in SECRETS))
    user = json.dumps({"device_id": DEVICE, "account_uuid": ACCOUNT, "session_id": ACCOUNT})
    request = {"messages": messages, "metadata": {"user_id": user}, "system": [text(BILLING), text("You help.")]}
    chat = to_chat(json.dumps(request).encode(), "m", dialect)
    said = chat.body.decode() + "".join(chat.losses)
    assert "You help." in said
    assert not [secret for secret in SECRETS if secret in said]


@settings(deadline=None)
@given(conversations(), dialects)
def test_the_same_request_is_the_same_chat(messages: list[Object], dialect: Dialect) -> None:
    """A translation depends on nothing but the request: the prefix of a longer conversation keeps its bytes."""
    body = json.dumps({"messages": messages}).encode()
    assert to_chat(body, "m", dialect) == to_chat(body, "m", dialect)
    longer = json.dumps(
        {"messages": [*messages, {"role": "assistant", "content": "ok"}, {"role": "user", "content": "go on"}]}
    ).encode()
    short, long = (json.loads(to_chat(one, "m", dialect).body)["messages"] for one in (body, longer))
    assert long[: len(short)] == short


WHOLE: Object = {
    "model": "claude",
    "max_tokens": 100,
    "system": [text("You help.")],
    "messages": [
        {"role": "user", "content": [text("hello"), PNG]},
        {"role": "system", "content": [text("note")], "output_config": {"effort": "low"}},
        {
            "role": "assistant",
            "content": [text("hi"), {"type": "tool_use", "id": "t", "name": "Read", "input": {"a": 1}}],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "t", "content": [text("ok")], "is_error": False}],
        },
    ],
    "tools": [{"name": "Read", "input_schema": {"type": "object", "properties": {"a": {"type": "array"}}}}],
    "tool_choice": {"type": "auto"},
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": {"type": "object"}}},
    "stop_sequences": ["x"],
    "temperature": 1,
    "stream": True,
}


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return where every value of a request stands."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, one in inner for place in places(one, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """Return a request with another value at one place."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


PLACES = [place for place in places(WHOLE) if place]


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.sampled_from(PLACES), values), min_size=1, max_size=3), dialects)
def test_a_damaged_request_is_mended_or_refused(damages: list[tuple[Any, Any]], dialect: Dialect) -> None:
    """Whatever stands at any place, the chat is one that the types and the order allow, or the request is refused."""
    request: Any = WHOLE
    for place, new in damages:
        request = replaced(request, place, new) if place in places(request) else request
    body = json.dumps(request).encode()
    with contextlib.suppress(UntranslatableError):
        checked(to_chat(body, "m", dialect))
    assert isinstance(tool_names(body), dict)
    assert estimate_tokens(body) > 0


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*WHOLE, "metadata", "x"]) | st.text(max_size=5), values, max_size=6), dialects)
def test_any_object_is_translated_or_refused(request: Object, dialect: Dialect) -> None:
    """No JSON object makes the translation raise anything but its own error."""
    body = json.dumps(request).encode()
    with contextlib.suppress(UntranslatableError):
        checked(to_chat(body, "m", dialect))
    assert isinstance(tool_names(body), dict)
    assert estimate_tokens(body) >= 0


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_translated_or_refused(body: bytes) -> None:
    """No bytes make the translation raise anything but its own error."""
    with contextlib.suppress(UntranslatableError):
        to_chat(body, "m", Dialect())
    assert tool_names(body) == {}
    assert estimate_tokens(body) >= 0


# Where an unknown member may turn up; what lies in a tool's input and in schemas goes over as it is.
OBJECTS: list[tuple[Any, ...]] = [
    (),
    ("messages", 0),
    ("messages", 0, "content", 0),
    ("messages", 0, "content", 1),
    ("messages", 1),
    ("messages", 1, "content", 0),
    ("messages", 2, "content", 0),
    ("messages", 2, "content", 1),
    ("messages", 3, "content", 0),
    ("messages", 3, "content", 0, "content", 0),
    ("system", 0),
    ("tools", 0),
    ("thinking",),
    ("output_config",),
]
names = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=3, max_size=12).map(lambda name: f"new_{name}")
somethings = values.filter(lambda value: value not in (None, False, "", [], {}))


@settings(deadline=None)
@given(st.sampled_from(OBJECTS), names, somethings, dialects)
def test_an_unknown_member_is_never_dropped_without_a_word(
    place: tuple[Any, ...], name: str, value: Any, dialect: Dialect
) -> None:
    """A member that nobody has heard of is told by its name, wherever it stands."""
    holder: Any = WHOLE
    for key in place:
        holder = holder[key]
    chat = to_chat(json.dumps(replaced(WHOLE, place, {**holder, name: value})).encode(), "m", dialect)
    assert any(name in loss for loss in chat.losses)
    assert name not in json.loads(chat.body)


@settings(deadline=None)
@given(st.integers(0, 3), names, somethings, dialects)
def test_an_unknown_block_is_never_dropped_without_a_word(number: int, kind: str, value: Any, dialect: Dialect) -> None:
    """A block of a type that nobody has heard of is told by its type and its message."""
    message = WHOLE["messages"][number]
    changed = {**message, "content": [*message["content"], {"type": kind, "value": value}]}
    chat = checked(to_chat(json.dumps(replaced(WHOLE, ("messages", number), changed)).encode(), "m", dialect))
    assert f"a block of type {kind} is left out (messages[{number}])" in chat.losses
