"""The ledger of time and the time line, against sessions told by hand."""

from __future__ import annotations

import random
from typing import Any

import polars as pl
import pytest

from analysis.measures.ledger import WHAT, ledger, stretches
from tests.support.frames import at, frame

COLUMNS = [
    "session_id", "started_at", "ended_at", "wall_ms", "waiting_ms", "thinking_ms", "answering_ms", "tools_ms", "person_ms",
    "retrying_ms", "turns",
]  # fmt: skip
PARTS = COLUMNS[4:10]


def run(name: str, start: float, end: float | None, token: float | None = None, **columns: Any) -> dict[str, Any]:
    """Return an exchange of the main conversation between two seconds; `token` is the second of its first content."""
    return {
        "exchange_id": name, "session_id": "s", "thread_id": "s/main", "kind": "main", "state": "complete", "status": 200,
        "started_at": at(start), "ended_at": None if end is None else at(end), "stop_reason": "end_turn", "tip": name,
        "first_token_ms": None if token is None else (token - start) * 1000, **columns,
    }  # fmt: skip


def calling(name: str, start: float, end: float, token: float | None = None, **columns: Any) -> dict[str, Any]:
    """Return the same, answered with a call of a tool."""
    return run(name, start, end, token, stop_reason="tool_use", **columns)


def failing(name: str, start: float, end: float, **columns: Any) -> dict[str, Any]:
    """Return the same, answered with an error."""
    return run(name, start, end, **{"status": 529, "stop_reason": None, "api_error": "overloaded_error", **columns})


def events(name: str, *pieces: tuple[str, float]) -> list[dict[str, Any]]:
    """Return the events of an exchange: kind and second of arrival."""
    return [
        {"exchange_id": name, "position": position, "kind": kind, "arrived_at": at(second)}
        for position, (kind, second) in enumerate(pieces)
    ]


def shuffled(*rows: dict[str, Any]) -> pl.LazyFrame:
    """Return exchanges in any order."""
    return frame("exchanges", *random.sample(rows, len(rows)))


def only(found: pl.LazyFrame) -> dict[str, Any]:
    """Return the one row that there is."""
    [row] = found.collect().to_dicts()
    return row


def line(found: pl.LazyFrame, thread: str = "s/main") -> list[tuple[Any, ...]]:
    """Return a thread's time line: from which second to which, what, and the exchange."""
    rows = found.filter(pl.col("thread_id") == thread).select("begins_at", "ends_at", "what", "exchange_id").collect()
    return [((a - at(0)).total_seconds(), (b - at(0)).total_seconds(), what, name) for a, b, what, name in rows.rows()]


SESSION = [
    calling("e1", 0, 10, 2),
    failing("e2", 14, 15, tip="t"),
    run("e3", 18, 28, 21, tip="t"),
    run("e4", 88, 90, state="client_left", stop_reason=None),
    run("e5", 100, 130, 105, kind="compaction"),
    run("e6", 131, 135, 132),
]


def test_a_session_by_hand() -> None:
    """Waiting, answering, tools, the person and retries have each their time, and it comes to the wall clock."""
    found = only(ledger(shuffled(*SESSION)))

    assert list(found) == COLUMNS
    assert (found["session_id"], found["started_at"], found["ended_at"]) == ("s", at(0), at(135))
    assert found["waiting_ms"] == 1000 * (2 + 1 + 3 + 2 + 5 + 1)
    assert found["answering_ms"] == 1000 * (8 + 7 + 25 + 3)
    assert found["tools_ms"] == 4000
    assert found["retrying_ms"] == 3000
    assert found["person_ms"] == 1000 * (60 + 10 + 1)
    assert found["thinking_ms"] is None
    assert found["wall_ms"] == 135_000
    assert found["turns"] == 5


def test_the_time_line_says_the_same() -> None:
    """Each stretch says from when to when, what, and which exchange: of a gap the one before it."""
    assert line(stretches(shuffled(*SESSION))) == [
        (0, 2, "waiting", "e1"),
        (2, 10, "answering", "e1"),
        (10, 14, "tools", "e1"),
        (14, 15, "waiting", "e2"),
        (15, 18, "retrying", "e2"),
        (18, 21, "waiting", "e3"),
        (21, 28, "answering", "e3"),
        (28, 88, "person", "e3"),
        (88, 90, "waiting", "e4"),
        (90, 100, "person", "e4"),
        (100, 105, "waiting", "e5"),
        (105, 130, "answering", "e5"),
        (130, 131, "person", "e5"),
        (131, 132, "waiting", "e6"),
        (132, 135, "answering", "e6"),
    ]


