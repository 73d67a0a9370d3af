"""JSON that broke off: what is whole of it, as the parser inside the official SDK sees it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jiter import from_json  # the parser inside the official SDK

from ccproxy.protocol.fragment import closed

OBJECTS = st.dictionaries(
    st.text(max_size=4),
    st.recursive(
        st.booleans() | st.none() | st.integers() | st.text(max_size=6),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab{"), inner),
        max_leaves=5,
    ),
    max_size=3,
)


@settings(deadline=None, max_examples=100)
@given(OBJECTS, st.booleans())
@example({"a": {"b": ["x", {"c": 'y"\\'}], "d": "long, {text"}, "e": True, "f": 12.5}, True)
def test_a_text_cut_anywhere_keeps_what_is_whole(value: dict[str, Any], ascii_only: bool) -> None:
    """However few letters of an object came, its whole members are those that the official SDK sees."""
    text = json.dumps(value, ensure_ascii=ascii_only)
    for length in range(1, len(text) + 1):
        whole = closed(text[:length])
        assert whole is not None
        assert json.loads(whole) == from_json(text[:length].encode(), partial_mode=True)


@pytest.mark.parametrize("text", ["", "a", "]", '{"a" "b", "c":', '{"a": nope, "b": [1,', "{" * 100_000, "}{,]["])
def test_what_is_no_json_has_nothing_whole(text: str) -> None:
    """A text that is wrong before its end is not mended."""
    assert closed(text) is None
