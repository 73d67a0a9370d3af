"""Capture limits from recorder to store: what is cut says so, what matches is nowhere, and the rest is as whole as ever."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import pytest

from ccproxy.ingest.encodings import ContentDecoder
from ccproxy.ingest.pipeline import Pipeline
from ccproxy.journal.reader import JournalReader
from ccproxy.journal.writer import JournalWriter
from ccproxy.protocol.parts import json_value
from ccproxy.recorder import Limits, Recorder
from ccproxy.records import State
from ccproxy.stores.contract import Record
from ccproxy.stores.sqlite import SqliteStore
from ccproxy.wire import Header, RequestHead, ResponseHead
from tests.support.entries import T0, exchange_id, stream

SECRET = "hunter2-XYZ"
REDACT = Limits(redact=(r"hunter2-[A-Z]+",))
TOLD = [{"type": "text", "text": f"You said {SECRET}, did you?"}]
BODY = json.dumps({"model": "m", "messages": [{"role": "user", "content": f"It is {SECRET}."}]}).encode()
GZIP = (b"content-encoding", b"gzip")


class Proxy:
    """A worker with limits, its journal, and the store behind it."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._folder = folder
        self._journal = JournalWriter(folder / "journal", "w")
        clock, number = count(T0, 1000), count(1)
        self._recorder = Recorder(
            self._journal.append,
            lambda: next(clock),
            lambda: bytes.fromhex(exchange_id(next(number)).replace("-", "")),
            limits,
            ContentDecoder,
        )

    def exchange(self, body: bytes, answer: Sequence[bytes], *headers: Header) -> None:
        """Record an exchange; the headers are those of both sides."""
        recording = self._recorder.start(b"/v1/messages")
        recording.open(RequestHead("POST", b"/v1/messages", b"", list(headers)), "anthropic", None)
        recording.request(body[:50])
        recording.request(body[50:])
        recording.sent()
        recording.head(ResponseHead(200, [(b"content-type", b"text/event-stream"), *headers]))
        for piece in answer:
            recording.chunk(piece)
        recording.end(State.COMPLETE)

    def stored(self, *, raw_responses: bool = True) -> SqliteStore:
        """End, check that no file holds the secret, and return the store with all of it."""
        self._journal.close()
        store = SqliteStore(self._folder / "store.db", write=True)
        pipeline = Pipeline(JournalReader(self._folder / "journal", {}), store, raw_responses=raw_responses)
        for segment in (self._folder / "journal").iterdir():
            assert b"unter2" not in segment.read_bytes()
        for _ in range(3):
            pipeline.turn()
        return store


def _row(store: SqliteStore) -> Record:
    return store.exchange(exchange_id(1))


@pytest.mark.parametrize("packed", [False, True])
def test_nothing_that_matches_is_stored(tmp_path: Path, packed: bool) -> None:
    """Neither the journal nor the store ever holds what matches, packed on the wire or not; the record is whole otherwise."""
    proxy = Proxy(tmp_path, REDACT)
    pieces = stream(TOLD, pieces=12)
    if packed:
        proxy.exchange(gzip.compress(BODY), [gzip.compress(piece) for piece in pieces], GZIP)
    else:
        proxy.exchange(BODY, pieces)
    store = proxy.stored()
    row = _row(store)
    request, answer = (store.body(row["id"], side) or b"" for side in ("request", "response"))
    assert request == BODY.replace(SECRET.encode(), b"[redacted]")
    assert b"unter2" not in answer
    said = [json_value(message)["content"] for message in store.conversation(row["reply"])]
    assert said == ["It is [redacted].", [{"type": "text", "text": "You said [redacted], did you?"}]]
    assert (row["state"], row["stop_reason"], row["capture_note"]) == ("complete", "end_turn", None)
    assert row["events"] == len(pieces)
    assert (row["request_bytes"] == len(BODY)) is not packed
    store.close()
    assert b"unter2" not in b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())


def test_a_record_is_cut_and_says_so(tmp_path: Path) -> None:
    """Each side is given back up to the limit, with its true size and what can be read of it."""
    proxy = Proxy(tmp_path, Limits(max_body=60))
    body, pieces = BODY.replace(b"hunter2", b"whisper"), stream([{"type": "text", "text": "Yes."}])
    proxy.exchange(body, pieces)
    store = proxy.stored()
    row = _row(store)
    size = len(b"".join(pieces))
    assert (row["request_bytes"], row["response_bytes"]) == (len(body), size)
    assert store.body(row["id"], "request") == body[:60]
    assert store.body(row["id"], "response") == b"".join(pieces)[:60]
    assert row["requested_model"] == "m"
    for side, passed in (("request", len(body)), ("response", size)):
        assert f"the {side} is recorded up to 60 of {passed} bytes (capture.max_body)" in row["capture_note"]
    assert "message_stop" not in row["capture_note"]
    store.close()


def test_a_body_that_cannot_be_searched_is_told(tmp_path: Path) -> None:
    """What does not unpack is not on record where patterns are to be masked, and the row says why and how large it was."""
    proxy = Proxy(tmp_path, REDACT)
    proxy.exchange(SECRET.encode() * 10, [SECRET.encode()] * 3, GZIP)
    store = proxy.stored()
    row = _row(store)
    assert (row["request_bytes"], row["response_bytes"]) == (110, 33)
    assert (store.body(row["id"], "request"), store.body(row["id"], "response")) == (None, None)
    assert "nothing of the request is recorded, since it cannot be searched (capture.redact)" in row["capture_note"]
    store.close()


def test_answers_need_not_be_kept_as_bytes(tmp_path: Path) -> None:
    """Where raw answers are not wanted, the message, its times and its size are what is stored of one."""
    proxy = Proxy(tmp_path, Limits())
    pieces = stream([{"type": "text", "text": "Yes."}])
    proxy.exchange(BODY.replace(b"hunter2", b"whisper"), pieces)
    store = proxy.stored(raw_responses=False)
    row = _row(store)
    assert store.body(row["id"], "response") is None
    assert json_value(store.conversation(row["reply"])[-1])["content"] == [{"type": "text", "text": "Yes."}]
    assert (row["events"], row["response_bytes"]) == (len(pieces), len(b"".join(pieces)))
    store.close()
