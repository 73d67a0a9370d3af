"""The page Live, without a browser: its rows, and that what is said stays text."""

from __future__ import annotations

from typing import Any

import pytest

from dashboards.board import Board, Running
from dashboards.data import Data, live
from dashboards.live import State
from dashboards.pages import live as page
from dashboards.state import Filters, Route
from dashboards.view import View
from tests.dashboards.conftest import view_of

T0 = 1_760_000_000.0
HOSTILE = "<img src=x onerror=alert(1)></pre><script>alert(1)</script>"


def _begin(board: Board, name: str, at: float, **fields: Any) -> Running:
    told = {
        "id": name,
        "started_at": int((T0 + at) * 1e6),
        "path": "/v1/messages",
        "model": "claude-opus-5-5",
        "kind": "main",
    }
    board.take("exchange", {**told, **fields}, T0 + at)
    return board.running[name]


def _shown(view: View, at: float) -> str:
    return str(
        view.html(
            "live.html", **{name: value for name, value in page.values(view, T0 + at).items() if name != "route"}
        ).object
    )


def test_what_runs_is_listed_newest_first() -> None:
    """Rows have age, who asks and what is waited for, and the end of what was said with how much stands before it."""
    board = Board()
    _begin(board, "a", 0)
    two = _begin(board, "b", 5, kind="subagent", agent_id="7", agent_type="Explore")
    two.status = 200
    board.take("text", {"exchange": "a", "index": 0, "text": "x" * (live.SHOWN_CHARACTERS + 5)}, T0 + 6)
    new, old = live.running(board, Filters(), T0 + 8)
    assert (new.one.id, new.who, new.age_ms, new.waits) == ("b", "Explore", 3000.0, "waiting for the first token")
    assert (old.who, old.age_ms, old.waits, old.started_at.timestamp()) == ("main", 8000.0, "", T0)
    (piece,) = old.pieces
    assert (piece.kind, len(piece.text), piece.before) == ("text", live.SHOWN_CHARACTERS, 5)


def test_only_the_last_blocks_are_shown() -> None:
    """Of an answer of many blocks the last ones are shown, and how many stand before them."""
    board = Board()
    _begin(board, "a", 0)
    for index in range(live.SHOWN_BLOCKS + 3):
        board.take("text", {"exchange": "a", "index": index, "text": str(index)}, T0)
    (row,) = live.running(board, Filters(), T0)
    assert (row.earlier, [piece.text for piece in row.pieces]) == (3, ["3", "4", "5", "6"])


@pytest.mark.parametrize(
    ("filters", "fits"),
    [
        (Filters(), True),
        (Filters(model="OPUS"), True),
        (Filters(model="haiku"), False),
        (Filters(session="s1"), True),
        (Filters(session="s2"), False),
        (Filters(agent="Explore"), True),
        (Filters(agent="main"), False),
        (Filters(kind="subagent"), True),
        (Filters(kind="main"), False),
        (Filters(project="elsewhere", text="x", provider="y", status="errors", state="failed"), True),
    ],
)
def test_filters_go_by_what_is_known(filters: Filters, fits: bool) -> None:
    """Model, session, agent and kind filter what runs; what nobody knows yet filters nothing, and the page says so."""
    one = Running(
        "a", T0, model="claude-opus-5-5", session_id="s1", agent_id="7", agent_type="Explore", kind="subagent"
    )
    assert live.fits(one, filters) is fits


ROUTED = {"agent_name": "code-reviewer", "provider": "openai", "routed_model": "gpt-4o", "model": "claude-opus-5-5"}


@pytest.mark.parametrize(
    ("filters", "fits"),
    [
        (Filters(agent="code-reviewer"), True), (Filters(agent="custom"), True), (Filters(agent="Explore"), False),
        (Filters(model="gpt-4O"), True), (Filters(model="opus"), True), (Filters(model="haiku"), False),
    ],
)  # fmt: skip
def test_what_is_routed_goes_by_both_models_and_the_agents_name(filters: Filters, fits: bool) -> None:
    """A routed exchange that runs is found by its agent's name or kind, and by the model that was asked for or routed to."""
    one = _begin(Board(), "a", 0, kind="subagent", agent_id="7", agent_type="custom", **ROUTED)
    assert live.fits(one, filters) is fits


