"""What routing leaves in a store: columns, and the translated request beside the client's own."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest

from ccproxy.errors import StoreError
from ccproxy.ingest.memory import Memory
from ccproxy.records import Body
from ccproxy.stores import compression
from ccproxy.stores.checking import faults
from ccproxy.stores.contract import Selection, Store
from ccproxy.stores.sqlite import SqliteStore
from tests.support import routed
from tests.support.homes import Home
from tests.support.pruned import assert_sound, counts, tidy

TRANSLATED = (102, 103, 104, 106, 107)


def test_columns_say_where_a_request_went_and_whose_it_was(store: Store) -> None:
    """Agent, sign, endpoint and losses come back as they were written, and are null where nothing was routed."""
    routed.fill(store)
    row = store.exchange(routed.id_of(103))
    assert (row["agent_name"], row["agent_sign"], row["endpoint"]) == ("code-reviewer", "spawn", routed.OPENAI)
    assert json.loads(row["losses"]) == list(routed.LOSSES)
    assert (row["provider"], row["requested_model"], row["routed_model"]) == ("openai", routed.ASKED_FOR, "gpt-4o")
    assert [store.exchange(routed.id_of(104))[name] for name in ("agent_sign", "losses")] == ["definition", None]
    same_provider, main = store.exchange(routed.id_of(105)), store.exchange(routed.id_of(101))
    assert (same_provider["agent_name"], same_provider["endpoint"]) == ("tidier", None)
    assert {main[name] for name in ("agent_name", "agent_sign", "endpoint", "losses")} == {None}


def test_all_bodies_of_a_translated_request_come_back(store: Store) -> None:
    """The client's bytes, those that went up and those that the provider sent, each exactly; no third body where nothing was translated."""
    routed.fill(store)
    for number, exchange in routed.by_number().items():
        raw = b"".join(data for _, data in exchange.captured.chunks)
        assert store.body(routed.id_of(number), "request") == exchange.captured.request
        assert store.body(routed.id_of(number), "sent") == (exchange.sent or None)
        assert store.body(routed.id_of(number), "response") == (exchange.raw or raw)
    assert [number for number in routed.by_number() if store.body(routed.id_of(number), "sent")] == list(TRANSLATED)
    assert list(faults(store, lambda _: None)) == []


def test_the_message_of_a_translated_answer_is_in_its_conversation(store: Store) -> None:
    """What the provider's bytes came to hangs below the request, as any answer."""
    routed.fill(store)
    answer = store.conversation(store.exchange(routed.id_of(103))["reply"])[-1]
    assert json.loads(answer) == {"role": "assistant", "content": [{"type": "text", "text": "It <b>is</b> fine."}]}


@pytest.mark.parametrize("encoding", ["zstd", "raw"])
def test_a_translated_request_may_stand_alone(home: Home, encoding: str) -> None:
    """Where the client's body was not recorded, what went up is kept whole."""
    store = home.open()
    [entry] = routed.fill(store, [routed.by_number()[101]])
    body = b"what went up " * 100 if encoding == "zstd" else b"short"
    assert compression.compress(body)[0] == encoding
    alone = routed.entry(routed.by_number()[104], Memory(store.part))
    alone.bodies = [Body("sent", *compression.compress(body), len(body))]
    store.write([alone], [])
    assert store.body(alone.id, "sent") == body
    assert store.body(alone.id, "request") is None
    assert store.body(entry.id, "sent") is None


def test_a_damaged_translated_request_is_told(home: Home) -> None:
    """What cannot be given back is an error that names the exchange, for who reads it and for a check."""
    store = home.open()
    routed.fill(store)
    home.run("UPDATE bodies SET size = size + 1 WHERE side = 'sent' AND exchange = ?", routed.id_of(103))
    with pytest.raises(StoreError, match=f"the sent of exchange {routed.id_of(103)} is damaged"):
        store.body(routed.id_of(103), "sent")
    home.run("DELETE FROM bodies WHERE side = 'request' AND exchange = ?", routed.id_of(104))
    with pytest.raises(StoreError):
        store.body(routed.id_of(104), "sent")
    assert len(list(faults(store, lambda _: None))) == 2


def test_a_deletion_takes_the_translated_request_along(store: Store) -> None:
    """Nothing is left of an exchange that is deleted; what its neighbours have stays as it was."""
    routed.fill(store)
    assert store.delete(Selection(exchange=routed.id_of(103))) == 1
    tidy(store)
    assert store.body(routed.id_of(103), "sent") is None
    assert store.body(routed.id_of(102), "sent") == routed.by_number()[102].sent
    assert_sound(store)
    assert store.delete(Selection(session=routed.SESSION)) == 8
    tidy(store)
    assert_sound(store)
    assert counts(store)["bodies"] == 0


def test_no_trace_is_left_of_a_translated_request(tmp_path: Path) -> None:
    """Of what is deleted no byte stands in an SQLite store's files."""
    path, mark = tmp_path / "store.db", b"4f0c9d1ea7"
    with contextlib.closing(SqliteStore(path, write=True)) as store:
        [entry] = [routed.entry(routed.by_number()[104], Memory(store.part))]
        entry.bodies = [*entry.bodies[:1], Body("sent", "raw", mark, len(mark))]
        store.write([entry], [])
        files = [path, Path(f"{path}-wal")]
        assert any(mark in file.read_bytes() for file in files)
        store.delete(Selection(exchange=entry.id))
        tidy(store)
        assert not any(mark in file.read_bytes() for file in files if file.exists())
