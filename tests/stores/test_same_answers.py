"""The same sessions in a store of each dialect: whatever is asked, both answer the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ccproxy.ingest.memory import Memory
from ccproxy.records import Captured, Ending, Position, State
from ccproxy.stores.contract import Filter, Leftover, Page, Selection, Store
from tests.support.entries import CACHE, T0, Json, Session, captured, entry_of, exchange_id, fill, stream
from tests.support.homes import DIALECTS, home_in
from tests.support.pruned import tidy

MINUTE = 60_000_000
NASTY = "naïve NUL\0 half\ud83d 👩‍👩‍👧 Straße /usr/lib/python3.11 a-b_c https://example.com/?q=1#x x² \u2028 ΣΊΣΥΦΟΣ"
ODD = "s\0 naïve%"  # a session's name
WORDS = (
    "the", "naive", "NUL", "half", "strasse", "straße", "/usr/lib", "python3.11", "3.11", "a-b", "b_c", "b-c", "a b",
    "example.com", "σίσυφοσ", "👩", "x", "agent", "Tool3", "Read", "overloaded", "thinking hard", "-", "- naive", "nothing",
    "left", "right", "Tests", "naive straße", "file_path", "forty-two zebras",
)  # fmt: skip
IN_VAIN = {"strasse", "-", "nothing", "3.11", "👩", "overloaded"}


def user(text: str) -> Json:
    """Return what a person says."""
    return {"role": "user", "content": text}


def assistant(*content: Json) -> Json:
    """Return what the model has said."""
    return {"role": "assistant", "content": list(content)}


def said(text: str) -> Json:
    """Return a text block."""
    return {"type": "text", "text": text}


def sessions() -> Iterator[Captured]:
    """Yield what a day of Claude Code comes to: long sessions, a subagent, a rewind, a title, and all that goes wrong."""
    for seed in (1, 2):
        yield from _numbered(Session(seed=seed, preamble_bytes=4000, turn_bytes=500).exchanges(5), 10 * seed)
    call = {
        "type": "tool_use",
        "id": "t1",
        "name": "Read",
        "input": {"file_path": "/a-b/forty-two zebras.txt", "n": 2**70},
    }
    result = {"type": "tool_result", "tool_use_id": "t1", "is_error": True, "content": [said(NASTY), {"type": "image"}]}
    thought = {"type": "thinking", "thinking": "thinking hard", "signature": "s"}
    first = [
        user("the task"),
        assistant(thought, call),
        {"role": "user", "content": [result, {**said("go on"), **CACHE}]},
    ]
    yield one(30, first[:1], [call])
    yield one(31, first, [said("done")])
    yield one(32, [*first, assistant(said("done")), user("to the left")], [said("left it is")])
    yield one(33, [*first, assistant(said("done")), user("to the right")], [said("right it is")])
    yield one(34, [user("you are an agent")], [said("agent here")], headers=[("x-claude-code-agent-id", "a7")])
    yield one(35, [user(NASTY)], [said(NASTY)], session=ODD, headers=[("x-claude-code-agent-id", "b\0b")])
    title = {"type": "json_schema", "schema": {"properties": {"title": {"type": "string"}}}}
    named = {**request([user("name it")]), "output_config": {"format": title}}
    yield captured(36, named, stream([said('{"title": "Tests"}')]), request_headers=_headers("s"))
    overloaded = json.dumps(
        {"type": "error", "error": {"type": "overloaded_error", "message": "overloaded\0"}}
    ).encode()
    plain = [("content-type", "application/json")]
    yield captured(
        37, request([user("x")]), [overloaded], status=529, response_headers=plain, request_headers=_headers("s")
    )
    yield one(38, [user("x")], [said("cut short here")], state=State.CLIENT_LEFT, cut=4)
    failed = one(39, [user("y")], None)
    failed.ended_at, failed.ending = failed.opened_at + 5, Ending(State.FAILED, None, "no answer\0", "connect")
    yield failed
    yield one(40, [user("still running")], None)
    yield captured(41, b"not json \0", [b"nor this \xff"], response_headers=plain, path="/v1/files", query="a=%00")
    yield captured(42, b"", [b"{}"], method="GET", path="/v1/models", response_headers=plain)
    interrupted = one(43, [user("cut off")], None, writer="dead")
    yield interrupted


def _numbered(exchanges: Iterator[Captured], start: int) -> Iterator[Captured]:
    for number, exchange in enumerate(exchanges, start):
        exchange.id = exchange_id(number)
        yield exchange


def request(messages: Sequence[Json]) -> Json:
    """Return the body of a request."""
    tools = [{"name": "Read", "description": "reads", "input_schema": {}}]
    return {"model": "claude-opus-4", "stream": True, "tools": tools, "system": "be good", "messages": list(messages)}


def one(number: int, messages: Sequence[Json], answer: Sequence[Json] | None, **more: Any) -> Captured:
    """Return an exchange of a session; `cut` events of the answer are missing at its end."""
    cut = more.pop("cut", 0)
    headers = [*_headers(more.pop("session", "s")), *more.pop("headers", [])]
    events = None if answer is None else stream(answer)[: -cut or None]
    return captured(number, request(messages), events, request_headers=headers, **more)


def _headers(session: str) -> list[tuple[str, str]]:
    agent = ("user-agent", "claude-cli/2.1.300 (external, cli)")
    return [("content-type", "application/json"), agent, ("x-claude-code-session-id", session)]


FILTERS = (
    Filter(), Filter(model="OPUS"), Filter(model="test"), Filter(model=""), Filter(model="%"), Filter(statuses=(range(500, 600),)),
    Filter(statuses=(range(200, 201), range(529, 530))), *(Filter(state=state) for state in State), Filter(session="s"),
    Filter(session="session-1"), Filter(session=ODD), Filter(agent="main"), Filter(agent="a7"), Filter(agent="b\0b"),
    Filter(kind="subagent"), Filter(kind="title"), Filter(provider="anthropic"), Filter(provider="x"), Filter(project="/"),
    Filter(since=T0 + 32 * MINUTE), Filter(until=T0 + 3 * MINUTE), Filter(since=-(10**30), until=10**30),
    Filter(session="s", kind="main", since=T0, model="claude"),
)  # fmt: skip


def answers(store: Store) -> dict[str, Any]:
    """Return what a store answers to everything that can be asked, in a form that can be compared."""
    rows = store.exchanges(limit=1000)
    ids = [row["id"] for row in rows]
    ends = [row[end] for row in rows for end in ("tip", "reply") if row[end]]
    names = sorted({row["session_id"] for row in rows if row["session_id"]})
    branches = {name: sorted(store.branches(name), key=lambda branch: branch.digest) for name in names}
    found = {
        "rows": rows,
        "some": store.exchanges(limit=3, before=ids[5], changed_since=ids[7]),
        "one": [store.exchange(key) for key in (*ids, ids[0][:13])],
        "bodies": {(key, side): store.body(key, side) for key in ids for side in ("request", "response")},
        "headers": {(key, side): store.headers(key, side) for key in ids for side in ("request", "response")},
        "lines": [store.conversation(end) for end in ends],
        "timelines": [store.timeline(key) for key in ids],
        "named": [rows if len(rows) < 2 else 2 for rows in map(store.named, (ids[3], ids[4][:13], "0000", "x", ""))],
        "lists": [_page(store.listing(wanted, limit=7, offset=2)) for wanted in FILTERS],
        "further": _page(store.listing(Filter(), limit=4, before=ids[6])),
        "usage": [store.usage(wanted) for wanted in FILTERS],
        "states": [store.states(wanted) for wanted in FILTERS],
        "sessions": [_page(store.sessions(wanted, limit=3)) for wanted in FILTERS],
        "later sessions": _page(store.sessions(Filter(), limit=2, offset=1)),
        "of sessions": {name: store.session_exchanges(name) for name in names},
        "named sessions": [store.session_named(name) for name in names if "\0" not in name and "\ufffd" not in name],
        "branches": branches,
        "messages": {name: store.messages([branch.message for branch in some]) for name, some in branches.items()},
        "producers": {name: store.producers([branch.digest for branch in some]) for name, some in branches.items()},
        "search": {words: _found(store, words) for words in WORDS},
        "lists of words": {words: _page(store.listing(Filter(words=words), limit=50)) for words in WORDS},
        "in a session": {words: _page(store.listing(Filter(words=words, session="s"), limit=50)) for words in WORDS},
        "sessions of words": {words: _page(store.sessions(Filter(words=words), limit=50)) for words in WORDS},
        "usage of words": {words: store.usage(Filter(words=words, kind="main")) for words in WORDS},
        "counts": [store.count(selection) for selection in (Selection(session="s"), Selection(everything=True))],
        "parts": sorted(store.parts(), key=lambda part: part.digest),
        "tree": sorted(store.tree()),
        "dangling": store.dangling(),
        "positions": store.positions(),
        "leftover": store.leftover(),
        "stats": {name: value for name, value in store.stats().items() if name not in ("place", "bytes", "schema")},
    }
    return {name: _comparable(value) for name, value in found.items()}


def _page(page: Page) -> Any:
    return page.rows, page.total, page.more


def _found(store: Store, words: str) -> Any:
    asked = words.replace("\0", "?").encode("utf-8", "replace").decode()
    hits = [asdict(replace(hit, snippet="")) for hit in store.search(asked, limit=500)]
    return sorted(map(_comparable, hits), key=str)


def _comparable(value: Any) -> Any:
    """Return a value as a store can hold it whose texts have no NUL."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, list | tuple):
        return [_comparable(item) for item in value]
    if isinstance(value, dict):
        return {_comparable(key) if isinstance(key, str) else key: _comparable(item) for key, item in value.items()}
    return _comparable(asdict(value)) if is_dataclass(value) and not isinstance(value, type) else value


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[list[Store]]:
    """Give an empty store of each dialect."""
    with home_in(DIALECTS[0], tmp_path) as one_home, home_in(DIALECTS[1], tmp_path) as other_home:
        yield [one_home.open(), other_home.open()]


