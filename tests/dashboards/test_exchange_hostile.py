"""Captured text never becomes markup in the pages of exchanges: hostile content in every place, in every tab and part."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

import analysis
from ccproxy.stores.sqlite import SqliteStore
from dashboards.data import Data
from dashboards.pages import exchange, exchanges
from tests.dashboards.conftest import view_of
from tests.dashboards.test_exchange import judged
from tests.support import hostile
from tests.support.entries import fill


@pytest.fixture(scope="module")
def hostile_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Data]:
    """Give captures that are hostile in every place."""
    path = tmp_path_factory.mktemp("hostile") / "requests.db"
    with contextlib.closing(SqliteStore(path, write=True)) as store:
        fill(store, hostile.exchanges())
    data = Data(lambda: analysis.open(path))
    yield data
    data.forget()


def test_the_list_is_inert(hostile_data: Data) -> None:
    """No element, handler or address of the list comes from what was captured, and it is shown as text."""
    panes = exchanges.page(view_of(hostile_data, "?page=exchanges"))[:-1]
    assert judged(panes) == []
    assert "&lt;script&gt;" in panes[1].object


@pytest.mark.parametrize(
    "tab", [*exchange.TABS, "request&part=tools", "request&part=system", "request&part=parameters"]
)
def test_every_tab_is_inert(hostile_data: Data, tab: str) -> None:
    """Nor of any tab of any exchange, nor of any part that comes later."""
    for one in hostile_data.ask("SELECT exchange_id FROM exchanges ORDER BY random() LIMIT 12")["exchange_id"]:
        assert judged(exchange.page(view_of(hostile_data, f"?page=exchanges&item={one}&tab={tab}"))) == []
