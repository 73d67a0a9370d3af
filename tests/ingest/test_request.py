"""Requests taken apart: whatever a client sends is given back byte for byte, and a conversation shares its history."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccproxy.ingest.memory import Memory
from ccproxy.ingest.request import request_entry
from ccproxy.records import Captured, Entry, Sending
from ccproxy.stores.sqlite import SqliteStore
from tests.support import wire
from tests.support.entries import CACHE, Session, captured, exchange_id, fill

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
MEMBERS = st.sampled_from(["messages", "system", "tools", "model", "stream", "metadata", "cache_control"])
MESSAGE = {"role": "user", "content": "hello"}
TOOL = {"name": "Bash", "description": "Runs a command. " * 20, "input_schema": {"type": "object"}}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """Give an empty store."""
    store = SqliteStore(tmp_path / "store.db", write=True)
    yield store
    store.close()


def _given_back(store: SqliteStore, *bodies: bytes, **options: Any) -> list[Entry]:
    """Put requests into the store, and see that each comes out as it went in."""
    exchanges = [captured(number, body, **options) for number, body in enumerate(bodies, 1)]
    entries = fill(store, exchanges)
    for exchange, body in zip(exchanges, bodies, strict=True):
        assert store.body(exchange.id, "request") == (body or None)
    return entries


BODIES = {
    "compact": b'{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":5}',
    "odd spacing": b'\n{ "model" :\t"m" , "messages" : [ {"role":"user" ,  "content":"hi"}\n,\r\n{"role":"assistant","content":[]} ] }\n\n',
    "odd key order": b'{"stream":true,"messages":[{"content":"hi","role":"user"}],"tools":[{"input_schema":{},"name":"T"}],"system":"s"}',
    "duplicate keys": b'{"messages":[{"role":"user","content":"a"}],"messages":[{"role":"user","role":"user","content":"b"}],"a":1,"a":2}',
    "unicode escapes": rb'{"messages":[{"role":"user","content":"\u00e4\ud83c\udf0d \/ \u0041 \\u0041"}]}',
    "the same text unescaped": '{"messages":[{"role":"user","content":"ä🌍 / A \\\\u0041"}]}'.encode(),
    "lone surrogate": rb'{"messages":[{"role":"user","content":"\ud800"}]}',
    "a zero": rb'{"messages":[{"role":"user","content":"a\u0000b"}]}',
    "big integers": b'{"messages":[{"content":[{"input":{"n":123456789012345678901,"g":1.0,"h":-0}}]}],"max_tokens":99999999999999999999}',
    "numbers out of range": b'{"messages":[{"role":"user","content":[{"type":"tool_use","input":{"f":1E400}}]}],"max_tokens":1E400}',
    "broken UTF-8": b'{"messages":[{"role":"user","content":"\xff\xfe"}]}',
    "content of all types": b'{"messages":[null,7,"text",[],{},{"role":5,"content":7},{"content":[1,null,{"type":[]}]}],"system":7}',
    "tools of all types": b'{"messages":[],"tools":{"a":1},"system":[7,null,{"type":"text","text":7}]}',
    "strings for lists": b'{"messages":"hello","system":"you are","tools":"none"}',
    "empty lists": b'{"messages":[],"system":[],"tools":[]}',
    "byte order mark": b'\xef\xbb\xbf{"messages":[]}',
    "nested deeply": b'{"messages":[{"role":"user","content":' + b"[" * 3000 + b"]" * 3000 + b"}]}",
    "truncated": b'{"messages":[{"role":"user","content":"hi"}',
    "a list": b"[1,2,3]",
    "a string": b'"hello"',
    "form data": b"a=1&b=2",
    "zeros": b"\0" * 5000,
    "empty": b"",
    "one byte": b"{",
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_any_body_is_given_back(store: SqliteStore, name: str) -> None:
    """However a client spells its request, and whatever it sends instead, the store gives back the same bytes."""
    _given_back(store, BODIES[name])


def test_all_of_them_together_are_given_back(store: SqliteStore) -> None:
    """Spellings of the same parts do not get into each other's way."""
    _given_back(store, *BODIES.values(), *reversed(BODIES.values()))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.dictionaries(MEMBERS, JSON, max_size=5), max_size=4), st.sampled_from([None, 1]), st.booleans())
def test_random_json_is_given_back(bodies: list[dict[str, Any]], indent: int | None, ascii_only: bool) -> None:
    """Any JSON object in any spelling is given back, whatever stands where messages should."""
    texts = [json.dumps(body, indent=indent, ensure_ascii=ascii_only).encode() for body in bodies]
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "store.db", write=True)
        with contextlib.closing(store):
            _given_back(store, *texts)


