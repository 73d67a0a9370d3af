"""No setting is there for show: each is named by a test of what it does, and those that no other test needs are tested here."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx
import pytest

from analysis import AnalysisError, extensions
from analysis.engine import Engine
from analysis.measures.cost import cost
from ccproxy.settings import SETTINGS
from ccproxy.stores.sqlite import SqliteStore
from tests.support import handmade
from tests.support.captures import filled, opened
from tests.support.proxy import Proxy, client, isolated_environment, request
from tests.support.standin import StandIn, json_answer

TESTS = Path(__file__).resolve().parents[1]
ABOUT_SETTINGS = {"settings", "test_config.py"}  # they look at every setting, and at none of its effects


def test_every_setting_is_in_a_test_of_its_effect() -> None:
    """Each key's variable stands in a test that is not about settings as such."""
    files = [path for path in TESTS.rglob("test_*.py") if not ABOUT_SETTINGS & set(path.parts)]
    text = "\n".join(path.read_text() for path in files)
    assert [row.env for row in SETTINGS if f'"{row.env}"' not in text] == []


@contextlib.asynccontextmanager
async def _served(home: Path, environ: Mapping[str, str]) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """Run `ccproxy serve` with nothing but an environment; yield its URL and the process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home.mkdir(exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ccproxy", "serve"),
        env=isolated_environment(home, {"PORT": str(port), "DASHBOARD_ENABLED": "false", **environ}), cwd=home,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        async with asyncio.timeout(30):
            assert b"listens on" in await process.stderr.readline()
        yield f"http://127.0.0.1:{port}", process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def test_where_it_listens_forwards_and_stores(tmp_path: Path) -> None:
    """Address, port, workers, provider, store, its kind, API version and the quiet log are those of the environment."""
    async with StandIn(lambda _: json_answer({"ok": True})) as up:
        environ = {
            "SERVER_HOST": "127.0.0.1",
            "WORKERS": "2",
            "ANTHROPIC_FORWARD_URL": up.url,
            "ANTHROPIC_VERSION": "2099-01-01",
            "DB_TYPE": "sqlite",
            "DB_PATH": str(tmp_path / "elsewhere.db"),
            "ACCESS_LOG": "false",
            "PROXY_PUBLIC_URL": "https://ccproxy.example.org",
        }
        async with _served(tmp_path, environ) as (url, process), client() as http:
            assert (await http.post(f"{url}/v1/messages", json=request(stream=False))).json() == {"ok": True}
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            commands = [Path(f"/proc/{child}/cmdline").read_bytes() for child in children]
            assert sum(b"ccproxy.web.worker" in command for command in commands) == 2
            assert up.requests[0].header("anthropic-version") == "2099-01-01"
            process.terminate()
            assert process.stderr is not None
            said = (await process.stderr.read()).decode()
            assert "export ANTHROPIC_BASE_URL=https://ccproxy.example.org" in said
            assert "POST /v1/messages" not in said
        with contextlib.closing(SqliteStore(tmp_path / "elsewhere.db")) as store:
            assert len(store.exchanges(limit=9)) == 1


async def test_how_much_it_says(tmp_path: Path) -> None:
    """With the level at error, a failure is a line and an access is none."""
    async with Proxy("http://127.0.0.1:9", tmp_path, environ={"LOG_LEVEL": "error"}) as proxy, client() as http:
        await http.post(f"{proxy.url}/v1/messages", json=request())
        await proxy.stop()
        assert "forward failed" in proxy.said()
        assert "POST /v1/messages 502" not in proxy.said()


async def test_how_long_an_idle_connection_is_kept(tmp_path: Path) -> None:
    """A connection on which nothing happens is closed after the idle timeout."""
    async with StandIn([]) as up, Proxy(up.url, tmp_path, environ={"IDLE_TIMEOUT": "100ms"}) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        assert await asyncio.wait_for(reader.read(), 20) == b""
        writer.close()


async def test_how_long_connecting_may_take(tmp_path: Path) -> None:
    """A provider that accepts no connection is given up after the connect timeout, and the error names it."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        place = full.getsockname()
        waiting = [socket.socket() for _ in range(3)]  # they fill the queue, so the next one is not answered
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(place)
        environ = {"ANTHROPIC_CONNECT_TIMEOUT": "200ms", "ANTHROPIC_MAX_RETRIES": "0"}
        async with Proxy(f"http://127.0.0.1:{place[1]}", tmp_path, environ=environ) as proxy, client() as http:
            got = await http.post(f"{proxy.url}/v1/messages", json=request())
            assert (got.status_code, got.json()["error"]["type"]) == (504, "timeout_error")
            assert "providers.anthropic.connect_timeout" in got.json()["error"]["message"]
            assert (await proxy.ended())[0]["error_kind"] == "connect_timeout"
        for one in waiting:
            one.close()


