"""The page of sessions in a browser: on the demo, on a thousand messages, and on captures that are hostile in every place."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest

from tests.support import hostile
from tests.support.dashboard import running

Open = Callable[..., Any]
ROW, STEP = "tr[data-href]", "article.step"
WITH_AGENTS = "What would an import from other tools take"
COMPACTED = "Filters for the arrivals table"
_FILL = """
import contextlib, sys
from pathlib import Path
from ccproxy.stores.sqlite import SqliteStore
from tests.support import hostile, talks
from tests.support.entries import fill

def long():
    asked = [talks.text("begin")]
    for number in range(500):
        said = [talks.text("word " * 80), talks.use(number, "Bash", {"command": "make test", "description": "Run it"})]
        yield asked, said
        asked = [talks.came(number, "line of output " * 60)]

made = hostile.exchanges() if sys.argv[2] == "hostile" else talks.talk(list(long()), "long")
with contextlib.closing(SqliteStore(Path(sys.argv[1]), write=True)) as store:
    fill(store, made)
"""


def _made(path: Path, what: str) -> Path:
    """Return a store that another process has made."""
    root = Path(__file__).resolve().parents[3]
    subprocess.run([sys.executable, "-c", _FILL, str(path), what], check=True, cwd=root)
    return path


@pytest.fixture(scope="module")
def demo(demo_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the dashboard over the demo."""
    with running(demo_store, tmp_path_factory.mktemp("demo")) as url:
        yield url


