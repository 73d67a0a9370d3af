"""Answers taken apart: the message, its usage, its times; and every byte of what came, whatever it was."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import brotli
import msgspec
import pytest

from ccproxy.ingest.memory import Memory
from ccproxy.ingest.request import request_entry
from ccproxy.ingest.response import add_response
from ccproxy.protocol.parts import json_value
from ccproxy.records import Attempt, Ending, State
from ccproxy.stores.sqlite import SqliteStore
from tests.support import wire
from tests.support.entries import JSON_HEADERS, STREAM_HEADERS, captured, event, exchange_id, fill, stream

ASKED = {"model": "claude-test-1", "messages": [{"role": "user", "content": "hello"}], "stream": True}
TEXT = {"type": "text", "text": "An answer of some words, cut into pieces."}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "ls -l", "timeout": 5}}
MESSAGE = {
    "id": "msg_01", "type": "message", "role": "assistant", "model": "claude-test-1", "content": [TEXT],
    "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 7},
}  # fmt: skip
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """Give an empty store."""
    store = SqliteStore(tmp_path / "store.db", write=True)
    yield store
    store.close()


def _row(store: SqliteStore, answer: Sequence[bytes], **options: Any) -> dict[str, Any]:
    """Store an exchange with this answer, see that its bytes come back, and return its row."""
    exchange = captured(1, ASKED, answer, **options)
    fill(store, [exchange])
    assert (store.body(exchange.id, "response") or b"") == b"".join(answer)
    return store.exchange(exchange.id)


def test_a_stream_comes_to_its_message(store: SqliteStore) -> None:
    """Text, tool call, usage and stop reason stand in the store as the stream told them."""
    row = _row(store, stream([TEXT, CALL]))
    assert (row["state"], row["status"], row["message_id"]) == ("complete", 200, "msg_01")
    assert (row["response_model"], row["stop_reason"], row["stop_sequence"]) == ("claude-test-1", "tool_use", None)
    assert (row["input_tokens"], row["output_tokens"]) == (11, 90)
    assert (row["cache_read_tokens"], row["cache_write_tokens"]) == (700, 40)
    assert json.loads(row["usage"])["output_tokens"] == 90
    assert row["request_id"] == "req_011"
    reply = json_value(store.conversation(row["reply"])[-1])
    assert reply == {"role": "assistant", "content": [TEXT, CALL]}
    assert row["capture_note"] is None
    assert row["error"] is None


def test_times_are_those_of_the_events(store: SqliteStore) -> None:
    """Head, first byte, first token and end are told from the start of the request, gaps between pieces of content."""
    row = _row(store, stream([TEXT], pieces=4))  # a piece each 10 ms; the third event is the first of content
    assert (row["head_ms"], row["first_byte_ms"], row["first_token_ms"]) == (100, 110, 130)
    assert (row["gap_p50_ms"], row["gap_p99_ms"], row["gap_max_ms"]) == (10, 10, 10)
    assert row["events"] == 9
    assert row["duration_ms"] == 200
    assert row["tokens_per_second"] == pytest.approx(90 / 0.03)


def test_the_timeline_has_each_event(store: SqliteStore) -> None:
    """Each event's arrival, kind and size is kept, pings and comments too."""
    pieces = stream([TEXT], pieces=2)
    pieces[2:2] = [b": alive\n\n", event("ping")]
    exchange = captured(1, ASKED, pieces)
    [entry] = fill(store, [exchange])
    assert entry.timeline is not None
    assert entry.timeline.arrivals == [110_000, *[10_000] * 8]
    assert entry.timeline.kinds == [
        ["message_start", 1], ["content_block_start", 1], ["comment", 1], ["ping", 1], ["text_delta", 2],
        ["content_block_stop", 1], ["message_delta", 1], ["message_stop", 1],
    ]  # fmt: skip
    assert len(entry.timeline.sizes) == 9
    assert entry.timeline.sizes[2] == len("alive")


