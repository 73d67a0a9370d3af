"""Routing in a browser: from the list to where a request went, both requests taken away whole, and who answered in a session."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ccproxy.stores.sqlite import SqliteStore
from tests.support import routed
from tests.support.dashboard import running
from tests.support.routed import SESSION, id_of

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the dashboard over a session in which agents are answered by others."""
    folder = tmp_path_factory.mktemp("routed")
    with contextlib.closing(SqliteStore(folder / "requests.db", write=True)) as store:
        routed.fill(store)
    with running(folder / "requests.db", folder) as url:
        yield url


def test_a_badge_leads_to_where_a_request_went(tab: Open, elsewhere: str) -> None:
    """The list marks what was routed; in the exchange the badge opens the tab that tells all of it."""
    page = tab(f"{elsewhere}?page=exchanges&agent=code-reviewer")
    page.locator(".list .badge", has_text="opus-4-5 → gpt-4o").first.click()
    page.locator("h1 a.badge", has_text="routed").click()
    page.get_by_text("by the call that started it").wait_for()
    assert page.locator("li", has_text="it was left out <b>").count() == 1
    page.get_by_role("link", name="what the provider sent").click()
    page.get_by_role("heading", name="Response, as openai sent it").wait_for()


def test_both_requests_are_taken_away_whole(tab: Open, elsewhere: str) -> None:
    """What is copied and downloaded of either is all of it, to the byte."""
    page = tab(
        f"{elsewhere}?page=exchanges&item={id_of(103)}&tab=routing", permissions=["clipboard-read", "clipboard-write"]
    )
    exchange = routed.by_number()[103]
    for name, exact, place in (
        ("copy the request", exchange.captured.request, 0),
        ("copy what went up", exchange.sent, 1),
    ):
        page.get_by_role("button", name=name).click()
        page.get_by_role("button", name="copied").wait_for()
        assert page.evaluate("() => navigator.clipboard.readText()").encode() == exact
        page.get_by_role("button", name="copied").wait_for(state="detached")
        with page.expect_download() as arriving:
            page.get_by_role("button", name="download its exact bytes").nth(place).click()
        assert Path(arriving.value.path()).read_bytes() == exact


@pytest.mark.parametrize("width", [1600, 1280, 720])
def test_both_requests_fit_on_the_page(tab: Open, elsewhere: str, width: int) -> None:
    """They stand beside each other where there is room, else below each other, and the page is never wider than the window."""
    page = tab(f"{elsewhere}?page=exchanges&item={id_of(104)}&tab=routing", viewport={"width": width, "height": 900})
    ours, theirs = (
        page.get_by_role("heading", name=name) for name in ("What the client sent", "What went up to openrouter")
    )
    theirs.wait_for()
    here, there = ours.bounding_box(), theirs.bounding_box()
    assert (here["y"] == there["y"]) == (width > 1000)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    page.goto(f"{elsewhere}?page=tokens")
    page.get_by_role("heading", name="Routing").wait_for()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width


def test_an_agent_unfolds_under_its_name(tab: Open, elsewhere: str) -> None:
    """A session shows each agent by its name with who answered it; what it said comes when it is unfolded."""
    page = tab(f"{elsewhere}?page=sessions&item={SESSION}")
    agent = page.locator("details.agent", has_text="code-reviewer")
    agent.locator(".badge", has_text="→ gpt-4o").wait_for()
    agent.locator("summary").first.click()
    agent.get_by_text("It <b>is</b> fine.").wait_for()
