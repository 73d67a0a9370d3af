"""A proxy that keeps its captures in PostgreSQL: the same answers, and nothing that a server does is noticed by a client."""

from __future__ import annotations

import asyncio
import contextlib
import random
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from ccproxy.stores.contract import Record
from ccproxy.stores.postgres import PostgresStore
from tests.support.cluster import PASSWORD, Cluster, cluster
from tests.support.proxy import Proxy, client, isolated_environment, request
from tests.support.standin import StandIn, message_answer, text

FINAL = {"complete", "failed", "client_left", "interrupted"}


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    """Give a server that all tests here share, one after the other."""
    with cluster() as found:
        yield found


@pytest.fixture
def empty(server: Cluster) -> Cluster:
    """Give the server with nothing in its database."""
    server.run("DROP SCHEMA public CASCADE")
    server.run("CREATE SCHEMA public")
    return server


@contextlib.asynccontextmanager
async def running(up: StandIn, home: Path, server: Cluster) -> AsyncIterator[Proxy]:
    """Give a proxy that stores in the server."""
    environ = {"DB_TYPE": "postgres", "DATABASE_URL": server.dsn, "JOURNAL_DIR": str(home / "requests.journal")}
    proxy = Proxy(up.url, home, environ=environ, db=None)
    async with proxy:
        yield proxy


def rows(server: Cluster) -> list[Record]:
    """Return all exchanges in the database, oldest first."""
    with contextlib.closing(PostgresStore(server.dsn)) as store:
        return store.exchanges(limit=10_000)[::-1]


