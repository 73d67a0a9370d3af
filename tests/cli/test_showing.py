"""The dashboard beside the proxy, and alone: started, restarted, ended; and never in the proxy's way."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path

import pytest

from ccproxy.cli import showing
from ccproxy.settings import load
from tests.cli.conftest import refusal
from tests.support.command import line, started
from tests.support.proxy import Proxy, client, isolated_environment, request
from tests.support.standin import StandIn, stream_answer, text_stream

MODULE = "dashboards"
PASSWORD = "geheim-und-lang"
PATIENCE_S = 60.0
ALONE = ", for this machine only as long as there is no DASHBOARD_PASSWORD"


def _asked(url: str, password: str = "") -> int | None:
    """Return the status of a dashboard's answer; None where nobody answers."""
    headers = {"authorization": f"Basic {b64encode(f'me:{password}'.encode()).decode()}"} if password else {}
    try:
        with urllib.request.urlopen(
            urllib.request.Request(f"{url}/favicon.ico", headers=headers), timeout=30
        ) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return None


async def _answers(proxy: Proxy, url: str, password: str = "") -> int | None:
    """Wait until the dashboard answers."""
    found: list[int | None] = [None]
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(PATIENCE_S):
        while found[0] is None:
            assert proxy.process is not None
            assert proxy.process.poll() is None
            found[0] = await loop.run_in_executor(None, _asked, url, password)
            await asyncio.sleep(0.05)
    return found[0]


def _told(proxy: Proxy) -> str:
    """Return where the banner says that the dashboard is."""
    found = re.search(r"^  dashboard     (\S+)", proxy.said(), re.MULTILINE)
    assert found, proxy.said()
    return found[1]


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _command_lines() -> str:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes())
        except OSError:
            continue
    return b" ".join(found).decode(errors="replace")


async def test_it_is_started_comes_back_and_ends_with_the_proxy(tmp_path: Path) -> None:
    """`serve` starts it and says where; it wants the password, which no process list shows; killed, it is back; at the stop it ends."""
    environ = {"DASHBOARD_PORT": "0", "DASHBOARD_PASSWORD": PASSWORD}
    script = [stream_answer(text_stream("hi"))]
    async with (
        StandIn(script) as up,
        Proxy(up.url, tmp_path, environ=environ, dashboard=True) as proxy,
        client() as http,
    ):
        url = _told(proxy)
        assert await _answers(proxy, url) == 401
        assert await _answers(proxy, url, PASSWORD) == 200
        assert PASSWORD not in _command_lines()
        (first,) = proxy.children(MODULE)
        assert os.getpriority(os.PRIO_PROCESS, first) == showing.NICENESS
        os.kill(first, signal.SIGKILL)
        await proxy.until(lambda: [pid for pid in proxy.children(MODULE) if pid != first] != [], PATIENCE_S)
        assert await _answers(proxy, url) == 401
        assert (await http.post(f"{proxy.url}/v1/messages", json=request())).status_code == 200
        (second,) = proxy.children(MODULE)
        assert await proxy.stop() == 0
        assert _gone(second)
        assert "Traceback" not in proxy.said()


async def test_it_does_not_outlive_a_proxy_that_was_killed(tmp_path: Path) -> None:
    """Where the proxy's parent is killed, the dashboard ends by itself."""
    async with StandIn() as up, Proxy(up.url, tmp_path, environ={"DASHBOARD_PORT": "0"}, dashboard=True) as proxy:
        await _answers(proxy, _told(proxy))
        (pid,) = proxy.children(MODULE)
        assert proxy.process is not None
        proxy.process.kill()
        await asyncio.to_thread(proxy.process.wait)
        await proxy.until(lambda: _gone(pid), PATIENCE_S)


async def test_a_stop_at_once_is_not_held_up(tmp_path: Path) -> None:
    """A proxy that is stopped while its dashboard is still starting stops as fast as without one, by Ctrl-C as well."""
    async with StandIn() as up, Proxy(up.url, tmp_path, environ={"DASHBOARD_PORT": "0"}, dashboard=True) as proxy:
        assert proxy.process is not None
        await proxy.until(lambda: proxy.children(MODULE) != [])
        (pid,) = proxy.children(MODULE)
        os.killpg(proxy.process.pid, signal.SIGINT)
        assert await asyncio.to_thread(proxy.process.wait, 20) == 0
        assert _gone(pid)
        assert "Traceback" not in proxy.said()


