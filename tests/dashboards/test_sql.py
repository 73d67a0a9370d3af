"""The page SQL without a browser: what queries give, what they may not do, how they are drawn, and that all of it stays text."""

from __future__ import annotations

import threading
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import analysis
from dashboards.cells import LONGEST, Cell, cells, heads, written
from dashboards.data import Data, TroubleError, drawn, sql
from dashboards.pages import sql as page
from dashboards.state import Route
from dashboards.view import View
from tests.dashboards.conftest import view_of

FOREVER = "SELECT count(1) FROM range(100000000) a, range(100000) b WHERE (a.range * b.range) % 7 = 3"
HOSTILE = "<img src=x onerror=alert(1)><script>alert(1)</script>"


def _ask(data: Data, query: str, seconds: float = 30.0, key: str = "") -> sql.Answer:
    return sql.ask(data, query, analysis.Limit(seconds), time.monotonic, key)


def _shown(data: Data, query: str, **arguments: str) -> str:
    view = view_of(data, Route("sql", args={"q": query, **arguments}).search())
    return _html(page.page(view))


def _html(panes: list[Any]) -> str:
    text = ""
    for pane in panes:
        text += str(getattr(pane, "object", "")) + _html(list(getattr(pane, "objects", [])))
    return text


def test_a_query_gives_its_rows(handmade_data: Data) -> None:
    """An answer has the rows, in the query's order, and when it was asked; fewer than the most are all."""
    answer = _ask(handmade_data, "SELECT status, count(1) AS number FROM exchanges GROUP BY 1 ORDER BY 1 DESC LIMIT 2")
    assert answer.frame["status"].to_list() == sorted(answer.frame["status"].to_list(), reverse=True)
    assert (answer.more, answer.frame.columns) == (False, ["status", "number"])
    assert answer.asked_at.tzinfo == UTC


def test_many_rows_are_cut_and_said(handmade_data: Data) -> None:
    """Of more than a thousand rows the first thousand come, quickly however many there would be; a download has more."""
    answer = _ask(handmade_data, "SELECT range AS n FROM range(100000000000)")
    assert (answer.frame.height, answer.more, answer.frame["n"].head(2).to_list()) == (1000, True, [0, 1])
    ordered = _ask(handmade_data, "SELECT range AS n FROM range(5000) ORDER BY n DESC")
    assert ordered.frame["n"].to_list() == list(range(4999, 3999, -1))
    assert sql.take(handmade_data, "SELECT range AS n FROM range(5000)").height == 5000
    assert "the first 1,000 rows" in _shown(handmade_data, "SELECT range AS n FROM range(5000)")


def test_a_query_that_takes_too_long_is_stopped(handmade_data: Data) -> None:
    """After its time it ends with a sentence that says so, and the captures can be asked at once again."""
    began = time.monotonic()
    with pytest.raises(analysis.QueryError, match=r"the query was stopped: it took longer than 0\.2 seconds"):
        _ask(handmade_data, FOREVER, 0.2)
    assert time.monotonic() - began < 10
    assert _ask(handmade_data, "SELECT 1 AS one").frame.item() == 1


def test_a_query_is_stopped_from_outside(handmade_data: Data) -> None:
    """Whoever holds the limit stops it while it runs; one that was stopped before does not begin."""
    limit = analysis.Limit(60)
    threading.Timer(0.2, limit.stop).start()
    with pytest.raises(analysis.QueryError, match="nobody waits"):
        sql.ask(handmade_data, FOREVER, limit, time.monotonic)
    with pytest.raises(analysis.QueryError, match="was not begun"):
        sql.ask(handmade_data, "SELECT 1", limit, time.monotonic)


