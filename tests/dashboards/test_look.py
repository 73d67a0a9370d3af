"""A look asks nothing twice, however long it takes; captures forget what is old."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

import analysis
from dashboards.data import Data
from dashboards.data.look import Look
from dashboards.data.rows import belonging
from dashboards.data.store import FRESH_S, MOST_KEPT, STALE_S
from tests.support.entries import exchange_id


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now


@pytest.fixture
def clocked(handmade_store: Path) -> Iterator[tuple[Data, Clock]]:
    """Give captures and their clock."""
    clock = Clock()
    data = Data(lambda: analysis.open(handmade_store), clock)
    yield data, clock
    data.forget()


def test_a_look_asks_nothing_twice(clocked: tuple[Data, Clock]) -> None:
    """However long a look takes, it has each answer once; the next look has a new one."""
    data, clock = clocked
    asked, look = count(), Look(data)
    assert look.kept("a", lambda: next(asked)) == 0
    clock.now += 10 * FRESH_S
    assert look.kept("a", lambda: next(asked)) == 0
    assert Look(data).kept("a", lambda: next(asked)) == 1


def test_looks_share_what_is_fresh(clocked: tuple[Data, Clock]) -> None:
    """Two looks shortly after each other share answers."""
    data, clock = clocked
    asked = count()
    assert Look(data).kept("a", lambda: next(asked)) == 0
    clock.now += FRESH_S / 2
    assert Look(data).kept("a", lambda: next(asked)) == 0


def test_a_look_reads_the_same_captures(clocked: tuple[Data, Clock]) -> None:
    """A look reads what the captures hold, and goes on after they were forgotten."""
    look = Look(clocked[0])
    assert look.capture is clocked[0].capture
    assert look.ask("SELECT count(*) AS number FROM exchanges").item() == 17
    look.forget()
    assert look.collect(look.capture.exchanges()).height == 17


def test_old_answers_are_let_go(clocked: tuple[Data, Clock]) -> None:
    """What is old, and what is too much, takes no memory."""
    data, clock = clocked
    for number in range(2 * MOST_KEPT):
        data.kept(number, lambda: "answer")
    assert len(data._answers) == MOST_KEPT
    assert list(data._answers)[-1] == 2 * MOST_KEPT - 1
    clock.now += STALE_S + 1
    data.kept("new", lambda: "answer")
    assert list(data._answers) == ["new"]


@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_rows_of_a_set_of_ids_are_found(
    clocked: tuple[Data, Clock], monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """Rows that belong to ids are found, however many ids one question may have; of no ids there are none."""
    monkeypatch.setattr("dashboards.data.rows.AT_ONCE", at_once)
    ids = [exchange_id(number) for number in (1, 2, 3)]
    found = belonging(clocked[0], "exchanges", "exchange_id", [*ids, "it's none"], "exchange_id")
    assert sorted(found["exchange_id"]) == ids
    assert belonging(clocked[0], "exchanges", "exchange_id", [], "exchange_id").is_empty()
