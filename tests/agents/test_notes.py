"""What one worker notes, all of them find."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from ccproxy.agents.notes import MAX_TEXT_BYTES, PROBES, SLOTS, Notes


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return an empty file."""
    path = tmp_path / "notes"
    path.touch()
    return path


def key(number: int) -> bytes:
    """Return a key."""
    return random.Random(number).randbytes(16)


def test_all_workers_find_what_one_noted(file: Path) -> None:
    """Notes are there at once, for workers that were there before and for those that come later."""
    first, second = Notes(file, 3, 0), Notes(file, 3, 1)
    first.add(key(1), "spawn code-reviewer")
    second.add(key(1), "Überprüfer 🎉")
    assert second.get(key(1)) == ["spawn code-reviewer", "Überprüfer 🎉"]
    assert Notes(file, 3, 2).get(key(1)) == second.get(key(1))
    assert first.get(key(2)) == []


def test_a_note_that_is_there_is_not_made_twice(file: Path) -> None:
    """Neither by its own worker nor by another one."""
    first, second = Notes(file, 2, 0), Notes(file, 2, 1)
    first.add(key(1), "a")
    second.add(key(1), "a")
    first.add(key(1), "b")
    assert first.get(key(1)) == ["a", "b"]


def test_a_text_that_is_too_long_is_not_noted(file: Path) -> None:
    """No name of an agent is; half of one would be wrong."""
    notes = Notes(file, 1, 0)
    notes.add(key(1), "x" * MAX_TEXT_BYTES)
    notes.add(key(2), "x" * (MAX_TEXT_BYTES + 1))
    assert notes.get(key(1)) == ["x" * MAX_TEXT_BYTES]
    assert notes.get(key(2)) == []


def test_the_newest_notes_stay_when_it_is_full(file: Path) -> None:
    """However many come, the last ones are found."""
    notes = Notes(file, 1, 0)
    for number in range(SLOTS * 2):
        notes.add(key(number), str(number))
    last = SLOTS * 2 - 1
    assert notes.get(key(last)) == [str(last)]
    recent = range(last - 200, last)
    assert sum(notes.get(key(number)) == [str(number)] for number in recent) > 180


def test_keys_with_one_place_live_side_by_side(file: Path) -> None:
    """Where keys fall on the same place, the next places are taken."""
    notes = Notes(file, 1, 0)
    keys = [bytes(8) + number.to_bytes(8) for number in range(1, PROBES + 1)]
    for one in keys:
        notes.add(one, one.hex())
    assert [notes.get(one) for one in keys] == [[one.hex()] for one in keys]
