"""What `/health` and `/livez` say, read from the board."""

from __future__ import annotations

from pathlib import Path

import pytest

from ccproxy.lifecycle.board import Board
from ccproxy.web.status import HIDDEN, Status

NOW = 1_760_000_000_000_000


@pytest.fixture
def board(tmp_path: Path) -> Board:
    """Give a board of three workers with an ingest that lives."""
    board = Board(tmp_path / "board", 3)
    board.ingest.set("heartbeat", NOW - 1000)
    board.ingest.set("state", 1)
    board.ingest.set("stored", 7)
    return board


@pytest.fixture
def status(board: Board, tmp_path: Path) -> Status:
    """Give the status of that board."""
    return Status(board, tmp_path, lambda: NOW)


def test_gauges_are_exact_over_all_workers(board: Board, status: Status) -> None:
    """What runs, what was begun and what was dropped are sums; one worker that drains is a proxy that drains."""
    for number, row in enumerate(board.workers, start=1):
        row.set("in_flight", number)
        row.set("exchanges", 10 * number)
        row.set("dropped_exchanges", 100 * number)
    report = status.report()
    assert (report["status"], report["in_flight"], report["exchanges"]) == ("healthy", 6, 60)
    assert report["dropped"]["exchanges"] == 600
    assert report["timestamp"] == "2025-10-09T08:53:20Z"
    board.workers[1].set("draining", 1)
    assert (status.report()["status"], status.report()["draining"]) == ("draining", True)


def test_what_the_journal_lost_is_told(board: Board, status: Status) -> None:
    """Damaged bytes and frames that made no sense show, and only where there are some."""
    assert status.report()["journal"] == {"lag_bytes": 0, "lag_seconds": 0.0}
    board.ingest.set("damaged_bytes", 5)
    board.ingest.set("unreadable_frames", 2)
    assert status.report()["journal"] | {"damaged_bytes": 5, "unreadable_frames": 2} == status.report()["journal"]


@pytest.mark.parametrize(
    ("beat", "state", "expected"),
    [(0, 0, "starting"), (NOW, 1, "running"), (NOW, 2, "waiting for the store"), (NOW - 9_000_000, 1, "down")],
)
def test_the_state_of_ingest(board: Board, status: Status, beat: int, state: int, expected: str) -> None:
    """Ingest is starting, running, waiting, or down when it has given no sign of life for long."""
    board.ingest.set("heartbeat", beat)
    board.ingest.set("state", state)
    assert status.report()["ingest"]["state"] == expected


def test_sentences_are_for_those_who_may_know(board: Board, status: Status) -> None:
    """Who is not let in hears that there is a trouble, and none of its words, in which paths may stand."""
    board.ingest.set_text("the store at /home/me/x.db is locked")
    board.workers[0].set_text("cannot write to /home/me/journal")
    near, far = status.report(), status.report(details=False)
    assert "/home/me" in near["ingest"]["error"]
    assert "/home/me" in near["journal"]["error"]
    assert far["ingest"]["error"] == far["journal"]["error"] == HIDDEN
