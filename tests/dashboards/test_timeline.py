"""The time line: places in per cent, threads below those that started them, long waits drawn shorter."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from dashboards.data import Data
from dashboards.data.sessions import session
from dashboards.data.timeline import Scale, line
from tests.support.handmade import SESSION, ids

MINUTE = 60_000.0


@pytest.mark.parametrize(
    ("moments", "idle", "places"),
    [
        ([0, 10], [False], {0: 0, 5: 50, 10: 100}),
        ([0, 10, 40], [False, True], {10: 25, 25: 62.5}),
        ([7, 7], [False], {7: 0}),
    ],
)
def test_short_waits_are_drawn_as_they_were(
    moments: Sequence[float], idle: list[bool], places: dict[float, float]
) -> None:
    """Without long waits the line is the clock."""
    scale = Scale(moments, idle)
    assert {moment: pytest.approx(scale.place(moment)) for moment in places} == places
    assert scale.cuts == []


def test_a_long_wait_is_drawn_shorter() -> None:
    """A night between two hours of work takes a fifth of the line, and the place says how long it was."""
    hours = [0.0, 60 * MINUTE, 660 * MINUTE, 720 * MINUTE]
    scale = Scale(hours, [False, True, False])
    [(at, ms)] = scale.cuts
    assert ms == 600 * MINUTE
    assert at == pytest.approx(50)
    assert scale.place(hours[2]) - scale.place(hours[1]) == pytest.approx(20)
    assert scale.place(hours[0]) == 0
    assert scale.place(hours[3]) == 100


def test_work_is_never_drawn_shorter() -> None:
    """However long an answer took, its length is drawn to scale."""
    scale = Scale([0.0, MINUTE, 600 * MINUTE], [False, False])
    assert scale.cuts == []
    assert scale.place(MINUTE) == pytest.approx(100 / 600)


@pytest.mark.parametrize("waits", [2, 5, 9, 30])
def test_many_long_waits_leave_room_for_work(waits: int) -> None:
    """With any number of nights in it, the line ends at its end and places only grow."""
    moments, idle = [0.0], list[bool]()
    for _ in range(waits):
        moments += [moments[-1] + 10 * MINUTE, moments[-1] + 500 * MINUTE]
        idle += [False, True]
    scale = Scale(moments, idle)
    places = [scale.place(moment) for moment in moments]
    assert places == sorted(places)
    assert places[-1] == pytest.approx(100)
    worked = sum(places[at + 1] - places[at] for at in range(0, len(idle), 2))
    assert worked > 20


def test_a_session_is_drawn_thread_by_thread(handmade_data: Data) -> None:
    """Each agent has a row below the one that started it; spans lie within the line and name their exchanges."""
    found = session(handmade_data, SESSION)
    assert found is not None
    drawn = line(found)
    assert drawn is not None
    assert [row.thread["thread_id"].rsplit("/")[-1] for row in drawn.rows] == ["main", "a1", "a2", "a3"]
    assert drawn.whats == {"waiting", "answering", "tools", "person"}
    for row in drawn.rows:
        for span in row.spans:
            assert 0 <= span.left <= 100
            assert span.left + span.width <= 100.0001
            assert span.exchange_id
    first = drawn.rows[0].spans[0]
    assert (first.what, first.left, first.exchange_id) == ("waiting", 0.0, ids(1)[0])
    assert first.ms == pytest.approx(
        140, abs=20
    )  # the head after 100 ms, the first piece of content in the third event


def test_errors_compactions_and_rewinds_are_marked(handmade_data: Data) -> None:
    """What happened has a mark in the row of its thread, at its moment."""
    found = session(handmade_data, SESSION)
    assert found is not None
    drawn = line(found, [found.of(f"{SESSION}/main")[2]])
    assert drawn is not None
    marks = [(mark.what, mark.exchange_id) for mark in drawn.rows[0].marks]
    assert marks == [("rewind", ids(8)[0]), ("failed", ids(10)[0]), ("compaction", ids(12)[0])]
    assert drawn.has("failed")
    assert drawn.rows[0].marks[1].left == pytest.approx(9 / 11 * 100, abs=0.1)


def test_very_many_spans_become_fewer(handmade_data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a number of spans, waiting and answering of an exchange are one."""
    found = session(handmade_data, SESSION)
    assert found is not None
    whole = line(found)
    monkeypatch.setattr("dashboards.data.timeline.MOST_SPANS", 3)
    fewer = line(found)
    assert whole is not None
    assert fewer is not None
    assert sum(len(row.spans) for row in fewer.rows) < sum(len(row.spans) for row in whole.rows)
    assert fewer.rows[0].spans[0].what == "answering"