async def test_a_busy_port_is_a_warning(tmp_path: Path) -> None:
    """Where the dashboard's port is taken, the banner says so and what to do, and the proxy serves without one."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        environ = {"DASHBOARD_PORT": str(port)}
        async with StandIn() as up, Proxy(up.url, tmp_path, environ=environ, dashboard=True) as proxy:
            off = f"  dashboard     off: port {port} on 127.0.0.1 is in use; stop what uses it, or choose another with DASHBOARD_PORT\n"
            assert off in proxy.said()
            assert (await proxy.health())["status"] == "healthy"
            assert proxy.children(MODULE) == []
        assert refusal("dashboard", "--port", port)[0] == 1
        command = [sys.executable, "-m", "dashboards"]
        process = await asyncio.create_subprocess_exec(
            *command, env=isolated_environment(tmp_path, environ), cwd=tmp_path, stderr=asyncio.subprocess.PIPE
        )
        _, said = await process.communicate()
        assert process.returncode == 78
        assert said.decode().startswith(f"ccproxy: the dashboard cannot listen on 127.0.0.1 port {port}: ")


@pytest.mark.parametrize(("arguments", "environ"), [(["--no-dashboard"], {}), ([], {"DASHBOARD_ENABLED": "false"})])
async def test_there_need_be_none(tmp_path: Path, arguments: list[str], environ: dict[str, str]) -> None:
    """With --no-dashboard, or the setting, none is started, and the banner speaks of none."""
    async with StandIn() as up, Proxy(up.url, tmp_path, *arguments, environ=environ, dashboard=True) as proxy:
        assert (await proxy.health())["status"] == "healthy"
        assert proxy.children(MODULE) == []
        assert "dashboard" not in proxy.said()


def test_without_the_extra_the_banner_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where its libraries are not installed, nothing is started, and the line says which command brings them."""
    monkeypatch.setattr(showing, "NEEDED", ("panel", "no_such_library"))
    assert showing.prepare(load(environ={})) == showing.Prepared("not installed: pip install 'ccproxy[dashboard]'")
    assert refusal("dashboard") == (1, "the dashboard is not installed: pip install 'ccproxy[dashboard]'")


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        ({"AUTH_ENABLED": "true", "AUTH_TOKEN": "t"}, f"http://localhost:{{}}{ALONE}"),
        ({"TRUST_PROXY": "true"}, f"http://localhost:{{}}{ALONE}"),
        ({"AUTH_ENABLED": "true", "AUTH_TOKEN": "t", "DASHBOARD_PASSWORD": "p"}, "http://localhost:{}"),
    ],
)  # fmt: skip
def test_beyond_this_machine_only_with_a_password(environ: dict[str, str], line: str) -> None:
    """A proxy that other machines reach has a dashboard that they do not reach, unless it has a password; the line says so."""
    settings = load(environ={"SERVER_HOST": "0.0.0.0", "DASHBOARD_PORT": "0", **environ})
    told = showing.prepare(settings).line
    assert re.sub(r":\d+", ":{}", told) == line


async def test_a_folder_of_that_name_is_not_ours(tmp_path: Path) -> None:
    """A package `dashboards` in the folder where the proxy was started is not what is run."""
    (tmp_path / "dashboards").mkdir()
    (tmp_path / "dashboards" / "__main__.py").write_text("import pathlib; pathlib.Path('ran').touch()\n")
    async with StandIn() as up, Proxy(up.url, tmp_path, environ={"DASHBOARD_PORT": "0"}, dashboard=True) as proxy:
        assert await _answers(proxy, _told(proxy)) == 200
        assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_runs_alone(tmp_path: Path, number: int) -> None:
    """`ccproxy dashboard` says where it is, answers, and ends well at a signal."""
    async with started("dashboard", "--port", "0", "--db", str(tmp_path / "x.db"), home=tmp_path) as process:
        found = re.search(r"http://\S+", await line(process.stderr))
        assert found
        async with asyncio.timeout(PATIENCE_S):
            while await asyncio.to_thread(_asked, found[0]) is None:  # noqa: ASYNC110 (what is waited for knows nothing of events)
                await asyncio.sleep(0.05)
        os.killpg(process.pid, number)
        assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0
        assert not (tmp_path / "x.db").exists()
