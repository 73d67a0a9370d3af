"""A browser to look at dashboards with: Debian's Chromium, driven by Playwright, and the demo to look at.

Each tab that a test opens is watched: a request that leaves the machine, an error in a script and a complaint on the console make
the test fail. How a tab looked at the end is kept in CCPROXY_SCREENSHOTS, where that is set. Refuses to know pages.
"""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.dashboard import ARGUMENTS, CHROMIUM

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")

Open = Callable[..., Any]
LOCAL = ("http://127.0.0.1", "http://localhost", "ws://127.0.0.1", "ws://localhost", "data:", "blob:")
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Give a browser. It ends with the module: its loop runs in our thread, where asynchronous tests want one of their own."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


def _keep(context: Any, name: str) -> None:
    """Keep a picture of how a tab looked at last, where CCPROXY_SCREENSHOTS names a folder for it."""
    folder = os.environ.get("CCPROXY_SCREENSHOTS")
    for page in context.pages if folder else ():
        page.screenshot(path=f"{folder}/{re.sub(r'[^A-Za-z0-9._-]+', '-', name)[:120]}.png")


@pytest.fixture
def tab(browser: Any, request: pytest.FixtureRequest) -> Iterator[Open]:
    """Give a function that opens a URL in a tab of its own; its keywords are those of a browser's context."""
    troubles: list[str] = []
    contexts = []

    def open_(url: str, **options: Any) -> Any:
        """Open it."""
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("request", lambda asked: asked.url.startswith(LOCAL) or troubles.append(f"it asked {asked.url}"))
        page.on("websocket", lambda socket: socket.url.startswith(LOCAL) or troubles.append(f"it asked {socket.url}"))
        page.on("pageerror", lambda error: troubles.append(f"a script failed: {error}"))
        page.on("console", lambda said: said.type == "error" and troubles.append(f"the console says: {said.text}"))
        page.goto(url)
        return page

    open_.troubles = troubles  # type: ignore[attr-defined]  # for a test that wants one
    yield open_
    for number, context in enumerate(contexts):
        _keep(context, f"{request.node.name}-{number}")
        context.close()
    assert troubles == []


@pytest.fixture(scope="session")
def demo_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the demo's store, which is made once for all workers; only for reading."""
    folder = tmp_path_factory.getbasetemp().parent
    path = folder / "demo" / "demo.db"
    with (folder / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            script = "import sys; from pathlib import Path; import ccproxy.demo as d; d.make(Path(sys.argv[1]))"
            fresh = path.with_name("making.db")
            subprocess.run([sys.executable, "-c", script, str(fresh)], check=True)
            fresh.rename(path)
    return path