def test_garbage_is_given_back(store: SqliteStore) -> None:
    """Bytes that mean nothing are kept with the reason."""
    [entry] = _given_back(store, os.urandom(10_000))
    assert "not a JSON object" in entry.columns["capture_note"]
    assert entry.columns["tip"] is None


def test_a_packed_body_is_kept_packed_and_understood(store: SqliteStore) -> None:
    """A gzip'd request is given back as it came, and taken apart for the record."""
    plain = json.dumps({"model": "m", "messages": [MESSAGE], "tools": [TOOL]}).encode()
    options: dict[str, Any] = {"request_headers": [("Content-Encoding", "gzip")]}
    [entry] = _given_back(store, gzip.compress(plain), **options)
    assert entry.columns["requested_model"] == "m"
    assert store.conversation(entry.columns["tip"]) == [json.dumps(MESSAGE).encode()]
    assert entry.columns["capture_note"] is None


def test_a_body_that_does_not_unpack_is_kept(store: SqliteStore) -> None:
    """A body that is not what its header says is kept as it is, with the reason."""
    options: dict[str, Any] = {"request_headers": [("content-encoding", "gzip")]}
    [entry] = _given_back(store, b'{"messages":[]}', **options)
    assert "does not decode" in entry.columns["capture_note"]


def test_a_body_that_was_recorded_plain_is_not_unpacked_again(store: SqliteStore) -> None:
    """What was packed on the wire and is recorded plain is taken for what it is."""
    exchange = captured(1, {"model": "m", "messages": [MESSAGE]}, request_headers=[("content-encoding", "gzip")])
    exchange.opening = msgspec.structs.replace(exchange.opening, plain=True)
    [entry] = fill(store, [exchange])
    assert (entry.columns["requested_model"], entry.columns["capture_note"]) == ("m", None)
    assert store.body(exchange.id, "request") == exchange.request
    assert store.conversation(entry.columns["tip"]) == [json.dumps(MESSAGE).encode()]


def test_that_a_request_was_demoted_is_on_record(store: SqliteStore) -> None:
    """A call that asked for one message and went up as a stream says both."""
    exchanges = [captured(number, {"model": "m", "stream": False, "messages": [MESSAGE]}) for number in (1, 2)]
    exchanges[1].sending = Sending(demoted=True)
    fill(store, exchanges)
    rows = [store.exchange(exchange.id) for exchange in exchanges]
    assert [(row["stream"], row["demoted"]) for row in rows] == [(0, 0), (0, 1)]


CUT = b'{"model":"m","max_tokens":5,"metadata":{"user_id":"user_a_account_b_session_c"},"messages":[{"role":"user","content":"hi"}]}'


@pytest.mark.parametrize("length", [85, 100, len(CUT) - 1])
def test_a_body_that_broke_off_says_what_it_can(store: SqliteStore, length: int) -> None:
    """Of a request whose end is not on record, the members that came whole count; the rest is bytes."""
    [entry] = _given_back(store, CUT[:length], request_headers=[("X-Claude-Code-Agent-Id", "agent")])
    columns = entry.columns
    assert (columns["requested_model"], columns["max_tokens"], columns["session_id"]) == ("m", 5, "c")
    assert columns["agent_id"] == "agent"
    assert columns["tip"] is None
    assert entry.nodes == []
    assert "not a JSON object" in columns["capture_note"]


def test_of_a_body_that_is_cut_early_the_headers_count(store: SqliteStore) -> None:
    """Where nothing of a body can be read, the headers still say who asked."""
    for number, body in enumerate(
        (b'{"mod', b'{"model":"m', b'{ nonsense "model":"m"', b'[{"model":"m"}', b"\xff{"), 1
    ):
        exchange = captured(number, body, request_headers=[("x-claude-code-session-id", "s")])
        [entry] = fill(store, [exchange])
        assert (entry.columns["requested_model"], entry.columns["session_id"]) == (None, "s")
        assert store.body(exchange.id, "request") == body


def test_a_large_body_is_given_back(store: SqliteStore) -> None:
    """A request of 5 MB costs 5 MB once, and its repetition next to nothing."""
    picture = {"type": "image", "source": {"type": "base64", "data": os.urandom(1_900_000).hex()}}
    first = {
        "model": "m",
        "messages": [{"role": "user", "content": [picture, {**picture, "a": os.urandom(600_000).hex()}]}],
    }
    second = {**first, "messages": [*first["messages"], {"role": "assistant", "content": "ok"}, MESSAGE]}
    entries = _given_back(store, *(json.dumps(body).encode() for body in (first, second)))
    assert entries[1].bodies[0].size > 5_000_000
    assert len(entries[1].bodies[0].data) < 500


