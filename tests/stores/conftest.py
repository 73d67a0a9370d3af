"""Stores under test: an empty one of each dialect, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ccproxy.stores.contract import Store
from tests.support.homes import DIALECTS, Home, home_in


@pytest.fixture(params=DIALECTS)
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Home]:
    """Give the place of a store that nobody has opened yet."""
    with home_in(request.param, tmp_path) as found:
        yield found


@pytest.fixture
def store(home: Home) -> Store:
    """Give an empty store."""
    return home.open()
