"""Usage: cumulative counts, last told wins, and never a wrong number out of a wrong type."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccproxy.protocol.usage import LARGEST_COUNT, Tokens, merge, tokens

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
COUNTS = ["input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"]
OBJECTS = ["cache_creation", "server_tool_use", "output_tokens_details", "iterations", "service_tier"]
INSIDE = ["ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens", "web_search_requests", "thinking_tokens"]
KEYS = st.sampled_from([*COUNTS, *OBJECTS, *INSIDE, "never heard of"])
USAGE = st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON, max_size=4), max_size=6)


def test_counts_are_totals() -> None:
    """The delta's counts replace the start's; they are not added."""
    start = {"input_tokens": 10, "output_tokens": 1, "cache_read_input_tokens": 500}
    merged = merge(start, {"input_tokens": 12, "output_tokens": 40})
    assert merged == {"input_tokens": 12, "output_tokens": 40, "cache_read_input_tokens": 500}


def test_null_says_nothing() -> None:
    """Null never takes a number away, and is kept where nothing else was said."""
    merged = merge({"input_tokens": 10, "server_tool_use": {"web_search_requests": 1}}, {"input_tokens": None})
    assert merged == {"input_tokens": 10, "server_tool_use": {"web_search_requests": 1}}
    assert merge(merged, {"server_tool_use": None, "service_tier": None})["service_tier"] is None
    assert merge(merged, {"server_tool_use": None})["server_tool_use"] == {"web_search_requests": 1}


def test_objects_merge_and_lists_are_replaced() -> None:
    """Objects inside merge key by key; the list of iterations is the last one told; new keys are kept."""
    start = {"cache_creation": {"ephemeral_5m_input_tokens": 7, "ephemeral_1h_input_tokens": 0}, "iterations": [1]}
    delta = {"cache_creation": {"ephemeral_1h_input_tokens": 3}, "iterations": [2, 3], "brand_new": {"a": 1}}
    assert merge(start, delta) == {
        "cache_creation": {"ephemeral_5m_input_tokens": 7, "ephemeral_1h_input_tokens": 3},
        "iterations": [2, 3],
        "brand_new": {"a": 1},
    }


@settings(deadline=None)
@given(USAGE, USAGE)
def test_merging_is_safe(start: dict, delta: dict) -> None:
    """Merging changes neither argument, loses no key, and telling the same once more changes nothing."""
    before = copy.deepcopy((start, delta))
    merged = merge(start, delta)
    assert repr((start, delta)) == repr(before)
    assert merged.keys() == start.keys() | delta.keys()
    assert repr(merge(merged, delta)) == repr(merged)


def test_all_counts() -> None:
    """Each count is read from its place."""
    usage = {
        "input_tokens": 1,
        "output_tokens": 2,
        "cache_read_input_tokens": 3,
        "cache_creation_input_tokens": 9,
        "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 5},
        "output_tokens_details": {"thinking_tokens": 1},
        "server_tool_use": {"web_search_requests": 6, "web_fetch_requests": 7, "code_execution_requests": 8},
        "service_tier": "standard",
    }
    assert tokens(usage) == Tokens(1, 2, 3, 9, 4, 5, 1, 6, 7, 8, "standard")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"cache_creation_input_tokens": 9}, (9, 9, 0)),
        ({"cache_creation_input_tokens": 0}, (0, 0, 0)),
        ({"cache_creation_input_tokens": 9, "cache_creation": None}, (9, 9, 0)),
        ({"cache_creation_input_tokens": 9, "cache_creation": {}}, (9, 9, 0)),
        ({"cache_creation_input_tokens": 9, "cache_creation": {"ephemeral_1h_input_tokens": 4}}, (9, 5, 4)),
        ({"cache_creation_input_tokens": 9, "cache_creation": {"ephemeral_5m_input_tokens": 4}}, (9, 4, 5)),
        ({"cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 5}}, (9, 4, 5)),
        ({"cache_creation": {"ephemeral_1h_input_tokens": 5}}, (5, 0, 5)),
        ({}, (None, None, None)),
    ],
)
def test_cache_writes_by_time_to_live(usage: dict, expected: tuple) -> None:
    """Whatever part of the split is missing follows from the rest; a bare total is all for five minutes."""
    counted = tokens(usage)
    assert (counted.cache_write, counted.cache_write_5m, counted.cache_write_1h) == expected


@pytest.mark.parametrize("wrong", ["12", -1, 1.5, True, [1], {}, None, float("nan"), float("inf"), LARGEST_COUNT + 1])
def test_a_wrong_type_is_no_count(wrong: object) -> None:
    """A count that is no count is None, not a guess."""
    assert tokens({"input_tokens": wrong, "output_tokens": 5}) == Tokens(output=5)


def test_whole_floats_are_counts() -> None:
    """Some servers write 12.0."""
    assert tokens({"input_tokens": 12.0}).input == 12


@pytest.mark.parametrize("usage", [None, [], "usage", 5])
def test_no_usage(usage: object) -> None:
    """Where there is no usage every count is unknown."""
    assert tokens(usage) == Tokens()  # type: ignore[arg-type]


@settings(deadline=None)
@given(USAGE)
def test_tokens_never_raises(usage: dict) -> None:
    """Whatever stands in a usage object, the counts come out as numbers or None."""
    counted = tokens(usage)
    for name in ("input", "output", "cache_read", "cache_write", "cache_write_5m", "cache_write_1h", "web_searches"):
        assert getattr(counted, name) is None or type(getattr(counted, name)) is int
