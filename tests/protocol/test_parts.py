"""Request bodies taken apart: the parts are the body's own bytes, and two spellings of a part are one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccproxy.protocol.parts import DIGEST_BYTES, RequestParts, digest, json_value, node_digest, normalised, take_apart
from tests.support import wire

BODY = b"""{ "model": "claude-test", "system": [ {"type":"text","text":"Be  kind."} , {"type": "text", "text": "\\u00e9"}],
 "messages":[{"role": "user","content":"hi" },{"role":"assistant","content":[]}], "tools":[{"name":"Look"}], "stream" : true,
 "max_tokens": 12345678901234567890123 }"""

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=10,
)
TEXTS = st.text(max_size=8)
BLOCKS = st.fixed_dictionaries({"type": st.just("text"), "text": TEXTS}, optional={"cache_control": JSON})
MESSAGES = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system"]), "content": TEXTS | st.lists(BLOCKS, max_size=3)},
    optional={"cache_control": JSON},
)


def test_the_parts_are_the_bodys_own_bytes() -> None:
    """Parts keep their spelling to the byte, in the body's order; everything else is a field."""
    parts = take_apart(BODY)
    assert parts.messages == [b'{"role": "user","content":"hi" }', b'{"role":"assistant","content":[]}']
    assert parts.system == [b'{"type":"text","text":"Be  kind."}', b'{"type": "text", "text": "\\u00e9"}']
    assert parts.tools == [b'{"name":"Look"}']
    assert list(parts.fields) == ["model", "stream", "max_tokens"]
    assert parts.reason is None


def test_values() -> None:
    """A field can be read as a value, big integers whole; a missing one is None."""
    parts = take_apart(BODY)
    assert (parts.value("model"), parts.value("stream"), parts.value("missing")) == ("claude-test", True, None)
    assert parts.value("max_tokens") == 12345678901234567890123


def test_a_string_system_prompt_is_one_part() -> None:
    """A system prompt that is a plain string counts as one block; null and nothing count as none."""
    assert take_apart(b'{"system": "Be kind."}').system == [b'"Be kind."']
    assert take_apart(b'{"system": null, "messages": null}') == RequestParts()


@pytest.mark.parametrize(
    "body", [b"", b"not JSON", b"[1]", b'"text"', b"\xff\xfe", b'{"a":', b"\x1f\x8b\x08", b"[" * 100_000]
)
def test_what_is_no_request_has_a_reason(body: bytes) -> None:
    """Anything else gives no parts and says why, and never raises."""
    parts = take_apart(body)
    assert parts.reason
    assert parts == RequestParts(reason=parts.reason)


def test_lists_that_are_no_lists_are_kept() -> None:
    """A member of the wrong type is kept as one part rather than lost."""
    assert take_apart(b'{"messages": {"a": 1}, "tools": 5}') == RequestParts(messages=[b'{"a": 1}'], tools=[b"5"])


def test_two_spellings_of_a_message_are_one() -> None:
    """Key order, spaces, escapes, cache_control and string content make no difference; anything else does."""
    one = b'{"role":"user","content":"h\xc3\xa9"}'
    other = b'{ "content": [{"cache_control":{"type":"ephemeral"},"text":"h\\u00e9","type":"text"}], "role": "user" }'
    assert normalised(one) == normalised(other)
    assert normalised(one) != normalised(b'{"role":"assistant","content":"h\xc3\xa9"}')
    assert normalised(b'"Be kind."') == normalised(
        b'{"type":"text","text":"Be kind.","cache_control":{"type":"ephemeral"}}'
    )


def test_tool_results_inside_a_message() -> None:
    """The string content of a tool result is one text block too, and cache_control inside tool input is the tool's own."""
    one = b'{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"ok"}]}'
    other = (
        b'{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"ok"}]}]}'
    )
    assert normalised(one) == normalised(other)
    with_input = b'{"role":"assistant","content":[{"type":"tool_use","input":{"cache_control":1}}]}'
    assert b"cache_control" in normalised(with_input)


@settings(deadline=None)
@given(MESSAGES)
def test_normalising_twice_changes_nothing(message: dict[str, Any]) -> None:
    """The normal form is its own normal form, whatever the spelling of the message was."""
    form = normalised(json.dumps(message).encode())
    assert normalised(form) == form
    assert normalised(json.dumps(message, ensure_ascii=False, indent=1).encode()) == form
    assert "cache_control" not in json.loads(form)


@settings(deadline=None)
@given(st.binary(max_size=30))
def test_what_is_not_json_stays_as_it_is(raw: bytes) -> None:
    """Bytes that are not JSON have no other form than their own."""
    assert normalised(raw) == raw or json_value(raw) is not None or raw.strip() == b"null"


def test_digests() -> None:
    """A node's digest says which message stands below which parent; the same message elsewhere is another node."""
    a, b = digest(b"a"), digest(b"b")
    assert len(a) == DIGEST_BYTES
    assert (
        len({a, b, node_digest(None, a), node_digest(a, b), node_digest(b, a), node_digest(node_digest(None, a), b)})
        == 6
    )


@wire.needs_wire
def test_recorded_requests_come_apart_and_fit_together() -> None:
    """Every recorded body comes apart into as many parts as it has, and the parts hold all there is."""
    seen = 0
    for request in wire.requests():
        parts = take_apart(request.body)
        if not parts.messages:
            continue
        body = json.loads(request.body)
        assert [json.loads(part) for part in parts.messages] == body["messages"]
        assert [json.loads(part) for part in parts.tools] == (body.get("tools") or [])
        assert {name: json.loads(raw) for name, raw in parts.fields.items()} == {
            name: value for name, value in body.items() if name not in {"messages", "system", "tools"}
        }
        seen += 1
    assert seen > 60


@wire.needs_wire
def test_recorded_conversations_share_their_prefix() -> None:
    """In a recorded session each request's messages, normalised, begin with those of the request before it."""
    longest: list[bytes] = []
    steps = 0
    for request in wire.requests():
        if not request.source.startswith("claudetrace") or len(take_apart(request.body).tools) < 2:
            continue
        messages = [normalised(part) for part in take_apart(request.body).messages]
        assert messages[: len(longest)] == longest
        longest, steps = messages, steps + 1
    assert steps > 10
