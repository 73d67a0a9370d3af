"""Answers in Chat Completions on record: the message that the client was given, and the provider's own bytes."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ccproxy.records import Captured, Ending, Sending, State
from ccproxy.stores.sqlite import SqliteStore
from tests.support.chat_answers import ANSWERING_MODEL, DONE, call_chunks, chunk, completion, text_chunks
from tests.support.entries import JSON_HEADERS, STREAM_HEADERS, captured, fill

ASKED = {"model": "claude-test-1", "messages": [{"role": "user", "content": "hello"}], "stream": True}
SENT = b'{"model":"gpt-4o","messages":[{"role":"user","content":"hello"}]}'
SENDING = Sending(
    agent="code-reviewer", sign="spawn", provider="openai", model="gpt-4o", format="openai",
    endpoint="https://api.openai.com/v1/chat/completions", losses=("top_k cannot be said",),
)  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """Give an empty store."""
    store = SqliteStore(tmp_path / "store.db", write=True)
    yield store
    store.close()


def routed(answer: Sequence[Any], sending: Sending = SENDING, **options: Any) -> Captured:
    """Return an exchange that was routed."""
    exchange = captured(1, ASKED, list(answer), **options)
    exchange.sending, exchange.sent_body = sending, SENT
    return exchange


def row_of(store: SqliteStore, exchange: Captured) -> dict[str, Any]:
    """Store an exchange, see that all its bytes come back, and return its row."""
    fill(store, [exchange])
    assert store.body(exchange.id, "sent") == SENT
    assert (store.body(exchange.id, "response") or b"") == b"".join(data for _, data in exchange.chunks)
    return store.exchange(exchange.id)


def reply(store: SqliteStore, row: dict[str, Any]) -> Any:
    """Return the content of the stored answer."""
    return json.loads(store.conversation(row["reply"])[-1])["content"]


def test_a_stream_comes_to_the_message_that_the_client_was_given(store: SqliteStore) -> None:
    """Text, counts, reasons and times are those of the translation, the bytes are the provider's."""
    row = row_of(store, routed(text_chunks("Hel", "lo")))
    assert reply(store, row) == [{"type": "text", "text": "Hello"}]
    assert (row["provider"], row["routed_model"], row["response_model"]) == ("openai", "gpt-4o", ANSWERING_MODEL)
    assert (row["requested_model"], row["agent_name"], row["agent_sign"]) == ("claude-test-1", "code-reviewer", "spawn")
    assert row["endpoint"] == SENDING.endpoint
    assert json.loads(row["losses"]) == ["top_k cannot be said"]
    assert (row["input_tokens"], row["cache_read_tokens"], row["output_tokens"]) == (200, 1000, 34)
    assert (row["stop_reason"], row["state"], row["capture_note"]) == ("end_turn", "complete", None)
    # The message starts with the head (100 ms); its first words came with the second chunk (120 ms).
    assert (row["head_ms"], row["first_byte_ms"], row["first_token_ms"]) == (100.0, 110.0, 120.0)
    timeline = store.timeline(row["id"])
    assert timeline is not None
    assert timeline.kinds[0] == "message_start"
    assert timeline.arrivals[0] == 100_000


def test_a_call_hangs_below_the_request_as_the_client_will_send_it_back(store: SqliteStore) -> None:
    """The next request of the agent finds its own history."""
    row = row_of(store, routed(call_chunks("Bash", {"command": "ls"}, "call_1")))
    [block] = reply(store, row)
    assert block == {"type": "tool_use", "id": "call_1", "name": "Bash", "input": {"command": "ls"}}
    assert row["stop_reason"] == "tool_use"


def test_a_packed_stream_is_read(store: SqliteStore) -> None:
    """A provider that packs its answer though it was asked not to is understood."""
    headers = [*STREAM_HEADERS, ("content-encoding", "gzip")]
    packed = gzip.compress(b"".join(text_chunks("Hello")))
    row = row_of(store, routed([packed[:50], packed[50:]], response_headers=headers))
    assert reply(store, row) == [{"type": "text", "text": "Hello"}]


def test_a_whole_completion_is_a_message(store: SqliteStore) -> None:
    """An answer that is JSON comes to the same columns."""
    body = json.dumps(completion("Hello")).encode()
    row = row_of(store, routed([body], response_headers=JSON_HEADERS))
    assert reply(store, row) == [{"type": "text", "text": "Hello"}]
    assert (row["response_model"], row["input_tokens"], row["stop_reason"]) == (ANSWERING_MODEL, 200, "end_turn")


