"""A file that grows is read once; a file that was written anew is read anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ccproxy.transcripts.growing import Growing


class _Lines:
    """Remembers the lines that it took."""

    def __init__(self) -> None:
        self.taken: list[tuple[int, bytes]] = []

    def take(self, start: int, data: bytes) -> bool:
        self.taken.append((start, data))
        return True


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the place of a file with two lines."""
    path = tmp_path / "file.jsonl"
    path.write_bytes(b'{"n":1}\n{"n":2}\n')
    return path


def _taken(growing: Growing[_Lines]) -> list[bytes]:
    return [data.strip() for _, data in growing.current().taken]


def test_an_appended_file_is_read_on(path: Path) -> None:
    """What was read stays; only what is new is added."""
    growing = Growing(path, _Lines)
    before = growing.current()
    with path.open("ab") as file:
        file.write(b'{"n":3}\n')
    assert growing.current() is before
    assert before.taken == [(0, b'{"n":1}\n'), (8, b'{"n":2}\n'), (16, b'{"n":3}\n')]


def test_an_unchanged_file_is_not_even_opened(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Same size, same time, same file: there is nothing to do."""
    growing = Growing(path, _Lines)
    growing.current()
    monkeypatch.setattr("ccproxy.transcripts.growing.open_file", lambda path: pytest.fail("opened"))
    assert len(_taken(growing)) == 2


@pytest.mark.parametrize("content", [b'{"n":9}\n', b'{"n":8}\n{"n":7}\n{"n":6}\n', b"", b'{"n":1}\n{"n":0}\n{"n":2}\n'])
def test_a_file_written_anew_is_read_anew(path: Path, content: bytes) -> None:
    """Shorter, longer or of the same length: nothing of the old content is left."""
    growing = Growing(path, _Lines)
    growing.current()
    path.write_bytes(content)
    assert _taken(growing) == content.splitlines()


def test_a_file_put_in_its_place_is_read_anew(path: Path, tmp_path: Path) -> None:
    """Another file of the same name is another file."""
    growing = Growing(path, _Lines)
    growing.current()
    other = tmp_path / "other"
    other.write_bytes(b'{"n":1}\n{"n":2}\n{"n":3}\n')
    os.replace(other, path)
    assert len(_taken(growing)) == 3


def test_a_line_that_is_being_written_waits(path: Path) -> None:
    """Half a line is neither read nor taken for broken; a whole one counts also without its line feed, once."""
    growing = Growing(path, _Lines)
    for piece, count in [(b'{"n":', 2), (b"3}", 3), (b"\n", 3), (b"\n \n", 3), (b'{"n":4}\n', 4)]:
        with path.open("ab") as file:
            file.write(piece)
        assert len(_taken(growing)) == count


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=30), max_size=8))
def test_growth_in_any_steps_gives_the_same_lines(tmp_path: Path, pieces: list[bytes]) -> None:
    """However a file grew, it comes to what it is."""
    path = tmp_path / "steps.jsonl"
    path.write_bytes(b"")
    growing = Growing(path, _Lines)
    for piece in [*pieces, b"\n"]:
        with path.open("ab") as file:
            file.write(piece)
        growing.current()
    assert growing.current().taken == Growing(path, _Lines).current().taken
