"""The handmade capture by every way, and an empty one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from analysis import Capture
from tests.support import handmade
from tests.support.captures import STORES, WAYS, Places


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    """Give the places of the handmade capture. Tests change nothing there."""
    with contextlib.closing(Places(tmp_path_factory.mktemp("handmade"), handmade.exchanges())) as found:
        yield found


@pytest.fixture(scope="session")
def empty_places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    """Give places in which nothing was captured yet."""
    with contextlib.closing(Places(tmp_path_factory.mktemp("empty"), [])) as found:
        yield found


@pytest.fixture(scope="module", params=WAYS)
def capture(request: pytest.FixtureRequest, places: Places) -> Iterator[Capture]:
    """Give the handmade capture by each way, one after the other."""
    with places.open(request.param) as found:
        yield found


@pytest.fixture(scope="module", params=STORES)
def stored(request: pytest.FixtureRequest, places: Places) -> Iterator[Capture]:
    """Give the handmade capture by each way to a store: there bodies and headers are to be had."""
    with places.open(request.param) as found:
        yield found


@pytest.fixture(scope="module", params=WAYS)
def empty(request: pytest.FixtureRequest, empty_places: Places) -> Iterator[Capture]:
    """Give captures that there are none of yet, by each way."""
    with empty_places.open(request.param) as found:
        yield found


@pytest.fixture(scope="module")
def attached(places: Places) -> Iterator[Capture]:
    """Give the handmade capture by one way, for what is the same on all."""
    with places.open("sqlite") as found:
        yield found
