"""The journal's reader: each frame once and in order, from any number of writers, dead or alive."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ccproxy.journal import frames, reader, segments
from ccproxy.journal.reader import JournalReader, Step
from ccproxy.records import FrameKind, Position

ID = b"i" * 16


def _frame(at: int, size: int = 10) -> bytes:
    return frames.encode(FrameKind.CHUNK, ID, at, b"x" * size)


def _append(folder: Path, writer: str, number: int, data: bytes) -> None:
    path = segments.segment_path(folder, writer, number)
    if not path.exists():
        os.close(segments.create_segment(path))
    with path.open("ab") as file:
        file.write(data)


@contextlib.contextmanager
def _alive(folder: Path, *writers: str) -> Iterator[None]:
    locks = [segments.hold_lock(segments.writer_lock(folder, writer)) for writer in writers]
    assert None not in locks
    yield
    for lock in locks:
        if lock is not None:
            os.close(lock)


def _times(steps: Sequence[Step], writer: str = "a") -> list[int]:
    return [frame.at for step in steps if step.writer == writer for frame, _ in step.frames]


def test_a_live_journal_is_followed(tmp_path: Path) -> None:
    """Each look gives what is new since the last one, and nothing where nothing is."""
    follower = JournalReader(tmp_path, {})
    with _alive(tmp_path, "a"):
        for round_ in range(3):
            _append(tmp_path, "a", 1, _frame(2 * round_) + _frame(2 * round_ + 1))
            assert _times(follower.steps()) == [2 * round_, 2 * round_ + 1]
            assert follower.steps() == []


def test_reading_resumes_at_a_position(tmp_path: Path) -> None:
    """A position says where a frame begins; a new reader goes on with just that frame."""
    with _alive(tmp_path, "a"):
        _append(tmp_path, "a", 1, b"".join(map(_frame, range(5))))
        [step] = JournalReader(tmp_path, {}).steps()
        for number, (_, position) in enumerate(step.frames):
            again = JournalReader(tmp_path, {"a": position})
            assert _times(again.steps()) == list(range(number, 5))
        assert JournalReader(tmp_path, {"a": step.position}).steps() == []


def test_a_position_in_a_deleted_segment_means_the_first_that_is_left(tmp_path: Path) -> None:
    """When the segment of a position is gone, everything in it is in the store."""
    with _alive(tmp_path, "a"):
        _append(tmp_path, "a", 3, _frame(1))
        assert _times(JournalReader(tmp_path, {"a": Position("a", 2, 500)}).steps()) == [1]


def test_many_writers_are_read_each_in_its_own_order(tmp_path: Path) -> None:
    """Each writer has its own step, place and end."""
    with _alive(tmp_path, "a", "c"):
        for at in range(6):
            _append(tmp_path, "abc"[at % 3], 1, _frame(at))
        steps = JournalReader(tmp_path, {}).steps()
    assert {step.writer: _times([step], step.writer) for step in steps} == {"a": [0, 3], "b": [1, 4], "c": [2, 5]}
    assert {step.writer: step.finished for step in steps} == {"a": False, "b": True, "c": False}


def test_rotated_segments_are_read_through(tmp_path: Path) -> None:
    """A look goes from segment to segment, and may begin before the newest exists."""
    follower = JournalReader(tmp_path, {})
    with _alive(tmp_path, "a"):
        _append(tmp_path, "a", 1, _frame(1))
        assert _times(follower.steps()) == [1]
        _append(tmp_path, "a", 1, _frame(2))
        _append(tmp_path, "a", 2, _frame(3))
        _append(tmp_path, "a", 4, _frame(4))
        [step] = follower.steps()
    assert _times([step]) == [2, 3, 4]
    assert step.position == Position("a", 4, len(segments.HEADER) + len(_frame(4)))


def test_a_torn_tail_of_a_living_writer_waits(tmp_path: Path) -> None:
    """Half a frame is read when its other half is there."""
    follower = JournalReader(tmp_path, {})
    with _alive(tmp_path, "a"):
        _append(tmp_path, "a", 1, _frame(1) + _frame(2)[:20])
        assert _times(follower.steps()) == [1]
        assert follower.steps() == []
        _append(tmp_path, "a", 1, _frame(2)[20:])
        assert _times(follower.steps()) == [2]
    assert follower.damaged_bytes == 0


def test_a_torn_tail_of_a_dead_writer_is_passed_over(tmp_path: Path) -> None:
    """What a killed proxy did not finish is counted, and the writer is finished."""
    _append(tmp_path, "a", 1, _frame(1) + _frame(2)[:20])
    follower = JournalReader(tmp_path, {})
    [step] = follower.steps()
    assert (_times([step]), step.finished) == ([1], True)
    assert follower.damaged_bytes == 20


def test_a_torn_tail_of_an_older_segment_is_passed_over(tmp_path: Path) -> None:
    """Nothing more comes in a segment that has a successor."""
    with _alive(tmp_path, "a"):
        _append(tmp_path, "a", 1, _frame(1) + _frame(2)[:20])
        _append(tmp_path, "a", 2, _frame(3))
        follower = JournalReader(tmp_path, {})
        assert _times(follower.steps()) == [1, 3]
    assert follower.damaged_bytes == 20


def test_a_writer_is_finished_when_it_is_dead_and_read(tmp_path: Path) -> None:
    """A dead writer is told to be finished again until it is released, so that nobody misses it."""
    follower = JournalReader(tmp_path, {})
    with _alive(tmp_path, "a"):
        _append(tmp_path, "a", 1, _frame(1))
        [step] = follower.steps()
        assert not step.finished
    for _ in range(2):
        [step] = follower.steps()
        assert step.finished
    follower.release(step.position, finished=True)
    assert follower.steps() == []
    assert list(tmp_path.iterdir()) == []


def test_release_deletes_only_what_is_before_the_position(tmp_path: Path) -> None:
    """Segments before the position's go, the others and those of other writers stay."""
    for writer in "ab":
        for number in (1, 2, 3):
            _append(tmp_path, writer, number, _frame(number))
    JournalReader(tmp_path, {}).release(Position("a", 2, 1 << 20))
    left = [(segment.writer, segment.number) for segment in segments.list_segments(tmp_path)]
    assert left == [("a", 2), ("a", 3), ("b", 1), ("b", 2), ("b", 3)]


