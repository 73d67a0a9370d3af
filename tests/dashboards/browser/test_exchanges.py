"""The page of exchanges in a browser: on the demo, on a request of 2 MB, while new ones arrive, and on hostile captures."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.support.dashboard import running

Open = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[3]
ROW, TABS = "tr[data-href]", "nav.tabs"
ALL_TABS = ("overview", "request", "response", "headers", "events", "routing", "raw", "compare")
# Everything about a store in another process: DuckDB's SQLite and ours must not open one file in one process.
_FILL = """
import contextlib, sys
from pathlib import Path
from ccproxy.ingest.memory import Memory
from ccproxy.stores.sqlite import SqliteStore
from tests.support import handmade, hostile
from tests.support.entries import captured, entry_of, exchange_id, fill

def one(number, words):
    body = {"model": "claude-haiku-4-5", "messages": [handmade.user(handmade.text(words))], "stream": True}
    made = captured(1, body, handmade.answer(1, handmade.text("yes")))
    made.id = exchange_id(number)
    return [made]

def large():
    messages = [handmade.user(handmade.text(f"{number} " + "word " * 400)) for number in range(1000)]
    body = {"model": "claude-opus-5-5", "messages": messages, "stream": True, "tools": handmade.TOOLS}
    return [captured(1, body, handmade.answer(1, handmade.text("answer " * 20_000)))]

made = {"hostile": hostile.exchanges, "large": large, "more": lambda: one(1_800_000_000_000, "the newcomer")}[sys.argv[2]]()
with contextlib.closing(SqliteStore(Path(sys.argv[1]), write=True)) as store:
    fill(store, made)
"""
_BODY = """
import sys
import analysis
with analysis.open(sys.argv[1]) as capture:
    sys.stdout.buffer.write(capture.body(sys.argv[2], sys.argv[3]))
"""


def _fill(path: Path, what: str) -> Path:
    subprocess.run([sys.executable, "-c", _FILL, str(path), what], check=True, cwd=ROOT)
    return path


def _body(store: Path, exchange: str, side: str) -> bytes:
    done = subprocess.run(
        [sys.executable, "-c", _BODY, str(store), exchange, side], check=True, cwd=ROOT, capture_output=True
    )
    return done.stdout


@pytest.fixture(scope="module")
def demo(demo_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the dashboard over the demo."""
    with running(demo_store, tmp_path_factory.mktemp("demo")) as url:
        yield url


_LARGEST = """
import sys
import analysis
with analysis.open(sys.argv[1]) as capture:
    print(capture.sql("SELECT exchange_id FROM exchanges ORDER BY request_bytes DESC LIMIT 1").item())
"""


@pytest.fixture(scope="module")
def largest(demo_store: Path) -> str:
    """Give the exchange of the demo with the largest request."""
    done = subprocess.run(
        [sys.executable, "-c", _LARGEST, str(demo_store)], check=True, cwd=ROOT, capture_output=True, text=True
    )
    return done.stdout.strip()


def _at(page: Any, name: str) -> None:
    """Go to a tab of an exchange."""
    page.locator(f"{TABS} a", has_text=name).click()
    page.locator(f"{TABS} a[aria-current]", has_text=name).wait_for()


def _there(tab: Open, url: str, there: str) -> None:
    """See that a page comes, on a tab of its own."""
    page = tab(url)
    page.locator(there).first.wait_for()
    page.context.close()


def _first(tab: Open, url: str, search: str = "&kind=compaction", **options: Any) -> Any:
    """Open the first exchange of a list."""
    page = tab(f"{url}?page=exchanges{search}", **options)
    page.locator(ROW).first.locator("td").nth(3).click()
    page.locator(TABS).wait_for()
    return page


def _id(page: Any) -> str:
    found: str = page.evaluate("() => new URLSearchParams(location.search).get('item')")
    return found


def _ids(page: Any) -> list[str]:
    return [re.findall(r"item=([0-9a-f-]+)", row.get_attribute("data-href"))[0] for row in page.locator(ROW).all()]


def test_a_row_leads_to_its_exchange_and_escape_back(tab: Open, demo: str) -> None:
    """A row opens its exchange by click and by keyboard; Escape leads back to the list, its filters kept."""
    page = _first(tab, demo, "&status=errors")
    exchange = _id(page)
    page.keyboard.press("Escape")
    page.locator(ROW).first.wait_for()
    assert "item=" not in page.url
    assert "status=errors" in page.url
    page.locator(ROW).first.focus()
    page.keyboard.press("Enter")
    page.locator(TABS).wait_for()
    assert _id(page) == exchange
    page.go_back()
    page.locator(ROW).first.wait_for()