def test_who_answers_is_shown_while_it_runs(handmade_data: Data) -> None:
    """A routed exchange has its agent's name and a badge with the model that answers, also once it has ended; others have none."""
    view = view_of(handmade_data, "?page=live")
    _begin(view.live.board, "a", 0, kind="subagent", agent_id="7", agent_type="custom", **ROUTED)
    for _ in range(2):
        shown = _shown(view, 1)
        assert 'title="routed: openai answers"><bdi>→ gpt-4o</bdi>' in shown
        assert "code-reviewer" in shown
        view.live.board.take("ended", {"exchange": "a", "state": "complete"}, T0 + 1)
    _begin(view.live.board, "b", 2)
    assert _shown(view, 3).count("routed: ") == 1


def test_a_wait_says_what_for() -> None:
    """Nothing yet, the head, and a repeated attempt are told apart; once it speaks, nothing is waited for."""
    one = Running("a", T0)
    assert live.waits_for(one) == "waiting for the answer to begin"
    one.retry = "529"
    assert live.waits_for(one) == "trying again, after: 529"
    one.status = 200
    assert live.waits_for(one) == "waiting for the first token"
    one.characters = 1
    assert live.waits_for(one) == ""


def test_what_is_said_stays_text(handmade_data: Data) -> None:
    """Markup in text, model, agent, tool name, session and error reaches the page as characters."""
    view = view_of(handmade_data, "?page=live")
    hostile = {"agent_name": HOSTILE, "provider": HOSTILE, "routed_model": HOSTILE}
    one = _begin(
        view.live.board, "a", 0, model=HOSTILE, session_id=HOSTILE, agent_type=HOSTILE, agent_id="1", **hostile
    )
    view.live.board.take(
        "block", {"exchange": "a", "index": 0, "phase": "start", "type": HOSTILE, "tool_name": HOSTILE}, T0
    )
    view.live.board.take("tool_input", {"exchange": "a", "index": 0, "text": HOSTILE}, T0)
    one.error = HOSTILE
    for _ in range(2):
        shown = _shown(view, 1)
        assert "<script>" not in shown
        assert "<img" not in shown
        assert shown.count("&lt;img src=x") >= 3
        view.live.board.take("ended", {"exchange": "a", "state": HOSTILE, "stop_reason": HOSTILE}, T0 + 1)


def test_the_page_says_how_the_connection_is(handmade_data: Data) -> None:
    """Without a proxy it says where it looked and what starts one; time stands still then for what ran."""
    view = view_of(handmade_data, "?page=live")
    _begin(view.live.board, "a", 0)
    view.live._state = State(False, "stopped", "the proxy has gone", "ccproxy serve", T0 + 5)
    shown = _shown(view, 100)
    assert "the proxy has gone" in shown
    assert "ccproxy serve" in shown
    assert "5.0<i> s</i>" in shown
    assert "as it was when the connection was lost" in shown


def test_an_end_links_to_its_exchange(handmade_data: Data) -> None:
    """What has ended is a row that opens the exchange, with how it ended and what it took."""
    view = view_of(handmade_data, "?page=live&model=opus")
    _begin(view.live.board, "0199c8c5-0001", 0)
    told = {
        "state": "client_left",
        "status": 200,
        "duration_ms": 2500.0,
        "output_tokens": 9,
        "input_tokens": 4,
        "cache_read_tokens": 6,
    }
    view.live.board.take("ended", {"exchange": "0199c8c5-0001", **told}, T0 + 3)
    shown = _shown(view, 4)
    assert 'data-href="?page=exchanges&amp;item=0199c8c5-0001&amp;model=opus"' in shown
    for part in ("client left", "2.5<i> s</i>", '<span class="n">10</span>', '<span class="n">9</span>'):
        assert part in shown


def test_pause_is_in_the_address(handmade_data: Data) -> None:
    """The button leads to the paused view, and from there back; filters go along."""
    running, paused = (view_of(handmade_data, f"?page=live&model=opus{more}") for more in ("", "&paused=1"))
    assert 'href="?page=live&amp;model=opus&amp;paused=1"' in _shown(running, 0)
    assert 'href="?page=live&amp;model=opus"' in _shown(paused, 0)
    assert "paused at" in _shown(paused, 0)


def test_nothing_runs_is_said_with_what_brings_something(handmade_data: Data) -> None:
    """The empty page says what would be here, and the command that brings it."""
    (pane,) = page.page(view_of(handmade_data, "?page=live"))
    assert "Nothing runs just now." in str(pane.object)
    assert "ccproxy run -- claude" in str(pane.object)
    assert Route.read("?page=live").page == "live"
