"""A transcript summed up: counted once, titled by the best that is known, whatever its lines look like."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccproxy.transcripts.summary import Summary, moment
from tests.support import wire
from tests.support.transcripts import assistant, line, text, user, uuid, written


def _summed(lines: Iterable[dict[str, Any] | bytes]) -> Summary:
    summary = Summary()
    for data in written(lines).splitlines(keepends=True):
        summary.take(0, data)
    return summary


def test_an_answer_counts_once() -> None:
    """The lines of one answer are one message and one request, also with results of its tools between them."""
    summary = _summed([
        user("Do it"),
        assistant([text("I will")], "msg_1"),
        assistant([{"type": "tool_use", "id": "t1"}], "msg_1"),
        user([{"type": "tool_result", "tool_use_id": "t1"}]),
        assistant([{"type": "tool_use", "id": "t2"}], "msg_1"),
        user([{"type": "tool_result", "tool_use_id": "t2"}]),
        assistant([text("Done")], "msg_2"),
        line("system", subtype="turn_duration"),
    ])  # fmt: skip
    assert (summary.messages, summary.requests, summary.lines) == (5, 2, 8)


def test_an_error_of_the_api_is_a_message_and_no_request() -> None:
    """What Claude Code writes in the model's place was never answered."""
    summary = _summed([assistant([text("API Error")], "x", isApiErrorMessage=True, requestId=None)])
    assert (summary.messages, summary.requests) == (1, 0)


TITLES = [
    line("custom-title", customTitle="By hand"),
    line("ai-title", aiTitle="By the client"),
    line("summary", summary="As summed up"),
    user("The first words"),
    user("<command-name>/command</command-name>"),
]
EXPECTED = ["By hand", "By the client", "As summed up", "The first words", "/command"]


@given(st.permutations(range(5)), st.integers(0, 4))
def test_the_best_title_wins(order: list[int], best: int) -> None:
    """A title given by hand goes before the client's, that before a summary, that before the first words; in any order."""
    lines = [TITLES[number] for number in order if number >= best]
    assert _summed(lines).title == EXPECTED[best]


def test_the_last_of_each_kind_wins() -> None:
    """A conversation that was renamed has its new name; its first words stay the first."""
    assert _summed([line("custom-title", customTitle=name) for name in ("old", "new")]).title == "new"
    assert _summed([user("first"), user("second")]).title == "first"


def test_a_summary_of_another_session_is_no_title() -> None:
    """Old versions wrote summaries of other conversations into a file; the message that one names tells."""
    last = uuid()
    foreign = {"type": "summary", "summary": "Something else", "leafUuid": uuid()}
    own = {"type": "summary", "summary": "This one", "leafUuid": last}
    assert _summed([foreign, user("Mine")]).title == "Mine"
    assert _summed([user("Mine", uuid=last), own]).title == "This one"
    assert _summed([own, foreign, user("Mine", uuid=last)]).title == "This one"
    assert _summed([foreign]).title == "Something else"


def test_meta_lines_and_sidechains_give_no_title() -> None:
    """Only what was said in the conversation itself counts as its first words."""
    lines = [
        user("meta", isMeta=True),
        user("summary", isCompactSummary=True),
        user("to the subagent", isSidechain=True),
        user("said"),
    ]
    assert _summed(lines).title == "said"


def test_sidechains_inside_a_file_are_counted() -> None:
    """Up to 2.0 a subagent's lines stand among the others: each beginning is one."""
    first = user("Search", isSidechain=True)
    lines = [
        user("Go"),
        first,
        assistant([text("Found")], "m", isSidechain=True, parentUuid=first["uuid"]),
        user("Again", isSidechain=True),
    ]
    assert _summed(lines).sidechains == 2


