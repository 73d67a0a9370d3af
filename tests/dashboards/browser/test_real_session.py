"""A session of the real Claude Code on every page: nothing fails, and its thread is what the client and the provider said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dashboards.state import PAGES
from tests.support.claude_code import claude_or_skip, run_claude
from tests.support.claude_script import FINAL_TEXT, claude_script
from tests.support.dashboard import running
from tests.support.proxy import Proxy
from tests.support.standin import StandIn

pytestmark = pytest.mark.client
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")

Open = Callable[..., Any]
MADE = "() => window.Bokeh && /^[A-Z].* · ccproxy$/.test(document.title) && !document.getElementById('main').classList.contains('waiting')"


async def _captured(folder: Path) -> dict[str, Any]:
    """Run a session with a subagent through a proxy; return what the client told of it."""
    async with StandIn(claude_script(turns=4, subagent="general-purpose")) as up, Proxy(up.url, folder) as proxy:
        home = folder / "home"
        home.mkdir()
        hints = {"CLAUDE_CODE_GATEWAY_HINT_HEADERS": "1"}
        result = await run_claude("Do the steps.", proxy.url, home, hints, timeout=90)
        await proxy.ended(sum(request.path.startswith("/v1/") for request in up.requests))
        await proxy.stop()
        return result


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give a dashboard over the capture, and the client's result."""
    claude_or_skip()
    folder = tmp_path_factory.mktemp("real")
    with ThreadPoolExecutor(1) as pool:  # the browser's loop may run in this thread
        result = pool.submit(asyncio.run, _captured(folder)).result()
    with running(folder / "requests.db", tmp_path_factory.mktemp("home")) as url:
        yield url, result


def test_every_page_shows_a_real_session(session: tuple[str, dict[str, Any]], tab: Open) -> None:
    """Each page is made, without trouble, from what a real client sent."""
    url, result = session
    page = tab(url)
    for name in [*PAGES, f"sessions&item={result['session_id']}"]:
        page.goto(f"{url}?page={name}")
        page.wait_for_function(MADE)
        assert page.locator("text=This cannot be shown").count() == 0, name


def test_its_thread_is_the_session(session: tuple[str, dict[str, Any]], tab: Open) -> None:
    """The thread has the prompt, the calls, the agent and the last words."""
    url, result = session
    page = tab(f"{url}?page=sessions&item={result['session_id']}")
    page.wait_for_function(MADE)
    for said in ("Do the steps.", "general-purpose", FINAL_TEXT):
        page.locator(f"text={said}").first.wait_for()
