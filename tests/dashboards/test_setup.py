"""The page Set-up: the lines to copy, how everything is doing, every setting; with a proxy and a store, and without."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

import analysis
from analysis.configured import Configuration
from analysis.sources import SCHEMA_VERSIONS
from ccproxy.cli import launch
from ccproxy.settings import SETTINGS
from dashboards.data import Data, setup
from dashboards.live import Live
from dashboards.pages import setup as page
from dashboards.state import Route
from dashboards.view import View
from tests.dashboards.conftest import NOW
from tests.support.dashboard import free_port
from tests.support.proxy import Proxy
from tests.support.standin import StandIn, json_answer

HEALTHY: dict[str, Any] = {
    "status": "healthy", "in_flight": 2, "exchanges": 1234, "journal": {"lag_bytes": 0, "lag_seconds": 0.0},
    "ingest": {"state": "running", "stored": 1230}, "dropped": {"exchanges": 0, "bytes": 0},
}  # fmt: skip


def _found(**environ: str) -> Configuration:
    return analysis.configuration(environ)


def _page(data: Data, found: Configuration, search: str = "?page=setup") -> str:
    view = View(Route.read(search), data, Live(found), NOW)
    (pane,) = page.page(view)
    return str(pane.object)


def test_the_lines_to_copy_are_those_of_the_command_line() -> None:
    """The page tells a client exactly what `ccproxy serve` and `ccproxy run` tell it, under the public URL."""
    found = _found(PROXY_PUBLIC_URL="https://proxy.example.org/")
    assert setup.variables(found) == launch.variables("https://proxy.example.org")
    ways = {way.name: way.text for way in setup.ways_in(found)}
    assert ways["run"] == "ccproxy run -- claude"
    assert ways["shell"].splitlines() == [
        "export ANTHROPIC_BASE_URL=https://proxy.example.org", "export ENABLE_TOOL_SEARCH=true",
        "export CLAUDE_CODE_GATEWAY_HINT_HEADERS=1", "claude",
    ]  # fmt: skip
    assert json.loads(ways["file"]) == {"env": launch.variables("https://proxy.example.org")}
    assert "base_url='https://proxy.example.org'" in ways["sdk"]


def test_with_auth_the_lines_say_where_the_token_goes(handmade_data: Data) -> None:
    """The header for the token is in every way, and the token itself nowhere on the page, nor any other secret."""
    secrets = {"AUTH_TOKEN": "tok-s3cret", "DASHBOARD_PASSWORD": "pw-s3cret", "ANTHROPIC_FORWARD_API_KEY": "sk-s3cret"}
    found = _found(AUTH_ENABLED="true", PORT=str(free_port()), DATABASE_URL="postgresql://me:db-s3cret@h/d", **secrets)
    ways = {way.name: way.text for way in setup.ways_in(found)}
    assert 'export ANTHROPIC_CUSTOM_HEADERS="X-CCProxy-Token: $AUTH_TOKEN"' in ways["shell"]
    assert json.loads(ways["file"])["env"]["ANTHROPIC_CUSTOM_HEADERS"] == "X-CCProxy-Token: <the AUTH_TOKEN>"
    assert "X-CCProxy-Token" in ways["sdk"]
    shown = _page(handmade_data, found)
    assert "s3cret" not in shown
    assert shown.count(">set<") == 4


def test_every_setting_stands_there_with_its_source(handmade_data: Data) -> None:
    """Variable, key, value, default, source and meaning of each; and of those that are set, alone."""
    found = _found(PORT=str(free_port()), STORAGE_MAX_AGE="30d")
    shown = _page(handmade_data, found)
    for row in SETTINGS:
        assert f">{row.env}<" in shown
        assert f">{row.key}<" in shown
    assert "environment STORAGE_MAX_AGE" in shown
    few = _page(handmade_data, found, "?page=setup&set=1")
    assert few.count("<small>") == 2
    assert "2 settings" in few


def _by_name(told: dict[str, Any]) -> dict[str, setup.Check]:
    return {check.name: check for check in setup.checks(_found(), told)}


def test_a_healthy_proxy_is_fine() -> None:
    """Proxy, journal and ingest are each a line, with their figures and nothing to do."""
    found = _by_name(HEALTHY)
    assert all(check.fine and not check.advice for check in found.values())
    assert found["proxy"].found == "healthy at http://127.0.0.1:3001: 2 running, 1,234 since it began"
    assert found["journal"].found == "all of it is in the store"
    assert found["ingest"].found == "running, 1,230 stored since it began"


@pytest.mark.parametrize(
    ("told", "name", "found", "command"),
    [
        (
            {"error": "Connection refused"},
            "proxy",
            "none answers at http://127.0.0.1:3001: Connection refused",
            "ccproxy serve",
        ),
        ({"status": "draining"}, "proxy", "draining", ""),
        (
            {"journal": {"lag_bytes": 10, "lag_seconds": 2.5, "error": "disk full"}},
            "journal",
            "2.5 s behind; disk full",
            "ccproxy doctor",
        ),
        ({"dropped": {"exchanges": 3}}, "journal", "3 exchanges were not recorded", "ccproxy doctor"),
        ({"ingest": {"state": "off"}}, "ingest", "off", "ccproxy ingest"),
        ({"ingest": {"state": "down", "silent_seconds": 9}}, "ingest", "down", "ccproxy doctor"),
        (
            {"ingest": {"state": "waiting for the store", "stored": 1, "error": "locked"}},
            "ingest",
            "locked",
            "ccproxy doctor",
        ),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(told: dict[str, Any], name: str, found: str, command: str) -> None:
    """Each trouble is a line that is not fine, and names the command that helps."""
    check = _by_name(told if "error" in told else {**HEALTHY, **told})[name]
    assert (check.fine, found in check.found, check.command) == (False, True, command)


def test_the_store_is_told(handmade_store: Path, handmade_data: Data) -> None:
    """Place, exchanges, sessions, size, schema, span and DuckDB's way of a store that can be read."""
    store = setup.store(handmade_data, _found(DB_PATH=str(handmade_store)))
    assert (store.exchanges, store.sessions, store.schema, store.trouble) == (17, 3, SCHEMA_VERSIONS["sqlite"], "")
    assert store.bytes is not None
    assert store.bytes >= handmade_store.stat().st_size
    assert store.oldest is not None
    assert store.oldest < (store.newest or store.oldest)
    assert store.way == setup.WAYS["wheel"]