def test_thinking_is_taken_from_answering() -> None:
    """Thinking runs from its first piece to the first of anything else; what are no pieces does not end it."""
    pieces = events(
        "e1", ("message_start", 1), ("content_block_start", 1), ("thinking_delta", 2), ("ping", 3), ("thinking_delta", 4),
        ("signature_delta", 5), ("content_block_stop", 5), ("content_block_start", 6), ("text_delta", 6),
        ("input_json_delta", 8), ("message_delta", 10),
    )  # fmt: skip
    other = events("e9", ("thinking_delta", 0), ("text_delta", 100))

    found = only(ledger(shuffled(calling("e1", 0, 10, 2), run("e2", 11, 13, 12)), frame("events", *pieces, *other)))

    assert (found["waiting_ms"], found["thinking_ms"], found["answering_ms"]) == (3000, 4000, 5000)
    assert found["wall_ms"] == sum(found[name] for name in PARTS) == 13_000


@pytest.mark.parametrize(
    ("pieces", "thinking"),
    [
        ([("thinking_delta", 3)], 7000),  # nothing came after: to the end
        ([("text_delta", 2), ("thinking_delta", 5), ("text_delta", 6)], 1000),  # text before does not end it
        ([("thinking_delta", 1), ("text_delta", 2)], 0),  # empty pieces, before the first token: that was waiting
        ([("thinking_delta", 2), ("text_delta", 2)], 0),  # both in one piece of the body
        ([("text_delta", 2)], 0),
        ([], 0),
    ],
)
def test_thinking_is_within_the_answer(pieces: list[tuple[str, float]], thinking: float) -> None:
    """Whatever the events are, thinking lies between the first token and the end, and the sum holds."""
    found = only(ledger(shuffled(run("e1", 0, 10, 2)), frame("events", *events("e1", *pieces))))

    assert (found["waiting_ms"], found["thinking_ms"], found["answering_ms"]) == (2000, thinking, 8000 - thinking)
    assert found["wall_ms"] == 10_000


def test_what_overlaps_counts_once() -> None:
    """Of exchanges that run at the same time only what is new is added, and the last to end leads to the gap."""
    found = shuffled(
        calling("a", 0, 20, 5), run("b", 2, 4, 3), run("c", 10, 30, 25), calling("d", 12, 30, 15), run("e", 40, 41, 41)
    )

    assert line(stretches(found)) == [
        (0, 5, "waiting", "a"),
        (5, 20, "answering", "a"),
        (20, 25, "waiting", "c"),
        (25, 30, "answering", "c"),
        (30, 40, "tools", "d"),
        (40, 41, "waiting", "e"),
    ]
    row = only(ledger(found))
    assert row["wall_ms"] == 41_000 == sum(row[name] or 0 for name in PARTS)


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        (failing("a", 0, 1, tip="t"), {"tip": "t"}, "retrying"),
        (failing("a", 0, 1), {"retry_count": 1}, "retrying"),
        (failing("a", 0, 1, status=None, api_error=None, state="failed", tip="t"), {"tip": "t"}, "retrying"),
        (failing("a", 0, 1, status=500, api_error=None, tip="t"), {"tip": "t"}, "retrying"),
        (run("a", 0, 1, state="interrupted", tip="t"), {"tip": "t"}, "retrying"),
        (run("a", 0, 1, state="client_left", stop_reason=None, tip="t"), {"tip": "t"}, "retrying"),
        (failing("a", 0, 1), {}, "person"),  # something else was asked
        (failing("a", 0, 1, tip=None), {"tip": None}, "person"),
        (run("a", 0, 1, tip="t"), {"tip": "t"}, "person"),  # it did not fail
        (run("a", 0, 1), {"retry_count": 2}, "person"),
        (run("a", 0, 1, stop_reason="max_tokens"), {}, "person"),
        (calling("a", 0, 1), {}, "tools"),
    ],
)
def test_a_gap_is_what_the_exchange_before_led_to(first: dict[str, Any], second: dict[str, Any], what: str) -> None:
    """After a failure the same request again is a retry; after a call of a tool it is the tool; else the person."""
    found = line(stretches(shuffled(first, run("b", 5, 6, **second))))

    assert found[1] == (1, 5, what, "a")


