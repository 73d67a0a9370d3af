"""Stopping: what runs comes to its end, nothing new begins, and everything is in the store."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import httpx
import pytest

from tests.support.proxy import Proxy, client, request
from tests.support.standin import Gate, StandIn, message_answer, stream_answer, text, text_stream


async def test_running_streams_finish_when_the_proxy_is_stopped(tmp_path: Path) -> None:
    """SIGTERM lets a running stream come to its end, says that it waits, and leaves everything in the store."""
    events = text_stream("one two three")
    gate = Gate()
    answer = stream_answer([*events[:2], gate, *events[2:]])
    async with StandIn([answer]) as up, Proxy(up.url, tmp_path) as proxy, client() as http:
        async with http.stream("POST", f"{proxy.url}/v1/messages", json=request()) as got:
            stopping = asyncio.create_task(proxy.stop())
            await proxy.until(lambda: "waiting for 1 running" in proxy.said())
            gate.open()
            assert await got.aread() == answer.body
        assert await stopping == 0
        assert [row["state"] for row in proxy.rows()] == ["complete"]
        assert not list(proxy.journal.glob("*.journal"))


async def test_a_stopping_proxy_takes_nothing_new(tmp_path: Path) -> None:
    """While running streams finish, a new call gets 503 with `retry-after` and the API's error shape; `/health` says 503."""
    events = text_stream("one two three")
    gate = Gate()
    answer = stream_answer([*events[:2], gate, *events[2:]])
    async with StandIn([answer]) as up, Proxy(up.url, tmp_path) as proxy, client() as http:
        async with http.stream("POST", f"{proxy.url}/v1/messages", json=request()) as got:
            stopping = asyncio.create_task(proxy.stop())
            await proxy.until(lambda: "waiting for 1 running" in proxy.said())
            await _draining(proxy, http)
            refused = await http.post(f"{proxy.url}/v1/messages", json=request())
            assert refused.status_code == 503
            assert int(refused.headers["retry-after"]) > 0
            assert refused.json()["error"]["type"] == "overloaded_error"
            health = await http.get(f"{proxy.url}/health")
            assert (health.status_code, health.json()["status"]) == (503, "draining")
            live = await http.get(f"{proxy.url}/livez")
            assert (live.status_code, live.json()["draining"], live.json()["in_flight"]) == (200, True, 1)
            gate.open()
            assert await got.aread() == answer.body
        assert await stopping == 0
        assert [row["state"] for row in proxy.rows()] == ["complete"]


async def _draining(proxy: Proxy, http: httpx.AsyncClient) -> None:
    while (await http.get(f"{proxy.url}/health")).status_code != 503:  # noqa: ASYNC110 (another process is asked)
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("workers", [1, 3])
async def test_a_drain_loses_none_of_fifty_streams(tmp_path: Path, workers: int) -> None:
    """Fifty streams that run when the stop comes reach their clients whole, and the store as complete."""
    events = text_stream("one two three four")
    gate = Gate()
    answer = stream_answer([*events[:3], gate, *events[3:]])
    async with (
        StandIn(lambda _: answer) as up,
        Proxy(up.url, tmp_path, "--workers", str(workers)) as proxy,
        httpx.AsyncClient(trust_env=False, timeout=60, limits=httpx.Limits(max_connections=None)) as http,
    ):
        streams = [asyncio.create_task(http.post(f"{proxy.url}/v1/messages", json=request(str(n)))) for n in range(50)]
        await up.received(50, timeout=30)
        assert (await proxy.health())["in_flight"] == 50
        stopping = asyncio.create_task(proxy.stop())
        await proxy.until(lambda: "waiting for 50 running" in proxy.said())
        gate.open()
        assert [got.content for got in await asyncio.gather(*streams)] == [answer.body] * 50
        assert await stopping == 0
        assert [row["state"] for row in proxy.rows()] == ["complete"] * 50
        assert not list(proxy.journal.glob("*.journal"))


async def test_a_drain_has_a_ceiling(tmp_path: Path) -> None:
    """What still runs after `server.drain_timeout` is cut short, on record as interrupted, and told."""
    events = text_stream("one two three")
    gate = Gate()
    extra = {"DRAIN_TIMEOUT": "300ms"}
    async with (
        StandIn(lambda _: stream_answer([*events[:2], gate])) as up,
        Proxy(up.url, tmp_path, environ=extra) as proxy,
    ):
        with pytest.raises(httpx.HTTPError):
            async with client() as http, http.stream("POST", f"{proxy.url}/v1/messages", json=request()) as got:
                pieces = got.aiter_raw()
                await anext(pieces)
                stopping = asyncio.create_task(proxy.stop())
                async for _ in pieces:
                    pass
        assert await stopping == 0
        assert "1 exchanges are cut short" in proxy.said()
        assert [row["state"] for row in proxy.rows()] == ["interrupted"]
        gate.open()


async def test_the_port_is_free_when_it_has_stopped(tmp_path: Path) -> None:
    """The next proxy can take the same port at once, and has what the first one captured."""
    async with StandIn(lambda asked: message_answer(asked, [text("hi")])) as up, client() as http:
        async with Proxy(up.url, tmp_path) as proxy:
            await http.post(f"{proxy.url}/v1/messages", json=request(stream=False))
            assert await proxy.stop() == 0
        async with Proxy(up.url, tmp_path, port=proxy.port) as proxy:
            await http.post(f"{proxy.url}/v1/messages", json=request(stream=False))
            assert [row["state"] for row in await proxy.ended(2)] == ["complete"] * 2


async def test_a_closed_terminal_stops_it_in_order(tmp_path: Path) -> None:
    """SIGHUP to all of its processes, as from a closed terminal, is a stop like any other: nothing is left open."""
    events = text_stream("one two three")
    gate = Gate()
    answer = stream_answer([*events[:2], gate, *events[2:]])
    async with StandIn([answer]) as up, Proxy(up.url, tmp_path) as proxy, client() as http:
        async with http.stream("POST", f"{proxy.url}/v1/messages", json=request()) as got:
            assert proxy.process is not None
            os.killpg(proxy.process.pid, signal.SIGHUP)
            await proxy.until(lambda: "waiting for 1 running" in proxy.said())
            gate.open()
            assert await got.aread() == answer.body
        assert await asyncio.to_thread(proxy.process.wait, 30) == 0
        assert [row["state"] for row in proxy.rows()] == ["complete"]


async def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    """A second SIGTERM does not wait for streams; what had arrived is in the store as interrupted."""
    events = text_stream("one two three")
    gate = Gate()
    async with StandIn(lambda _: stream_answer([*events[:2], gate])) as up, Proxy(up.url, tmp_path) as proxy:
        with pytest.raises(httpx.HTTPError):
            async with client() as http, http.stream("POST", f"{proxy.url}/v1/messages", json=request()) as got:
                pieces = got.aiter_raw()
                await anext(pieces)
                stopping = asyncio.create_task(proxy.stop())
                await proxy.until(lambda: "waiting for 1 running" in proxy.said())
                assert proxy.process is not None
                proxy.process.send_signal(signal.SIGTERM)
                async for _ in pieces:
                    pass
        assert await stopping == 0
        assert "Traceback" not in proxy.said()
        assert [row["state"] for row in proxy.rows()] == ["interrupted"]
        gate.open()