async def test_under_which_names_and_to_whom_the_data_api_answers(tmp_path: Path) -> None:
    """Named hosts, the public URL's host and the dashboard's port count; transcripts come from Claude Code's folder."""
    folder = tmp_path / "claude" / "projects" / "-home-me"
    folder.mkdir(parents=True)
    line = {"type": "user", "sessionId": "s1", "message": {"role": "user", "content": "fix it"}, "uuid": "1"}
    (folder / "s1.jsonl").write_text(json.dumps({**line, "timestamp": "2026-01-01T00:00:00Z"}) + "\n")
    environ = {
        "ALLOWED_HOSTS": "named.example.org",
        "PROXY_PUBLIC_URL": "https://public.example.org",
        "DASHBOARD_PORT": "5999",
        "CLAUDE_CONFIG_DIR": str(tmp_path / "claude"),
    }
    async with StandIn([]) as up, Proxy(up.url, tmp_path, environ=environ) as proxy, client() as http:
        for host, status in (("named.example.org", 200), ("public.example.org", 200), ("other.example.org", 403)):
            got = await http.get(f"{proxy.url}/api/conversations", headers={"host": host})
            assert got.status_code == status
        for port, status in ((5999, 200), (5174, 403)):
            got = await _delete(http, proxy, {"origin": f"http://localhost:{port}"})
            assert got.status_code == status
        listed = (await http.get(f"{proxy.url}/api/conversations")).json()
        assert [one["title"] for one in listed["conversations"]] == ["fix it"]


async def _delete(http: httpx.AsyncClient, proxy: Proxy, headers: dict[str, str]) -> httpx.Response:
    return await http.delete(f"{proxy.url}/api/requests", headers=headers)


@pytest.fixture
def no_scanner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have neither a wheel with a scanner installed, nor one in a home."""
    monkeypatch.setattr(extensions, "_wheel", lambda _name: None)
    monkeypatch.setenv("HOME", "/nowhere")


@pytest.mark.usefixtures("no_scanner")
def test_where_scanners_are_found(tmp_path: Path) -> None:
    """With a folder that has DuckDB's scanner in it, a store is attached; without, it is copied."""
    path = filled(tmp_path / "captures.db", handmade.exchanges()[:1])
    spec = importlib.util.find_spec("duckdb_extension_sqlite_scanner")
    assert spec is not None
    [wheel] = spec.submodule_search_locations or []
    [scanner] = Path(wheel).rglob("sqlite_scanner.duckdb_extension")
    (tmp_path / "scanners").mkdir()
    (tmp_path / "scanners" / scanner.name).symlink_to(scanner)
    for environ, way in (({}, "copied by Arrow"), ({"ANALYSIS_EXTENSION_DIR": str(tmp_path / "scanners")}, "attached")):
        with opened(path, **environ) as capture:
            assert capture.way == way


@pytest.mark.usefixtures("no_scanner")
def test_whether_a_scanner_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where downloads are allowed DuckDB is told to fetch the scanner that is missing."""
    path = filled(tmp_path / "captures.db", handmade.exchanges()[:1])
    fetched: list[str] = []
    monkeypatch.setattr(Engine, "install", lambda _engine, name: fetched.append(name))
    opened(path, **{"ANALYSIS_ALLOW_DOWNLOAD": "false"}).close()
    assert fetched == []
    with pytest.raises(AnalysisError):  # none came
        opened(path, **{"ANALYSIS_ALLOW_DOWNLOAD": "true"})
    assert fetched == ["sqlite"]


def test_which_prices_count(tmp_path: Path) -> None:
    """A file of prices goes before the library's: 10 tokens in, 1000 written and 20 out, at 1, 2 and 3 USD per million."""
    prices = tmp_path / "prices.json"
    prices.write_text(json.dumps([{"model": handmade.MODEL, "input": 1, "cache_write_5m": 2, "output": 3}]))
    path = filled(tmp_path / "captures.db", handmade.exchanges()[:1])
    with opened(path, **{"ANALYSIS_PRICES": str(prices)}) as capture:
        assert capture.prices == prices
        found = cost(capture.exchanges(), capture.prices).collect()["cost_usd"].to_list()
    assert found == [pytest.approx((10 + 2000 + 60) / 1e6)]
