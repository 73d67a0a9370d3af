"""The page SQL in a browser: asking by keyboard, choosing the chart by the address, stopping, taking away."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl
import pytest

from tests.support.dashboard import running

Open = Callable[..., Any]
FOREVER = "SELECT count(1) FROM range(100000000) a, range(100000000) b WHERE (a.range * b.range) % 7 = 3"
BY_KIND = "SELECT kind, count(1) AS exchanges, sum(output_tokens) AS output FROM exchanges GROUP BY 1 ORDER BY 1"
HOSTILE = "<img src=x onerror='window.xss=1'><script>window.xss=1</script>"


@pytest.fixture(scope="module")
def url(demo_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a dashboard over the demo; give its URL."""
    with running(demo_store, tmp_path_factory.mktemp("sql")) as found:
        yield found


def _asking(url: str, query: str, more: str = "") -> str:
    return f"{url}?page=sql&q={quote(query)}{more}"


def test_a_query_is_asked_by_keyboard(url: str, tab: Open) -> None:
    """Ctrl-Enter runs what stands in the box; the table comes below, the address keeps the query, and asked again it runs again."""
    page = tab(f"{url}?page=sql")
    page.wait_for_selector("text=What a query gives will stand here")
    page.fill("textarea[name=q]", BY_KIND)
    page.press("textarea[name=q]", "Control+Enter")
    page.wait_for_selector(".answer td >> text=main")
    first = page.url
    assert "SELECT+kind" in first
    assert page.input_value("textarea[name=q]") == BY_KIND
    page.press("textarea[name=q]", "Control+Enter")
    page.wait_for_function("was => location.href !== was", arg=first)
    page.wait_for_selector(".answer td >> text=main")


def test_a_permalink_shows_the_same(url: str, tab: Open) -> None:
    """The address alone gives table and chart, as they were chosen; another choice is another address."""
    page = tab(_asking(url, BY_KIND, "&y=output"))
    page.wait_for_selector("text=output along kind")
    page.wait_for_selector("canvas")
    page.select_option("select[aria-label=y]", "exchanges")
    page.wait_for_selector("text=exchanges along kind")
    assert "y=exchanges" in page.url
    page.select_option("select[aria-label='drawn as']", "none")
    page.wait_for_selector("canvas", state="detached")
    page.go_back()
    page.wait_for_selector("text=exchanges along kind")


def test_a_click_on_a_name_puts_it_into_the_query(url: str, tab: Open) -> None:
    """Columns of the dictionary go to where the cursor is."""
    page = tab(f"{url}?page=sql")
    page.fill("textarea[name=q]", "SELECT ")
    page.click("[data-insert=exchange_id] >> nth=0")
    assert page.input_value("textarea[name=q]") == "SELECT exchange_id"


def test_what_is_wrong_is_said_with_its_place(url: str, tab: Open) -> None:
    """DuckDB's own words stand there, and the query stays in the box."""
    page = tab(_asking(url, "SELECT nope FROM exchanges"))
    said = page.wait_for_selector("[role=alert] pre").inner_text()
    assert "LINE 1: SELECT nope FROM exchanges" in said
    assert page.input_value("textarea[name=q]") == "SELECT nope FROM exchanges"


def test_a_long_query_holds_nobody_up_and_can_be_stopped(url: str, tab: Open) -> None:
    """While it runs other tabs go on, its own page says so, and stopping it or leaving the page ends it."""
    busy = [tab(_asking(url, FOREVER)) for _ in range(2)]
    for page in busy:
        page.wait_for_selector("text=The query runs")
    began = time.monotonic()
    other = tab(f"{url}?page=exchanges")
    other.wait_for_selector("tr[data-href]")
    assert time.monotonic() - began < 15
    busy[0].click("text=stop >> nth=-1")
    busy[0].wait_for_selector("text=Run asks it again")
    busy[1].click("nav >> text=Set-up")
    busy[1].wait_for_function("() => document.title.startsWith('Set-up')")
    other.goto(_asking(url, "SELECT 40 + 2 AS answer"))
    other.wait_for_selector(".answer td >> text=42")  # both threads are free again


def test_a_result_is_taken_away(url: str, tab: Open) -> None:
    """CSV and Parquet have all rows, also those beyond what is shown."""
    page = tab(_asking(url, "SELECT range AS n FROM range(2500)"))
    page.wait_for_selector("text=the first 1,000 rows")
    for label, read in (("CSV", pl.read_csv), ("Parquet", pl.read_parquet)):
        with page.expect_download() as waiting:
            page.click(f"button:has-text('{label}')")
        content = Path(waiting.value.path()).read_bytes()
        assert read(io.BytesIO(content))["n"].to_list() == list(range(2500))


def test_hostile_values_stay_values(url: str, tab: Open) -> None:
    """Markup in a value, in a column's name and in an error shows as characters, and nothing of it runs."""
    word = HOSTILE.replace("'", "''")
    name = HOSTILE.replace('"', '""')
    page = tab(_asking(url, f"SELECT '{word}' AS \"{name}\", 1 AS n UNION ALL SELECT '{word}', 2"))
    page.wait_for_selector(".answer td")
    assert page.locator(".answer td").first.inner_text() == HOSTILE
    assert page.evaluate("() => window.xss") is None
    page.goto(_asking(url, f'SELECT "{name}"'))
    page.wait_for_selector("[role=alert] pre")
    assert page.evaluate("() => window.xss") is None
