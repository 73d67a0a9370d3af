"""Token counts of Chat Completions as Anthropic's: what is part of what, and providers with names and sums of their own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccproxy.protocol.openai.usage import to_usage
from ccproxy.protocol.usage import LARGEST_COUNT, tokens

# The counts given, and input, cache read, cache write, output and thinking as they must come out.
COUNTS: dict[str, tuple[Any, tuple[int, int, int, int, int | None]]] = {
    "OpenAI": (
        {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "total_tokens": 150,
            "prompt_tokens_details": {"cached_tokens": 80, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 30},
        },
        (20, 80, 0, 50, 30),
    ),
    "no details": ({"prompt_tokens": 9, "completion_tokens": 5}, (9, 0, 0, 5, None)),
    "details that are null": (
        {
            "prompt_tokens": 9,
            "completion_tokens": 5,
            "prompt_tokens_details": None,
            "completion_tokens_details": None,
        },
        (9, 0, 0, 5, None),
    ),
    "no reasoning": (
        {"prompt_tokens": 9, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 0}},
        (9, 0, 0, 5, 0),
    ),
    "DeepSeek": (
        {
            "prompt_tokens": 339,
            "completion_tokens": 83,
            "prompt_cache_hit_tokens": 320,
            "prompt_cache_miss_tokens": 19,
        },
        (19, 320, 0, 83, None),
    ),
    "Moonshot": ({"prompt_tokens": 100, "completion_tokens": 10, "cached_tokens": 80}, (20, 80, 0, 10, None)),
    "OpenRouter, which writes a cache": (
        {
            "prompt_tokens": 194,
            "completion_tokens": 2,
            "total_tokens": 196,
            "prompt_tokens_details": {"cached_tokens": 10, "cache_write_tokens": 100},
        },
        (84, 10, 100, 2, None),
    ),
    "xAI, whose completion has no reasoning": (
        {
            "prompt_tokens": 12,
            "completion_tokens": 20,
            "total_tokens": 44,
            "completion_tokens_details": {"reasoning_tokens": 12},
        },
        (12, 0, 0, 32, 12),
    ),
    "more reasoning than completion, and no total": (
        {"prompt_tokens": 1, "completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": 340}},
        (1, 0, 0, 342, 340),
    ),
    "more cached than asked, as Azure's Grok tells": (
        {"prompt_tokens": 7, "completion_tokens": 8, "prompt_tokens_details": {"cached_tokens": 161}},
        (0, 7, 0, 8, None),
    ),
    "whole numbers with a point": ({"prompt_tokens": 9.0, "completion_tokens": 5.0}, (9, 0, 0, 5, None)),
    "no counts": (
        {"prompt_tokens": "9", "completion_tokens": True, "total_tokens": -1, "prompt_tokens_details": [1]},
        (0, 0, 0, 0, None),
    ),
    "too large to be one": ({"prompt_tokens": LARGEST_COUNT + 1, "completion_tokens": 1.5}, (0, 0, 0, 0, None)),
    "nothing": ({}, (0, 0, 0, 0, None)),
    "no object": ([1], (0, 0, 0, 0, None)),
    "null": (None, (0, 0, 0, 0, None)),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_come_over(name: str) -> None:
    """Input, cache and output are read back from Anthropic's usage as the provider meant them, whatever it called them."""
    given_counts, wanted = COUNTS[name]
    read = tokens(to_usage(given_counts))
    assert (read.input, read.cache_read, read.cache_write, read.output, read.thinking) == wanted
    assert (read.cache_write_5m, read.cache_write_1h) == (wanted[2], 0)


def test_the_usage_has_every_member_that_clients_read() -> None:
    """A usage is whole even where the provider told nothing: clients refuse one without its cache counts."""
    assert to_usage(None) == {
        "input_tokens": 0,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 0,
    }


COUNT = st.integers(0, 10**6) | st.none() | st.integers() | st.floats() | st.text(max_size=3)


@settings(deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "prompt_tokens": COUNT,
            "completion_tokens": COUNT,
            "total_tokens": COUNT,
            "prompt_cache_hit_tokens": COUNT,
            "prompt_tokens_details": st.dictionaries(st.sampled_from(["cached_tokens", "cache_write_tokens"]), COUNT),
            "completion_tokens_details": st.dictionaries(st.just("reasoning_tokens"), COUNT),
        },
    )
)
def test_the_prompt_is_what_input_and_cache_add_up_to(usage: dict[str, Any]) -> None:
    """Whatever is told, no count is negative, the prompt is neither more nor less than told, and thinking is within the output."""
    found = to_usage(usage)
    parts = [found[name] for name in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")]
    assert min(parts) >= 0
    told = usage.get("prompt_tokens")
    if type(told) is int and 0 <= told <= LARGEST_COUNT:
        assert sum(parts) == told
    thinking = found.get("output_tokens_details", {"thinking_tokens": 0})["thinking_tokens"]
    assert 0 <= thinking <= found["output_tokens"]