def test_only_the_main_conversation_makes_up_the_wall_clock() -> None:
    """Subagents run within the tool that started them, and requests beside the conversation in no thread."""
    beside = {"thread_id": None, "kind": "title"}
    agent = {"thread_id": "s/a1", "agent_id": "a1", "kind": "subagent"}
    rows = shuffled(
        run("t", -5, 3, **beside), calling("a", 0, 2, 1), calling("x", 3, 5, 4, **agent), run("y", 8, 9, 9, **agent),
        run("b", 10, 12, 11), run("c", 13, 99, kind="count_tokens"),
    )  # fmt: skip

    found = only(ledger(rows))

    assert (found["started_at"], found["ended_at"], found["tools_ms"]) == (at(0), at(12), 8000)
    assert found["turns"] == 2
    assert line(stretches(rows), "s/a1") == [
        (3, 4, "waiting", "x"),
        (4, 5, "answering", "x"),
        (5, 8, "tools", "x"),
        (8, 9, "waiting", "y"),
    ]


def test_nobody_waits_for_a_person_in_a_subagent() -> None:
    """Between a subagent's answer and the next thing that it is asked there is nothing; a compaction of its is its own."""
    agent = {"thread_id": "s/a1", "agent_id": "a1"}
    rows = shuffled(run("x", 0, 2, 1, kind="subagent", **agent), run("y", 8, 9, 9, kind="compaction", **agent))

    assert line(stretches(rows), "s/a1") == [(0, 1, "waiting", "x"), (1, 2, "answering", "x"), (8, 9, "waiting", "y")]
    assert ledger(rows).collect().is_empty()


def test_sessions_do_not_touch_each_other() -> None:
    """Each session has its own row, in the order of their start, whatever runs at the same time."""
    other = {"session_id": "r", "thread_id": "r/main"}
    rows = shuffled(run("a", 1, 3, 2), calling("b", 0, 4, 2, **other), run("c", 5, 6, 6), run("d", 6, 9, 7, **other))

    found = ledger(rows).collect()

    assert found.select("session_id", "wall_ms", "tools_ms", "person_ms").rows() == [
        ("r", 9000, 2000, 0),
        ("s", 5000, 0, 2000),
    ]


def test_what_still_runs_takes_no_time_yet() -> None:
    """A running exchange has its start as its end, so that the session ends there for now."""
    found = only(ledger(shuffled(calling("a", 0, 2, 1), run("b", 3, None, state="open", stop_reason=None))))

    assert (found["wall_ms"], found["tools_ms"], found["ended_at"]) == (3000, 1000, at(3))


def test_an_answer_in_one_piece_was_waited_for() -> None:
    """An exchange without a first token is waiting from its start to its end."""
    found = only(ledger(shuffled(run("a", 0, 7, stream=False))))

    assert (found["waiting_ms"], found["answering_ms"]) == (7000, 0)


def test_the_sum_holds_to_the_microsecond() -> None:
    """Times that are no whole milliseconds lose nothing: the parts come to what lies between start and end."""
    moments = sorted(random.sample(range(10_000_000), 40))
    rows = [
        run(
            f"e{n}", moments[2 * n] / 1e6, moments[2 * n + 1] / 1e6, stop_reason=random.choice(["tool_use", "end_turn"])
        )
        | {"first_token_ms": random.randrange(1_000_000) / 1000}
        for n in range(20)
    ]
    thoughts = [("thinking_delta", random.random() * 10), ("text_delta", 9.5)]
    pieces = [event for n in range(20) for event in events(f"e{n}", *thoughts)]

    found = only(ledger(shuffled(*rows), frame("events", *pieces)))

    micros = [round(found[name] * 1000) for name in PARTS]
    assert sum(micros) == round(found["wall_ms"] * 1000) == moments[-1] - moments[0]
    assert min(micros) >= 0


def test_of_nothing_there_are_all_columns() -> None:
    """Empty frames give empty frames with the same columns and types."""
    found = ledger(frame("exchanges"), frame("events")).collect()
    assert (found.columns, found.is_empty()) == (COLUMNS, True)
    assert set(found.select(PARTS).dtypes) == {pl.Float64()}
    assert ledger(frame("exchanges")).collect_schema() == found.schema

    spans = stretches(frame("exchanges").collect())
    assert isinstance(spans, pl.LazyFrame)
    assert spans.collect_schema()["what"] == WHAT
    assert spans.collect().columns == ["session_id", "thread_id", "begins_at", "ends_at", "what", "exchange_id"]