def test_a_stream_that_comes_in_odd_pieces_is_the_same_stream(store: SqliteStore) -> None:
    """Where the network cuts makes no difference to the message."""
    whole = b"".join(stream([TEXT, CALL]))
    row = _row(store, [whole[place : place + 13] for place in range(0, len(whole), 13)])
    assert json_value(store.conversation(row["reply"])[-1])["content"] == [TEXT, CALL]


def test_json_comes_to_its_message(store: SqliteStore) -> None:
    """An answer that is no stream has the same columns, and no times of content."""
    row = _row(store, [json.dumps(MESSAGE).encode()], response_headers=JSON_HEADERS)
    assert (row["message_id"], row["stop_reason"], row["output_tokens"]) == ("msg_01", "end_turn", 7)
    assert (row["first_byte_ms"], row["first_token_ms"], row["events"]) == (110, None, None)
    assert json_value(store.conversation(row["reply"])[-1])["content"] == [TEXT]


def test_an_error_is_complete_and_named(store: SqliteStore) -> None:
    """An error that the provider gave is its answer: complete, with the provider's type and words."""
    row = _row(store, [json.dumps(OVERLOADED).encode()], response_headers=JSON_HEADERS, status=529)
    assert (row["state"], row["status"]) == ("complete", 529)
    assert (row["api_error"], row["error"]) == ("overloaded_error", "Overloaded")
    assert row["reply"] is None


def test_an_overload_inside_a_stream_is_seen(store: SqliteStore) -> None:
    """A 200 whose only event is an error is an error."""
    row = _row(store, [event("error", error=OVERLOADED["error"])])
    assert (row["state"], row["status"], row["api_error"]) == ("complete", 200, "overloaded_error")
    assert row["reply"] is None
    assert row["capture_note"] is None


def test_an_error_after_content_keeps_the_content(store: SqliteStore) -> None:
    """What was said before an error is kept."""
    row = _row(store, [*stream([TEXT])[:4], event("error", error=OVERLOADED["error"])])
    assert row["api_error"] == "overloaded_error"
    [block] = json_value(store.conversation(row["reply"])[-1])["content"]
    assert TEXT["text"].startswith(block["text"])
    assert block["text"]


@pytest.mark.parametrize("state", [State.CLIENT_LEFT, State.FAILED, State.INTERRUPTED])
def test_a_stream_that_broke_off_keeps_what_came(store: SqliteStore, state: State) -> None:
    """Of a stream that was cut, anywhere, the message so far is kept, in the state in which it ended."""
    whole = b"".join(stream([TEXT]))
    row = _row(store, [whole[: whole.index(b"pieces") - 40]], state=state)
    assert row["state"] == state
    assert json_value(store.conversation(row["reply"])[-1])["content"][0]["text"].startswith("An answer")


def test_a_complete_stream_without_its_end_has_a_note(store: SqliteStore) -> None:
    """A provider that ends a stream early without an error is told from one that finished."""
    row = _row(store, stream([TEXT])[:-1])
    assert row["capture_note"] == "the stream ended without message_stop"


@pytest.mark.parametrize("name", ["gzip", "br"])
def test_a_packed_stream_keeps_bytes_and_times(store: SqliteStore, name: str) -> None:
    """A packed stream is kept packed, decoded for the record, and each event has the time of its bytes."""
    whole = b"".join(stream([TEXT]))
    packed: bytes = gzip.compress(whole) if name == "gzip" else brotli.compress(whole)
    headers = [*STREAM_HEADERS, ("content-encoding", name)]
    row = _row(store, [packed[:20], packed[20:]], response_headers=headers)
    assert row["message_id"] == "msg_01"
    assert row["response_bytes"] == len(packed)
    assert row["capture_note"] is None


