"""Tokens and cost on the handmade capture, at round prices: 10 USD per million of input, 1 read, 12.5 and 20 written, 50 of output."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from dashboards.data import Data, carried, tokens
from dashboards.data.spans import DAY, HOUR
from dashboards.pages import tokens as page
from dashboards.state import Filters
from tests.dashboards.conftest import NOW, view_of
from tests.support.entries import exchange_id
from tests.support.figures import data_of, drawn, said
from tests.support.handmade import MODEL, NEXT, OTHER, SESSION, answer, asked, call, main_hint, result, text, user

ALL = Filters()
# 22 times 10 fresh tokens (11 has 50, 13 has 60); 4,200 read; 2,450 and 300 written; 13 answers of 20; two searches.
COST = (220 * 10 + 4200 * 1 + 2450 * 12.5 + 300 * 20 + 260 * 50) / 1e6 + 2 * 10 / 1000
SAVED = (4200 * (10 - 1) - 2450 * 2.5 - 300 * 10) / 1e6


def test_the_sum_has_all_kinds_of_tokens(priced_data: Data) -> None:
    """What was used is summed by kind, with its cost, what the cache saved, and on how many days."""
    found = tokens.sums(priced_data, ALL, NOW)
    assert (found["exchanges"], found["days"], found["unpriced"]) == (17, 2, 0)
    assert [found[name] for name in tokens.NAMES.values()] == [4200, 2450, 300, 220, 260]
    assert found["cost_usd"] == pytest.approx(COST)
    assert found["saved_usd"] == pytest.approx(SAVED)


def test_tokens_are_laid_out_by_time_and_kind(priced_data: Data) -> None:
    """Each hour or day has a figure of each of the five kinds, and they come to the whole."""
    found = tokens.kinds(priced_data, ALL, NOW, HOUR)
    assert found["kind"].unique(maintain_order=True).to_list() == list(tokens.KINDS)
    read = found.filter(pl.col("kind") == "cache read").sort("at")
    assert read["tokens"].to_list() == [1500, 2700, 0]  # 2 and 4; 8 and 12; and nothing on the day after
    assert tokens.kinds(priced_data, ALL, NOW, DAY)["tokens"].sum() == 4200 + 2450 + 300 + 220 + 260


def test_money_is_laid_out_by_time_and_model(priced_data: Data) -> None:
    """Each day has what each model cost in it."""
    found = tokens.money(priced_data, ALL, NOW, DAY)
    assert found["model"].to_list() == [MODEL, MODEL]
    assert found["usd"].to_list() == [pytest.approx(COST - 0.0011), pytest.approx((10 * 10 + 20 * 50) / 1e6)]


@pytest.mark.parametrize(
    ("grain", "wanted"),
    [
        ("day", {"2025-10-10": 1, "2025-10-09": 16}),
        ("model", {MODEL: 17}),
        ("project", {"importer": 15, None: 2}),
        ("session", {SESSION: 11, OTHER: 5, NEXT: 1}),
        ("agent", {"main": 10, "Explore": 3, "reviewer": 1, "subagent": 1, "title": 1, "count_tokens": 1}),
    ],
)
def test_groups_share_out_all_of_it(priced_data: Data, grain: str, wanted: dict[str | None, int]) -> None:
    """By whatever it is grouped, each exchange is in one group, and the costs come to the whole."""
    found = tokens.by(priced_data, ALL, NOW, grain)
    assert dict(found.select("key", "exchanges").iter_rows()) == wanted
    assert found["cost_usd"].sum() == pytest.approx(COST)
    assert found["share"].sum() == pytest.approx(1)


def test_what_is_beside_conversations_is_told_apart(priced_data: Data) -> None:
    """A title belongs to no agent: it goes by its kind, and says so."""
    found = tokens.by(priced_data, ALL, NOW, "agent")
    assert dict(found.drop_nulls("beside").select("key", "beside").iter_rows()) == {
        "title": "title", "count_tokens": "count_tokens",
    }  # fmt: skip


def test_filters_hold(priced_data: Data) -> None:
    """What the filters leave out is in no figure."""
    assert tokens.sums(priced_data, Filters(session=NEXT), NOW)["exchanges"] == 1
    assert tokens.by(priced_data, Filters(agent="Explore"), NOW, "model")["read"].to_list() == [500]


def test_overhead_has_its_tokens(priced_data: Data) -> None:
    """Each reason has all tokens that it took and gave, and the exchanges behind it can be listed."""
    found = {row["reason"]: row for row in tokens.overhead(priced_data, ALL, NOW).iter_rows(named=True)}
    assert (found["title"]["tokens"], found["compaction"]["tokens"], found["retry"]["tokens"]) == (30, 1530, 80)
    assert tokens.because(priced_data, ALL, NOW, "retry")["exchange_id"].to_list() == [exchange_id(13)]
    assert tokens.because(priced_data, ALL, NOW, "title")["title"].to_list() == ["Flaky importer test"]


def test_days_over_the_budget_are_counted(priced_data: Data) -> None:
    """A day is over where it cost more, and the excess is summed; a day as dear as the budget is not over."""
    found = tokens.budget(priced_data, ALL, NOW, 0.05)
    assert found.over["at"].dt.strftime("%Y-%m-%d").to_list() == ["2025-10-09"]
    assert found.excess == pytest.approx(COST - 0.0011 - 0.05)
    assert tokens.budget(priced_data, ALL, NOW, 1.0).over.is_empty()


def test_unknown_prices_stay_unknown(tmp_path: Path) -> None:
    """Tokens without a price are in no sum, are counted, and the page says what to do."""
    events = [each.replace(MODEL.encode(), b"local-1") for each in answer(1, text("Hi."))]
    exchange = asked(1, [user(text("Hello"))], events, *main_hint(), body={"model": "local-1"})
    with data_of(tmp_path, [exchange], models="something-else") as data:
        found = tokens.sums(data, ALL, NOW)
        assert (found["cost_usd"], found["unpriced"]) == (0.0, 1)
        assert tokens.unpriced(data, ALL, NOW)["model"].to_list() == ["local-1"]
        html = said(page.page(view_of(data, "?page=tokens&by=model")))
    assert "ANALYSIS_PRICES" in html
    assert "$ ?" in html


def test_a_tool_costs_what_requests_carried_of_it(priced_data: Data) -> None:
    """Of each tool there is what requests carried of its calls and results, and its share of what their input cost."""
    found = carried.by_tool(priced_data, ALL, NOW)
    assert (found.exchanges, found.of) == (17, 17)
    rows = {row["key"]: row for row in found.frame.iter_rows(named=True)}
    assert set(rows) == {"Agent", "Bash", "Read"}
    # The same requests carry a call and its result, so both cost as their characters are: 23 and 8; 68 + 50 and 21 + 5.
    assert rows["Bash"]["called"] / rows["Bash"]["resulted"] == pytest.approx(23 / 8)
    assert rows["Agent"]["called"] / rows["Agent"]["resulted"] == pytest.approx(118 / 26)
    assert rows["Bash"]["tokens"] == pytest.approx(rows["Bash"]["called"] + rows["Bash"]["resulted"])


def test_servers_have_their_definitions_calls_and_results(tmp_path: Path) -> None:
    """An MCP server has the tokens of its tools' definitions beside those of calls and results; parts come to the whole."""
    tools = [{"name": "mcp__db__query", "description": "d" * 50, "input_schema": {"type": "object"}}]
    asks = [user(text("How many?"))]
    called = {"role": "assistant", "content": [call("mcp__db__query", 1, sql="select 1")]}
    exchanges = [
        asked(1, asks, answer(1, *called["content"]), *main_hint(), body={"tools": tools}),
        asked(2, [*asks, called, user(result(1, "x" * 100))], answer(2, text("One."), read=100), *main_hint(), body={"tools": tools}),
    ]  # fmt: skip
    with data_of(tmp_path, exchanges) as data:
        [row] = carried.by_server(data, ALL, NOW).frame.rows(named=True)
    assert row["key"] == "db"
    assert row["defined"] > row["resulted"] > row["called"] > 0
    assert row["tokens"] == pytest.approx(row["defined"] + row["resulted"] + row["called"])
    assert 0 < row["share"] < 1


