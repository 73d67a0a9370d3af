"""The list of exchanges: order, pages, filters, and what each row says; worked out by hand on the handmade capture."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import analysis
from ccproxy.ingest.memory import Memory
from ccproxy.stores.sqlite import SqliteStore
from dashboards.data import Data
from dashboards.data import exchanges as data
from dashboards.pages import exchanges as page
from dashboards.state import Filters
from tests.dashboards.conftest import NOW, view_of
from tests.support.entries import captured, entry_of
from tests.support.handmade import OTHER, SESSION, answer, ids, text, user

ALL = (2000, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1)


@pytest.fixture
def growing(handmade_store: Path, tmp_path: Path) -> Iterator[tuple[Data, Path]]:
    """Give the handmade capture in a store of one's own, which more can be written to."""
    path = tmp_path / "requests.db"
    shutil.copy(handmade_store, path)
    data = Data(lambda: analysis.open(path))
    yield data, path
    data.forget()


def _add(path: Path, number: int, model: str) -> None:
    with contextlib.closing(SqliteStore(path, write=True)) as store:
        body = {"model": model, "messages": [user(text("one more"))], "stream": True}
        said = [event.replace(b"claude-opus-5-5", model.encode()) for event in answer(number, text("yes"))]
        store.write([entry_of(captured(number, body, said), Memory(store.part))], [])


def _walked(source: Data, order: data.Order, size: int, filters: Filters | None = None) -> list[str]:
    """Return what all pages have, one behind the other."""
    found: list[str] = []
    while True:
        one = data.found(source, filters or Filters(), NOW, replace(order, before=found[-1] if found else ""), size)
        assert one.ahead == len(found)
        found += one.ids
        if not one.more:
            return found


def test_the_newest_comes_first_and_the_total_is_true(handmade_data: Data) -> None:
    """The first page begins with the newest exchange and says how many there are in all."""
    found = data.found(handmade_data, Filters(), NOW, data.Order(), 5)
    assert (found.ids, found.ahead, found.total, found.more) == (ids(*ALL[:5]), 0, 17, True)


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("sort", list(data.SORTS))
def test_pages_hold_each_exchange_once(handmade_data: Data, sort: str, up: bool) -> None:
    """Whatever the list is sorted by, its pages behind each other have every exchange once, and in order."""
    found = _walked(handmade_data, data.Order(sort, up), 4)
    assert sorted(found) == sorted(ids(*ALL))
    rows = {row["exchange_id"]: row for row in data.rows(handmade_data, found)}
    column = data.SORTS[sort] or "exchange_id"
    values = [-1 if (value := rows[exchange][column]) is None else value for exchange in found]
    assert values == sorted(values, reverse=not up)


@pytest.mark.parametrize("sort", ["time", "cost", "duration"])
def test_the_way_back_shows_the_same_pages(handmade_data: Data, sort: str) -> None:
    """The page before a page is the one that one came from."""
    order = data.Order(sort)
    first = data.found(handmade_data, Filters(), NOW, order, 5)
    second = data.found(handmade_data, Filters(), NOW, replace(order, before=first.ids[-1]), 5)
    back = data.found(handmade_data, Filters(), NOW, replace(order, at=second.ids[0]), 5)
    assert back == first


def test_new_rows_make_neither_gaps_nor_repeats(growing: tuple[Data, Path]) -> None:
    """While new exchanges arrive, the next page goes on where the last one ended, and their number is told."""
    source, path = growing
    first = data.found(source, Filters(), NOW, data.Order(), 5)
    assert data.newer(source, Filters(), NOW, first.ids[0]) == 0
    _add(path, 3000, "claude-opus-5-5")
    _add(path, 3001, "claude-haiku-4-5")
    source.forget()
    second = data.found(source, Filters(), NOW, data.Order(before=first.ids[-1]), 5)
    assert (second.ids, second.ahead, second.total) == (ids(*ALL[5:10]), 7, 19)
    assert data.newer(source, Filters(), NOW, first.ids[0]) == 2
    assert data.newer(source, Filters(model="haiku"), NOW, first.ids[0]) == 1
    assert data.found(source, Filters(), NOW, data.Order(at=second.ids[0]), 5).ids == first.ids
    assert data.found(source, Filters(), NOW, data.Order(at=first.ids[0]), 5).ids == ids(3001, 3000)


def test_a_page_that_hangs_on_nothing_is_the_first(handmade_data: Data) -> None:
    """An address with an exchange that is no longer there shows the first page."""
    for order in (
        data.Order(before="00000000-0000-7000-8000-000000000000"),
        data.Order("cost", before="gone"),
        data.Order("cost", at="gone"),
    ):
        assert data.found(handmade_data, Filters(), NOW, order, 5).ahead == 0


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        (Filters(state="client_left"), (11,)),
        (Filters(state="open"), (16,)),
        (Filters(kind="subagent"), (15, 6, 5, 4, 3)),
        (Filters(session=OTHER), (16, 15, 14, 13, 11)),
        (Filters(status="errors"), (14, 10)),
        (Filters(status="529"), (10,)),
        (Filters(agent="reviewer"), (5,)),
        (Filters(agent="main", session=SESSION), (12, 10, 9, 8, 7, 2, 1)),
        (Filters(text="FLAKY importer", session=SESSION), (7, 1)),
        (Filters(range="2025-10-10..2025-10-10"), (2000,)),
        (Filters(model="haiku"), ()),
    ],
)  # fmt: skip
def test_filters_hold(handmade_data: Data, filters: Filters, numbers: tuple[int, ...]) -> None:
    """A filter lets through what it names, by time and by any other order, and so does a download."""
    assert _walked(handmade_data, data.Order(), 3, filters) == ids(*numbers)
    assert sorted(_walked(handmade_data, data.Order("duration"), 3, filters)) == sorted(ids(*numbers))
    assert data.table(handmade_data, filters, NOW)()["exchange_id"].to_list() == ids(*numbers)


