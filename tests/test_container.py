"""The container image, as far as it can be held without building it: what it sets, runs and asks."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import analysis
from ccproxy.settings import SETTINGS
from tests.support.proxy import Proxy, isolated_environment
from tests.support.standin import StandIn

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "Dockerfile").read_text()
INSTRUCTIONS = [line.split(maxsplit=1) for line in TEXT.splitlines() if line and not line.startswith("#")]
FINAL = INSTRUCTIONS[max(at for at, (name, *_) in enumerate(INSTRUCTIONS) if name == "FROM") :]
ENVIRONMENT = dict(rest.split("=", 1) for name, rest in FINAL if name == "ENV")


def _last(name: str) -> str:
    return [rest for found, rest in FINAL if found == name][-1]


def test_it_runs_as_nobody_special_with_its_data_in_a_volume() -> None:
    """The process is not root's, captures survive the container, and what is set are settings that there are."""
    assert _last("USER") == "ccproxy"
    assert _last("VOLUME") == "/data"
    assert Path(ENVIRONMENT["DB_PATH"]).parent == Path("/data")
    assert set(ENVIRONMENT) - {"PATH", "PYTHONUNBUFFERED"} <= {row.env for row in SETTINGS}


def test_all_that_is_copied_is_there() -> None:
    """Every file that the image is built of exists, and is not kept out of the build."""
    let_in = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    copied = [rest.split()[:-1] for name, rest in INSTRUCTIONS if name == "COPY" and "--from" not in rest]
    for source in [source for sources in copied for source in sources]:
        assert (ROOT / source).exists()
        assert source in let_in


def test_it_has_everything_and_says_which_ports() -> None:
    """The image holds all extras, the dashboard among them, and its two ports are those that it is told to listen on."""
    assert any(name == "RUN" and "'.[all]'" in rest for name, rest in INSTRUCTIONS)
    assert _last("EXPOSE").split() == [ENVIRONMENT["PORT"], ENVIRONMENT["DASHBOARD_PORT"]]


def test_its_dashboard_is_reached_with_a_password_alone() -> None:
    """With the image's environment the dashboard leaves the container where it has a password, and the proxy's guard does not do."""
    for guard in ({"TRUST_PROXY": "true"}, {"AUTH_ENABLED": "true", "AUTH_TOKEN": "t"}):
        found = analysis.configuration({**ENVIRONMENT, **guard})
        assert (found.dashboard_host, found.confined) == ("127.0.0.1", True)
        found = analysis.configuration({**ENVIRONMENT, **guard, "DASHBOARD_PASSWORD": "p"})
        assert (found.dashboard_host, found.confined) == ("0.0.0.0", False)


def test_without_a_guard_it_says_what_to_set(tmp_path: Path) -> None:
    """With the image's own environment and nothing else, the start is refused with the sentence that helps."""
    environ = isolated_environment(
        tmp_path, {**ENVIRONMENT, "PATH": os.environ["PATH"], "DB_PATH": str(tmp_path / "x")}
    )
    command = [sys.executable, "-m", *json.loads(_last("CMD"))]
    done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "TRUST_PROXY=true" in done.stderr) == (2, True)


async def test_its_health_check_tells_a_running_proxy_from_none(tmp_path: Path) -> None:
    """The image's own command for its health is content with a proxy that serves, and not with one that has stopped."""
    command = [sys.executable, *json.loads(_last("HEALTHCHECK").partition("CMD ")[2])[1:]]
    async with StandIn([]) as up, Proxy(up.url, tmp_path) as proxy:
        environ = {**isolated_environment(tmp_path), "PORT": str(proxy.port)}
        assert await _code(command, environ) == 0
        await proxy.stop()
        assert await _code(command, environ) != 0


async def _code(command: list[str], environ: dict[str, str]) -> int:
    null = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, env=environ, stderr=null)
    return await process.wait()
