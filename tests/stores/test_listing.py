"""Lists, figures and sessions, as the store gives them: filters, pages, totals, and where a word first stood."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ccproxy.ingest.memory import Memory
from ccproxy.ingest.request import request_entry
from ccproxy.protocol.parts import json_value
from ccproxy.records import Captured, State
from ccproxy.stores.contract import Filter, Store
from tests.support import routed
from tests.support.entries import T0, Session, captured, exchange_id, fill, stream
from tests.support.homes import Home

MINUTE = 60_000_000  # between two exchanges, in µs
Json = dict[str, Any]


def text(words: str) -> list[Json]:
    """Return an answer that says this."""
    return [{"type": "text", "text": words}]


def user(words: str) -> Json:
    """Return a message of the user."""
    return {"role": "user", "content": words}


def assistant(words: str) -> Json:
    """Return a message of the model."""
    return {"role": "assistant", "content": text(words)}


def exchange(number: int, messages: list[Json], answer: str = "", *, session: str = "s", **options: Any) -> Captured:
    """Return an exchange of a session, with its answer."""
    model = options.pop("model", "claude-opus-4")
    headers = [("content-type", "application/json"), ("x-claude-code-session-id", session), *options.pop("headers", [])]
    answered = stream(text(answer)) if answer else None
    return captured(number, {"model": model, "messages": messages}, answered, request_headers=headers, **options)


def ids(store: Store, limit: int = 100, **wanted: Any) -> list[int]:
    """Return the numbers of the exchanges that a filter lets through."""
    page = store.listing(Filter(**wanted), limit=limit)
    assert page.total == len(page.rows)
    return [next(n for n in range(200) if exchange_id(n) == row["id"]) for row in page.rows]


def test_pages_are_newest_first_and_know_the_total(store: Store) -> None:
    """Any page holds what belongs on it, and the total does not depend on it."""
    fill(store, [exchange(n, [user(str(n))], "yes") for n in range(1, 24)])
    seen = []
    for page_number in range(4):
        page = store.listing(Filter(), limit=7, offset=7 * page_number)
        assert (page.total, page.more) == (23, page_number < 3)
        seen += [row["id"] for row in page.rows]
    assert seen == [exchange_id(n) for n in range(23, 0, -1)]
    assert store.listing(Filter(), limit=7, offset=10**30).rows == []


def test_a_cursor_goes_on_where_a_page_ended(store: Store) -> None:
    """Rows below an id follow without gap or repetition, also when newer ones have come in; the total is that of all."""
    fill(store, [exchange(n, [user(str(n))], "yes") for n in range(1, 6)])
    first = store.listing(Filter(), limit=2)
    fill(store, [exchange(6, [user("6")], "yes")])
    second = store.listing(Filter(), limit=2, before=first.rows[-1]["id"])
    assert [row["id"] for row in second.rows] == [exchange_id(3), exchange_id(2)]
    assert (second.total, second.more) == (6, True)
    last = store.listing(Filter(words="yes"), limit=2, before=exchange_id(2))
    assert ([row["id"] for row in last.rows], last.total, last.more) == ([exchange_id(1)], 6, False)


def test_a_model_is_found_by_a_piece_of_its_name(home: Home, store: Store) -> None:
    """In any case, without wildcards, as requested or as routed."""
    fill(
        store, [exchange(n, [user("x")], "y", model=m) for n, m in enumerate(["Claude-Opus-4", "a%b", "a_b", "axb"], 1)]
    )
    home.run("UPDATE exchanges SET routed_model = 'gpt-5' WHERE id = ?", exchange_id(4))
    assert ids(store, model="OPUS") == [1]
    assert ids(store, model="a%b") == [2]
    assert ids(store, model="_") == [3]
    assert ids(store, model="gpt") == ids(store, model="axb") == [4]
    assert ids(store, model="") == [4, 3, 2, 1]


def test_each_filter_asks_for_what_it_says(home: Home, store: Store) -> None:
    """State, status, session, agent, kind, provider, project and time, each alone and together."""
    agent = [("x-claude-code-agent-id", "a7")]
    fill(
        store,
        [
            exchange(1, [user("one")], "y"),
            exchange(2, [user("two")], "y", status=404, session="t"),
            exchange(3, [user("three")], "y", status=529, state=State.CLIENT_LEFT),
            exchange(4, [user("four")], "y", headers=agent),
            exchange(5, [user("five")]),
        ],
    )
    home.run("UPDATE exchanges SET cwd = '/home/me/Project_x', provider = 'openai' WHERE id = ?", exchange_id(1))
    assert ids(store, statuses=(range(400, 500),)) == [2]
    assert ids(store, statuses=(range(400, 500), range(529, 530))) == [3, 2]
    assert ids(store, state="client_left") == [3]
    assert ids(store, state="open") == [5]
    assert ids(store, session="t") == [2]
    assert ids(store, agent="a7") == ids(store, kind="subagent") == [4]
    assert ids(store, agent="main") == [5, 3, 2, 1]
    assert ids(store, provider="openai") == ids(store, project="project_X") == [1]
    assert ids(store, since=T0 + 4 * MINUTE) == [5, 4]
    assert ids(store, since=T0 + 2 * MINUTE, until=T0 + 4 * MINUTE) == [3, 2]
    assert ids(store, since=-(10**30), until=10**30) == [5, 4, 3, 2, 1]
    assert ids(store, session="s", agent="main", since=T0 + 2 * MINUTE, words="three") == [3]


def test_what_was_routed_is_found_by_agent_provider_and_either_model(store: Store) -> None:
    """An agent by its id or its name, whatever answered it; a provider; and a model by what was asked for or what was routed to."""
    routed.fill(store)
    assert ids(store, agent="a1") == ids(store, agent="code-reviewer") == ids(store, provider="openai") == [103, 102]
    assert ids(store, agent="Explore") == ids(store, agent="a5") == [108]
    assert ids(store, agent="code") == ids(store, agent="code-reviewe_") == []
    assert ids(store, agent="main") == [109, 101]
    assert ids(store, model="gpt-4O") == [104, 103, 102]
    assert ids(store, model="haiku", agent="tidier") == [105]
    assert ids(store, model="claude-opus-4-5") == list(range(109, 100, -1))
    assert ids(store, model="llama", provider="ollama", statuses=(range(500, 600),)) == [107]
    assert ids(store, agent="code-reviewer", words="importer.py") == [102]


def test_words_lead_to_the_exchange_in_which_they_first_stood(store: Store) -> None:
    """All in one block: in an answer, or in what a request added to the history, and not in the requests that repeat it."""
    first = [user("please count the giraffes")]
    second = [*first, assistant("three giraffes"), user("and zebras?"), {"role": "system", "content": "mind the time"}]
    third = [*second, assistant("no zebras at all"), user("thanks")]
    fill(
        store,
        [exchange(1, first, "three giraffes"), exchange(2, second, "no zebras at all"), exchange(3, third, "bye")],
    )
    assert ids(store, words="count GIRAFFES") == [1]
    assert ids(store, words="three giraffes") == [1]
    assert ids(store, words="giraffes") == [1]
    assert ids(store, words="zebras") == [2]
    assert ids(store, words="and zebras") == [2]
    assert ids(store, words="mind") == [2]
    assert ids(store, words="thanks") == [3]
    assert ids(store, words="count zebras") == []
    assert ids(store, words="  ") == [3, 2, 1]


def test_a_history_that_was_never_captured_belongs_to_the_request_that_brought_it(store: Store) -> None:
    """Of a session that was resumed under the proxy, each old message is found in the first request, however long it is."""
    history = [message for n in range(150) for message in (user(f"ask{n}"), assistant(f"say{n}"))]
    begun = [*history, user("go on")]
    fill(store, [exchange(1, begun, "on"), exchange(2, [*begun, assistant("on"), user("more")], "x")])
    assert ids(store, words="ask0") == ids(store, words="say149") == [1]


def test_within_a_session_words_are_found_where_they_first_stood_in_it(store: Store) -> None:
    """Two sessions may begin alike: together the older one is meant, and each alone has its own."""
    for n, session in ((1, "s"), (3, "t")):
        messages = [user("hello there")]
        fill(store, [exchange(n, messages, "hi", session=session)])
        fill(store, [exchange(n + 1, [*messages, assistant("hi"), user(f"more {session}")], "x", session=session)])
    assert ids(store, words="hello") == [1]
    assert ids(store, words="hello", session="t") == [3]
    assert ids(store, words="hi", session="t") == [3]
    assert ids(store, words="more", session="t") == [4]
    assert ids(store, words="hello", session="u") == []


@pytest.mark.parametrize(
    "words", ['"', "NEAR(a b)", "col:x", "*", "a^b", "-", "(", "'; DROP", "\0", "a\0b", "\ud83d", "x " * 2000]
)
def test_any_words_may_be_looked_for(store: Store, words: str) -> None:
    """What people type is words, never a query language."""
    fill(store, [exchange(1, [user("nothing of it")], "no")])
    assert ids(store, words=words) in ([], [1])


def test_an_id_is_found_by_either_end(store: Store) -> None:
    """One row for a whole id or for an end that only one has, two where more are like it, none for anything else."""
    fill(store, [exchange(n, [user("x")]) for n in (1, 2)])
    assert [row["id"] for row in store.named(exchange_id(2))] == [exchange_id(2)]
    assert [row["id"] for row in store.named(exchange_id(2)[:15].upper() + " ")] == [exchange_id(2)]
    assert len(store.named("0000")) == 2
    for nothing in ("", "%", "_", "x", exchange_id(3), exchange_id(1) + "0", "ffff"):
        assert store.named(nothing) == []


def test_the_events_of_an_answer_come_back(store: Store) -> None:
    """Each with its arrival after the one before, its kind, and the bytes of its data."""
    answer = stream(text("a b c"))
    fill(store, [exchange(1, [user("x")], "a b c"), exchange(2, [user("x")])])
    line = store.timeline(exchange_id(1))
    assert line is not None
    assert line.arrivals == [110_000, *[10_000] * (len(answer) - 1)]
    assert (line.kinds[0], line.kinds[-1]) == ("message_start", "message_stop")
    assert line.sizes == [len(piece.split(b"data: ")[1].strip()) for piece in answer]
    assert store.timeline(exchange_id(2)) is None


def test_usage_is_counted_by_day_and_model(store: Store) -> None:
    """Tokens of all four kinds, exchanges and errors; a filter narrows it."""
    tokens = {"input_tokens": 11, "output_tokens": 90, "cache_read_tokens": 700, "cache_write_tokens": 40}
    fill(store, [exchange(n, [user("x")], "y") for n in (1, 2)])
    fill(store, [exchange(2000, [user("x")], "y", status=500, session="t")])
    [newest, oldest] = store.usage(Filter())
    assert (newest["day"], newest["exchanges"], newest["errors"]) == ("2025-10-10", 1, 1)
    assert (oldest["day"], oldest["exchanges"], oldest["errors"]) == ("2025-10-09", 2, 0)
    assert oldest["model"] == "claude-test-1"
    assert {name: oldest[name] for name in tokens} == {name: 2 * number for name, number in tokens.items()}
    assert [row["exchanges"] for row in store.usage(Filter(session="t", words="y"))] == [1]
    assert store.states(Filter()) == {"complete": 3}
    assert store.states(Filter(session="none")) == {}


def test_a_session_is_one_row_with_its_figures(store: Store) -> None:
    """Times, exchanges, turns, agents, models, tokens, errors and clients of the whole session, newest session first."""
    for moved in (1, 2):
        exchanges = list(Session(seed=moved, preamble_bytes=3000).exchanges(4))
        for number, one in enumerate(exchanges):
            one.id = exchange_id(moved * 10 + number)
        fill(store, exchanges)
    fill(store, [exchange(30, [user("x")], "y", session="session-1", status=500)])
    page = store.sessions(Filter(), limit=10)
    assert [row["id"] for row in page.rows] == ["session-1", "session-2"]
    assert (page.total, page.more) == (2, False)
    row = page.rows[0]
    assert (row["exchanges"], row["turns"], row["errors"], row["running"], row["agents"]) == (5, 4, 1, 0, 0)
    assert (row["input_tokens"], row["output_tokens"]) == (55, 450)
    assert (row["cache_read_tokens"], row["cache_write_tokens"]) == (3500, 200)
    assert json.loads(row["models"]) == ["claude-test-1"]
    assert "claude-cli 2.1.300" in json.loads(row["clients"])
    assert row["started_at"] == T0 + MINUTE
    assert row["last_activity_at"] > T0 + 30 * MINUTE
    assert [row["id"] for row in store.sessions(Filter(), limit=1, offset=1).rows] == ["session-2"]
    assert store.sessions(Filter(statuses=(range(500, 600),)), limit=5).total == 1
    assert store.sessions(Filter(), limit=5, offset=10**30).rows == []


def test_a_session_is_found_by_what_was_said_in_it(store: Store) -> None:
    """Every session in which the words stood, also where another had them before."""
    for n, session in ((1, "s"), (2, "t"), (3, "u")):
        fill(store, [exchange(n, [user("hello there" if n < 3 else "good day")], f"answer {n}", session=session)])
    assert [row["id"] for row in store.sessions(Filter(words="hello"), limit=9).rows] == ["t", "s"]
    assert [row["id"] for row in store.sessions(Filter(words="answer 3"), limit=9).rows] == ["u"]


def test_the_texts_for_a_title_come_along(store: Store) -> None:
    """The answer to the request for a title, and what the first user message said."""
    asks = {"type": "json_schema", "schema": {"properties": {"title": {"type": "string"}}}}
    headers = [("user-agent", "claude-cli/2.1.300 (external, cli)"), ("x-claude-code-session-id", "s")]
    body = {"model": "m", "messages": [user("name it")], "output_config": {"format": asks}}
    fill(store, [exchange(1, [user("fix the tests"), assistant("ok"), user("go")], "done")])
    assert store.sessions(Filter(), limit=1).rows[0]["title"] is None
    fill(store, [captured(2, body, stream(text('{"title": "Tests"}')), request_headers=headers)])
    row = store.sessions(Filter(), limit=1).rows[0]
    assert row["title"] == '{"title": "Tests"}'
    assert row["first_texts"] == ["fix the tests", "go"]


def test_the_tree_of_a_session_is_whole(store: Store) -> None:
    """Every message of every conversation in it once, with its place, its text, and who produced it."""
    ways = [[user("a"), assistant("b"), user(way)] for way in ("left", "right")]
    fill(store, [exchange(1, [user("a")], "b"), *[exchange(n, way, "end") for n, way in enumerate(ways, 2)]])
    fill(store, [exchange(9, [user("elsewhere")], "no", session="t")])
    branches = store.branches("s")
    said = {key: json_value(value) for key, value in store.messages([b.message for b in branches]).items()}
    assert sorted(str(said[b.message]["content"]) for b in branches if b.role == "user") == ["a", "left", "right"]
    assert [b.parent for b in branches].count(None) == 1
    produced = store.producers([b.digest for b in branches])
    assert sorted(row["id"] for row in produced.values()) == [exchange_id(n) for n in (1, 2, 3)]
    assert [row["id"] for row in store.session_exchanges("s")] == [exchange_id(n) for n in (1, 2, 3)]
    assert store.branches("none") == store.session_exchanges("none") == []


def test_what_is_read_in_a_snapshot_belongs_together(home: Home, store: Store) -> None:
    """Inside it nothing changes; after it the news is there."""
    fill(store, [exchange(1, [user("x")], "y")])
    reader = home.open(write=False)
    with reader.snapshot():
        assert reader.listing(Filter(), limit=5).total == 1
        fill(store, [exchange(2, [user("x")], "y")])
        assert reader.listing(Filter(), limit=5).total == 1
    assert reader.listing(Filter(), limit=5).total == 2


def test_a_row_that_lacks_newer_columns_is_listed(store: Store) -> None:
    """An exchange of which hardly anything is known has a row like any other."""
    entry = request_entry(captured(1, b"not json"), Memory(lambda _digest: None))
    store.write([entry], [])
    [row] = store.listing(Filter(), limit=5).rows
    assert (row["state"], row["requested_model"]) == ("open", None)
    assert store.usage(Filter())[0]["model"] is None