def test_a_body_that_does_not_unpack_is_kept_with_a_note(store: SqliteStore) -> None:
    """What cannot be decoded is kept as it came, and the record says why there is no message."""
    row = _row(store, [b"not packed"], response_headers=[*STREAM_HEADERS, ("content-encoding", "br")])
    assert "does not decode" in row["capture_note"]


def test_what_nobody_knows_is_kept_and_named(store: SqliteStore) -> None:
    """A new event, block or delta does not disturb the message, and shows up in the record."""
    pieces = stream([TEXT])
    novelty = {"type": "novelty_delta", "x": 1}
    pieces[2:2] = [event("news", a=1), event("content_block_delta", index=0, delta=novelty)]
    row = _row(store, pieces)
    assert row["capture_note"] == "unknown to this version: delta novelty_delta, event news"
    assert row["stop_reason"] == "end_turn"


def test_a_new_block_is_in_the_answer(store: SqliteStore) -> None:
    """A block of a type that nobody has heard of is stored with all its members."""
    pieces = stream([TEXT])
    novelty = {"type": "novelty", "x": {"y": [1, 2]}}
    pieces[-2:-2] = [event("content_block_start", index=1, content_block=novelty), event("content_block_stop", index=1)]
    row = _row(store, pieces)
    assert json_value(store.conversation(row["reply"])[-1])["content"] == [TEXT, novelty]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html>Bad gateway</html>", "text/html"),
        (b'{"input_tokens": 12}', "application/json"),
        (b"[1, 2]", "application/json"),
        (b"{broken", "application/json"),
        (b"\xff\xfe\0", "text/event-stream"),
        (b"data: [1]\n\ndata: {}\n\n", "text/event-stream"),
    ],
)
def test_what_is_no_message_is_kept_as_bytes(store: SqliteStore, body: bytes, kind: str) -> None:
    """Whatever else a provider answers is kept, and nothing is made of it."""
    row = _row(store, [body], response_headers=[("Content-Type", kind)])
    assert (row["state"], row["message_id"], row["response_bytes"]) == ("complete", None, len(body))


def test_an_answer_without_a_body_has_none(store: SqliteStore) -> None:
    """A 204 has a head and no body, and that is not the same as an empty one."""
    row = _row(store, [], status=204, response_headers=[])
    assert (row["status"], row["response_bytes"], row["first_byte_ms"]) == (204, 0, None)
    assert store.body(exchange_id(1), "response") is None
    assert store.headers(exchange_id(1), "response") == []


def test_no_answer_at_all_says_why(store: SqliteStore) -> None:
    """An exchange that failed before any answer has its cause, and no head."""
    exchange = captured(1, ASKED)
    exchange.ended_at = exchange.opened_at + 5_000
    exchange.ending = Ending(State.FAILED, None, "the provider could not be reached", "connect")
    fill(store, [exchange])
    row = store.exchange(exchange.id)
    assert (row["state"], row["status"], row["duration_ms"]) == ("failed", None, 5)
    assert (row["error"], row["error_kind"]) == ("the provider could not be reached", "connect")
    assert store.headers(exchange.id, "response") is None


def test_a_cut_record_says_so(store: SqliteStore) -> None:
    """When the journal had to drop frames the record does not pretend to be whole."""
    exchange = captured(1, ASKED, stream([TEXT])[:3])
    exchange.cut = True
    fill(store, [exchange])
    assert "the end of this record is missing" in store.exchange(exchange.id)["capture_note"]


def test_attempts_in_vain_are_in_the_row(store: SqliteStore) -> None:
    """Each attempt before the answer can be read from the row; an exchange without any has none."""
    exchanges = [captured(number, ASKED, stream([TEXT])) for number in (1, 2)]
    exchanges[0].attempts = [Attempt("connect", "cannot connect", None, 200.5), Attempt("status", status=529)]
    fill(store, exchanges)
    assert json.loads(store.exchange(exchange_id(1))["attempts"]) == [
        {"kind": "connect", "error": "cannot connect", "status": None, "wait_ms": 200.5},
        {"kind": "status", "error": None, "status": 529, "wait_ms": 0.0},
    ]
    assert store.exchange(exchange_id(2))["attempts"] is None


