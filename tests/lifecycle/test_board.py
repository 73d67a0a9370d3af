"""The board: gauges that processes share, each row with one owner."""

from __future__ import annotations

from pathlib import Path

import pytest

from ccproxy.lifecycle.board import INGEST, MAX_FIELDS, TEXT_BYTES, WORKER, Board


def test_another_process_sees_what_was_set(tmp_path: Path) -> None:
    """A gauge set on one board is read on another that opened the same file."""
    mine, theirs = Board(tmp_path / "board", 2), Board(tmp_path / "board", 2)
    mine.workers[1].set("in_flight", 3)
    mine.ingest.set("unread_bytes", 2**40)
    mine.ingest.set_text("the store is busy")
    assert theirs.workers[1].get("in_flight") == 3
    assert theirs.ingest.get("unread_bytes") == 2**40
    assert theirs.ingest.text() == "the store is busy"


def test_rows_do_not_touch_each_other(tmp_path: Path) -> None:
    """Every gauge of every row has a place of its own."""
    board = Board(tmp_path / "board", 3)
    rows = [(board.ingest, INGEST), *((row, WORKER) for row in board.workers)]
    values = {}
    for number, (row, names) in enumerate(rows):
        row.set_text(f"row {number}")
        for place, name in enumerate(names):
            row.set(name, values.setdefault((number, name), -1000 * number - place))
    for number, (row, names) in enumerate(rows):
        assert row.text() == f"row {number}"
        assert {name: row.get(name) for name in names} == {name: values[number, name] for name in names}


def test_totals_are_over_workers_only(tmp_path: Path) -> None:
    """A sum counts each worker once, and not ingest."""
    board = Board(tmp_path / "board", 3)
    board.ingest.set("pid", 1000)
    for row in board.workers:
        row.set("pid", 5)
    assert board.total("pid") == 15


def test_a_row_is_cleared_alone(tmp_path: Path) -> None:
    """A process that begins anew sets its own row to nothing, and no other."""
    board = Board(tmp_path / "board", 2)
    for row in board.workers:
        row.set("exchanges", 7)
        row.set_text("old")
    board.workers[0].clear()
    assert (board.workers[0].get("exchanges"), board.workers[0].text()) == (0, "")
    assert (board.workers[1].get("exchanges"), board.workers[1].text()) == (7, "old")


@pytest.mark.parametrize("text", ["", "x" * 1000, "ä" * 1000, "世" * 100])
def test_a_long_text_is_cut_between_characters(tmp_path: Path, text: str) -> None:
    """What does not fit is cut, and what is left is a beginning of the text."""
    row = Board(tmp_path / "board", 1).ingest
    row.set_text(text)
    assert text.startswith(row.text())
    assert len(row.text().encode()) <= TEXT_BYTES
    assert len(row.text().encode()) > min(len(text.encode()), TEXT_BYTES) - 4
    row.set_text("short")
    assert row.text() == "short"


def test_a_board_is_for_its_owner_and_fits(tmp_path: Path) -> None:
    """The file has mode 0600, and every row has room for its names."""
    Board(tmp_path / "board", 1)
    assert (tmp_path / "board").stat().st_mode & 0o777 == 0o600
    assert max(len(INGEST), len(WORKER)) <= MAX_FIELDS


def test_a_board_keeps_its_values_for_the_next(tmp_path: Path) -> None:
    """Opening a board changes nothing on it."""
    Board(tmp_path / "board", 1).workers[0].set("pid", 12)
    assert Board(tmp_path / "board", 2).workers[0].get("pid") == 12
