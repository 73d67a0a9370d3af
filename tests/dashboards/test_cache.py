"""The cache: hit ratio, what was never read, and breaks, on the handmade capture and on one with breaks.

The one with breaks is a thread of Claude Code, a minute between its requests unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from analysis import measures
from ccproxy.records import Captured
from dashboards.data import Data, cache, differing
from dashboards.data.spans import DAY, HOUR
from dashboards.pages import cache as page
from dashboards.state import Filters
from tests.dashboards.conftest import NOW, view_of
from tests.support.entries import exchange_id
from tests.support.figures import data_of, drawn, said
from tests.support.handmade import SYSTEM, TOOLS, answer, asked, assistant, main_hint, text, user

ALL = Filters()
NASTY = "<script>window.xss=1</script>"


def _broken() -> list[Captured]:
    """Return a thread: 1 begins, 2 reads all, 3 has another tool, 4 another system block, 14 comes too late, 15 changes a message."""
    first = [user(text("Hello there"))]
    more = [*first, assistant(text("Hi.")), user(text("And now?"))]
    changed = [user(text(f"Hello {NASTY}")), *more[1:], assistant(text("Yes.")), user(text("Go on."))]
    system = [*SYSTEM, text("Be terse.")]
    tools = [*TOOLS, {"name": NASTY, "description": "d", "input_schema": {"type": "object"}}]
    return [
        asked(1, first, answer(1, text("Hi."), written=5000), *main_hint()),
        asked(2, more, answer(2, text("Yes."), read=5000, written=100), *main_hint()),
        asked(3, more, answer(3, text("Yes."), written=5200), *main_hint(), body={"tools": tools}),
        asked(4, more, answer(4, text("Yes."), read=1000, written=4300), *main_hint(), body={"tools": tools, "system": system}),
        asked(14, more, answer(14, text("Yes."), written=5300), *main_hint(), body={"tools": tools, "system": system}),
        asked(15, changed, answer(15, text("Yes."), read=2000, written=3300), *main_hint(), body={"tools": tools, "system": system}),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Data]:
    """Give the capture with breaks."""
    with data_of(tmp_path_factory.mktemp("broken"), _broken()) as data:
        yield data


def test_the_hit_ratio_is_read_over_all_input(priced_data: Data) -> None:
    """By hour and model, what was read stands over all input of that hour."""
    found = cache.ratio(priced_data, ALL, NOW, HOUR)
    # 1 to 6: 1,500 of 1,500 read, 2,450 written and 60; 7 to 15: 2,700 of 2,700, 300 written and 150.
    assert found["hit_ratio"].to_list() == [pytest.approx(1500 / 4010), pytest.approx(2700 / 3150), 0.0]


def test_what_was_never_read_costs_its_part_of_writing(priced_data: Data) -> None:
    """What was written and never read has its share of what writing it cost."""
    found = cache.figures(priced_data, ALL, NOW)
    # 2 wrote 200, 4 wrote 50, 5 wrote 400 for 5 minutes and 6 wrote 300 for an hour; the request of 10 failed, 8 was read.
    assert (found.written, found.read, found.unread) == (2750, 4200, 950)
    assert found.unread_usd == pytest.approx((650 * 12.5 + 300 * 20) / 1e6)
    assert found.hit_ratio == pytest.approx(4200 / (4200 + 2750 + 220))


def test_a_first_request_is_no_break(priced_data: Data) -> None:
    """Requests that had nothing to read are listed by their cause, but are in no figure."""
    found = cache.breaks(priced_data, ALL, NOW)
    assert dict(cache.by_cause(found.frame).select("cause", "breaks").iter_rows()) == {
        "first_request": 7, "below_minimum": 1,
    }  # fmt: skip
    figures = cache.figures(priced_data, ALL, NOW)
    assert (figures.breaks, figures.lost, figures.lost_usd) == (0, 0, 0.0)


def test_breaks_have_a_cause_and_what_was_lost(broken: Data) -> None:
    """Each break has its cause and the tokens that were there and not read, and at what price they were sent again."""
    found = cache.breaks(broken, ALL, NOW).frame
    assert dict(found.select("exchange_id", "cause").iter_rows()) == {
        exchange_id(1): "first_request", exchange_id(3): "tools_changed", exchange_id(4): "system_changed",
        exchange_id(14): "ttl_expired_5m", exchange_id(15): "message_changed",
    }  # fmt: skip
    lost = dict(found.select("exchange_id", "lost_tokens").iter_rows())
    assert [lost[exchange_id(number)] for number in (3, 4, 14, 15)] == [5100, 4200, 5300, 3300]
    usd = dict(found.select("exchange_id", "lost_usd").iter_rows())
    assert usd[exchange_id(14)] == pytest.approx(5300 * (12.5 - 1) / 1e6)
    figures = cache.figures(broken, ALL, NOW)
    assert (figures.breaks, figures.lost) == (4, 17900)
    assert figures.lost_usd == pytest.approx(17900 * 11.5 / 1e6)


def test_causes_are_summed_the_dearest_first(broken: Data) -> None:
    """Causes stand by what they lost, those that are no break last."""
    found = cache.by_cause(cache.breaks(broken, ALL, NOW).frame)
    causes = ["ttl_expired_5m", "tools_changed", "system_changed", "message_changed", "first_request"]
    assert found["cause"].to_list() == causes
    assert found["lost"].to_list() == [5300, 5100, 4200, 3300, 0]


def test_filters_do_not_make_breaks(broken: Data) -> None:
    """A request is measured by the one before it, also where the filters leave that out."""
    span = Filters(range="2025-10-09T09..2025-10-09T09")  # 14 and 15 alone
    found = cache.breaks(broken, span, NOW)
    assert (found.exchanges, found.of) == (2, 2)
    assert sorted(found.frame["cause"]) == ["message_changed", "ttl_expired_5m"]
    assert (
        cache.figures(broken, span, NOW).unread == 3300 + 3300
    )  # what 15 did not read of 14, and all that it wrote itself


def test_lost_tokens_are_laid_out_by_time_and_cause(broken: Data) -> None:
    """Each day has what each cause lost, in words, without first requests."""
    found = cache.over_time(cache.breaks(broken, ALL, NOW).frame, DAY)
    assert dict(found.select("cause", "lost").iter_rows()) == {
        "5 minutes had passed": 5300, "message changed": 3300, "system prompt changed": 4200, "tools changed": 5100,
    }  # fmt: skip


def test_only_the_newest_are_looked_through(broken: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are too many exchanges, breaks are of whole threads of the newest, and the page says so."""
    monkeypatch.setattr(cache, "NEWEST", 2)
    broken._answers.clear()
    found = cache.breaks(broken, ALL, NOW)
    assert (found.exchanges, found.of) == (2, 6)
    html = said(page.page(view_of(broken, "?page=cache")))
    broken._answers.clear()
    assert "in the newest" in html