def test_pages_follow_each_other(tab: Open, demo: str) -> None:
    """Older and newer pages have no row in common, and the way back is the way there."""
    page = tab(f"{demo}?page=exchanges")
    page.locator(ROW).first.wait_for()
    first = _ids(page)
    page.get_by_role("link", name="older →").first.click()
    page.get_by_text("51–100 of 452 exchanges").first.wait_for()
    second = _ids(page)
    assert (len(first), len(second), len({*first, *second})) == (50, 50, 100)
    assert [*first, *second] == sorted([*first, *second], reverse=True)
    page.get_by_role("link", name="← newer").first.click()
    page.get_by_text("1–50 of 452 exchanges").first.wait_for()
    assert _ids(page) == first


def test_quick_models_and_sorting(tab: Open, demo: str) -> None:
    """A quick model filters the list, a heading sorts it, and both stand in the address."""
    page = tab(f"{demo}?page=exchanges")
    page.get_by_role("link", name="haiku", exact=True).click()
    page.locator(".chips a[aria-current]", has_text="haiku").wait_for()
    assert all("haiku" in text for text in page.locator(f"{ROW} td.model").all_inner_texts())
    page.get_by_role("link", name="duration").click()
    page.locator("th[aria-sort=descending]", has_text="duration").wait_for()
    assert "model=haiku" in page.url
    assert "sort=duration" in page.url
    page.get_by_label("kind").select_option("title")
    page.locator(".badge", has_text="kind: title").wait_for()
    assert set(page.locator(f"{ROW} td:nth-child(4)").all_inner_texts()) == {"title"}


def test_newcomers_are_offered(tab: Open, demo_store: Path, tmp_path: Path) -> None:
    """While the first page is shown, what has come since is counted, and shown when it is asked for."""
    path = tmp_path / "growing.db"
    shutil.copy(demo_store, path)
    with running(path, tmp_path / "home") as url:
        page = tab(f"{url}?page=exchanges")
        page.locator(ROW).first.wait_for()
        before = _ids(page)
        _fill(path, "more")
        page.get_by_role("link", name="1 new – show").click()
        page.get_by_text("of 453 exchanges").first.wait_for()
        assert _ids(page)[1:] == before[:-1]


@pytest.mark.parametrize("width", [1280, 1920])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_tab_fits(tab: Open, demo: str, width: int, scheme: str) -> None:
    """In both themes and at both widths the list and all tabs are there, and nothing is wider than the window."""
    page = _first(tab, demo, viewport={"width": width, "height": 900}, color_scheme=scheme)
    for name in ALL_TABS:
        _at(page, name)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width, name
    page.keyboard.press("Escape")
    page.locator(ROW).first.wait_for()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width


def test_bytes_are_downloaded_and_copied_whole(tab: Open, demo: str, demo_store: Path, largest: str) -> None:
    """Of the largest request the first 200 kB are shown; what is downloaded and copied is all of it, to the byte."""
    page = tab(f"{demo}?page=exchanges&item={largest}&tab=raw", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="copy as cURL").wait_for()
    assert "the first 200 kB of 608 kB are shown" in page.locator("h2", has_text="Request").inner_text()
    exact = _body(demo_store, _id(page), "request")
    with page.expect_download() as arriving:
        page.get_by_role("button", name="download its exact bytes").first.click()
    assert Path(arriving.value.path()).read_bytes() == exact
    page.get_by_role("button", name="copy the request").click()
    page.get_by_role("button", name="copied").wait_for()
    assert page.evaluate("() => navigator.clipboard.readText()").encode() == exact
    page.get_by_role("button", name="copied").wait_for(state="detached")
    page.get_by_role("button", name="copy as cURL").click()
    page.get_by_role("button", name="copied").wait_for()
    command = page.evaluate("() => navigator.clipboard.readText()")
    assert f"--data-binary @{arriving.value.suggested_filename}" in command
    assert "$ANTHROPIC_API_KEY" in command
    with page.expect_download() as arriving:
        page.get_by_role("button", name="download as JSON").press("Enter")
    assert json.loads(Path(arriving.value.path()).read_bytes())["request"]["body"] == json.loads(exact)


