"""One member of a request changes in its bytes, and nothing else does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccproxy.protocol.members import with_model
from tests.support.wire import needs_wire, requests

MODEL = "claude-haiku-4-5"
CHANGED = {
    "plain": (b'{"model":"a","b":1}', b'{"model":"claude-haiku-4-5","b":1}'),
    "spaces": (b'{\n "b" : [ 1.10 ],\t"model" :  "a" }', b'{\n "b" : [ 1.10 ],\t"model" :  "claude-haiku-4-5" }'),
    "twice": (b'{"model":"a","model":null}', b'{"model":"claude-haiku-4-5","model":"claude-haiku-4-5"}'),
    "inside": (b'{"x":{"model":"a"},"model":"a"}', b'{"x":{"model":"a"},"model":"claude-haiku-4-5"}'),
    "in a text": (b'{"s":"\\"model\\":\\"a\\"","model":"a"}', b'{"s":"\\"model\\":\\"a\\"","model":"claude-haiku-4-5"}'),
    "big number": (b'{"n":1e999,"model":"a","k":1234567890123456789}', b'{"n":1e999,"model":"claude-haiku-4-5","k":1234567890123456789}'),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGED)
def test_only_the_model_changes(name: str) -> None:
    """The value of `model` is another one, and every other byte stays."""
    body, wanted = CHANGED[name]
    assert with_model(body, MODEL) == wanted


@pytest.mark.parametrize("body", [b"", b"[]", b'"model"', b"{}", b'{"models":"a"}', b'{"model":"a"'])
def test_a_body_without_a_model_gives_none(body: bytes) -> None:
    """Where there is no `model` to change, or no JSON object, that is said."""
    assert with_model(body, MODEL) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text() | st.just("model"), json_values, max_size=5), json_values, st.sampled_from([None, 2]))
@settings(deadline=None)
def test_any_request_differs_in_the_model_alone(rest: dict[str, Any], model: Any, indent: int | None) -> None:
    """However a request is written, the other model is all that reading it finds changed."""
    body = json.dumps({**rest, "model": model}, indent=indent).encode()
    changed = with_model(body, MODEL)
    assert changed is not None
    assert json.loads(changed) == {**json.loads(body), "model": MODEL}
    back = with_model(changed, "x")
    assert back is not None
    assert back.count(b'"x"') >= 1


@needs_wire
def test_recorded_requests_differ_in_the_model_alone() -> None:
    """Of every recorded request the bytes before and after the model's name stay."""
    seen = 0
    for request in requests():
        model = json.loads(request.body).get("model") if request.body else None
        if isinstance(model, str) and request.body.count(json.dumps(model).encode()) == 1:
            wanted = request.body.replace(json.dumps(model).encode(), json.dumps(MODEL).encode())
            assert with_model(request.body, MODEL) == wanted
            seen += 1
    assert seen > 50
