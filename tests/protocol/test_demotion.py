"""Asking for a stream in place of a message: one value changes and nothing else; and what a stream leaves in a message."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ccproxy.protocol.demotion import ask_for_stream, error_status, unstreamed

CHANGED = {
    "false": (b'{"model":"m","stream":false}', b'{"model":"m","stream":true}'),
    "null": (b'{"stream":null,"a":1}', b'{"stream":true,"a":1}'),
    "missing": (b'{"model":"m"}', b'{"stream":true,"model":"m"}'),
    "nothing there": (b"{}", b'{"stream":true}'),
    "nothing there, and space": (b" { }\n", b' {"stream":true }\n'),
    "spaces": (b'\n{ "a" :\t[ 1 ] ,\r\n "stream"\t: false\n}\n', b'\n{ "a" :\t[ 1 ] ,\r\n "stream"\t: true\n}\n'),
    "spelled with an escape": (b'{"str\\u0065am":false}', b'{"str\\u0065am":true}'),
    "twice": (b'{"stream":false,"stream":null}', b'{"stream":true,"stream":true}'),
    "twice, the last one counts": (b'{"stream":true,"a":1,"stream":false}', b'{"stream":true,"a":1,"stream":true}'),
    "deeper inside": (
        b'{"messages":[{"stream":true,"content":"\\"stream\\":true"}],"tools":[{"stream":false}]}',
        b'{"stream":true,"messages":[{"stream":true,"content":"\\"stream\\":true"}],"tools":[{"stream":false}]}',
    ),
    "in a text before": (
        b'{"system":"{\\"stream\\":false,","stream":false,"x":"\\\\"}',
        b'{"system":"{\\"stream\\":false,","stream":true,"x":"\\\\"}',
    ),
    "big numbers": (
        b'{"n":123456789012345678901234567890,"f":1.10,"h":1E400,"stream":false,"m":-0.0}',
        b'{"n":123456789012345678901234567890,"f":1.10,"h":1E400,"stream":true,"m":-0.0}',
    ),
    "other keys twice": (
        b'{"a":1,"b":{"x":[{},"]"]},"a":12,"b":"}","stream":false,"a":[1],"b":[[2]],"a":1,"b":1}',
        b'{"a":1,"b":{"x":[{},"]"]},"a":12,"b":"}","stream":true,"a":[1],"b":[[2]],"a":1,"b":1}',
    ),
    "half a character": (
        b'{"a":"\\ud83d","\\ud83d":{"b":"\\udc00"},"stream":false}',
        b'{"a":"\\ud83d","\\ud83d":{"b":"\\udc00"},"stream":true}',
    ),
    "unicode": ('{"ä🌍":"…","stream":false}'.encode(), '{"ä🌍":"…","stream":true}'.encode()),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGED)
def test_a_request_for_a_message_asks_for_a_stream(name: str) -> None:
    """The value of `stream` changes, or is put in where there is none; every other byte stays."""
    body, wanted = CHANGED[name]
    assert ask_for_stream(body) == wanted


UNCHANGED = {
    "a stream": b'{"stream":true}',
    "a stream, said last": b'{"stream":false,"stream":true}',
    "a text": b'{"stream":"false"}',
    "a number": b'{"stream":0}',
    "a number first": b'{"stream":0,"stream":false}',
    "a list": b'[{"stream":false}]',
    "no object": b'"stream"',
    "nothing": b"",
    "no JSON": b'{"stream":false',
    "more than JSON": b'{"stream":false}}',
    "a byte order mark": b'\xef\xbb\xbf{"stream":false}',
    "another encoding": '{"stream":false}'.encode("utf-16"),
    "a form": b"stream=false",
    "nested deeply": b'{"stream":false,"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
}


@pytest.mark.parametrize("name", UNCHANGED)
def test_what_asks_for_a_stream_or_is_not_understood_stays(name: str) -> None:
    """A request that streams already, or that is no plain JSON object, is left alone."""
    assert ask_for_stream(UNCHANGED[name]) is None


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(['"stream":false', "}", "\\", "\ud83d"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["stream", "a", '"', "{"]), inner),
    max_leaves=8,
)
KEYS = st.sampled_from(["stream", "str\\u0065am", "messages", "model", "a", '\\"', "\\ud83d", "\\\\"])
MEMBERS = st.lists(st.tuples(KEYS, VALUES | st.sampled_from([True, False, None])), max_size=6)
SPACES = st.sampled_from(["", " ", "\n\t", "\r\n  "])


@settings(deadline=None, max_examples=400)
@given(MEMBERS, SPACES, st.booleans())
@example([("a", 1), ("stream", False), ("a", 12)], "", True)
def test_only_the_top_level_stream_changes(members: list[tuple[str, Any]], space: str, ascii_only: bool) -> None:
    """In any JSON, however it is spaced and whatever it repeats, what changes is each `stream` of the top level, by its value."""
    spelled = [
        (key, json.dumps(value, ensure_ascii=ascii_only or "\\ud" in json.dumps(value))) for key, value in members
    ]
    given_ = [text for key, text in spelled if json.loads(f'"{key}"') == "stream"]
    body = _object(spelled, space)
    if not given_:
        put_in = '"stream":true,' if members else '"stream":true'
        place = body.index(b"{") + 1
        wanted = body[:place] + put_in.encode() + body[place:]
    elif given_[-1] in ("false", "null") and {*given_} <= {"true", "false", "null"}:
        wanted = _object([(k, "true" if json.loads(f'"{k}"') == "stream" else v) for k, v in spelled], space)
    else:
        assert ask_for_stream(body) is None
        return
    assert ask_for_stream(body) == wanted
    assert json.loads(wanted)["stream"] is True


def _object(members: list[tuple[str, str]], space: str) -> bytes:
    inside = f"{space},{space}".join(f'"{key}"{space}:{space}{value}' for key, value in members)
    return f"{space}{{{space}{inside}{space}}}{space}".encode()


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=60), st.sampled_from([b"", b'{"stream":false,', b'{"a":"', b'{"stream":false,"b":[']))
def test_no_bytes_make_it_fail(noise: bytes, before: bytes) -> None:
    """Whatever a client sends, asking for a stream changes its `stream` or leaves it alone, and never fails."""
    for body in (before + noise, before + noise + b"}", before + noise + b'"]}'):
        asked = ask_for_stream(body)
        assert asked is None or b"true" in asked


def test_of_a_tool_input_that_broke_off_stays_what_is_whole() -> None:
    """An input that was cut, as by max_tokens, has the members that came whole, as the official SDK gives it."""
    for text, whole in [
        ('{"command": "ls", "path": "/ho', {"command": "ls"}),
        ("{", {}),
        (' {"a": [1, {"b', {"a": [1, {}]}),
    ]:
        block = {"type": "tool_use", "input": {"_partial_json": text}}
        assert unstreamed({"content": [block]}) == {"content": [{**block, "input": whole}]}


def test_an_input_that_is_no_json_stays_as_text() -> None:
    """What is no JSON from its first letter, or in its middle, is given as the text that it is."""
    for text in ('command": "ls"}', '{"a" "b", "c":', "", '{"a": nope, "b": [1,'):
        block = {"type": "tool_use", "input": {"_partial_json": text}}
        assert unstreamed({"content": [block]}) == {"content": [block]}
    honest = {"type": "tool_use", "input": {"_partial_json": "{", "other": 1}}
    assert unstreamed({"content": [honest]}) == {"content": [honest]}


def test_everything_else_of_a_message_stays() -> None:
    """Blocks and fields of every kind stay, but for the deltas that nobody has heard of."""
    strange = {"type": "constellation", "stars": [1], "deep": {"_unknown_deltas": 1}}
    message = {"id": "m", "new": {"x": 1}, "content": [{**strange, "_unknown_deltas": [{"type": "x"}]}, "text", 7]}
    assert unstreamed(message) == {**message, "content": [strange, "text", 7]}
    assert unstreamed({"id": "m"}) == {"id": "m"}
    assert unstreamed({"content": "text"}) == {"content": "text"}


STATUSES = {
    "invalid_request_error": 400, "authentication_error": 401, "billing_error": 402, "permission_error": 403,
    "not_found_error": 404, "request_too_large": 413, "rate_limit_error": 429, "api_error": 500, "timeout_error": 504,
    "overloaded_error": 529, "an_error_of_tomorrow": 500,
}  # fmt: skip


@pytest.mark.parametrize(("kind", "status"), STATUSES.items())
def test_each_error_has_its_status(kind: str, status: int) -> None:
    """An error in a stream has the status that it would have had before it; one that nobody knows is the API's own."""
    assert error_status({"type": "error", "error": {"type": kind, "message": "x"}}) == status


@pytest.mark.parametrize("payload", [{}, {"error": None}, {"error": "x"}, {"error": {}}, {"error": {"type": ["x"]}}])
def test_an_odd_error_is_the_apis_own(payload: dict[str, Any]) -> None:
    """An error of another shape has the status 500."""
    assert error_status(payload) == 500