def test_texts_are_those_of_the_measure(broken: Data) -> None:
    """Reading only the texts that are told gives what the measure gives that is handed all that was ever said."""
    capture = broken.capture
    bodies = capture.prompt_parts(bodies=True), capture.blocks(bodies=True)
    whole = measures.breaks(capture.exchanges(), capture.messages(), *bodies, prices=capture.prices).collect()
    assert differing.breaks(broken, capture.exchanges().collect()).equals(whole)


def test_texts_are_read_of_those_that_lost_the_most(broken: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many breaks the texts of some are not read: there is nothing then, and no digest in their place."""
    monkeypatch.setattr(differing, "MOST_TOLD", 1)
    found = differing.breaks(broken, broken.capture.exchanges().collect())
    rows = {row["exchange_id"]: (row["cause"], row["was"], row["now"]) for row in found.iter_rows(named=True)}
    assert rows[exchange_id(4)] == ("system_changed", None, None)
    assert rows[exchange_id(3)] == ("tools_changed", None, NASTY)
    assert NASTY in rows[exchange_id(15)][2]


@pytest.mark.parametrize(
    ("was", "now", "wanted"),
    [
        ("one two", "one too", ("one t", "w", "o", "o")),
        ("same", "same", ("same", "", "", "")),
        ("aa", "a", ("a", "a", "", "")),
        (None, "new", ("", "", "new", "")),
        ("gone", None, ("", "gone", "", "")),
    ],
)
def test_two_texts_are_told_apart(was: str | None, now: str | None, wanted: tuple[str, ...]) -> None:
    """What two texts have in common stands around what differs, and nothing is there twice."""
    found = cache.apart(was, now)
    assert found == wanted
    assert found[0] + found[1] + found[3] == (was or "")
    assert found[0] + found[2] + found[3] == (now or "")


def test_each_cause_of_the_measure_has_words() -> None:
    """Every cause that the measure knows is told in words."""
    for cause in ("first_request", "below_minimum", "compaction", "model_changed", "tools_changed", "system_changed", "effort_changed",
                  "rewind", "message_changed", "ttl_expired_1h", "ttl_expired_5m", "unknown"):  # fmt: skip
        assert cache.CAUSES[cause][0]


def test_the_page_shows_breaks_with_what_differed(broken: Data) -> None:
    """The list has each break with its session, and unfolds to what was and what is now; nothing captured becomes markup."""
    parts = page.page(view_of(broken, "?page=cache"))
    html = said(parts)
    assert len(drawn(parts)) == 2
    assert html.count("<details") == 4
    assert "&lt;script&gt;window.xss=1&lt;/script&gt;" in html
    assert NASTY not in html
    assert f"item={exchange_id(15)}&amp;with={exchange_id(14)}" in html


def test_the_list_can_be_of_one_cause(broken: Data) -> None:
    """One cause can be listed alone, first requests too, by time or by loss."""
    assert said(page.page(view_of(broken, "?page=cache&cause=tools_changed"))).count("<details") == 1
    assert said(page.page(view_of(broken, "?page=cache&cause=first_request"))).count("<details") == 1
    by_time = said(page.page(view_of(broken, "?page=cache&sort=time")))
    places = [by_time.index(f"item={exchange_id(number)}&amp;with") for number in (15, 14, 4, 3)]
    assert places == sorted(places)


def test_a_page_of_the_list_begins_where_the_address_says(broken: Data) -> None:
    """Behind the last break there is nothing, and a nonsense place is the first."""
    assert said(page.page(view_of(broken, "?page=cache&at=3"))).count("<details") == 1
    assert said(page.page(view_of(broken, "?page=cache&at=x"))).count("<details") == 4
    assert said(page.page(view_of(broken, "?page=cache&at=99"))).count("<details") == 0


def test_where_nothing_fits_it_says_so(broken: Data) -> None:
    """Filters that nothing passes can be taken away."""
    assert "Take the filters away" in said(page.page(view_of(broken, "?page=cache&model=none-such")))