def test_a_hole_in_the_record_is_told(store: SqliteStore) -> None:
    """A row of an exchange of which a piece of the journal was unreadable says so."""
    exchange = captured(1, ASKED, stream([TEXT]))
    exchange.damaged = True
    fill(store, [exchange])
    assert "there is a hole in this record" in store.exchanges(limit=1)[0]["capture_note"]


def test_a_record_that_was_cut_on_purpose_tells_the_true_sizes(store: SqliteStore) -> None:
    """The bytes on record come back, the row tells how many passed, and the message is built as far as it goes."""
    pieces = stream([TEXT], pieces=9)
    raw = b"".join(pieces)
    note = "the response is recorded up to 900 of 2000 bytes (capture.max_body)"
    kept = [*pieces[:6], pieces[6][:30]]
    exchange = captured(1, ASKED, kept)
    exchange.ending = Ending(State.COMPLETE, 200, request_bytes=5000, response_bytes=len(raw), note=note)
    fill(store, [exchange])
    row = store.exchange(exchange.id)
    assert (row["request_bytes"], row["response_bytes"], row["capture_note"]) == (5000, len(raw), note)
    assert store.body(exchange.id, "response") == b"".join(kept)
    assert store.body(exchange.id, "request") == exchange.request
    [block] = json_value(store.conversation(row["reply"])[-1])["content"]
    assert TEXT["text"].startswith(block["text"])
    assert (row["stop_reason"], row["message_id"]) == (None, "msg_01")


def test_an_open_row_gets_its_true_size_at_the_end(store: SqliteStore) -> None:
    """What is shown of a request while it runs is completed when its ending tells more."""
    exchange, memory = captured(1, b'{"model":"m","messa', stream([TEXT])), Memory(store.part)
    entry = request_entry(exchange, memory)
    store.write([entry], [])
    assert store.exchange(exchange.id)["request_bytes"] == 19
    exchange.ending = Ending(State.COMPLETE, 200, request_bytes=70_000, note="the request is recorded up to 19 bytes")
    add_response(entry, exchange, memory)
    store.write([entry], [])
    row = store.exchange(exchange.id)
    assert (row["request_bytes"], row["requested_model"], row["state"]) == (70_000, "m", "complete")
    assert row["capture_note"].endswith("; the request is recorded up to 19 bytes")
    assert store.body(exchange.id, "request") == exchange.request


def test_an_answer_that_was_recorded_plain_is_not_unpacked_again(store: SqliteStore) -> None:
    """What was packed on the wire and is recorded plain comes to its message, and a first mark of time is no body."""
    exchange = captured(
        1, ASKED, [b"", *stream([TEXT])], response_headers=[*STREAM_HEADERS, ("content-encoding", "br")]
    )
    assert exchange.heading is not None
    exchange.heading = msgspec.structs.replace(exchange.heading, plain=True)
    exchange.ending = Ending(State.COMPLETE, 200, response_bytes=77)
    fill(store, [exchange])
    row = store.exchange(exchange.id)
    assert (row["stop_reason"], row["response_bytes"], row["capture_note"]) == ("end_turn", 77, None)
    assert row["first_byte_ms"] == 110
    assert store.body(exchange.id, "response") == b"".join(stream([TEXT]))