def assert_same(stores: Sequence[Store]) -> dict[str, Any]:
    """Fail where the stores answer anything differently; return what they answer."""
    expected, found = (answers(store) for store in stores)
    for name, value in expected.items():
        assert found[name] == value, name
    return expected


def test_whatever_is_asked_both_answer_the_same(stores: list[Store]) -> None:
    """Every question of the contract, over sessions with all that happens in them, after each thing that changes them."""
    for store in stores:
        fill(store, list(sessions()))
        store.write([], [Position("w", 3, 17), Position("dead", 1, 1)])
    told = assert_same(stores)
    assert told["bodies"][exchange_id(35), "request"] == next(x for x in sessions() if x.id == exchange_id(35)).request
    assert len(told["rows"]) == 24
    assert {words for words, hits in told["search"].items() if not hits} == IN_VAIN
    for change in (
        lambda store: store.interrupt(["w"]),
        lambda store: store.delete(Selection(session="session-1")),
        lambda store: store.delete(Selection(before=T0 + 2 * MINUTE)),
        lambda store: store.delete(Selection(exchange=exchange_id(32))),
        tidy,
        lambda store: fill(store, list(sessions())),
        lambda store: store.forget_writer("w"),
        lambda store: store.delete(Selection(everything=True), most=9),
        tidy,
        lambda store: fill(store, list(sessions())),
    ):
        outcomes = [change(store) for store in stores]
        assert isinstance(outcomes[0], list) or outcomes[0] == outcomes[1]
        assert_same(stores)
    assert [store.leftover() for store in stores] in ([None, None], [Leftover.ROWS, Leftover.ROWS])


TEXT = st.lists(st.sampled_from([*WORDS, NASTY, "\0", " ", "-", "/", "."]) | st.text(max_size=6), max_size=8).map(
    " ".join
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(TEXT, min_size=1, max_size=8), asked=st.lists(TEXT, min_size=1, max_size=8))
def test_both_find_the_same_blocks(stores: list[Store], texts: list[str], asked: list[str]) -> None:
    """For any words over any texts, as hits and as exchanges."""
    for store in stores:
        store.delete(Selection(everything=True))
        tidy(store)
        memory = Memory(store.part)
        blocks: list[Json] = [{"type": "tool_use", "id": "t", "name": text, "input": {"x": text}} for text in texts]
        content = [*map(said, texts), *blocks]
        messages = [{"role": "user", "content": content}]
        store.write([entry_of(one(1, messages, [said(text) for text in texts]), memory)], [])
    for words in (*asked, *texts):
        if words.split():
            hits, others = (_comparable(_found(store, words)) for store in stores)
            assert hits == others, words
        listed, others = (_comparable(_page(store.listing(Filter(words=words), limit=9))) for store in stores)
        assert listed == others, words
