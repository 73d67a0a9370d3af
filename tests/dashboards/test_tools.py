"""Tool calls on the handmade capture: five by SESSION and three by OTHER, of which one failed and two were never answered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboards.data import Data, tools
from dashboards.data.spans import DAY
from dashboards.pages import tools as page
from dashboards.state import Filters
from tests.dashboards.conftest import NOW, view_of
from tests.support.entries import exchange_id
from tests.support.figures import data_of, drawn, said
from tests.support.handmade import MCP, NEXT, SESSION, answer, asked, assistant, call, main_hint, result, text, user

ALL = Filters()
NASTY = "<u>nasty</u>"


@pytest.fixture(scope="module")
def repeated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Data]:
    """Give a session that reads the same file three times, one of them with another limit, by a tool with a hostile name."""
    messages = [user(text("Look."))]
    exchanges = []
    for number, given in enumerate(
        ({"file_path": NASTY}, {"file_path": NASTY}, {"file_path": NASTY, "limit": "9"}), start=1
    ):
        called = call(NASTY, number, **given)
        exchanges.append(asked(number, list(messages), answer(number, called), *main_hint()))
        messages += [assistant(called), user(result(number, "x" * 10 * number))]
    exchanges.append(asked(4, list(messages), answer(4, text("Done.")), *main_hint()))
    with data_of(tmp_path_factory.mktemp("repeated"), exchanges) as data:
        yield data


@pytest.mark.parametrize(
    ("grain", "wanted"),
    [
        ("tool", {"Agent": (4, 0), "Bash": (1, 1), "Read": (1, 0), MCP: (1, 0), "web_search": (1, 0)}),
        ("server", {"built in": (7, 1), "git_hub": (1, 0)}),
        ("agent", {"main": (6, 1), "Explore": (1, 0), "reviewer": (1, 0)}),
    ],
)
def test_groups_have_all_calls(priced_data: Data, grain: str, wanted: dict[str, tuple[int, int]]) -> None:
    """By tool, server and agent each call is in one group, with its errors."""
    found = tools.by(priced_data, ALL, NOW, grain)
    assert {key: (calls, errors) for key, calls, errors in found.select("key", "calls", "errors").iter_rows()} == wanted


def test_the_whole_is_told(priced_data: Data) -> None:
    """All calls together have errors, durations and sizes, and how many tools there are."""
    found = tools.whole(priced_data, ALL, NOW)
    assert (found["calls"], found["tools"], found["answered"], found["errors"]) == (8, 5, 6, 1)
    assert found["client_ms"] == 742 + 12.5
    assert found["wire_max_ms"] == 6 * 60_000 - 200  # from the end of 2 to the start of 8


def test_a_call_is_under_the_filters_where_its_exchange_is(priced_data: Data) -> None:
    """Filters choose the exchanges that made the calls."""
    assert tools.calls(priced_data, Filters(session=SESSION), NOW).height == 5
    assert tools.calls(priced_data, Filters(agent="Explore"), NOW)["tool_name"].to_list() == ["Read"]
    assert tools.calls(priced_data, Filters(session=NEXT), NOW).is_empty()


def test_calls_are_laid_out_by_time_and_tool(priced_data: Data) -> None:
    """Each day has the calls of each tool."""
    found = tools.over_time(priced_data, ALL, NOW, DAY)
    assert dict(found.select("tool", "calls").iter_rows()) == {
        "Agent": 4,
        "Bash": 1,
        "Read": 1,
        MCP: 1,
        "web_search": 1,
    }


def test_tools_have_an_order_that_no_filter_changes(priced_data: Data) -> None:
    """The tools of all captures stand by how often they were called."""
    assert tools.names(priced_data) == ["Agent", "Bash", "Read", MCP, "web_search"]


def test_repeats_are_found(repeated: Data) -> None:
    """What was called twice with the same input is told, with what came again."""
    found = tools.repeats(repeated, ALL, NOW)
    assert (found.calls, found.of) == (2, 2)  # the third input is longer
    assert found.frame.select("tool_name", "calls", "wasted_characters").rows() == [(NASTY, 2, 20)]


def test_what_may_have_wasted_the_most_is_compared(repeated: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many calls that are as long as another some are compared, and the page says so."""
    monkeypatch.setattr(tools, "COMPARED", 1)
    repeated._answers.clear()
    found = tools.repeats(repeated, ALL, NOW)
    html = said(page.page(view_of(repeated, "?page=tools")))
    repeated._answers.clear()
    assert (found.calls, found.of, found.frame.height) == (1, 2, 0)
    assert "were compared of" in html


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (tools.Chosen(tool="Agent"), [13, 5, 2, 2]),
        (tools.Chosen(server="git_hub"), [13]),
        (tools.Chosen(server=tools.BUILT_IN), [13, 13, 5, 3, 2, 2, 1]),
        (tools.Chosen(errors=True), [1]),
        (tools.Chosen(tool="Agent", errors=True), []),
    ],
)
def test_calls_are_listed_the_newest_first(priced_data: Data, wanted: tools.Chosen, numbers: list[int]) -> None:
    """The calls of a tool or server, or only those that failed, are listed by time."""
    found = tools.chosen(priced_data, ALL, NOW, wanted)
    assert found["exchange_id"].to_list() == [exchange_id(number) for number in numbers]