def test_the_page_shows_all_that(priced_data: Data) -> None:
    """The page has two charts, the budget, a table with links to the exchanges, and the overhead."""
    parts = page.page(view_of(priced_data, "?page=tokens&budget=0.05"))
    html = said(parts)
    assert len(drawn(parts)) == 2
    assert "over on 1 day" in html
    assert "page=exchanges&amp;range=2025-10-09..2025-10-09" in html
    assert "naming sessions" in html


@pytest.mark.parametrize("budget", ["nonsense", "-1", "0", "inf", "nan", "<b>"])
def test_a_budget_that_is_none_says_so(priced_data: Data, budget: str) -> None:
    """A budget that is no number of dollars draws no line and is told to be none."""
    html = said(page.page(view_of(priced_data, f"?page=tokens&budget={budget}")))
    assert "is no number of dollars" in html
    assert "over on" not in html


@pytest.mark.parametrize("grain", [*page.TABS, "nonsense"])
def test_each_tab_shows_a_table(priced_data: Data, grain: str) -> None:
    """Every tab can be shown, and an unknown one is the first."""
    html = said(page.page(view_of(priced_data, f"?page=tokens&by={grain}&reason=retry")))
    assert html.count("aria-current") == 1
    assert "Asking again after a failure" in html


def test_where_nothing_fits_it_says_so(priced_data: Data) -> None:
    """Filters that nothing passes can be taken away; where nothing was captured, the command stands there that begins it."""
    html = said(page.page(view_of(priced_data, "?page=tokens&model=none-such")))
    assert "Take the filters away" in html
