"""What compactions dropped of a conversation told by hand."""

from __future__ import annotations

from typing import Any

from analysis.measures.compactions import compactions
from tests.support.frames import at, frame
from tests.support.weights import PATHS, mixed, request, tree


def summary(name: str, tokens: int | None, tip: str, **columns: Any) -> dict[str, Any]:
    """Return a request for a summary."""
    return request(name, tokens, tip, kind="compaction", **{"compaction": "auto", **columns})


def dropped(*requests: dict[str, Any], paths: dict[str, str | None]) -> list[dict[str, Any]]:
    """Return compactions."""
    return compactions(mixed("exchanges", list(requests)), tree(paths)).collect().to_dicts()


COMPACTED: dict[str, str | None] = {**PATHS, "ask": "u4", "y0": None, "y1": "y0", "y2": "y1"}


def test_a_compaction_drops_messages() -> None:
    """It is told with the input before and after, and how many messages are no longer there."""
    rows = [
        request("1", 90_000, "u2"),
        request("2", 100_000, "u4"),
        summary("3", 101_000, "ask"),
        request("4", 20_000, "y0"),
        request("5", 21_000, "y2"),
    ]
    assert dropped(*rows, paths=COMPACTED) == [
        {
            "session_id": "s", "thread_id": "s/main", "exchange_id": "3", "started_at": at(3), "trigger": "auto",
            "before_tokens": 100_000, "after_tokens": 20_000, "dropped_tokens": 80_000, "dropped_messages": 5,
        }
    ]  # fmt: skip


def test_a_summary_asked_for_again_counts_once() -> None:
    """Of several requests in a row the last that was answered is told; one that was never answered is none."""
    before, after = request("1", 100, "u4"), request("9", 20, "y0")
    twice = [summary("2", 101, "ask"), summary("3", 102, "ask", compaction=None), summary("4", None, "ask")]
    [only] = dropped(before, *twice, after, paths=COMPACTED)
    assert (only["exchange_id"], only["trigger"], only["before_tokens"], only["after_tokens"]) == ("3", None, 100, 20)
    assert dropped(before, twice[2], after, paths=COMPACTED) == []


def test_a_conversation_that_went_on_dropped_nothing() -> None:
    """A summary that was not used drops no message; what of a thread was not seen is null."""
    [only] = dropped(request("1", 100, "u2"), summary("2", 101, "x2"), request("3", 120, "u4"), paths=COMPACTED)
    assert (only["dropped_tokens"], only["dropped_messages"]) == (-20, 0)
    [last] = dropped(summary("2", 101, "ask"), paths=COMPACTED)
    assert [last[name] for name in ("before_tokens", "after_tokens", "dropped_tokens", "dropped_messages")] == [
        None
    ] * 4


def test_each_thread_is_compacted_by_itself() -> None:
    """What another thread asks in between is not before and not after."""
    agent = {"thread_id": "s/agent"}
    rows = [
        request("1", 100, "u4"), request("2", 7, "x2", **agent), summary("3", 101, "ask"), request("4", 8, "x2", **agent),
        request("5", 20, "y0"), summary("6", 9, "x2", **agent), request("7", 3, "y2", **agent),
    ]  # fmt: skip
    found = dropped(*rows, paths=COMPACTED)
    assert [(row["thread_id"], row["before_tokens"], row["after_tokens"], row["dropped_messages"]) for row in found] == [
        ("s/main", 100, 20, 5), ("s/agent", 8, 3, 3),
    ]  # fmt: skip


def test_no_exchanges_were_compacted() -> None:
    """Without exchanges there are no rows, and all columns."""
    empty = compactions(frame("exchanges"), frame("messages")).collect()
    assert (empty.width, empty.height) == (9, 0)
