"""Token counts of one answer.

Knows how the counts of a stream add up to the final ones (they do not add: each is a running total) and which of them a
bill is made of. Refuses to know prices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# The largest integer a database column holds; a larger count is no count.
LARGEST_COUNT = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Tokens:
    """The counts that analysis and bills use, each None where the answer did not say.

    `input` excludes what was read from or written to the cache. `cache_write` is the total, `cache_write_5m` and
    `cache_write_1h` its split by time to live. `thinking` is the part of `output` that was thought, where the API says.
    The searches, fetches and runs are numbers of uses of server tools, not tokens.
    """

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_5m: int | None = None
    cache_write_1h: int | None = None
    thinking: int | None = None
    web_searches: int | None = None
    web_fetches: int | None = None
    code_executions: int | None = None
    service_tier: str | None = None


def merge(start: dict[str, Any], delta: dict[str, Any]) -> dict[str, Any]:
    """Return the usage after `delta` (of a `message_delta`) has been told on top of `start` (of the `message_start`).

    The counts of a `message_delta` are totals up to there, so the last one told wins, per key; nothing is ever added.
    Null never overwrites a value. Objects inside (`cache_creation`, `server_tool_use`) merge by the same rule; lists
    (`iterations`) are replaced. Neither argument is changed. Source: Anthropic's page on streaming messages, which
    calls the counts of `message_delta` cumulative.
    """
    merged = dict(start)
    for key, value in delta.items():
        known = merged.get(key)
        if isinstance(known, dict) and isinstance(value, dict):
            merged[key] = merge(known, value)
        elif value is not None or key not in merged:
            merged[key] = value
    return merged


def tokens(usage: dict[str, Any] | None) -> Tokens:
    """Return the counts in a `usage` object; whatever is missing or of the wrong type is None.

    When only the total of cache writes is known, all of it counts as written for 5 minutes and none for an hour,
    because 5 minutes is the API's default time to live and the older answers, which lack the split, knew no other.
    """
    if not isinstance(usage, dict):
        return Tokens()
    server_tools, details = _member(usage, "server_tool_use"), _member(usage, "output_tokens_details")
    total, short, long = _cache_writes(usage)
    tier = usage.get("service_tier")
    return Tokens(
        input=_count(usage, "input_tokens"),
        output=_count(usage, "output_tokens"),
        cache_read=_count(usage, "cache_read_input_tokens"),
        cache_write=total,
        cache_write_5m=short,
        cache_write_1h=long,
        thinking=_count(details, "thinking_tokens"),
        web_searches=_count(server_tools, "web_search_requests"),
        web_fetches=_count(server_tools, "web_fetch_requests"),
        code_executions=_count(server_tools, "code_execution_requests"),
        service_tier=tier if isinstance(tier, str) else None,
    )


def _cache_writes(usage: dict[str, Any]) -> tuple[int | None, int | None, int | None]:
    """Return all cache writes, those for 5 minutes and those for an hour."""
    split = _member(usage, "cache_creation")
    total = _count(usage, "cache_creation_input_tokens")
    short, long = _count(split, "ephemeral_5m_input_tokens"), _count(split, "ephemeral_1h_input_tokens")
    if short is None and long is None:
        return (None, None, None) if total is None else (total, total, 0)
    if total is None:
        return (short or 0) + (long or 0), short or 0, long or 0
    if short is None:
        short = max(total - (long or 0), 0)
    elif long is None:
        long = max(total - short, 0)
    return total, short, long


def _member(usage: dict[str, Any], name: str) -> dict[str, Any]:
    value = usage.get(name)
    return value if isinstance(value, dict) else {}


def _count(usage: dict[str, Any], name: str) -> int | None:
    value = usage.get(name)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_COUNT else None