def test_a_moved_marker_and_a_changed_spelling_share_a_node(store: SqliteStore) -> None:
    """The marker for the cache and the switch between string and list make no new message."""
    text = {"type": "text", "text": "a question of some length " * 10}
    spellings: list[Any] = [[{**text, **CACHE}], text["text"], [text]]
    bodies = [json.dumps({"messages": [{"role": "user", "content": content}]}).encode() for content in spellings]
    entries = _given_back(store, *bodies)
    assert len({entry.columns["tip"] for entry in entries}) == 1
    assert store.stats()["nodes"] == 1


def test_a_growing_conversation_is_one_line(store: SqliteStore) -> None:
    """Each request adds its new messages below those of the request before."""
    entries = fill(store, list(Session(turn_bytes=200, preamble_bytes=3000).exchanges(6)))
    assert store.stats()["nodes"] == 12
    for before, after in pairwise(entries):
        assert [node.depth for node in after.nodes] == [after.depth - 1, after.depth]
        assert after.nodes[0].parent == before.columns["reply"]
        assert after.nodes[0].digest == after.columns["tip"]


def test_a_rewind_is_a_branch(store: SqliteStore) -> None:
    """Two requests that go different ways share what they have in common."""
    common = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    bodies = [
        json.dumps({"messages": [*common, {"role": "user", "content": way}]}).encode() for way in ("left", "right")
    ]
    left, right = _given_back(store, *bodies)
    assert left.nodes[-1].parent == right.nodes[0].parent
    assert store.stats()["nodes"] == 4


def test_the_same_text_in_another_place_is_another_node(store: SqliteStore) -> None:
    """A message is known by what stands before it, its text is stored once."""
    bodies = [json.dumps({"messages": [MESSAGE] * count}).encode() for count in (1, 3)]
    _given_back(store, *bodies)
    stats = store.stats()
    assert (stats["nodes"], stats["blocks"]) == (3, 3)


def test_the_billing_line_makes_no_new_preamble(store: SqliteStore) -> None:
    """The system block that changes with each conversation stays with the exchange."""

    def body(number: int) -> bytes:
        line = f"x-anthropic-billing-header: cc_version=2.1.300.{number:03}; cc_entrypoint=cli;"
        system = [{"type": "text", "text": line}, {"type": "text", "text": "You are."}]
        return json.dumps({"system": system, "tools": [TOOL], "messages": [MESSAGE]}).encode()

    one, other = _given_back(store, body(1), body(2))
    assert one.columns["preamble"] == other.columns["preamble"]
    assert "2.1.300.001" in one.columns["billing_line"]
    assert [(part.kind, part.name) for part in one.preamble.parts if one.preamble] == [
        ("tool", "Bash"),
        ("system", None),
    ]
    assert store.stats()["preambles"] == 1


def test_a_call_without_a_body_has_none(store: SqliteStore) -> None:
    """A GET is an exchange without a request body, and no reason for a note."""
    [entry] = _given_back(store, b"", method="GET", path="/v1/models")
    assert entry.bodies == []
    assert entry.columns["capture_note"] is None


def test_who_asked_is_in_the_columns(store: SqliteStore) -> None:
    """What headers and body say about the caller is on record."""
    [exchange] = Session(preamble_bytes=3000).exchanges(1)
    [entry] = fill(store, [exchange])
    row = store.exchange(exchange_id(1))
    assert row["session_id"] == "session-1"
    assert (row["client"], row["client_version"], row["entrypoint"]) == ("claude-cli", "2.1.300", "cli")
    assert (row["requested_model"], row["stream"], row["max_tokens"]) == ("claude-test-1", 1, 32000)
    assert row["request_bytes"] == entry.bodies[0].size


def test_a_request_costs_little_once_its_history_is_known() -> None:
    """What is stored of a request does not grow with the history that it repeats."""
    memory = Memory(lambda _digest: None)
    sizes = [len(request_entry(exchange, memory).bodies[0].data) for exchange in Session().exchanges(40)]
    assert max(sizes[5:]) < 1500
    assert max(sizes[30:]) < 1.3 * min(sizes[5:10])


@wire.needs_wire
def test_recorded_requests_are_given_back(store: SqliteStore) -> None:
    """Every recorded request of Claude Code, of every version, is given back byte for byte."""
    exchanges = [_recorded(number, request) for number, request in enumerate(wire.requests(), 1)]
    bodies = [exchange.request for exchange in exchanges]
    fill(store, exchanges)
    for exchange, body in zip(exchanges, bodies, strict=True):
        assert store.body(exchange.id, "request") == (body or None), exchange.id


def _recorded(number: int, request: wire.Request) -> Captured:
    return captured(
        number,
        request.body,
        method=request.method,
        path=request.path.partition("?")[0],
        request_headers=request.headers,
    )
