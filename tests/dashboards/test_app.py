"""A tab without a browser: it shows what its address asks for, the last one counts, and it lets go of what it held."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import panel as pn
import pytest

import analysis
from dashboards import app
from dashboards.app import Tab, document
from dashboards.data import Data, TroubleError
from dashboards.live import Live
from dashboards.pages import PAGES
from dashboards.view import View


@pytest.fixture
def tab(handmade_data: Data) -> Tab:
    """Give a tab that has shown nothing yet."""
    return Tab(handmade_data, Live(analysis.configuration({})), "?page=setup", dark=False)


def _marking(monkeypatch: pytest.MonkeyPatch, name: str, make: Any) -> None:
    monkeypatch.setitem(PAGES, name, make)


def test_a_tab_shows_its_address(tab: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page is made for the address, again for another or for the other theme, and not for the same."""
    seen: list[tuple[str, bool]] = []
    for name in ("setup", "tools"):
        _marking(monkeypatch, name, lambda view: seen.append((view.route.page, view.dark)) or [])
    tab.show()
    tab.show()
    tab.route.value = "?page=tools"
    tab.theme.value = "dark"
    assert seen == [("setup", False), ("tools", False), ("tools", True)]
    assert tab.done.value == "3 Tools · ccproxy"


def test_what_a_look_held_is_let_go(tab: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the next address, and with the tab, a look ends: what it had begun is told so, once."""
    ended: list[str] = []
    looks: list[View] = []

    def page(view: View) -> list[pn.viewable.Viewable]:
        looks.append(view)
        view.leaving.append(lambda: ended.append(view.route.page))
        return []

    for name in ("setup", "tools"):
        _marking(monkeypatch, name, page)
    tab.show()
    tab.route.value = "?page=tools"
    assert (ended, [look.shown for look in looks]) == (["setup"], [False, True])
    tab.end(None)
    tab.end(None)
    assert ended == ["setup", "tools"]


def test_the_last_address_counts(tab: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes while a page is being made does not wait; the page that is made last is that of the last address."""
    making, going_on = threading.Event(), threading.Event()
    seen: list[str] = []

    def page(view: View) -> list[pn.viewable.Viewable]:
        seen.append(view.route.search())
        making.set()
        if len(seen) == 1:
            assert going_on.wait(20)
        return []

    _marking(monkeypatch, "tools", page)
    _marking(monkeypatch, "setup", page)
    thread = threading.Thread(target=tab.show)
    thread.start()
    assert making.wait(20)
    for number in range(3):
        tab.route.value = f"?page=tools&n={number}"  # returns at once
    going_on.set()
    thread.join(20)
    assert seen == ["?page=setup", "?page=tools&n=2"]
    assert tab.done.value.endswith("Tools · ccproxy")


@pytest.mark.parametrize(
    "error", [TroubleError("<b>gone</b>"), analysis.AnalysisError("<b>gone</b>"), ZeroDivisionError("secret")]
)
def test_a_pages_trouble_is_its_own(tab: Tab, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Where a page cannot be made, it says so as text, and what of an error of ours is in it stays in the log; the header stands."""

    def page(_view: View) -> list[pn.viewable.Viewable]:
        raise error

    _marking(monkeypatch, "setup", page)
    tab.show()
    (pane,) = tab.body.objects
    said = "&lt;b&gt;gone&lt;/b&gt;" if str(error) != "secret" else "The dashboard failed on this page"
    assert said in str(pane.object)
    assert "secret" not in str(pane.object)
    assert 'aria-label="pages"' in str(tab.top.object)


def test_without_captures_the_header_stands(tmp_path: Path) -> None:
    """All pages can be reached where nothing can be read."""
    data = Data(lambda: analysis.open(tmp_path / "none.db"))
    found = document(data, Live(analysis.configuration({})), "?page=setup", dark=False)
    assert isinstance(found, pn.Template)
    top = str(
        app.header(
            View(app.Route.read("?page=exchanges"), data, Live(analysis.configuration({})), app.datetime.now(app.UTC))
        )
    )
    assert all(f'href="?page={name}"' in top for name in PAGES)