def test_rows_say_whose_they_are_and_how_they_ended(handmade_data: Data) -> None:
    """Title, agent, tokens, and a word for what went wrong stand in the row."""
    numbers = (16, 14, 13, 11, 10, 6, 5, 1)
    rows = dict(zip(numbers, data.rows(handmade_data, ids(*numbers)), strict=True))
    assert (rows[1]["title"], rows[1]["agent"], rows[1]["called"], rows[1]["word"]) == (
        "Flaky importer test",
        None,
        "messages",
        "",
    )
    assert (rows[5]["agent"], rows[6]["agent"]) == ("reviewer", "Explore")
    assert (rows[10]["failed"], rows[10]["word"], rows[10]["status"]) == (True, "overloaded", 529)
    assert (rows[14]["failed"], rows[14]["word"], rows[14]["status"]) == (True, "connect", None)
    assert (rows[11]["failed"], rows[11]["word"]) == (False, "client left")
    assert (rows[16]["failed"], rows[16]["word"]) == (False, "running")
    counts = [rows[13][f"{name}_tokens"] for name in ("input", "cache_read", "cache_write", "output")]
    assert counts == [60, 0, 0, 20]
    assert rows[13]["retry_count"] == 1


def test_money_that_is_not_known_is_null(growing: tuple[Data, Path]) -> None:
    """An exchange of a model without a price costs null; one that was refused costs nothing."""
    source, path = growing
    _add(path, 3000, "nobodys-model-1")
    source.forget()
    costs = [row["cost_usd"] for row in data.rows(source, ids(3000, 10))]
    assert costs == [None, 0.0]
    html = page.page(view_of(source, "?page=exchanges"))[1].object
    assert "no price is known" in html


def test_what_was_called_is_told_in_short() -> None:
    """Of the path there is what follows the version, or a slash where there is nothing."""
    row = dict.fromkeys(("status", "api_error", "error_kind"), None) | {"state": "complete"}
    called = [
        data.signs({**row, "path": path})["called"] for path in ("/v1/messages/count_tokens", "/api/hello", "", None)
    ]
    assert called == ["messages/count_tokens", "/api/hello", "/", "/"]


def test_quick_models_are_the_families_and_the_others() -> None:
    """The three families are always offered, other models by their names."""
    assert data.families(["claude-opus-5-5", "gpt-4o", "Claude-Haiku-4-5"]) == ["opus", "sonnet", "haiku", "gpt-4o"]


def test_the_page_keeps_filters_in_all_its_links(handmade_data: Data) -> None:
    """Sorting, paging, quick models and rows keep the filters; sorting begins with the first page."""
    bar, table, _ = page.page(view_of(handmade_data, f"?page=exchanges&session={SESSION}&before={ids(8)[0]}"))
    assert f"model=opus&amp;session={SESSION}" in bar.object
    assert f"?page=exchanges&amp;session={SESSION}&amp;sort=cost" in table.object
    assert f"?page=exchanges&amp;item={ids(7)[0]}&amp;session={SESSION}" in table.object
    assert f"at={ids(7)[0]}" in table.object
    assert "5–11" in table.object.replace("</span>", "").replace('<span class="n">', "")


def test_choosing_what_to_compare_with(handmade_data: Data) -> None:
    """While one is chosen to compare with, a row leads to the comparison."""
    bar, table, _ = page.page(view_of(handmade_data, f"?page=exchanges&pick={ids(8)[0]}"))
    assert "Choose the exchange to compare with" in bar.object
    assert f"?page=exchanges&amp;item={ids(8)[0]}&amp;with={ids(12)[0]}" in table.object


def test_nothing_is_said_to_be_nothing(handmade_data: Data, tmp_path: Path) -> None:
    """A store without exchanges says what brings them; filters that let nothing through can be taken away."""
    with contextlib.closing(SqliteStore(tmp_path / "empty.db", write=True)):
        pass
    empty = Data(lambda: analysis.open(tmp_path / "empty.db"))
    assert "ccproxy run -- claude" in page.page(view_of(empty, "?page=exchanges"))[0].object
    empty.forget()
    parts = page.page(view_of(handmade_data, "?page=exchanges&model=haiku"))
    assert "Take the filters away" in parts[-1].object


def test_orders_are_read_from_addresses() -> None:
    """An order that makes no sense is the usual one."""
    assert page.asked({"sort": "cost", "up": "1"}) == data.Order("cost", up=True)
    assert page.asked({"sort": "'; DROP", "up": "x", "before": "a"}) == data.Order(before="a")


def test_newcomers_are_looked_up_beside_the_page(handmade_data: Data) -> None:
    """What is offered is nothing at first, and the number once it was looked up."""
    found = page.Newcomers(view_of(handmade_data, "?page=exchanges&kind=main"), ids(12)[0])
    assert "new" not in found.html().replace("newcomers", "")
    found._look()
    assert "4</span> new – show" in found.html()
