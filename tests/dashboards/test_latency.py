"""Latency on the handmade capture: an answer's head takes 100 ms, then an event comes every 10 ms, the first content is the third."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from ccproxy.records import Captured
from dashboards.data import Data, latency
from dashboards.data.spans import DAY, HOUR
from dashboards.pages import latency as page
from dashboards.state import Filters
from tests.dashboards.conftest import NOW, view_of
from tests.support.entries import exchange_id
from tests.support.figures import data_of, drawn, said
from tests.support.handmade import NEXT, OTHER, SESSION, answer, asked, main_hint, text, user

ALL = Filters()
NASTY = "<i>nasty</i>"


def test_percentiles_are_laid_out_by_time(priced_data: Data) -> None:
    """Each hour has a point on each line; an hour without any content has none."""
    found = latency.over_time(priced_data, ALL, NOW, HOUR)
    assert found["exchanges"].to_list() == [6, 5, 1]  # 9, 10, 11, 14 and 16 are no answers
    lines = latency.percentiles(found, page.FIRST_TOKEN)
    assert lines.filter(pl.col("line") == "p50")["value"].to_list() == [130.0, 130.0, None]
    assert set(lines["line"]) == {"p50", "p90", "p99"}


def test_the_figures_are_of_answers_and_errors_of_all(priced_data: Data) -> None:
    """Times are of whole answers; errors are told of all exchanges."""
    found = latency.figures(priced_data, ALL, NOW)
    assert (found["exchanges"], found["asked"], found["errors"]) == (12, 17, 2)
    assert (found["first_token_p50_ms"], found["duration_p99_ms"]) == (130.0, 260.0)


@pytest.mark.parametrize("group", list(latency.GROUPS))
def test_groups_have_all_answers(priced_data: Data, group: str) -> None:
    """By model, by size of the context and by state of the cache, each answer is in one group."""
    found = latency.by(priced_data, ALL, NOW, group)
    assert found["exchanges"].sum() == 12
    assert found.schema["key"] == pl.String


def test_sizes_of_the_context_stand_in_order(priced_data: Data) -> None:
    """The state of the cache goes from hit to miss, and sizes from small to large."""
    found = latency.by(priced_data, ALL, NOW, "cache_state")
    # 12 read all but 10 of 1,510; 2, 4 and 8 a part; the rest nothing
    assert found.select("key", "exchanges").rows() == [("hit", 1), ("partial", 3), ("miss", 8)]


def test_errors_are_told_by_kind(priced_data: Data) -> None:
    """An error goes by its status and the provider's word for it, else by what the proxy saw."""
    found = latency.errors(priced_data, ALL, NOW)
    assert found.select("exchange_id", "error").rows() == [
        (exchange_id(10), "529 overloaded_error"), (exchange_id(14), "connect"),
    ]  # fmt: skip
    kinds = latency.by_error(found)
    assert kinds.select("error", "number", "newest").rows() == [
        ("529 overloaded_error", 1, exchange_id(10)), ("connect", 1, exchange_id(14)),
    ]  # fmt: skip
    assert latency.errors_over_time(found, DAY)["number"].to_list() == [1, 1]


def test_the_ledger_tells_where_the_time_went(priced_data: Data) -> None:
    """Each session's wall clock is shared out without a rest, the longest session first, with its title."""
    found = latency.ledger(priced_data, ALL, NOW)
    assert found.select("session_id", "title", "wall_ms").rows() == [
        (SESSION, "Flaky importer test", 660_170.0), (OTHER, "Hello there", 300_000.0), (NEXT, "Good morning", 140.0),
    ]  # fmt: skip
    first = found.row(0, named=True)
    assert sum(first[name] for name in latency.SPENT) == pytest.approx(first["wall_ms"])
    # between 1 and 2 Bash ran, between 2 and 8 the agents: from the ends of the answers, which take 200 ms each
    assert first["tools_ms"] == 60_000 - 200 + 6 * 60_000 - 200


def test_the_ledger_is_of_whole_sessions(priced_data: Data) -> None:
    """Filters choose sessions, and do not tear them apart."""
    found = latency.ledger(priced_data, Filters(kind="compaction"), NOW)
    assert found.select("session_id", "wall_ms").rows() == [(SESSION, 660_170.0)]