UNDERSTOOD = {
    "stream": (stream([TEXT, CALL]), STREAM_HEADERS),
    "JSON": ([json.dumps(MESSAGE).encode()], JSON_HEADERS),
    "stream of nothing": (stream([]), STREAM_HEADERS),
}
NOT_UNDERSTOOD = {
    "error": ([json.dumps(OVERLOADED).encode()], JSON_HEADERS),
    "error in a stream": ([*stream([TEXT])[:4], event("error", **OVERLOADED)], STREAM_HEADERS),
    "stream without end": (stream([TEXT])[:-1], STREAM_HEADERS),
    "unknown event": ([event("novelty", x=1), *stream([TEXT])], STREAM_HEADERS),
    "malformed event": ([*stream([TEXT])[:3], b"data: {\n\n", *stream([TEXT])[3:]], STREAM_HEADERS),
    "two messages": ([*stream([TEXT]), *stream([CALL])], STREAM_HEADERS),
    "other JSON": ([b'{"input_tokens":5}'], JSON_HEADERS),
    "text": ([b"hello"], (("content-type", "text/plain"),)),
}  # fmt: skip


@pytest.mark.parametrize("name", [*UNDERSTOOD, *NOT_UNDERSTOOD])
def test_without_raw_responses_only_what_was_understood_goes(store: SqliteStore, name: str) -> None:
    """The bytes of an answer go where its message is all that it said; the message, its times and its size stay."""
    answer, headers = (UNDERSTOOD | NOT_UNDERSTOOD)[name]
    exchange, memory = captured(1, ASKED, answer, response_headers=headers), Memory(store.part)
    entry = request_entry(exchange, memory)
    add_response(entry, exchange, memory, raw_responses=False)
    store.write([entry], [])
    row = store.exchange(exchange.id)
    assert row["response_bytes"] == len(b"".join(answer))
    assert store.body(exchange.id, "request") == exchange.request
    assert store.body(exchange.id, "response") == (None if name in UNDERSTOOD else b"".join(answer))
    if name in UNDERSTOOD:
        assert row["stop_reason"]
        assert bool(row["reply"]) is (name != "stream of nothing")
        assert bool(entry.timeline) is ("stream" in name)


def test_a_message_that_stands_nowhere_else_keeps_its_bytes(store: SqliteStore) -> None:
    """An answer to a request that is not understood has no place in a conversation, so its bytes stay."""
    exchange, memory = captured(1, b'{"messa', stream([TEXT])), Memory(store.part)
    entry = request_entry(exchange, memory)
    add_response(entry, exchange, memory, raw_responses=False)
    store.write([entry], [])
    assert store.body(exchange.id, "response") == b"".join(stream([TEXT]))


def test_the_answer_is_the_next_requests_history(store: SqliteStore) -> None:
    """The client's echo of an answer is the same node, also when its marker and its key order differ."""
    echo = {"content": [TEXT, {**CALL, "cache_control": {"type": "ephemeral"}}], "role": "assistant"}
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}]}
    second = {**ASKED, "messages": [*ASKED["messages"], echo, result]}  # type: ignore[misc]
    first, other = fill(store, [captured(1, ASKED, stream([TEXT, CALL])), captured(2, second, stream([TEXT]))])
    assert other.nodes[0].parent == first.columns["reply"]


def test_an_echo_in_another_spelling_is_given_back(store: SqliteStore) -> None:
    """Answer and echo may reach the store in one batch; each request still comes back as it was sent."""
    echo = {"content": [CALL, TEXT], "role": "assistant"}
    second = json.dumps({**ASKED, "messages": [*ASKED["messages"], echo]}, indent=1).encode()  # type: ignore[misc]
    from tests.support.entries import entry_of

    memory = Memory(store.part)
    exchanges = [captured(1, ASKED, stream([CALL, TEXT])), captured(2, second, stream([TEXT]))]
    store.write([entry_of(exchange, memory) for exchange in exchanges], [])
    assert store.body(exchange_id(2), "request") == second


@wire.needs_wire
@pytest.mark.parametrize("name", wire.stream_files())
def test_recorded_streams_are_given_back(store: SqliteStore, name: str) -> None:
    """Every recorded stream is given back byte for byte, whatever was made of it."""
    data = wire.stream(name)
    row = _row(store, [data[place : place + 1500] for place in range(0, len(data), 1500)])
    assert row["response_bytes"] == len(data)
