"""The whole dashboard in a browser: it asks nobody else, writes nothing, keeps its password, and finds a store that comes late.

That no request leaves the machine, and no script fails, is watched by each tab of every test here.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ccproxy.stores.sqlite import SqliteStore
from dashboards.state import PAGES
from tests.support.dashboard import running

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")

Open = Callable[..., Any]
PASSWORD = "pässword:1"
MADE = "() => window.Bokeh && /^[A-Z].* · ccproxy$/.test(document.title) && !document.getElementById('main').classList.contains('waiting')"
TROUBLE = "text=This cannot be shown"


@pytest.fixture(scope="module")
def store(demo_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the demo's store, in a folder of its own."""
    return Path(shutil.copy(demo_store, tmp_path_factory.mktemp("store") / "demo.db"))


@pytest.fixture(scope="module")
def url(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a dashboard over it."""
    with running(store, tmp_path_factory.mktemp("home")) as found:
        yield found


def _digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if not path.name.endswith("-shm")
    }


def _addresses(store: Path) -> list[str]:
    """Return every page, an exchange and a session."""
    with contextlib.closing(SqliteStore(store)) as found:
        row = found.exchanges(limit=1)[0]
    items = [f"?page=exchanges&item={row['id']}", f"?page=sessions&item={row['session_id']}"]
    return [
        *(f"?page={name}" for name in PAGES),
        *items,
        "?page=sql&q=SELECT+kind%2C+count(1)+AS+n+FROM+exchanges+GROUP+BY+1",
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_browsing_everything_asks_nobody_and_writes_nothing(store: Path, url: str, tab: Open, scheme: str) -> None:
    """All pages load, by their address and by the links of the header; the store and what stands beside it stay bit for bit the same."""
    addresses, before = _addresses(store), _digests(store.parent)
    page = tab(url, color_scheme=scheme)
    for address in addresses:
        page.goto(f"{url}{address}")
        page.wait_for_function(MADE)
        assert page.locator(TROUBLE).count() == 0, address
    for name in page.locator("nav a.page").all_inner_texts():
        page.click(f"nav a.page:has-text('{name}')")
        page.wait_for_function("name => document.title.startsWith(name)", arg=name)
        page.wait_for_function(MADE)
        assert page.locator(TROUBLE).count() == 0, name
    assert page.evaluate("() => getComputedStyle(document.body).colorScheme") == scheme
    assert _digests(store.parent) == before


@pytest.mark.parametrize("plain", [False, True], ids=["own", "panel-serve"])
def test_a_browser_with_the_password_sees_it_and_one_without_does_not(
    store: Path, tmp_path: Path, browser: Any, tab: Open, plain: bool
) -> None:
    """The page, its scripts and its web socket work once the password is given, also under plain `panel serve`."""
    with running(store, tmp_path, {"DASHBOARD_PASSWORD": PASSWORD}, plain=plain) as url:
        page = tab(f"{url}?page=exchanges", http_credentials={"username": "me", "password": PASSWORD})
        page.wait_for_selector("tr[data-href]")
        page.click("nav >> text=Set-up")
        page.wait_for_selector("text=behind its password")
        assert PASSWORD not in page.content()
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                assert PASSWORD.encode() not in path.read_bytes()
            except OSError:
                continue
        stranger = browser.new_context().new_page()
        with pytest.raises(playwright.Error, match="ERR_INVALID_AUTH_CREDENTIALS"):
            stranger.goto(url)
        stranger.context.close()


def test_plain_panel_serve_shows_the_same(store: Path, tmp_path: Path, tab: Open) -> None:
    """`panel serve dashboards` needs nothing else: pages, links and the live state work there."""
    with running(store, tmp_path, plain=True) as url:
        page = tab(f"{url}?page=exchanges")
        page.wait_for_selector("tr[data-href]")
        page.click("nav >> text=Live")
        page.wait_for_selector("text=no proxy is to be reached")


def test_a_store_that_comes_late_is_found(store: Path, tmp_path: Path, tab: Open) -> None:
    """Without a store the page says what makes one; once it is there, the same tab shows it; gone again, it says so and lives on."""
    path = tmp_path / "later" / "x.db"
    path.parent.mkdir()
    with running(path, tmp_path / "home") as url:
        page = tab(f"{url}?page=exchanges")
        page.wait_for_selector("text=there is no store at")
        shutil.copy(store, path)
        page.wait_for_timeout(600)  # a refusal is kept for half a second
        page.click("text=Try again")
        page.wait_for_selector("tr[data-href]")
        path.unlink()
        page.click("nav >> text=Tools")
        page.wait_for_function("() => document.title.startsWith('Tools')")
        page.click("nav >> text=Set-up")
        page.wait_for_selector("text=Point a client at the proxy")


def test_the_filter_bar_and_the_search_work(url: str, tab: Open) -> None:
    """A choice in the bar, and what is typed into the search, become the address; Escape and back lead back."""
    page = tab(f"{url}?page=exchanges")
    page.wait_for_selector("tr[data-href]")
    page.select_option("select[aria-label=status]", "errors")
    page.wait_for_function("() => location.search.includes('status=errors')")
    page.wait_for_function(MADE)
    page.keyboard.press("/")
    page.keyboard.type("importer")
    page.keyboard.press("Enter")
    page.wait_for_function("() => location.search.includes('text=importer')")
    page.wait_for_function(MADE)
    page.go_back()
    page.wait_for_function("() => !location.search.includes('text=')")
    page.wait_for_function(MADE)