def test_times_are_the_first_and_the_last() -> None:
    """Lines are not in order of time, zones differ, and some times are none."""
    times = [
        "2026-01-02T03:00:00Z", "2026-01-02T01:30:00.5-05:00", "2026-01-02T02:59:59+00:00", "yesterday", 12, None, {}, "",
        "9999-99-99T00:00:00Z",
    ]  # fmt: skip
    summary = _summed([user("x", timestamp=at) for at in times if at != 12])
    assert summary.first == datetime(2026, 1, 2, 2, 59, 59, tzinfo=UTC)
    assert summary.last == datetime(2026, 1, 2, 6, 30, 0, 500000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        ("2026-01-02T03:04:05.678Z", datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)),
        ("2026-01-02T03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (1767323045678, datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)),
        (1767323045, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (True, None),
        (1e300, None),
        (float("nan"), None),
        ("0001-01-01T00:00:00+23:59", None),
        ([], None),
    ],
)
def test_a_time_has_many_spellings(timestamp: Any, expected: datetime | None) -> None:
    """Texts with and without a zone, seconds and milliseconds are times; everything else is none."""
    assert moment(timestamp) == expected


@pytest.mark.parametrize(
    "broken", [b"{\n", b"[1]\n", b"null\n", b"nonsense\n", b'"text"\n', b"\xff\xfe\n", b"[" * 5000 + b"\n"]
)
def test_broken_lines_are_counted(broken: bytes) -> None:
    """A line that cannot be read hides nothing but itself."""
    summary = _summed([user("before"), broken, assistant([text("after")], "m")])
    assert (summary.lines, summary.skipped_lines, summary.messages) == (2, 1, 2)


def test_half_characters_and_broken_utf8_are_read() -> None:
    """What JavaScript and disks leave behind is mended, not skipped."""
    half = b'{"type":"user","message":{"content":"half \\ud83d"}}\n'
    broken = b'{"type":"user","cwd":"/\xff","message":{"content":"x \xff"}}\n'
    assert _summed([half]).title == "half \ufffd"
    assert _summed([broken]).title == "x \ufffd"
    assert _summed([broken]).cwd == "/\ufffd"


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)
_MEMBERS = [
    "uuid", "parentUuid", "timestamp", "sessionId", "requestId", "cwd", "gitBranch", "version", "isMeta", "isSidechain",
    "isCompactSummary", "customTitle", "aiTitle", "summary", "leafUuid", "message",
]  # fmt: skip


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["user", "assistant", "summary", "custom-title", "ai-title", "new"]),
            st.dictionaries(st.sampled_from(_MEMBERS), _VALUES),
        ),
        max_size=5,
    )
)
def test_members_of_any_type_are_survived(lines: list[tuple[str, dict[str, Any]]]) -> None:
    """A new version may write anything anywhere: every line counts."""
    summary = _summed([{"type": kind, **members} for kind, members in lines])
    assert summary.lines == len(lines)
    assert isinstance(summary.title, str | None)


def _transcripts() -> list[str]:
    found = [*wire.FOLDER.glob("transcripts/*.jsonl"), *wire.FOLDER.glob("claude_code_runs/transcripts*/**/*.jsonl")]
    return sorted(str(path.relative_to(wire.FOLDER)) for path in found) or ["no recorded transcripts"]


@wire.needs_wire
@pytest.mark.parametrize("name", _transcripts())
def test_recorded_transcripts_are_counted_right(name: str) -> None:
    """The counts equal those of a reader that remembers everything, and there is a title where anybody said anything."""
    data = Path(wire.FOLDER / name).read_bytes()
    lines = [json.loads(one) for one in data.splitlines()]
    summary = Summary()
    for one in data.splitlines(keepends=True):
        summary.take(0, one)
    answers = {one["message"]["id"] for one in lines if one["type"] == "assistant"}
    users = sum(one["type"] == "user" for one in lines)
    requests = {
        one.get("requestId") or one["message"]["id"]
        for one in lines
        if one["type"] == "assistant" and not one.get("isApiErrorMessage")
    }
    assert (summary.lines, summary.skipped_lines) == (len(lines), 0)
    assert summary.messages == users + len(answers)
    assert summary.requests == len(requests)
    assert summary.title is None or not summary.title.startswith(("<", "Caveat"))
    assert summary.first is not None
