"""The rehearsal before the first request."""

from __future__ import annotations

from pathlib import Path

import pytest

from ccproxy.web import warming
from tests.support.proxy import Proxy
from tests.support.standin import StandIn


async def test_a_start_leaves_no_trace(tmp_path: Path) -> None:
    """Starting sends nothing to the provider and puts nothing on record."""
    async with StandIn([]) as up, Proxy(up.url, tmp_path) as proxy:
        assert await proxy.stop() == 0
        assert not up.connections
        assert not proxy.rows()
        assert not list(proxy.journal.glob("*.journal"))


async def test_the_rehearsal_goes_through_the_real_forwarder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each round sends one whole request to the stand-in inside the process, and gets its answer."""
    bodies: list[int] = []
    answer = warming._answer

    async def counted(reader: object, writer: object) -> None:
        await answer(reader, writer)  # type: ignore[arg-type]
        bodies.append(warming.ROUNDS)

    monkeypatch.setattr(warming, "_answer", counted)
    await warming.rehearse()
    assert bodies == [warming.ROUNDS]


async def test_a_failed_rehearsal_is_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no port can be had for it, the start goes on."""

    async def refuse(*_: object, **__: object) -> None:
        raise OSError("no port")

    monkeypatch.setattr("asyncio.start_server", refuse)
    assert await warming.rehearse() is None