@pytest.fixture(scope="module")
def dangerous(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the dashboard over hostile captures."""
    home = tmp_path_factory.mktemp("hostile")
    with running(_made(home / "hostile.db", "hostile"), home) as url:
        yield url


def _session(tab: Open, url: str, title: str, **options: Any) -> Any:
    """Open a session of the list by its title."""
    page = tab(f"{url}?page=sessions", **options)
    page.get_by_role("link", name=title).first.click()
    page.locator(STEP).first.wait_for()
    return page


def test_the_list_leads_to_a_session_and_back(tab: Open, demo: str) -> None:
    """A row opens its session, its address can be opened again, and Escape leads back to the list."""
    page = tab(f"{demo}?page=sessions")
    page.get_by_text("39 sessions").first.wait_for()
    row = page.locator(ROW).filter(has_text=COMPACTED)
    row.locator("td").nth(4).click()
    page.locator("h1", has_text=COMPACTED).wait_for()
    again = tab(page.url)
    again.locator("h1", has_text=COMPACTED).wait_for()
    page.keyboard.press("Escape")
    page.locator(ROW).first.wait_for()
    assert "item=" not in page.url


def test_the_list_is_searched_and_sorted(tab: Open, demo: str) -> None:
    """What is typed is searched for, a heading sorts, and both stand in the address."""
    page = tab(f"{demo}?page=sessions")
    page.get_by_role("searchbox", name="sessions with").fill("FLAKY")
    page.keyboard.press("Enter")
    page.get_by_text("of 1 session").wait_for()
    assert page.locator(ROW).count() == 1
    page.get_by_role("link", name="all", exact=True).click()
    page.get_by_role("link", name="cost").click()
    page.locator("th[aria-sort=descending]", has_text="cost").wait_for()
    assert "sort=-cost" in page.url
    costs = [float(text.replace("$", "")) for text in page.locator(f"{ROW} td:nth-child(12) .n").all_inner_texts()]
    assert costs == sorted(costs, reverse=True)


def test_an_agent_opens_within_its_call(tab: Open, demo: str) -> None:
    """An agent's thread comes when it is opened, agents of its own included, and its figures stand in the same columns."""
    page = _session(tab, demo, WITH_AGENTS)
    steps = page.locator(STEP).count()
    page.locator("details.agent > summary").first.click()
    page.locator("details.agent .nest article.step").first.wait_for()
    assert page.locator(STEP).count() > steps
    page.locator("details.agent details.agent > summary").click()
    page.locator("details.agent details.agent article.step").first.wait_for()
    edges = {
        round(box["x"] + box["width"])
        for box in (figure.bounding_box() for figure in page.locator("a.figs").all())
        if box
    }
    assert len(edges) == 1


def test_what_happened_is_marked_in_its_place(tab: Open, demo: str) -> None:
    """A compaction, what it dropped, lost cache and a request that was paid twice stand where they happened."""
    page = _session(tab, demo, COMPACTED)
    text = page.locator(".steps").inner_text()
    places = [
        text.index(words) for words in ("cache missed", "↯ compaction", "begins anew with the summary", "paid twice")
    ]
    assert places == sorted(places)
    assert page.locator(".track > a.at.compaction").count() == 1


def test_the_time_line_leads_to_the_exchange(tab: Open, demo: str) -> None:
    """A click on the time line brings the step of its exchange into sight."""
    page = _session(tab, demo, COMPACTED)
    page.locator(".track > a.answering").last.click()
    here = page.locator("[data-here]")
    here.wait_for()
    page.wait_for_function("() => window.scrollY > 0")
    assert here.bounding_box()["y"] < 900


def test_texts_are_copied_and_saved_whole(tab: Open, demo: str) -> None:
    """A text that is cut comes whole with `show all`, and then is copied and saved as it was captured."""
    page = tab(f"{demo}?page=sessions&find=stuck+since", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("link", name="The import has been stuck").first.click()
    call = page.locator("details.call").filter(has_text="limit 900").first
    call.locator("> summary").click()
    note = call.locator(".rest .quiet").first.inner_text()
    whole = int(re.findall(r"[\d,]+", note)[1].replace(",", ""))
    call.get_by_role("button", name="show all").first.click()
    call.locator(".rest").wait_for(state="detached")
    call.locator(".acts").first.hover()
    call.get_by_role("button", name="copy").first.click()
    call.get_by_role("button", name="copied").wait_for()
    copied = page.evaluate("() => navigator.clipboard.readText()")
    assert len(copied) == whole
    with page.expect_download() as arriving:
        call.get_by_role("button", name="save").first.click()
    assert Path(arriving.value.path()).read_text("utf-8") == copied


def test_calls_unfold_by_keyboard_and_all_at_once(tab: Open, demo: str) -> None:
    """A call opens with Enter, and one link opens all of them; that is in the address."""
    page = _session(tab, demo, COMPACTED)
    summary = page.locator("details.call:not([open]) > summary").first
    summary.focus()
    page.keyboard.press("Enter")
    page.locator("details.call[open]").first.wait_for()
    page.get_by_role("link", name="unfold calls").click()
    page.get_by_role("link", name="fold calls", exact=True).wait_for()
    assert page.locator("details.call:not([open])").count() == 0
    assert "unfold=all" in page.url


@pytest.mark.parametrize("width", [1280, 1920])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_at_most_ninety_characters_wide(tab: Open, demo: str, width: int, scheme: str) -> None:
    """In both themes and at both widths nothing is wider than the window, and text is no wider than 90 characters."""
    page = _session(tab, demo, COMPACTED, viewport={"width": width, "height": 900}, color_scheme=scheme)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    measured = page.locator(".what").first.evaluate(
        "node => { const probe = document.createElement('span'); probe.textContent = '0'.repeat(90); node.append(probe);"
        " const most = probe.getBoundingClientRect().width; probe.remove(); return [node.clientWidth, most]; }"
    )
    assert measured[0] <= measured[1] + 1


def test_a_thousand_messages_can_be_read(tab: Open, tmp_path: Path) -> None:
    """A session of 1,000 messages comes in pieces, and its end can be gone to."""
    with running(_made(tmp_path / "long.db", "long"), tmp_path / "home") as url:
        page = tab(f"{url}?page=sessions&item=long")
        page.get_by_role("link", name="to the end").click()
        page.get_by_text("steps 401 to 501 of 501").first.wait_for()


def test_nothing_that_was_captured_runs(tab: Open, dangerous: str) -> None:
    """With hostile content in every place, in every session, part and agent, no script runs, nothing is asked and nothing opens."""
    dialogs: list[str] = []
    for search in ("", f"&item={quote_plus(hostile.SESSION)}&unfold=all", f"&item={quote_plus(hostile.OTHER)}"):
        page = tab(f"{dangerous}?page=sessions{search}")
        page.on("dialog", lambda dialog: dialogs.append(dialog.message))
        page.locator(f"{STEP}, {ROW}").first.wait_for()
        _open_everything(page)
        assert page.evaluate("() => window.xss") is None
        assert page.evaluate(_STRANGERS) == []
    assert dialogs == []


def _open_everything(page: Any) -> None:
    """Open all that is folded and fetch all that comes later, until nothing is left."""
    for _ in range(20):
        waiting = page.locator("details:not([open]) > summary:visible, [data-fetch]:is(button):visible")
        if not waiting.count():
            return
        with contextlib.suppress(Exception):  # it went as another part came in its place
            waiting.first.click(timeout=2000)
        page.evaluate(_OPEN)


_DEEP = "const deep = tree => [...tree.querySelectorAll('*')].flatMap(node => [node, ...(node.shadowRoot ? deep(node.shadowRoot) : [])]);"
_OPEN = (
    f"() => {{ {_DEEP}"
    " for (const node of deep(document)) if (node.matches('details:not([open]):not([data-fetch])')) node.open = true;"
    " for (const node of deep(document)) if (node.matches('button[data-fetch], details[data-fetch] > summary')) node.click(); }"
)
# Elements that no page of ours has, and handlers of events in attributes.
_STRANGERS = (
    f"() => {{ {_DEEP}"
    " const ours = node => node.matches('link[rel=stylesheet][href^=static]');"
    " const stranger = node => node.matches('script, iframe, object, embed, svg, base, link, meta, form[action]') && !ours(node);"
    " const handles = node => [...node.attributes].some(item => item.name.startsWith('on'));"
    " const leads = node => node.matches('a[href]') && !node.getAttribute('href').startsWith('?');"
    " return deep(document.getElementById('main')).filter(node => stranger(node) || handles(node) || leads(node))"
    ".map(node => node.outerHTML.slice(0, 200)); }"
)
