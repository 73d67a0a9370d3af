"""A limit on somebody's query: its time, its rows, and that it can be stopped."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis import Capture, Limit, QueryError
from tests.support import handmade
from tests.support.captures import filled, opened

FOREVER = "SELECT count(1) FROM range(100000000) a, range(100000000) b WHERE (a.range * b.range) % 7 = 3"


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Capture]:
    """Give the first exchange of the handmade capture."""
    with opened(filled(tmp_path_factory.mktemp("limits") / "captures.db", handmade.exchanges()[:1])) as found:
        yield found


def test_time_and_rows_are_bounded(capture: Capture) -> None:
    """A query ends when its time is over, and the sentence says so; `most` bounds rows in the query's own order."""
    with pytest.raises(QueryError, match=r"^the query was stopped: it took longer than 0\.1 seconds$"):
        capture.sql(FOREVER, limit=Limit(0.1))
    found = capture.sql("SELECT range AS n FROM range(100000) ORDER BY n DESC", limit=Limit(30), most=2)
    assert found["n"].to_list() == [99_999, 99_998]


def test_a_limit_stops_all_that_runs_under_it(capture: Capture) -> None:
    """Stopped, it ends every query that has it, says why, and lets none begin; queries without it go on."""
    limit, ended = Limit(60), list[str]()

    def ask() -> None:
        try:
            capture.sql(FOREVER, limit=limit)
        except QueryError as error:
            ended.append(str(error))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    limit.stop("enough")
    for thread in threads:
        thread.join(30)
    assert {said.rpartition(": ")[2] for said in ended} == {"enough"}
    assert len(ended) == 2
    assert capture.sql("SELECT 1 AS one").item() == 1
    assert repr(limit) == "<Limit 60 s enough>"


def test_a_mistake_is_still_told_with_its_place(capture: Capture) -> None:
    """Within a limit, what is wrong with a query is said as without one."""
    with pytest.raises(QueryError, match="LINE 1: SELECT nope"):
        capture.sql("SELECT nope FROM exchanges", limit=Limit(30))


def test_a_stopped_limit_lets_nothing_begin(tmp_path: Path) -> None:
    """What comes after the stop is refused with the reason."""
    limit = Limit(30)
    limit.stop()
    with (
        opened(filled(tmp_path / "x.db", handmade.exchanges()[:1])) as capture,
        pytest.raises(QueryError, match="was not begun"),
    ):
        capture.sql("SELECT 1", limit=limit)
