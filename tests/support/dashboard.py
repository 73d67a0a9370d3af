"""A running dashboard for tests, as a process of its own on a loopback port, and Debian's Chromium to look at it.

Refuses to know pages.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
START_S = 40.0


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(
    store: Path | str, home: Path, environ: Mapping[str, str] | None = None, *, plain: bool = False
) -> Iterator[str]:
    """Run the dashboard over a store; yield its base URL. `plain` runs it as `panel serve dashboards` does."""
    home.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [sys.executable, "-m", "dashboards"]
    if plain:
        folder = Path(__file__).resolve().parents[2] / "dashboards"
        command = [sys.executable, "-m", "panel", "serve", str(folder), "--port", str(port), "--address", "127.0.0.1"]
    place = {"DB_PATH": str(store)} if isinstance(store, Path) else {"DB_TYPE": "postgres", "DATABASE_URL": store}
    variables = {
        "PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "DASHBOARD_PORT": str(port), "PYTHONUNBUFFERED": "1",
        "PORT": str(free_port()), **place, **(environ or {}),
    }  # fmt: skip
    log = home / f"dashboard-{port}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=variables, cwd=home, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    url = f"http://127.0.0.1:{port}/" + ("dashboards" if plain else "")
    try:
        _wait(process, url, log)
        yield url
    finally:
        process.terminate()
        process.wait(20)


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    last = time.monotonic() + START_S
    while time.monotonic() < last:
        assert process.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(url, timeout=START_S).close()
            return
        except urllib.error.HTTPError:
            return  # it is there, and wants its password
        except OSError:
            time.sleep(0.1)
    raise AssertionError(log.read_text())