def test_an_error_is_told_as_the_client_heard_it(store: SqliteStore) -> None:
    """Type and status are Anthropic's, whatever the provider's page looked like."""
    error = json.dumps({"error": {"message": "Slow down", "type": "requests", "code": "rate_limit_exceeded"}}).encode()
    row = row_of(store, routed([error], response_headers=JSON_HEADERS, status=429))
    assert (row["status"], row["api_error"]) == (429, "rate_limit_error")
    assert "Slow down" in row["error"]


def test_an_error_page_is_told_too(store: SqliteStore) -> None:
    """A gateway's HTML is an error of the API to the client, and to the record; its status is what the client was told."""
    exchange = routed([b"<html>"], response_headers=[("content-type", "text/html")], status=502)
    exchange.ending = Ending(State.COMPLETE, 500)
    row = row_of(store, exchange)
    assert (row["status"], row["api_error"]) == (500, "api_error")


def test_an_answer_of_the_proxys_own_is_left_as_it_is(store: SqliteStore) -> None:
    """A refusal never went to the provider, and is in Anthropic's words already."""
    error = b'{"type":"error","error":{"type":"invalid_request_error","message":"ccproxy: there is no key"}}'
    row = row_of(store, routed([error], response_headers=JSON_HEADERS, status=400))
    assert (row["api_error"], row["error"]) == ("invalid_request_error", "ccproxy: there is no key")


def test_a_stream_that_broke_off_is_kept_with_its_error(store: SqliteStore) -> None:
    """What came is the answer so far; the error is the one that the client was told."""
    exchange = routed([chunk({"role": "assistant", "content": "half"})], state=State.FAILED)
    exchange.ending = Ending(State.FAILED, 200, "api.openai.com broke off", "broken_stream")
    row = row_of(store, exchange)
    assert reply(store, row) == [{"type": "text", "text": "half"}]
    assert (row["state"], row["error"], row["stop_reason"]) == ("failed", "api.openai.com broke off", None)


@pytest.mark.parametrize("state", [State.CLIENT_LEFT, State.INTERRUPTED])
def test_nobody_is_said_to_have_heard_an_end_that_never_was(store: SqliteStore, state: State) -> None:
    """Where the client left or the proxy died, no error is made up."""
    row = row_of(store, routed([chunk({"role": "assistant", "content": "half"})], state=state))
    assert (row["api_error"], row["state"]) == (None, state)
    assert reply(store, row) == [{"type": "text", "text": "half"}]


def test_a_record_that_was_cut_is_no_broken_stream(store: SqliteStore) -> None:
    """Where less was recorded than passed, the missing end is the record's, not the provider's."""
    exchange = routed([chunk({"role": "assistant", "content": "half"})])
    exchange.ending = Ending(State.COMPLETE, 200, response_bytes=10_000)
    row = row_of(store, exchange)
    assert row["api_error"] is None


def test_a_whole_answer_that_was_cut_for_the_record_is_no_error(store: SqliteStore) -> None:
    """What the client was given whole is not called broken because the record holds less of it."""
    body = json.dumps(completion("Hello")).encode()
    exchange = routed([body[:50]], response_headers=JSON_HEADERS)
    exchange.ending = Ending(State.COMPLETE, 200, response_bytes=len(body))
    row = row_of(store, exchange)
    assert (row["api_error"], row["error"], row["response_model"]) == (None, None, None)


def test_counts_that_nobody_made_are_unknown(store: SqliteStore) -> None:
    """A provider that tells no usage leaves the columns empty: nothing is not zero."""
    chunks = [chunk({"role": "assistant", "content": "Hi"}), chunk({}, "stop"), DONE]
    row = row_of(store, routed(chunks))
    assert (row["input_tokens"], row["output_tokens"], row["cache_read_tokens"]) == (None, None, None)


def test_a_longer_history_costs_little_room(store: SqliteStore) -> None:
    """The translated body is kept as what differs from the client's own."""
    text = "".join(f"line {number} of a longer file\n" for number in range(5000))
    body = json.dumps({**ASKED, "messages": [{"role": "user", "content": text}]}).encode()
    exchange = captured(1, body, text_chunks("ok"))  # type: ignore[arg-type]
    exchange.sending = SENDING
    exchange.sent_body = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": text}]}).encode()
    [entry] = fill(store, [exchange])
    [sent] = [body for body in entry.bodies if body.side == "sent"]
    assert sent.encoding == "request"
    assert len(sent.data) < 500
    assert store.body(exchange.id, "sent") == exchange.sent_body