def test_the_same_asking_gives_the_same_answer(handmade_data: Data) -> None:
    """Another chart of an answer is no new question; running it again is."""
    query = "SELECT now() AS now, random() AS chance"
    one, two, again = (_ask(handmade_data, query, key=key) for key in ("1", "1", "2"))
    assert one is two
    assert again is not one


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT * FROM read_csv('/etc/passwd')", "nothing by read_csv"),
        ("DROP TABLE exchanges", "one SELECT statement"),
        ("SELECT 1; SELECT 2", "one SELECT statement"),
        ("ATTACH 'x.db'", "one SELECT statement"),
        ("COPY exchanges TO 'x.csv'", "one SELECT statement"),
        ("SELECT nope FROM exchanges", "LINE 1: SELECT nope FROM exchanges"),
        ("SELEC 1", "syntax error"),
    ],
)
def test_what_a_query_may_not_do_is_said(handmade_data: Data, query: str, said: str) -> None:
    """Anything but reading the views is refused, and what DuckDB finds wrong is shown with its place."""
    with pytest.raises(analysis.QueryError) as wrong:
        _ask(handmade_data, query)
    assert said in str(wrong.value)
    assert "The query gives no answer." in _shown(handmade_data, query)


def test_a_store_that_is_gone_is_no_wrong_query(tmp_path: Path) -> None:
    """Where the captures cannot be read, that is the trouble that is shown, not the query."""
    data = Data(lambda: analysis.open(tmp_path / "none.db"))
    with pytest.raises(TroubleError):
        _ask(data, "SELECT 1")
    with pytest.raises(TroubleError):
        sql.take(data, "SELECT 1")
    assert "there is no store at" in _shown(data, "SELECT 1")


@pytest.mark.parametrize("query", [query for _, query in sql.EXAMPLES], ids=[name for name, _ in sql.EXAMPLES])
def test_every_example_works(handmade_data: Data, query: str) -> None:
    """Each example gives rows, and columns that are there."""
    assert _ask(handmade_data, query).frame.height > 0


def test_the_dictionary_is_whole() -> None:
    """Every view and column of the dictionary stands beside the query, and each column's unit where all views agree."""
    found = {(view.name, column.name) for view in sql.views() for column in view.columns}
    assert found == set(analysis.columns().select("grain", "name").rows())
    assert (sql.unit_of("output_tokens"), sql.unit_of("context_tokens"), sql.unit_of("nonsense")) == (
        "tokens",
        "tokens",
        "",
    )


def _moments(*hours: int) -> list[datetime]:
    return [datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in hours]


def test_what_is_drawn_suggests_itself() -> None:
    """Times go along before words, and words before numbers; few words make series; the first number is drawn."""
    frame = pl.DataFrame({"id": ["a", "b"], "at": _moments(1, 2), "kind": ["x", "y"], "n": [1, 2], "m": [0.5, 1.5]})
    how = drawn.drawn(frame, {})
    assert how is not None
    assert (how.shape, how.x, how.y, how.by) == ("lines", "at", "n", "id")
    assert (how.xs, how.ys, how.bys) == (("at", "id", "kind", "n", "m"), ("n", "m"), ("id", "kind"))
    words = drawn.drawn(frame.drop("at", "id"), {})
    assert words is not None
    assert (words.shape, words.x, words.y, words.by) == ("bars", "kind", "n", "")
    numbers = drawn.drawn(frame.select("n", "m"), {})
    assert numbers is not None
    assert (numbers.shape, numbers.x, numbers.y) == ("lines", "n", "m")


def test_the_address_chooses_what_is_drawn() -> None:
    """Of what there is, the address chooses; what makes no sense there is as if it were not."""
    frame = pl.DataFrame({"at": _moments(1, 2), "kind": ["x", "y"], "n": [1, 2], "m": [0.5, 1.5]})
    how = drawn.drawn(frame, {"x": "kind", "y": "m", "by": "-", "shape": "bars"})
    assert how is not None
    assert (how.shape, how.x, how.y, how.by) == ("bars", "kind", "m", "")
    odd = drawn.drawn(frame, {"x": "nope", "y": "kind", "by": "n", "shape": "pie"})
    assert odd is not None
    assert (odd.shape, odd.x, odd.y, odd.by) == ("lines", "at", "n", "kind")


@pytest.mark.parametrize("frame", [
    pl.DataFrame({"n": [1, 2]}), pl.DataFrame({"a": ["x", "y"]}), pl.DataFrame({"a": ["x"], "n": [1]}), pl.DataFrame({"a": [], "n": []}),
])  # fmt: skip
def test_not_everything_can_be_drawn(frame: pl.DataFrame) -> None:
    """One number alone, words alone, a single row and none are a table only."""
    assert drawn.drawn(frame, {}) is None