def test_it_works_without_a_store_and_without_a_proxy(tmp_path: Path) -> None:
    """A store that is missing, broken, another program's or newer is a sentence; all else stands there."""
    path = tmp_path / "x.db"
    found = _found(DB_PATH=str(path), PORT=str(free_port()))
    clock = itertools.count(0, 60)  # nothing is answered as it was a moment ago
    data = Data(lambda: analysis.open(settings=found.settings), lambda: float(next(clock)))
    for make, said in (
        (None, "there is no store at"),
        (b"nonsense " * 99, "not a store of ccproxy"),
        ("foreign", "some other program"),
    ):
        if isinstance(make, bytes):
            path.write_bytes(make)
        elif make:
            path.unlink()
            with contextlib.closing(sqlite3.connect(path)) as db:
                db.execute("CREATE TABLE t (a)")
        shown = _page(data, found)
        assert said in shown
        assert "none answers at" in shown
        assert "export ANTHROPIC_BASE_URL=" in shown
        assert ">SERVER_HOST<" in shown


async def test_a_real_proxy_says_how_it_is(tmp_path: Path) -> None:
    """The health of a running proxy is read from it, with the credentials that it wants; another program's is not taken for one."""
    environ = {"AUTH_ENABLED": "true", "AUTH_TOKEN": "tok"}
    async with StandIn(lambda _: json_answer({})) as up, Proxy(up.url, tmp_path, environ=environ) as proxy:
        told = await asyncio.to_thread(setup.health, _found(PORT=str(proxy.port), **environ))
        assert told["status"] == "healthy"
        assert [check.fine for check in setup.checks(_found(), told)] == [True, True, True]
        assert await asyncio.to_thread(setup.health, _found(PORT=str(up.port))) == {
            "error": "what answers there is no ccproxy"
        }
    assert list(setup.health(_found(PORT=str(proxy.port)))) == ["error"]
