"""A thread of the handmade capture: its steps, the agents that it started, times of tools, lost cache, and how they are rendered."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

import analysis
from ccproxy.stores.sqlite import SqliteStore
from dashboards.data import Data
from dashboards.data.sessions import session
from dashboards.data.thread import Thread, thread
from dashboards.pages import sessions as page
from dashboards.reading import Reading
from tests.dashboards.conftest import view_of
from tests.support import handmade, wire
from tests.support.entries import captured, fill
from tests.support.handmade import NEXT, OTHER, SESSION, ids
from tests.support.talks import came, talk, text, use


def _thread(data: Data, session_id: str = SESSION, name: str = "main") -> Thread:
    found = session(data, session_id)
    assert found is not None
    walked = thread(data, found, f"{session_id}/{name}")
    assert walked is not None
    return walked


def _html(data: Data, search: str) -> str:
    return str(page.page(view_of(data, search))[0].object)


def test_the_main_thread_is_walked(handmade_data: Data) -> None:
    """The main conversation has its messages, the refused exchange and the summary, in order."""
    steps = _thread(handmade_data).steps
    assert [step.kind for step in steps] == ["user", "assistant", "assistant", "assistant", "failed", "compaction"]
    assert [step.exchange["exchange_id"] for step in steps if step.exchange] == ids(1, 1, 2, 8, 10, 12)


def test_agents_hang_on_the_calls_that_started_them(handmade_data: Data) -> None:
    """An agent is known by its call, with the cost of all below it; an agent of an agent hangs on that one's call."""
    main = _thread(handmade_data)
    assert {use: [agent.row["agent"] for agent in agents] for use, agents in main.agents.items()} == {
        "toolu_2": ["Explore"], "toolu_3": ["reviewer"],
    }  # fmt: skip
    [reviewer] = main.agents["toolu_3"]
    own, below = 400 * 5 + 10 * 4 + 20 * 20, 300 * 8 + 10 * 4 + 20 * 20  # of exchanges 5 and 6, in millionths of USD
    assert reviewer.cost_usd == pytest.approx((own + below) / 1e6)
    [explore] = main.agents["toolu_2"]
    assert explore.ms == pytest.approx(60_000 + 220, abs=60)
    assert list(_thread(handmade_data, name="a2").agents) == ["toolu_5"]


def test_the_time_of_a_call_is_the_clients_where_it_tells(handmade_data: Data) -> None:
    """What the client measured of one call alone counts; of several calls of one name, what passed on the wire."""
    main = _thread(handmade_data)
    bash, agents = main.steps[1], main.steps[2]
    assert main.ms_of(bash.blocks[1], [bash.blocks[1]], bash) == (742.0, "measured by the client")
    ms, whose = main.ms_of(agents.blocks[0], agents.blocks, agents)
    assert ms == pytest.approx(6 * 60_000 - 220, abs=60)  # from the end of exchange 2 to the start of 8
    assert whose.startswith("from the end of the answer")


def test_lost_cache_is_told_with_its_cause(tmp_path: Path) -> None:
    """Where an exchange did not read what was there, the step says why, how much and at what price."""
    path = tmp_path / "lost.db"
    usage = {"input_tokens": 0, "output_tokens": 1, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 5000}
    tools = [{"name": "Bash", "input_schema": {}}, {"name": "mcp__db__query", "input_schema": {}}]
    turns = [([text("a")], [text("b")]), ([text("c")], [text("d")])]
    told = [talk(turns, "lost", tools=tools[:1], usage=usage)[0], talk(turns, "lost", tools=tools, usage=usage)[1]]
    with contextlib.closing(SqliteStore(path, write=True)) as store:
        fill(store, told)
    data = Data(lambda: analysis.open(path))
    found = session(data, "lost")
    assert found is not None
    walked = Reading(view_of(data, "?page=sessions&item=lost"), found).thread("lost/main")
    assert walked is not None
    [lost] = walked.lost.values()
    assert (lost["cause"], lost["lost_tokens"]) == ("tools_changed", 5000)
    assert lost["lost_usd"] == pytest.approx(5000 * (5 - 0.2) / 1e6)
    html = _html(data, "?page=sessions&item=lost")
    assert "tools changed (<bdi>+ mcp__db__query</bdi>)" in html
    assert "5.0<i> k</i>" in html
    data.forget()


def test_a_session_shows_what_was_said(handmade_data: Data) -> None:
    """The page has the title, what was said, calls with results, agents to be opened, the error and the summary."""
    html = _html(handmade_data, f"?page=sessions&item={SESSION}")
    said = ("Flaky importer test", "Fix the flaky importer test", "I look.", "pytest -x", "1 failed", "Mended.")
    told = (
        "1 system reminder",
        "↳ <bdi>Explore</bdi>",
        "1 turn",
        "overloaded_error",
        "↯ compaction",
        "Beside the conversation",
    )
    for words in (*said, *told):
        assert words in html, words
    assert html.count('class="agent"') == 2
    assert f"?page=exchanges&amp;item={ids(8)[0]}" in html