def test_points_of_many_places_are_cut() -> None:
    """The first places are drawn, and it is said where there are more; a null word has a name, a null number no place."""
    frame = pl.DataFrame({"a": [None, *map(str, range(300))], "n": [None, *range(300)]})
    how = drawn.drawn(frame, {"by": "-"})
    assert how is not None
    found, cut = drawn.points(frame, how)
    assert (found.height, cut, found["x"][0]) == (drawn.MOST_PLACES, True, "0")
    hours = pl.DataFrame({"x": _moments(1, 2, 5), "series": "s", "value": 1.0})
    assert drawn.step(hours) == timedelta(hours=1)
    assert drawn.step(found) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234567, "1,234,567"),
        (True, "true"),
        (0.5, "0.5"),
        (1234.56789, "1,234.5679"),
        (2.0, "2"),
        (0.0, "0"),
        (0.000012345, "1.234e-05"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02 03:04:05"),
        (datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC), "2026-01-02 03:04:05.678"),
        (date(2026, 1, 2), "2026-01-02"),
        (timedelta(seconds=90), "90.000 s"),
        (b"abc", "3 bytes"),
        (pl.Series(["ä", "b"]), '["ä", "b"]'),
        ({"a": 1}, '{"a": 1}'),
    ],
)
def test_cells_are_written_for_people(value: object, text: str) -> None:
    """Numbers with thousands, times without the noise, lists and structures as JSON."""
    assert written(value) == text


def test_cells_lead_and_are_cut() -> None:
    """Ids lead to what they name; long text is cut and whole on hover; null is told from an empty text; numbers stand right."""
    frame = pl.DataFrame({"exchange_id": ["e1", None], "text": ["x" * (LONGEST + 1), ""], "n": [1, None]})
    first, second = cells(frame)
    assert first[0] == Cell("e1", "", False, "exchanges", "e1")
    assert (first[1].text, first[1].whole) == ("x" * LONGEST + "…", "x" * (LONGEST + 1))
    assert first[2] == Cell("1", "", True, "", "")
    assert [cell.text for cell in second] == [None, "", None]
    assert [head.right for head in heads(frame)] == [False, False, True]


def test_what_a_query_gives_stays_text(handmade_data: Data) -> None:
    """Markup in values, in names of columns, in the query and in what is wrong with it reaches the page as characters."""
    quoted = HOSTILE.replace('"', '""')
    for query in (
        f"SELECT '{HOSTILE}' AS \"{quoted}\", '{HOSTILE}' AS exchange_id, ['{HOSTILE}'] AS list",
        f"SELECT '{HOSTILE}' AS a, 1 AS \"{quoted}\" UNION ALL SELECT 'b', 2",
        f'SELECT "{quoted}" FROM exchanges',
        HOSTILE,
    ):
        shown = _shown(handmade_data, query)
        assert "<script>" not in shown
        assert "<img" not in shown
        assert "&lt;img src=x" in shown


def test_the_form_keeps_the_query_and_links_lead_on(handmade_data: Data) -> None:
    """The box shows the query, a result's ids lead to their pages, and examples are addresses."""
    shown = _shown(handmade_data, "SELECT exchange_id, session_id FROM exchanges ORDER BY 1 LIMIT 1")
    assert "SELECT exchange_id, session_id FROM exchanges ORDER BY 1 LIMIT 1</textarea>" in shown
    assert 'href="?page=exchanges&amp;item=' in shown
    assert 'href="?page=sessions&amp;item=' in shown
    assert 'href="?page=sql&amp;q=SELECT+' in shown


def test_a_page_without_a_query_asks_nothing(tmp_path: Path) -> None:
    """The empty page shows what would be there, also without captures; a stopped query is not asked again."""
    data = Data(lambda: analysis.open(tmp_path / "none.db"))
    assert "What a query gives will stand here" in _html(page.page(view_of(data, "?page=sql")))
    assert "Run asks it again" in _html(page.page(view_of(data, "?page=sql&q=SELECT+1&stopped=1")))


def test_leaving_the_page_stops_the_query(handmade_data: Data) -> None:
    """A query of a look that has ended is interrupted."""
    view = view_of(handmade_data, Route("sql", args={"q": FOREVER}).search())
    threading.Timer(0.3, view.end).start()
    assert "nobody waits" in _html(page.page(view))
    assert isinstance(view, View)
