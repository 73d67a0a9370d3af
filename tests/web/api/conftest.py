"""The data API, over a store that is not there yet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.api import Api, serving


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Give the data API, asked in this process."""
    async with serving(tmp_path) as found:
        yield found