def test_unread_bytes_are_those_behind_the_reader(tmp_path: Path) -> None:
    """The lag counts frames that were not read yet, of all writers, and is nothing when all is read."""
    follower = JournalReader(tmp_path, {})
    with _alive(tmp_path, "a", "b"):
        for number in (1, 2):
            _append(tmp_path, "a", number, _frame(1))
        assert follower.unread_bytes() == 2 * len(_frame(1))
        follower.steps()
        assert follower.unread_bytes() == 0
        _append(tmp_path, "a", 2, _frame(2))
        _append(tmp_path, "b", 1, _frame(3))
        assert follower.unread_bytes() == 2 * len(_frame(1))
        assert segments.total_bytes(tmp_path) == 4 * len(_frame(1))


@pytest.mark.parametrize("step_bytes", [60, 100, 1000])
def test_a_step_takes_only_so_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step_bytes: int) -> None:
    """A long journal is read in steps of bounded size, each frame once, also across segments."""
    monkeypatch.setattr(reader, "READ_BYTES", step_bytes)
    for number in range(1, 4):
        _append(tmp_path, "a", number, b"".join(_frame(10 * number + at) for at in range(10)))
    follower = JournalReader(tmp_path, {})
    found: list[int] = []
    for _ in range(100):
        steps = follower.steps()
        found += _times(steps)
        if any(step.finished for step in steps):
            break
    assert found == [10 * number + at for number in range(1, 4) for at in range(10)]
    assert follower.damaged_bytes == 0


def test_foreign_files_are_passed_over(tmp_path: Path) -> None:
    """What is not a segment is not read, and a folder that is missing is an empty journal."""
    for name in ("notes.txt", "x.journal", "-1.journal.bak", "a-b.journal"):
        (tmp_path / name).write_text("?")
    assert JournalReader(tmp_path, {}).steps() == []
    assert JournalReader(tmp_path / "missing", {}).steps() == []


def test_damage_in_the_middle_costs_only_its_frame(tmp_path: Path) -> None:
    """Frames before and after a damaged one are read, and the damaged bytes are counted."""
    hurt = bytearray(_frame(2))
    hurt[-1] ^= 1
    _append(tmp_path, "a", 1, _frame(1) + bytes(hurt) + _frame(3))
    follower = JournalReader(tmp_path, {})
    assert _times(follower.steps()) == [1, 3]
    assert follower.damaged_bytes == len(hurt)