def test_an_agents_thread_comes_when_it_is_opened(handmade_data: Data) -> None:
    """What stands in an agent's thread is not in the page, and comes as a part of it; its own agents are in there."""
    found = session(handmade_data, SESSION)
    assert found is not None
    look = Reading(view_of(handmade_data, f"?page=sessions&item={SESSION}"), found)
    [agent] = _thread(handmade_data).agents["toolu_3"]
    html = look.parts.html(look.inside(agent))
    assert "Review it." in html
    assert 'class="agent"' in html
    assert "Seen." not in html
    assert "Seen." not in _html(handmade_data, f"?page=sessions&item={SESSION}")


def test_an_agents_thread_stands_alone_too(handmade_data: Data) -> None:
    """An address can name an agent's thread, and then leads back to the session."""
    html = _html(handmade_data, f"?page=sessions&item={SESSION}&thread={SESSION}/a1")
    assert "<h1><bdi>Explore</bdi></h1>" in html
    assert "All read." in html
    assert "Fix the flaky importer test" not in html
    assert "There is no such thread" in _html(handmade_data, f"?page=sessions&item={SESSION}&thread=none")


def test_an_address_can_name_an_exchange(handmade_data: Data) -> None:
    """The step of the exchange that an address names is marked, in the thread that it belongs to."""
    html = _html(handmade_data, f"?page=sessions&item={SESSION}&exchange={ids(4)[0]}")
    assert html.count("data-here") - html.count("[data-here]") == 1
    assert "All read." in html


def test_long_threads_are_paged(handmade_data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a long thread a page shows some steps, says which of how many, and leads to the others and to the end."""
    monkeypatch.setattr("dashboards.pages.sessions.A_PAGE", 2)
    html = _html(handmade_data, f"?page=sessions&item={SESSION}")
    assert html.count("<article") == 2
    assert "later →" in html
    assert "at=4" in html
    last = _html(handmade_data, f"?page=sessions&item={SESSION}&at=4")
    assert "← earlier" in last
    assert "later →" not in last
    assert (
        "data-here" in _html(handmade_data, f"?page=sessions&item={SESSION}&exchange={ids(10)[0]}").split("</style>")[1]
    )


def test_odd_sessions_are_shown(handmade_data: Data) -> None:
    """Text that is no text, a broken image, tools of the server, an MCP tool, an error and what still runs are all shown."""
    html = _html(handmade_data, f"?page=sessions&item={OTHER}")
    assert "&lt;b&gt;&amp;amp;" in html
    assert "it breaks off" in html
    assert "web_search" in html
    assert '<span class="badge">git_hub</span>' in html
    assert "the provider cannot be reached" in html
    assert "no answer yet" in html
    assert "answered with nothing" in _html(handmade_data, f"?page=sessions&item={NEXT}")


def test_a_conversation_continued_elsewhere_is_whole(tmp_path: Path) -> None:
    """A session that goes on from another one shows what was said there, from the messages that both share."""
    path = tmp_path / "two.db"
    turns = [([text("first")], [text("one")]), ([text("second")], [text("two")]), ([text("third")], [text("three")])]
    with contextlib.closing(SqliteStore(path, write=True)) as store:
        fill(store, [*talk(turns[:2], "old"), talk(turns, "new")[2]])
    data = Data(lambda: analysis.open(path))
    html = _html(data, "?page=sessions&item=new")
    for words in ("4 messages from before", "first", "two", "third", "three"):
        assert words in html
    with analysis.open(path) as capture:
        capture.export(tmp_path / "out")
    exported = Data(lambda: analysis.open(tmp_path / "out"))
    assert _html(exported, "?page=sessions&item=new") == html
    data.forget()
    exported.forget()


@wire.needs_wire
def test_a_recorded_session_is_walked(tmp_path: Path) -> None:
    """A whole session as a real client sent it is shown once, message by message, with its edits, lists and its compaction."""
    asked = [
        request for request in wire.requests() if request.source.startswith("claudetrace") and request.method == "POST"
    ]
    told = [
        captured(
            number, request.body, [request.response], query="beta=true",
            request_headers=[*request.headers, ("x-claude-code-session-id", "recorded")],
        )
        for number, request in enumerate(asked, start=1)
    ]  # fmt: skip
    path = tmp_path / "recorded.db"
    with contextlib.closing(SqliteStore(path, write=True)) as store:
        fill(store, told)
    data = Data(lambda: analysis.open(path))
    steps = _thread(data, "recorded").steps
    people = [step for step in steps if step.kind == "user" and not step.slim]
    assert len(people) == 2
    assert [step.number for step in steps if step.number] == list(range(1, 16))
    assert [step.kind for step in steps][-1] == "compaction"
    html = _html(data, "?page=sessions&item=recorded&unfold=all")
    for words in ("TodoWrite", "+33", "Open-Meteo", "↯ compaction"):
        assert words in html
    data.forget()


def test_a_call_without_a_result_says_so(tmp_path: Path) -> None:
    """A call that was never answered is shown as one; a later result of the same call changes nothing."""
    path = tmp_path / "calls.db"
    turns = [
        ([text("go")], [use(1, "Bash", {"command": "a"}), use(2, "Bash", {"command": "b"})]),
        ([came(1, "out")], [text("end")]),
    ]
    with contextlib.closing(SqliteStore(path, write=True)) as store:
        fill(store, talk(turns, "calls"))
    data = Data(lambda: analysis.open(path))
    html = _html(data, "?page=sessions&item=calls")
    assert html.count("no result") == 1
    assert handmade.MODEL.removeprefix("claude-") in html
    data.forget()