@pytest.mark.parametrize("sort", list(tools.SORTS))
def test_calls_are_sorted_in_full(priced_data: Data, sort: str) -> None:
    """By time, duration or size, the largest comes first and what is not known last."""
    values = tools.chosen(priced_data, ALL, NOW, tools.Chosen(), sort)[tools.SORTS[sort][0]].to_list()
    known = [value for value in values if value is not None]
    assert known == sorted(known, reverse=True)
    assert values[: len(known)] == known


def test_a_page_of_calls_has_their_inputs(priced_data: Data) -> None:
    """Calls are shown with session, agent and input; of each page only."""
    found = tools.page(priced_data, tools.chosen(priced_data, ALL, NOW, tools.Chosen(tool="Agent")), 2)
    assert found["input"].to_list() == [
        "Review it. · subagent_type reviewer",
        "Read the importer and report. · subagent_type Explore",
    ]
    assert found["title"].to_list() == ["Flaky importer test"] * 2
    assert found["agent"].to_list() == ["main"] * 2


def test_the_page_shows_all_that(repeated: Data) -> None:
    """The page has a chart, a table that leads to the calls, and the repeats; names are text."""
    parts = page.page(view_of(repeated, "?page=tools"))
    html = said(parts)
    assert len(drawn(parts)) == 1
    assert "?page=tools&amp;tool=%3Cu%3Enasty%3C%2Fu%3E" in html
    assert NASTY not in html
    assert "&lt;u&gt;nasty&lt;/u&gt;" in html


def test_the_calls_of_a_tool_lead_to_exchanges(repeated: Data) -> None:
    """Each call leads to the exchange that made it and to the one that brought its result."""
    html = said(page.page(view_of(repeated, "?page=tools&tool=%3Cu%3Enasty%3C%2Fu%3E")))
    assert NASTY not in html
    for number in (1, 2, 3, 4):
        assert f"?page=exchanges&amp;item={exchange_id(number)}" in html
    assert "3 calls" in html


@pytest.mark.parametrize(
    "search", ["by=server", "by=agent", "by=nonsense", "errors=1", "tool=none-such", "tool=Agent&at=99&sort=x"]
)
def test_each_address_shows_something(priced_data: Data, search: str) -> None:
    """Whatever the address says, the page is shown."""
    assert "calls" in said(page.page(view_of(priced_data, f"?page=tools&{search}")))


def test_pages_of_calls_follow_each_other(repeated: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page leads to the next one and back."""
    monkeypatch.setattr(tools, "A_PAGE", 2)
    first = said(page.page(view_of(repeated, "?page=tools&server=built+in")))
    second = said(page.page(view_of(repeated, "?page=tools&server=built+in&at=2")))
    assert "at=2" in first
    assert "further" in first
    assert "before" in second
    assert "further" not in second


def test_captures_without_calls_say_so(priced_data: Data) -> None:
    """Where no tool was called the page says so; where nothing fits, that the filters can be taken away."""
    assert "No tool was called" in said(page.page(view_of(priced_data, f"?page=tools&session={NEXT}")))
    assert "Take the filters away" in said(page.page(view_of(priced_data, "?page=tools&model=none-such")))


def test_nothing_captured_says_how_to_begin(tmp_path: Path) -> None:
    """An empty store is told what would be here, and the command that brings it."""
    with data_of(tmp_path, []) as data:
        html = said(page.page(view_of(data, "?page=tools")))
    assert "ccproxy run -- claude" in html
