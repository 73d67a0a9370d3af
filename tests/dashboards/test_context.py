"""What fills the window, on the handmade capture: each turn of a thread, and what tool results went on costing in it."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from dashboards.data import Data, context
from dashboards.pages import context as page
from dashboards.state import Filters
from tests.dashboards.conftest import NOW, view_of
from tests.support.entries import exchange_id
from tests.support.figures import data_of, drawn, said
from tests.support.handmade import (
    NEXT,
    OTHER,
    SESSION,
    SYSTEM,
    TOOLS,
    answer,
    asked,
    assistant,
    call,
    main_hint,
    result,
    text,
    user,
)

ALL = Filters()
MAIN = f"{SESSION}/main"
NASTY = "<b>nasty</b>"


def test_the_session_with_the_largest_context_comes_first(priced_data: Data) -> None:
    """Sessions to choose from stand by their largest context, and the filter of the session does not take the others away."""
    found = context.sessions(priced_data, Filters(session=NEXT), NOW)
    assert found.select("session_id", "largest", "turns").rows() == [(SESSION, 1510, 8), (OTHER, 60, 3), (NEXT, 10, 1)]
    assert found["title"].to_list() == ["Flaky importer test", "Hello there", "Good morning"]
    assert context.sessions(priced_data, Filters(agent="reviewer"), NOW)["session_id"].to_list() == [SESSION]


def test_threads_of_a_session_stand_in_order(priced_data: Data) -> None:
    """The main conversation and each agent is a thread, with its turns that were answered."""
    found = context.threads(priced_data, context.taken(priced_data, SESSION))
    rows = [("main", 4, 1510), ("Explore", 2, 560), ("reviewer", 1, 410), ("Explore", 1, 310)]
    assert found.select("agent", "turns", "largest").rows() == rows


def test_a_turn_holds_as_many_tokens_as_the_api_counted(priced_data: Data) -> None:
    """What a turn held comes to its input exactly, by categories in words."""
    held = context.filled(context.taken(priced_data, SESSION), MAIN)
    sums = held.group_by("turn").agg(pl.col("tokens").sum()).sort("turn")
    assert sums["tokens"].to_list() == [pytest.approx(number) for number in (1010, 1210, 1510, 1510)]
    assert held.filter(pl.col("turn") == 1)["category"].to_list() == ["system", "tools", "reminders", "you said"]
    assert held["exchange_id"].unique(maintain_order=True).to_list() == [exchange_id(n) for n in (1, 2, 8, 12)]


def test_a_turn_says_what_came_since_the_one_before(priced_data: Data) -> None:
    """Each category has its share, and what it has more or less than in the turn before; what is gone is told, too."""
    held = context.filled(context.taken(priced_data, SESSION), MAIN)
    found = {row["category"]: row for row in context.at(held, 2).iter_rows(named=True)}
    assert sum(row["share"] for row in found.values()) == pytest.approx(1)
    assert sum(row["added"] for row in found.values()) == pytest.approx(200)
    assert found["tool results"]["added"] == found["tool results"]["tokens"]
    gone = pl.concat(
        [held.filter(pl.col("turn") == 2), held.filter(pl.col("turn") == 1).with_columns(turn=pl.lit(3, pl.Int64))]
    )
    assert {row["category"]: row["tokens"] for row in context.at(gone, 3).iter_rows(named=True)}["tool results"] == 0


def test_results_are_told_with_their_input_and_cost(priced_data: Data) -> None:
    """Each result has the input of its call, how many requests carried it, and the exchange that brought it; the dearest first."""
    found = context.results(priced_data, context.taken(priced_data, SESSION), MAIN)
    found = context.with_lines(priced_data, found)
    assert found["tool_use_id"].to_list() == ["toolu_2", "toolu_1", "toolu_3"]
    row = found.row(1, named=True)
    assert (row["tool_name"], row["input"], row["characters"], row["requests"]) == ("Bash", "pytest -x", 8, 3)
    assert row["exchange_id"] == exchange_id(2)
    # Its 8 characters of what each request weighs, times what the input of each cost.
    usd = [(10 * 10 + 1000 * 1 + 200 * 12.5) / 1e6, (10 * 10 + 1200 * 1 + 300 * 12.5) / 1e6, (10 * 10 + 1500 * 1) / 1e6]
    held = context.filled(context.taken(priced_data, SESSION), MAIN).filter(pl.col("name") == "Bash")
    shares = held.filter(pl.col("category") == "tool results")["tokens"] / pl.Series([1210, 1510, 1510])
    assert row["cost_usd"] == pytest.approx(sum(part * whole for part, whole in zip(shares, usd, strict=True)))


def test_compactions_are_told(priced_data: Data) -> None:
    """A compaction has what brought it about, and the tokens before it; nothing came after this one."""
    [row] = context.compactions(context.taken(priced_data, SESSION), MAIN).rows(named=True)
    assert (row["trigger"], row["before_tokens"], row["after_tokens"]) == ("auto", 1510, None)


def test_a_server_whose_tools_are_never_called_is_seen(tmp_path: Path) -> None:
    """Of each MCP server there is how many tools a turn defined, what they weighed, and how often they were called."""
    tools = [
        *TOOLS,
        *({"name": f"mcp__{NASTY}__{number}", "description": "d", "input_schema": {}} for number in range(2)),
    ]
    ask = [user(text("Hello"))]
    with data_of(tmp_path, [asked(1, ask, answer(1, text("Hi.")), *main_hint(), body={"tools": tools})]) as data:
        session = context.taken(data, SESSION)
        held = context.filled(session, MAIN)
        found = {row["server"]: row for row in context.servers(session, held, 1).iter_rows(named=True)}
        html = said(page.page(view_of(data, "?page=context")))
    assert (found[NASTY]["tools"], found[NASTY]["calls"]) == (2, 0)
    assert (found[None]["tools"], found[None]["calls"]) == (3, 0)
    assert found[NASTY]["tokens"] == held.filter(pl.col("category") == "MCP tools")["tokens"].sum()
    assert "never called" in html
    assert NASTY not in html


def test_a_session_that_was_continued_holds_what_stands_elsewhere(tmp_path: Path) -> None:
    """A session continued from another one carries messages that first stood there: they are found."""
    first = [user(text("Look.")), assistant(call("Bash", 1, command="ls")), user(result(1, "x" * 500))]
    exchanges = [
        asked(1, first[:1], answer(1, *first[1]["content"]), *main_hint()),
        asked(2, first, answer(2, text("Seen.")), *main_hint()),
        asked(3, [*first, assistant(text("Seen.")), user(text("More."))], answer(3, text("Ok.")), *main_hint(), session=OTHER),
    ]  # fmt: skip
    with data_of(tmp_path, exchanges) as data:
        session = context.taken(data, OTHER)
        held = context.filled(session, f"{OTHER}/main")
        results = context.with_lines(data, context.results(data, session, f"{OTHER}/main"))
    assert "tool results" in held["category"].to_list()
    assert results["input"].to_list() == ["ls"]
    assert results["requests"].to_list() == [1]


def test_a_prompt_without_tools_has_none(tmp_path: Path) -> None:
    """Where a request came without tools and system the page says so."""
    bare = asked(1, [user(text("Hello"))], answer(1, text("Hi.")), *main_hint(), body={"tools": [], "system": []})
    plain = asked(
        2,
        [user(text("Hello"))],
        answer(2, text("Hi.")),
        *main_hint(),
        body={"tools": [], "system": SYSTEM},
        session=OTHER,
    )
    with data_of(tmp_path, [bare, plain]) as data:
        for session in (SESSION, OTHER):
            html = said(page.page(view_of(data, f"?page=context&session={session}")))
            assert "came without tools" in html
            assert "No request of this thread carried the result of a tool" in html


def test_the_page_chooses_session_thread_and_turn(priced_data: Data) -> None:
    """Without anything chosen it shows the session with the largest context, its main thread and last turn."""
    parts = page.page(view_of(priced_data, "?page=context"))
    html = said(parts)
    assert len(drawn(parts)) == 1
    assert f'value="{SESSION}" selected' in html
    assert 'Turn <span class="n">4</span> of <span class="n">4</span>' in html
    assert f"item={exchange_id(12)}" in html
    turned = said(page.page(view_of(priced_data, "?page=context&turn=2")))
    assert 'Turn <span class="n">2</span>' in turned
    agent = said(page.page(view_of(priced_data, f"?page=context&thread={SESSION}/a1")))
    assert 'of <span class="n">2</span>' in agent


@pytest.mark.parametrize("args", ["turn=0", "turn=99", "turn=x", "thread=none-such", "session=none-such"])
def test_nonsense_in_the_address_is_borne(priced_data: Data, args: str) -> None:
    """A turn, thread or session that there is not never fails."""
    html = said(page.page(view_of(priced_data, f"?page=context&{args}")))
    assert "session" in html


def test_a_session_that_was_never_answered_says_so(tmp_path: Path) -> None:
    """Where no request was answered with a count of tokens, the page says that it does not know."""
    with data_of(tmp_path, [asked(1, [user(text("Hello"))], None, *main_hint())]) as data:
        assert "Nothing of it was answered" in said(page.page(view_of(data, f"?page=context&session={SESSION}")))
        assert "No conversation" in said(page.page(view_of(data, "?page=context")))
