"""What a worker brings along: its clock, its ids, its server's configuration."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

import httpx
import pytest

from ccproxy import settings as configuration
from ccproxy.web import worker
from tests.support.proxy import Proxy
from tests.support.standin import StandIn


def test_the_clock_counts_evenly_and_follows_a_sleep_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Microseconds since 1970: small steps of the time of day are ignored, a leap forward is followed, none goes back."""
    wall, mono = 1_000_000_000_000_000_000, 5_000
    monkeypatch.setattr(time, "time_ns", lambda: wall)
    monkeypatch.setattr(time, "monotonic_ns", lambda: mono)
    clock = worker.new_clock()
    assert clock() == wall // 1000
    mono += 2_000_000
    wall += 500_000_000
    assert clock() == 1_000_000_000_002_000
    wall += 3_600_000_000_000
    assert clock() == wall // 1000
    before = clock()
    wall -= 7_200_000_000_000
    assert clock() == before


def test_ids_are_uuids_of_version_7_in_the_order_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """An id is a UUIDv7: its first 48 bits are milliseconds, so ids sort by time."""
    ids = []
    for second in range(50):
        monkeypatch.setattr(time, "time_ns", lambda second=second: second * 1_000_000_000)
        ids.append(uuid.UUID(bytes=worker.new_id()))
    assert ids == sorted(set(ids))
    assert {(one.version, one.variant) for one in ids} == {(7, uuid.RFC_4122)}
    assert ids[7].int >> 80 == 7000


def test_the_server_adds_nothing_and_cuts_nothing(tmp_path: Path) -> None:
    """Neither a date nor a server header is added to answers, and no timeout of the server's own ends a request."""
    settings = configuration.load(cwd=tmp_path, config_home=tmp_path, data_home=tmp_path)
    config = worker.server_config(settings, [3])
    assert (config.include_date_header, config.include_server_header) == (False, False)
    assert config.read_timeout is None
    assert config.bind == ["fd://3"]


async def test_cleartext_http_2_is_refused_at_once(tmp_path: Path) -> None:
    """A client that speaks HTTP/2 without TLS learns that this proxy does not."""
    async with StandIn([]) as up, Proxy(up.url, tmp_path) as proxy:
        async with httpx.AsyncClient(http1=False, http2=True, trust_env=False) as http:
            got = await http.post(f"{proxy.url}/v1/messages", json={})
        assert got.status_code == 505
        assert not up.requests