def test_without_events_thinking_is_part_of_answering(priced_data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are too many exchanges to look at their events, thinking is not known, and the page says so."""
    monkeypatch.setattr(latency, "MOST_TIMED", 0)
    priced_data._answers.clear()
    assert latency.ledger(priced_data, ALL, NOW)["thinking_ms"].to_list() == [None, None, None]
    html = said(page.page(view_of(priced_data, "?page=latency")))
    priced_data._answers.clear()
    assert "it is part of answering" in html


def _stalled() -> list[Captured]:
    """Return an answer whose last piece comes 20 s late, and one whose first does 40 s late."""
    exchanges = [asked(number, [user(text("Hello"))], answer(number, text("Hi.")), *main_hint()) for number in (1, 2)]
    for exchange, place, late in ((exchanges[0], 3, 20_000_000), (exchanges[1], 1, 40_000_000)):
        exchange.chunks = [
            (at + (late if number >= place else 0), data) for number, (at, data) in enumerate(exchange.chunks)
        ]
        exchange.ended_at += late
    return exchanges


def test_stalls_stand_by_their_length(tmp_path: Path) -> None:
    """Pauses within an answer and late first tokens are listed, the longest first, with a link."""
    with data_of(tmp_path, _stalled()) as data:
        found = latency.stalls(data, ALL, NOW)
        html = said(page.page(view_of(data, "?page=latency")))
    assert found["exchange_id"][0] == exchange_id(2)
    assert found["place"].cast(pl.String)[0] == "first_token"
    assert found["stalled_ms"][0] > 40_000
    assert "before the first token" in html
    assert f"item={exchange_id(2)}" in html


def test_the_page_shows_all_that(priced_data: Data) -> None:
    """The page has three charts, the groups, the ledger, errors with links, and says that no limits are told."""
    parts = page.page(view_of(priced_data, "?page=latency"))
    html = said(parts)
    assert len(drawn(parts)) == 3
    for words in (
        "by model",
        "by context",
        "by prompt cache",
        "529 overloaded_error",
        "say nothing of limits",
        "Flaky importer test",
    ):
        assert words in html
    assert "page=exchanges&amp;status=529" in html
    assert "page=exchanges&amp;state=failed" in html


def test_without_errors_there_is_no_chart_of_them(priced_data: Data) -> None:
    """Where nothing went wrong the page says so, in words."""
    parts = page.page(view_of(priced_data, f"?page=latency&session={NEXT}"))
    assert len(drawn(parts)) < 3
    assert "every exchange here was answered" in said(parts)


def test_a_click_on_an_hour_leads_to_it(priced_data: Data) -> None:
    """The address of a place in a chart is this page for that hour alone."""
    parts = page.page(view_of(priced_data, "?page=latency&model=opus"))
    sources = [part.data_source for plot in drawn(parts) for part in plot.renderers if "href" in part.data_source.data]
    assert sources[0].data["href"][0] == "?page=latency&range=2025-10-09T08..2025-10-09T08&model=opus"
    span = Filters(range="2025-10-09T08..2025-10-09T08").span(NOW)
    assert span == (datetime(2025, 10, 9, 8, tzinfo=UTC), datetime(2025, 10, 9, 9, tzinfo=UTC))


def test_hostile_errors_are_text(tmp_path: Path) -> None:
    """An error's type that was captured is shown as text."""
    body = b'{"type":"error","error":{"type":"<i>nasty</i>","message":"m"}}'
    head = [("content-type", "application/json")]
    exchange = asked(1, [user(text("Hello"))], [body], *main_hint(), status=500, response_headers=head)
    with data_of(tmp_path, [exchange]) as data:
        html = said(page.page(view_of(data, "?page=latency")))
    assert f"500 {NASTY}" not in html
    assert "500 &lt;i&gt;nasty&lt;/i&gt;" in html


def test_where_nothing_fits_it_says_so(priced_data: Data) -> None:
    """Filters that nothing passes can be taken away."""
    assert "Take the filters away" in said(page.page(view_of(priced_data, "?page=latency&model=none-such")))
