"""The pages of figures in a browser: tokens, cache, context, latency and tools, on the demo and on captures that are hostile."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ccproxy.stores.sqlite import SqliteStore
from tests.support import hostile
from tests.support.dashboard import running
from tests.support.entries import fill

Open = Callable[..., Any]
PAGES = ("tokens", "cache", "context", "latency", "tools")
LEFT, RIGHT = 68, 8  # of a chart, beside what is drawn
TIP = ".bk-Tooltip"


@pytest.fixture(scope="module")
def demo(demo_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the dashboard over the demo."""
    with running(demo_store, tmp_path_factory.mktemp("demo")) as url:
        yield url


@pytest.fixture(scope="module")
def dangerous(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the dashboard over hostile captures."""
    home = tmp_path_factory.mktemp("hostile")
    with contextlib.closing(SqliteStore(home / "hostile.db", write=True)) as store:
        fill(store, hostile.exchanges())
    with running(home / "hostile.db", home) as url:
        yield url


def _open(tab: Open, url: str, search: str, **options: Any) -> Any:
    """Open a page of figures, and wait until its charts are drawn."""
    page = tab(f"{url}?page={search}", **options)
    page.locator("canvas").first.wait_for()
    return page


def _spot(page: Any, share: float, chart: int = 0) -> tuple[float, float]:
    """Return where a chart is pointed at, at this share of its width."""
    box = page.locator(".bk-Figure").nth(chart).bounding_box()
    inner = box["width"] - LEFT - RIGHT
    return box["x"] + LEFT + inner * share, box["y"] + box["height"] / 2


def _chosen(theme: str) -> dict[str, Any]:
    """Return a browser's memory in which this theme was chosen."""
    cookie = {
        "name": "ccproxy-theme",
        "value": theme,
        "domain": "127.0.0.1",
        "path": "/",
        "expires": -1,
        "httpOnly": False,
    }
    return {"cookies": [{**cookie, "secure": False, "sameSite": "Strict"}], "origins": []}


def _figures(page: Any) -> str:
    return str(page.locator(".figures, .pick").first.inner_text())


@pytest.mark.parametrize("width", [1280, 1920])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_the_window(tab: Open, demo: str, name: str, theme: str, width: int) -> None:
    """In both themes and at both widths nothing stands out to the right, and no table is cut."""
    page = _open(tab, demo, name, viewport={"width": width, "height": 900}, color_scheme=theme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for part in page.locator(".scroll, .breaks").all():
        assert part.evaluate("part => part.scrollWidth - part.clientWidth") <= 0


def test_a_bar_tells_its_figures_in_both_themes(tab: Open, demo: str) -> None:
    """Anywhere above a day its figures are told, each with its unit, on the ground of the theme."""
    for theme, ground in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(29, 32, 35)")):
        page = _open(tab, demo, "tokens", storage_state=_chosen(theme))
        page.mouse.move(*_spot(page, 0.5))
        tip = page.locator(TIP)
        tip.wait_for()
        words = tip.locator(".bk-tooltip-content").inner_text()
        assert "Nov 2026" in words
        assert "cache read" in words
        assert "tokens" in words
        assert tip.evaluate("tip => getComputedStyle(tip).backgroundColor") == ground


def test_a_click_on_a_day_shows_that_day(tab: Open, demo: str) -> None:
    """A click on a bar sets the range to its day, by hours then; back leads back."""
    page = _open(tab, demo, "tokens&by=model")
    before = _figures(page)
    page.mouse.click(*_spot(page, 0.5))
    page.wait_for_url("**range=2026-11-0*")
    assert "by=model" in page.url
    page.get_by_role("heading", name="Tokens by hour").wait_for()
    assert _figures(page) != before
    page.go_back()
    page.get_by_role("heading", name="Tokens by day").wait_for()
    assert _figures(page) == before


def test_a_budget_is_drawn_and_kept(tab: Open, demo: str) -> None:
    """A budget that is typed in counts the days over it, and stands in the address."""
    page = _open(tab, demo, "tokens")
    page.get_by_label("budget, dollars a day").fill("0.5")
    page.get_by_label("budget, dollars a day").press("Enter")
    page.get_by_text("over on").wait_for()
    assert "budget=0.5" in page.url
    page.get_by_role("link", name="by project").click()
    page.wait_for_url("**by=project*")
    assert "budget=0.5" in page.url


def test_a_tab_leaves_the_eye_where_it_is(tab: Open, demo: str) -> None:
    """Another tab of a table changes the table; what is looked at stays where it was."""
    page = _open(tab, demo, "tokens", viewport={"width": 1280, "height": 500})
    link = page.get_by_role("link", name="by project")
    link.scroll_into_view_if_needed()
    page.evaluate("scrollBy(0, 200)")
    before = page.evaluate("scrollY")
    assert before > 0
    link.evaluate("link => link.click()")
    page.locator("td a", has_text="lantern").wait_for()
    assert page.evaluate("scrollY") == before


def test_a_table_is_downloaded(tab: Open, demo: str) -> None:
    """The table of a tab is fetched as CSV, with a row for each that is shown."""
    page = _open(tab, demo, "tokens&by=project")
    page.locator("td a", has_text="lantern").wait_for()
    with page.expect_download() as found:
        page.get_by_role("button", name="CSV").first.click()
    text = Path(found.value.path()).read_text("utf-8")
    assert found.value.suggested_filename.startswith("ccproxy-tokens-by-project")
    assert text.startswith("key,")
    assert "lantern" in text


def test_a_break_unfolds_to_what_differed(tab: Open, demo: str) -> None:
    """A cause leads to its breaks, each unfolds by keyboard to what was and what is now, and leads to the comparison."""
    page = _open(tab, demo, "cache")
    page.get_by_role("link", name="system prompt changed").click()
    page.wait_for_url("**cause=system_changed*")
    page.get_by_role("heading", name="System prompt changed").wait_for()
    fold = page.locator(".breaks summary").first
    fold.focus()
    page.keyboard.press("Enter")
    page.locator(".breaks pre.now").first.wait_for()
    page.get_by_role("link", name="compare with the request before").click()
    page.wait_for_url("**with=*")
    assert "page=exchanges" in page.url


def test_a_turn_is_chosen_in_the_chart(tab: Open, demo: str) -> None:
    """A click on a turn shows what it held, arrows go from turn to turn, and another session begins at its own."""
    page = _open(tab, demo, "context")
    page.mouse.click(*_spot(page, 0.5))
    page.wait_for_url("**turn=*")
    turn = int(page.url.rpartition("turn=")[2])
    page.get_by_role("heading", name=f"Turn {turn} of").wait_for()
    page.get_by_role("link", name="the next turn").click()
    page.get_by_role("heading", name=f"Turn {turn + 1} of").wait_for()
    chosen = page.get_by_label("session", exact=True)
    other = chosen.locator("option").nth(2).get_attribute("value")
    chosen.select_option(other)
    page.wait_for_url(f"**session={other}*")
    page.get_by_role("heading", name=re.compile(r"^Turn \d")).wait_for()


def test_latency_shows_where_the_time_went(tab: Open, demo: str) -> None:
    """The ledger leads to its sessions, and errors to theirs."""
    page = _open(tab, demo, "latency")
    assert page.locator("td.bars .stack").count() == 12
    page.get_by_role("link", name="529 overloaded_error").click()
    page.wait_for_url("**status=529*")
    assert "page=exchanges" in page.url


def test_tools_lead_down_to_the_exchange(tab: Open, demo: str) -> None:
    """A tool leads to its calls, and a call, by keyboard, to its exchange; Esc leads out of it."""
    page = _open(tab, demo, "tools")
    page.get_by_role("link", name="Bash", exact=True).first.click()
    page.wait_for_url("**tool=Bash*")
    row = page.locator("tr[data-href]").first
    row.wait_for()
    page.get_by_role("link", name="on the wire").click()
    page.wait_for_url("**sort=duration*")
    row = page.locator("tr[data-href]").first
    row.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**item=*")
    assert "page=exchanges" in page.url


@pytest.mark.parametrize(
    "name", [*PAGES, "tokens&by=agent", "tokens&by=tool", "tokens&by=session", "tools&server=built+in"]
)
def test_nothing_that_was_captured_runs(tab: Open, dangerous: str, name: str) -> None:
    """With hostile content in every place no script runs, nothing is asked and nothing opens, wherever the pointer is."""
    page = tab(f"{dangerous}?page={name}")
    page.locator("table").first.wait_for()
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    for fold in page.locator("details").all():
        fold.evaluate("fold => { fold.open = true; }")
    for chart in range(page.locator(".bk-Figure").count()):
        for share in (0.05, 0.5, 0.95):
            page.mouse.move(*_spot(page, share, chart))
    assert page.evaluate("() => window.xss") is None
    assert dialogs == []