async def stored(server: Cluster, count: int) -> list[Record]:
    """Wait until so many exchanges have ended in the database."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(Exception):
                found = await asyncio.to_thread(rows, server)
                if sum(row["state"] in FINAL for row in found) >= count:
                    return found
            await asyncio.sleep(0.1)


async def send(http: httpx.AsyncClient, proxy: Proxy, words: str) -> None:
    """Send a request, which has to succeed."""
    got = await http.post(f"{proxy.url}/v1/messages", json=request(words))
    assert got.status_code == 200


def command(proxy: Proxy, server: Cluster, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of ours with the database configured."""
    environ = isolated_environment(
        proxy.home, {"DB_TYPE": "postgres", "DATABASE_URL": server.dsn, "PORT": str(proxy.port)}
    )
    return subprocess.run(
        [sys.executable, "-m", "ccproxy", *arguments], env=environ, cwd=proxy.home, capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip


async def test_what_is_captured_is_in_the_database_and_everything_reads_it(tmp_path: Path, empty: Cluster) -> None:
    """Command line and data API tell of a PostgreSQL store what they tell of a file, and its password nowhere."""
    async with StandIn(lambda asked: message_answer(asked, [text("forty-two zebras")])) as up, client() as http:
        async with running(up, tmp_path, empty) as proxy:
            await send(http, proxy, "how many zebras")
            (row,) = await stored(empty, 1)
            with contextlib.closing(PostgresStore(empty.dsn)) as store:
                assert store.body(row["id"], "request") == up.requests[0].body
                assert store.body(row["id"], "response") == b"".join(data for _, data in up.requests[0].sent)
            listed = (await http.get(f"{proxy.url}/api/requests?q=zebras")).json()
            assert [one["id"] for one in listed["requests"]] == [row["id"]]
            said = []
            for arguments in (
                ["tail"],
                ["show", row["id"]],
                ["search", "zebras"],
                ["doctor"],
                ["db", "stats"],
                ["db", "check"],
            ):
                done = await asyncio.to_thread(command, proxy, empty, *arguments)
                said.append(done.stdout + done.stderr)
                assert done.returncode == 0, said[-1]
            assert row["id"][-12:] in said[0]
            assert "forty-two zebras" in said[1]
            assert row["id"][-12:] in said[2]
            assert "all whole" in said[5]
            deleted = (await http.delete(f"{proxy.url}/api/requests/{row['id']}")).json()
            assert deleted["deleted"] == 1
            assert rows(empty) == []
            shown = await asyncio.to_thread(command, proxy, empty, "config", "show")
            livez = (await http.get(f"{proxy.url}/livez")).text
            await proxy.stop()
            assert PASSWORD not in "".join([*said, shown.stdout, shown.stderr, livez, proxy.said()])
        assert not list(proxy.journal.glob("*.journal"))


def test_without_a_database_it_does_not_start(tmp_path: Path) -> None:
    """`postgres` without DATABASE_URL is refused with the sentence that says what to set; so is what is no connection string."""
    for url, said in (("", "set DATABASE_URL"), ("nonsense geheim", "not a connection string")):
        environ = isolated_environment(tmp_path, {"DB_TYPE": "postgres", "DATABASE_URL": url})
        arguments = [sys.executable, "-m", "ccproxy", "serve", "--port", "0"]
        done = subprocess.run(
            arguments, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode in (1, 2)
        assert said in done.stderr
        assert "geheim" not in done.stderr
        assert len(done.stderr.splitlines()) == 1


@contextlib.contextmanager
def stopped(server: Cluster) -> Iterator[str]:
    """The server is gone for a while, as if it had crashed."""
    server.stop("immediate")
    yield "cannot be"
    server.start()


@contextlib.contextmanager
def refusing_the_password(server: Cluster) -> Iterator[str]:
    """The password was changed, and every connection ended."""
    server.run("ALTER ROLE postgres PASSWORD 'another'")
    server.password = "another"
    server.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    yield "password"
    server.run(f"ALTER ROLE postgres PASSWORD '{PASSWORD}'")
    server.password = PASSWORD


@contextlib.contextmanager
def without_a_free_connection(server: Cluster) -> Iterator[str]:
    """Others hold every connection that there is."""
    with contextlib.ExitStack() as held:
        first = held.enter_context(psycopg.connect(server.dsn, autocommit=True))
        others = held.enter_context(contextlib.ExitStack())
        with contextlib.suppress(psycopg.OperationalError):
            while True:
                others.enter_context(psycopg.connect(server.dsn))
        first.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ccproxy'")
        with contextlib.suppress(psycopg.OperationalError):
            while True:
                others.enter_context(psycopg.connect(server.dsn))
        yield "too many"


@pytest.mark.parametrize("trouble", [stopped, refusing_the_password, without_a_free_connection])
async def test_an_outage_is_nobodys_trouble(
    tmp_path: Path, empty: Cluster, trouble: Callable[[Cluster], contextlib.AbstractContextManager[str]]
) -> None:
    """While the database cannot be used clients notice nothing, `/livez` and `doctor` say why; then all is stored, once, in order."""
    async with StandIn(lambda asked: message_answer(asked, [text("hi")])) as up, client() as http:
        async with running(up, tmp_path, empty) as proxy:
            for number in range(5):
                await send(http, proxy, f"before {number}")
            await stored(empty, 5)
            with trouble(empty) as word:
                for number in range(20):
                    await send(http, proxy, f"during {number}")
                report = await _waiting(proxy)
                assert word in report["ingest"]["error"], report
                done = await asyncio.to_thread(command, proxy, empty, "doctor")
                assert "waiting for the store" in done.stdout
                assert PASSWORD not in done.stdout + str(report)
            for number in range(5):
                await send(http, proxy, f"after {number}")
            found = await stored(empty, 30)
            assert len(found) == 30
            assert {row["state"] for row in found} == {"complete"}
            assert [_words(empty, row) for row in found] == [
                *(f"before {n}" for n in range(5)), *(f"during {n}" for n in range(20)), *(f"after {n}" for n in range(5)),
            ]  # fmt: skip
        assert not list(proxy.journal.glob("*.journal"))


async def _waiting(proxy: Proxy) -> dict[str, Any]:
    reports: list[dict[str, Any]] = [{}]
    async with asyncio.timeout(30):
        while reports[-1].get("ingest", {}).get("state") != "waiting for the store":
            reports.append(await proxy.health())
    return reports[-1]


def _words(server: Cluster, row: Record) -> str:
    with contextlib.closing(PostgresStore(server.dsn)) as store:
        body = store.body(row["id"], "request")
    assert body is not None
    return str(httpx.Response(200, content=body).json()["messages"][-1]["content"])


async def test_a_restart_under_load_loses_nothing(tmp_path: Path, empty: Cluster) -> None:
    """The server restarts twice while requests come without a pause: each of them is stored, once."""
    async with StandIn(lambda asked: message_answer(asked, [text("hi")])) as up, client() as http:
        async with running(up, tmp_path, empty) as proxy:
            going = True
            sent = 0

            async def load() -> None:
                nonlocal sent
                while going:
                    await send(http, proxy, f"request {sent}")
                    sent += 1

            loading = asyncio.create_task(load())
            for mode in ("fast", "immediate"):
                await asyncio.sleep(0.7)
                await asyncio.to_thread(empty.stop, mode)
                await asyncio.to_thread(empty.start)
            going = False
            await loading
            found = await stored(empty, sent)
            assert len(found) == sent == len(up.requests)
            assert {row["state"] for row in found} == {"complete"}


@contextlib.contextmanager
def small_disk(place: Path, megabytes: int) -> Iterator[None]:
    """Mount a disk of its own, which is soon full."""
    place.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", str(place)]
    made = subprocess.run(mounted, capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"cannot mount a small disk here: {made.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


async def test_a_full_disk_of_the_server_loses_nothing(tmp_path: Path) -> None:
    """While the server's disk is full captures wait in the journal, and nobody waits for them; then they are stored."""
    with tempfile.TemporaryDirectory(prefix="ccproxy-disk-") as folder:
        Path(folder).chmod(0o755)
        disk = Path(folder) / "disk"
        with small_disk(disk, 200), cluster(disk) as server:
            await _through_a_full_disk(tmp_path, disk, server)


async def _through_a_full_disk(home: Path, disk: Path, server: Cluster) -> None:
    async with StandIn(lambda asked: message_answer(asked, [text("hi")])) as up, client() as http:
        async with running(up, home, server) as proxy:
            await send(http, proxy, "before")
            await stored(server, 1)
            ballast = disk / "ballast"
            with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(1 << 16))
            for number in range(20):
                await send(http, proxy, f"during {number} {random.Random(number).randbytes(40_000).hex()}")
            await _waiting(proxy)
            ballast.unlink()
            server.stop("immediate")  # a full disk may have ended it
            server.start()
            found = await stored(server, 21)
            assert len(found) == 21
            assert {row["state"] for row in found} == {"complete"}
