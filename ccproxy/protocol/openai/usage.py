"""Token counts of Chat Completions, said as Anthropic's.

Knows what is a part of what: OpenAI counts cached tokens inside the prompt and reasoning inside the completion, Anthropic counts
the cache beside the input; and which providers have names or sums of their own. Refuses to know prices and how counts of a stream
follow each other.
"""

from __future__ import annotations

from typing import Any

from ccproxy.protocol.usage import LARGEST_COUNT

Object = dict[str, Any]


def to_usage(usage: Any) -> Object:
    """Return Anthropic's `usage` object for the `usage` of a completion or a chunk; what is not told is zero.

    Input, cache reads and cache writes add up to `prompt_tokens`. `output_tokens_details` is there where the provider tells how
    many tokens were reasoning.
    """
    given = usage if isinstance(usage, dict) else {}
    prompt, details = _count(given, "prompt_tokens"), _member(given, "prompt_tokens_details")
    # Azure's Grok tells more cached tokens than the prompt has (recorded): then all of the prompt was cached.
    read = min(_cached(given, details), prompt)
    # OpenRouter's name; the tokens are part of the prompt (https://openrouter.ai/docs/use-cases/usage-accounting).
    written = min(_count(details, "cache_write_tokens"), prompt - read)
    counts = {
        "input_tokens": prompt - read - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
    }
    return counts | _output(given, prompt)


def _cached(given: Object, details: Object) -> int:
    """Return what was read from the cache: OpenAI's name, DeepSeek's, Moonshot's."""
    return (
        _count(details, "cached_tokens") or _count(given, "prompt_cache_hit_tokens") or _count(given, "cached_tokens")
    )


def _output(given: Object, prompt: int) -> Object:
    """Return the output with its reasoning. xAI counts reasoning beside the completion, which its total gives away."""
    completion, details = _count(given, "completion_tokens"), _member(given, "completion_tokens_details")
    thinking = _count(details, "reasoning_tokens")
    beside = thinking > completion or _count(given, "total_tokens") == prompt + completion + thinking
    counts: Object = {"output_tokens": completion + thinking if beside else completion}
    if "reasoning_tokens" in details:
        counts["output_tokens_details"] = {"thinking_tokens": thinking}
    return counts


def _member(given: Object, name: str) -> Object:
    value = given.get(name)
    return value if isinstance(value, dict) else {}


def _count(given: Object, name: str) -> int:
    """Return a count; what is none, is none here."""
    value = given.get(name)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_COUNT:
        return value
    return 0