def test_messages_unfold(tab: Open, demo: str, largest: str) -> None:
    """A message's text comes when it is unfolded, cut where it is long; all of it comes when it is asked for."""
    page = tab(f"{demo}?page=exchanges&item={largest}&tab=request")
    message = page.locator("details.part", has_text="93,260")
    message.locator("summary").focus()
    page.keyboard.press("Enter")
    message.get_by_text("the first 20,000 of 93,2").wait_for()
    message.get_by_role("button", name="show all").click()
    message.get_by_text("the first 20,000 of").wait_for(state="detached")
    assert len(message.locator("pre").inner_text()) > 93_000
    page.get_by_role("link", name="tools 15").click()
    page.locator("details.part", has_text="TodoWrite").locator("summary").click()
    page.get_by_text("input_schema").first.wait_for()


def test_the_list_is_downloaded_whole(tab: Open, demo: str) -> None:
    """CSV and Parquet have all exchanges under the filters, not the page alone."""
    page = tab(f"{demo}?page=exchanges&model=sonnet")
    page.locator(ROW).first.wait_for()
    number = int(re.findall(r"of ([\d,]+) exch", page.locator("nav.pager").first.inner_text())[0])
    tables = []
    for name, read in (("CSV", pl.read_csv), ("Parquet", pl.read_parquet)):
        with page.expect_download() as arriving:
            page.get_by_role("button", name=name).click()
        assert re.fullmatch(rf"ccproxy-exchanges-[\d-]+\.{name.lower()}", arriving.value.suggested_filename)
        tables.append(read(io.BytesIO(Path(arriving.value.path()).read_bytes())))
    assert [table.height for table in tables] == [number, number]
    assert tables[0]["exchange_id"].to_list() == tables[1]["exchange_id"].to_list()


def test_two_are_compared(tab: Open, demo: str) -> None:
    """The comparison begins with the request before; another is chosen from the list, or named."""
    page = _first(tab, demo, "&session=&kind=main")
    _at(page, "compare")
    page.locator("dl.what").wait_for()
    page.get_by_role("link", name="choose another").click()
    page.locator(".picking").wait_for()
    other = _ids(page)
    page.locator(ROW).last.locator("td").nth(1).click()
    page.locator("dl.what").wait_for()
    assert "with=" in page.url
    page.get_by_role("textbox", name="id of the exchange").fill(other[0])
    page.keyboard.press("Enter")
    page.wait_for_url(f"**with={other[0]}*")
    page.locator("dl.what").wait_for()


def test_each_tab_of_the_largest_request_is_there(tab: Open, demo: str, largest: str) -> None:
    """By their addresses; how fast is measured in `benchmarks/pages.py`."""
    for name in ALL_TABS:
        _there(tab, f"{demo}?page=exchanges&item={largest}&tab={name}", TABS)


def test_a_request_of_two_megabytes_stays_usable(tab: Open, tmp_path: Path) -> None:
    """With 1,000 messages and 2 MB each tab is there, and a message unfolds."""
    with running(_fill(tmp_path / "large.db", "large"), tmp_path / "home") as url:
        page = _first(tab, url, "")
        exchange = _id(page)
        for name in ALL_TABS:
            _there(tab, f"{url}?page=exchanges&item={exchange}&tab={name}", TABS)
        _at(page, "request")
        page.get_by_text("800–999").wait_for()
        page.locator("details.part summary").last.click()
        page.locator("details.part pre", has_text="999 word").wait_for()
        page.get_by_role("link", name="← earlier").click()
        page.get_by_text("600–799").wait_for()


def test_nothing_that_was_captured_runs(tab: Open, tmp_path: Path) -> None:
    """With hostile content in every place, in the list and in every tab, no script runs, nothing is asked and nothing opens."""
    dialogs: list[str] = []
    with running(_fill(tmp_path / "hostile.db", "hostile"), tmp_path / "home") as url:
        page = tab(f"{url}?page=exchanges")
        page.on("dialog", lambda dialog: dialogs.append(dialog.message))
        page.locator(ROW).first.wait_for()
        for exchange in _ids(page)[::7]:
            for name in (*ALL_TABS, "request&part=tools"):
                page.goto(f"{url}?page=exchanges&item={exchange}&tab={name}")
                page.locator(TABS).wait_for()
                for summary in page.locator("details:not([open]) > summary").all()[:3]:
                    summary.click()
                assert page.evaluate("() => window.xss") is None, (exchange, name)
    assert dialogs == []
