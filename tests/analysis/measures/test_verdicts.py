"""Each cause for which a cache is not read, induced by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.frames import at, frame
from tests.support.turns import HAIKU, SONNET, found, said, second, turn


@pytest.mark.parametrize(
    ("gap", "short", "long", "cause"),
    [
        (301, 5000, 0, "ttl_expired_5m"),
        (3601, 5000, 0, "ttl_expired_5m"),
        (3601, 0, 5000, "ttl_expired_1h"),
        (3601, 1000, 4000, "ttl_expired_1h"),
        (301, 1000, 4000, "ttl_expired_5m"),
        (3600, 0, 5000, "unknown"),
        (300, 5000, 0, "unknown"),
    ],
)
def test_time_passes(gap: float, short: int, long: int, cause: str) -> None:
    """An intact prefix that was not read has expired if its time to live has passed, else nobody knows why."""
    only = second(turn("a", 0, 0, short, cache_write_1h_tokens=long), turn("b", gap, 0, 5300, "m2"))
    assert (*said(only), only["gap_s"]) == (cause, None, None, None, None, gap)


def test_the_time_to_live_is_what_the_thread_wrote() -> None:
    """Where the previous exchange wrote nothing, those before it say how long the prefix lives; a cold start forgets them."""
    rows = [turn("a", 0, 0, 0, cache_write_1h_tokens=5000), turn("b", 9, 5000, 0, "m2"), turn("c", 4000, 0, 5000, "m4")]
    assert [row["cause"] for row in found(*rows)] == ["first_request", "ttl_expired_1h"]
    again = [*rows, turn("d", 4301, 0, 5000, "m4")]
    assert [row["cause"] for row in found(*again)] == ["first_request", "ttl_expired_1h", "ttl_expired_5m"]


def test_an_unknown_time_to_live_is_5_minutes() -> None:
    """A prefix whose writing was not seen is taken to live for 5 minutes, the API's default."""
    [only] = found(turn("a", 0, 5000, 0), turn("b", 301, 0, 5000, "m2"))
    assert only["cause"] == "ttl_expired_5m"


def test_another_model_reads_nothing() -> None:
    """A switch of model is told with both."""
    only = second(turn("a", 0, 0, 5000), turn("b", 9, 0, 5300, "m2", model=HAIKU))
    assert said(only) == ("model_changed", None, None, SONNET, HAIKU)


@pytest.mark.parametrize(("name", "value"), [("effort", "low"), ("effort", None), ("thinking", "disabled")])
def test_effort_changes(name: str, value: str | None) -> None:
    """Another effort, and another kind of thinking, spoil what is cached of messages."""
    only = second(turn("a", 0, 0, 5000), turn("b", 9, 2000, 3300, "m2", **{name: value}))
    assert said(only) == ("effort_changed", None, None, {"effort": "high", "thinking": "adaptive"}[name], value)


def test_the_conversation_is_rewound() -> None:
    """Where it goes on otherwise from an earlier message, or ends there, it was rewound."""
    before = turn("a", 0, 0, 5000, "m4")
    assert said(second(before, turn("b", 9, 2000, 300, "r2"))) == ("rewind", "message", 2, "m2", "r2")
    assert said(second(before, turn("b", 9, 2000, 300, "m1"))) == ("rewind", "message", 2, "m2", None)


def test_the_conversation_is_compacted() -> None:
    """After a summary the conversation begins anew, whatever else differs from the request for the summary."""
    rows = [
        turn("a", 0, 0, 5000, "m2"), turn("b", 9, 5000, 100, "m3", kind="compaction", compaction="auto"),
        turn("c", 20, 2000, 300, "x1"),
    ]  # fmt: skip
    assert said(second(*rows)) == ("compaction", "message", 0, "m0", "x0")
    old = [rows[0], rows[1] | {"preamble": "told", "cache_read_tokens": 5000}, rows[2]]
    assert [row["cause"] for row in found(*old)] == ["first_request", "compaction"]


def test_a_compaction_is_known_by_its_words() -> None:
    """Where the request for the summary was not seen, the first words of the new conversation tell."""
    begun = {
        "node": "x0",
        "position": 0,
        "type": "text",
        "text": "This session is being continued from a previous conversation that",
    }
    rows = [turn("a", 0, 0, 5000, "m2"), turn("b", 9, 2000, 300, "x1")]
    assert second(*rows, blocks=frame("blocks", begun, bodies=True))["cause"] == "compaction"
    assert second(*rows)["cause"] == "rewind"


def test_a_request_may_be_too_short_itself() -> None:
    """An intact prefix of which a prompt below the minimum reads nothing is too short to be cached."""
    only = second(turn("a", 0, 0, 900), turn("b", 9, 0, 0, "m2", input_tokens=950))
    assert (only["cause"], only["lost_tokens"]) == ("below_minimum", 900)


def test_causes_are_judged_in_their_order() -> None:
    """Of several changes the first is told: model, tools, system, effort, messages, then time."""
    changes: dict[str, dict[str, Any]] = {
        "model_changed": {"model": HAIKU}, "tools_changed": {"preamble": "both"}, "system_changed": {"preamble": "told"},
        "effort_changed": {"effort": "low"}, "rewind": {"tip": "x2"}, "ttl_expired_5m": {"started_at": at(400)},
    }  # fmt: skip
    names = list(changes)
    for number, name in enumerate(names):
        second_row = turn("b", 9, 0, 900, "m2", input_tokens=900)
        for later in reversed(names[number:]):
            second_row |= changes[later]
        assert second(turn("a", 0, 0, 5000, "m2"), second_row)["cause"] == name
