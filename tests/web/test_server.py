"""Connections: one whose client is gone is let go, however and whenever it went."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

import pytest

from tests.support.proxy import Proxy, client, request
from tests.support.standin import StandIn, json_answer

HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
MODELS = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n"


def _sockets(pid: int) -> int:
    """Return how many sockets a process has open."""
    found = 0
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found += os.readlink(entry).startswith("socket:")
        except FileNotFoundError:
            continue
    return found


async def _ask_and_leave(port: int, raw: bytes, *, wait: bool) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(raw)
    await writer.drain()
    if wait:
        await reader.readuntil(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("raw", [HEALTH, MODELS])
@pytest.mark.parametrize("wait", [False, True])
async def test_no_socket_outlives_its_client(tmp_path: Path, raw: bytes, wait: bool) -> None:
    """Clients that leave right after their request, or with their answer, leave no descriptor behind."""
    async with StandIn(lambda _: json_answer({"data": []})) as up, Proxy(up.url, tmp_path) as proxy:
        await _ask_and_leave(proxy.port, raw, wait=True)
        (worker,) = proxy.children("ccproxy.web.worker")
        await proxy.until(lambda: _sockets(worker) < 20)
        for _ in range(4):
            await asyncio.gather(*(_ask_and_leave(proxy.port, raw, wait=wait) for _ in range(50)))
        await proxy.until(lambda: _sockets(worker) < 70)  # those to the provider may be kept for the next request


@pytest.mark.parametrize(
    "head",
    [
        b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n",
    ],
)
async def test_two_lengths_are_refused_and_the_connection_is_closed(tmp_path: Path, head: bytes) -> None:
    """What follows a request that tells two lengths is never taken for another request."""
    async with StandIn(lambda _: json_answer({})) as up, Proxy(up.url, tmp_path) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(head + b"2\r\n{}\r\n0\r\n\r\n" + MODELS)
        answer = await asyncio.wait_for(reader.read(), 20)
        assert answer.startswith(b"HTTP/1.1 400")
        assert answer.count(b"HTTP/1.1") == 1
        assert not up.requests
        writer.close()


@pytest.mark.parametrize(
    "path", ["/v1/../api/requests", "/v1/%2e%2e/x", "/v1/a/..", "/v1/./messages", "/v1/a/%2E%2e%2fb", "/v1/..\\x"]
)
async def test_no_path_leads_out(tmp_path: Path, path: str) -> None:
    """A path with dot segments, however they are spelled, does not go up; names with dots in them do."""
    async with StandIn(lambda _: json_answer({})) as up, Proxy(up.url, tmp_path) as proxy, client() as http:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        assert (await reader.read()).startswith(b"HTTP/1.1 404")
        writer.close()
        assert not up.requests
        assert (await http.get(f"{proxy.url}/v1/models/claude-3.5..x")).status_code == 200


async def test_a_burst_of_questions_is_answered(tmp_path: Path) -> None:
    """Three hundred at once, with nobody there yet to answer them, all get their answer."""
    async with StandIn([]) as up, Proxy(up.url, tmp_path) as proxy:
        asked = [
            _ask(proxy.port, b"GET /api/requests HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            for _ in range(300)
        ]
        answers = await asyncio.gather(*asked)
        assert {answer[:12] for answer in answers} == {b"HTTP/1.1 200"}


async def _ask(port: int, raw: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(raw)
    answer = await reader.read()
    writer.close()
    return answer


async def test_two_proxies_with_one_store_do_not_get_into_each_others_way(tmp_path: Path) -> None:
    """A second proxy with the same store and a journal of its own waits for its turn to store, and touches nobody's row."""
    async with StandIn(lambda _: json_answer({"ok": True})) as up, client() as http:
        async with Proxy(up.url, tmp_path) as first:
            await http.post(f"{first.url}/v1/messages", json=request("first"))
            await first.ended(1)
            elsewhere = {"JOURNAL_DIR": str(tmp_path / "elsewhere")}
            link = tmp_path / "link.db"
            link.symlink_to(first.db)
            second = Proxy(up.url, tmp_path / "second", "--db", str(link), environ=elsewhere, db=None)
            async with second:
                await http.post(f"{second.url}/v1/messages", json=request("second"))
                await second.until(lambda: "another ingest writes to" in second.said())
                await http.post(f"{first.url}/v1/messages", json=request("third"))
                assert [row["state"] for row in await first.ended(2)] == ["complete"] * 2
                await first.stop()
                assert [row["state"] for row in await first.ended(3)] == ["complete"] * 3


async def test_what_a_killed_proxy_left_is_swept(tmp_path: Path) -> None:
    """The socket's folder of a proxy that was killed is gone when the next one has started; a living one's stays."""
    with tempfile.TemporaryDirectory(prefix="cc-") as folder:
        where, environ = Path(folder), {"TMPDIR": folder}
        async with StandIn([]) as up:
            proxy = Proxy(up.url, tmp_path / "a", environ=environ)
            await proxy.start()
            (left,) = where.glob("ccproxy-api-*")
            async with Proxy(up.url, tmp_path / "b", environ=environ):
                assert left.exists()
                assert not proxy.children("ccproxy.web.api.process")  # looking at it has not woken it up
            await proxy.kill()
            assert left.exists()
            async with Proxy(up.url, tmp_path / "c", environ=environ):
                assert not left.exists()


async def test_a_long_temporary_folder_is_no_obstacle(tmp_path: Path) -> None:
    """Where the path of a socket would be too long, it is made where it is not."""
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    async with StandIn([]) as up, Proxy(up.url, tmp_path, environ={"TMPDIR": str(folder)}) as proxy, client() as http:
        assert (await http.get(f"{proxy.url}/api/requests")).status_code == 200
