"""A dashboard over the handmade capture and over the demo, without a browser."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import analysis
from ccproxy.stores.sqlite import SqliteStore
from dashboards.data import Data
from dashboards.live import Live
from dashboards.state import Route
from dashboards.view import View
from tests.support import handmade
from tests.support.entries import fill
from tests.support.figures import data_of

NOW = datetime(2025, 10, 9, 9, 30, tzinfo=UTC)  # half an hour after the handmade capture


@pytest.fixture(scope="session")
def handmade_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a store with the handmade capture, closed."""
    path = tmp_path_factory.mktemp("handmade") / "requests.db"
    with contextlib.closing(SqliteStore(path, write=True)) as store:
        fill(store, handmade.exchanges())
    return path


@pytest.fixture(scope="session")
def handmade_data(handmade_store: Path) -> Iterator[Data]:
    """Give the handmade capture as pages see it."""
    data = Data(lambda: analysis.open(handmade_store))
    yield data
    data.forget()


def view_of(data: Data, search: str, *, dark: bool = False) -> View:
    """Return the view that an address asks for."""
    live = Live(analysis.configuration({}))
    return View(Route.read(search), data, live, NOW, dark)


@pytest.fixture(scope="session")
def priced_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Data]:
    """Give the handmade capture at the round prices of `tests.support.figures`."""
    with data_of(tmp_path_factory.mktemp("priced"), handmade.exchanges()) as data:
        yield data
