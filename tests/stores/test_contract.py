"""What every store owes, whatever its dialect: one suite over all of them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ccproxy.errors import StoreError
from ccproxy.ingest.memory import Memory
from ccproxy.ingest.request import request_entry
from ccproxy.protocol.parts import json_value
from ccproxy.records import Ending, Entry, Position, State
from ccproxy.stores.contract import Store
from tests.support.entries import Session, captured, entry_of, exchange_id, fill, stream
from tests.support.homes import Home

TEXT = {"type": "text", "text": "An answer about zebras."}
ASKED = {"model": "m", "messages": [{"role": "user", "content": "a question about giraffes"}]}


def _open_entry(number: int = 1, **columns: Any) -> Entry:
    """Return an entry of an exchange that is still running."""
    entry = request_entry(captured(number, ASKED), Memory(lambda _digest: None))
    entry.columns.update(columns)
    return entry


def test_a_store_begins_empty(store: Store) -> None:
    """A new store holds nothing, and says so."""
    stats = store.stats()
    assert (stats["exchanges"], stats["blobs"], stats["nodes"], stats["blocks"]) == ({}, 0, 0, 0)
    assert stats["schema"] >= 1
    assert store.exchanges(limit=5) == []
    assert store.positions() == {}
    assert store.part(b"x" * 16) is None
    assert store.conversation(None) == store.conversation(b"x" * 16) == []
    assert store.body(exchange_id(1), "request") is None
    assert store.headers(exchange_id(1), "request") is None


def test_what_was_written_is_there_for_the_next_to_open(home: Home) -> None:
    """Everything outlives the one who wrote it."""
    exchanges = list(Session(preamble_bytes=3000, turn_bytes=300).exchanges(3))
    first = home.open()
    entries = fill(first, exchanges)
    first.write([], [Position("w", 2, 77)])
    first.close()
    second = home.open()
    for exchange, entry in zip(exchanges, entries, strict=True):
        assert second.body(exchange.id, "request") == exchange.request
        assert second.body(exchange.id, "response") == b"".join(data for _, data in exchange.chunks)
        assert second.headers(exchange.id, "request") == exchange.opening.headers
        assert exchange.heading is not None
        assert second.headers(exchange.id, "response") == exchange.heading.headers
        row = second.exchange(exchange.id)
        assert {name: row[name] for name in entry.columns} == entry.columns
    assert second.positions() == {"w": Position("w", 2, 77)}


def test_writing_twice_changes_nothing(store: Store) -> None:
    """An exchange in a final state, its parts, bodies and headers are stored once, however often they come."""
    entries = fill(store, list(Session(preamble_bytes=3000, turn_bytes=300).exchanges(3)))
    before, rows = store.stats(), store.exchanges(limit=9)
    store.write(entries, [])
    again = replace(entries[0], columns={**entries[0].columns, "state": State.FAILED, "error": "no"})
    store.write([again], [])
    assert store.exchanges(limit=9) == rows
    assert {**store.stats(), "bytes": 0} == {**before, "bytes": 0}


def test_an_open_exchange_is_completed(store: Store) -> None:
    """A row that is open takes what comes later, once; then it stays as it is."""
    exchange = captured(1, ASKED, stream([TEXT]))
    store.write([_open_entry()], [])
    assert store.exchange(exchange.id)["state"] == "open"
    fill(store, [exchange])
    assert store.exchange(exchange.id)["state"] == "complete"
    store.write([_open_entry()], [])
    assert store.exchange(exchange.id)["state"] == "complete"
    assert store.stats()["exchanges"] == {"complete": 1}


def test_open_rows_of_one_batch_are_completed_in_it(store: Store) -> None:
    """An exchange that began and ended between two looks is one row."""
    exchange = captured(1, ASKED, stream([TEXT]))
    store.write([_open_entry(), entry_of(exchange, Memory(store.part))], [])
    assert store.stats()["exchanges"] == {"complete": 1}


def test_all_or_nothing(store: Store) -> None:
    """A batch with an entry that cannot be stored leaves no trace, positions included."""
    good = entry_of(captured(1, ASKED, stream([TEXT])), Memory(store.part))
    bad = _open_entry(2, max_tokens=2**80)
    with pytest.raises(StoreError):
        store.write([good, bad], [Position("w", 1, 5)])
    assert store.exchanges(limit=5) == []
    assert store.positions() == {}
    assert store.stats()["blobs"] == 0
    store.write([good], [Position("w", 1, 5)])
    assert store.body(exchange_id(1), "request") == json.dumps(ASKED).encode()
    assert store.positions() == {"w": Position("w", 1, 5)}


def test_positions_move_and_are_forgotten(store: Store) -> None:
    """Each writer has one position, the last one; a writer that is gone has none."""
    store.write([], [Position("a", 1, 5), Position("b", 7, 8)])
    store.write([], [Position("a", 2, 0)])
    assert store.positions() == {"a": Position("a", 2, 0), "b": Position("b", 7, 8)}
    store.forget_writer("a")
    store.forget_writer("nobody")
    assert store.positions() == {"b": Position("b", 7, 8)}


def test_dead_writers_are_interrupted(store: Store) -> None:
    """Open exchanges of writers that do not live any more are closed, with a reason; nothing else is touched."""
    store.write([_open_entry(1, writer="dead"), _open_entry(2, writer="alive")], [])
    fill(store, [captured(3, ASKED, stream([TEXT]), writer="dead")])
    assert store.interrupt(["alive", "other"]) == 1
    assert [row["state"] for row in store.exchanges(limit=9)] == ["complete", "open", "interrupted"]
    assert store.exchange(exchange_id(1))["error"]
    assert store.interrupt([]) == 1
    assert store.interrupt([]) == 0


def test_parts_keep_the_text_that_was_first(store: Store) -> None:
    """A part that comes in another spelling is the same part, with its first text."""
    spellings = [b'{"role":"user","content":"hi"}', b'{"content": [{"type": "text", "text": "hi"}], "role": "user"}']
    exchanges = [captured(n, b'{"messages":[%s]}' % text) for n, text in enumerate(spellings, 1)]
    entries = fill(store, exchanges)
    assert store.part(entries[1].nodes[0].message if entries[1].nodes else entries[0].nodes[0].message) == spellings[0]
    assert [store.body(exchange.id, "request") for exchange in exchanges] == [e.request for e in exchanges]


def test_a_conversation_is_the_line_to_a_node(store: Store) -> None:
    """From the root down to the node, in order, and nothing of its branches."""
    common = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    ways = [[*common, {"role": "user", "content": way}] for way in ("left", "right")]
    entries = fill(store, [captured(n, {"messages": way}) for n, way in enumerate(ways)])
    for entry, way in zip(entries, ways, strict=True):
        assert [json_value(text) for text in store.conversation(entry.columns["tip"])] == way


def test_a_long_conversation_is_read_whole(store: Store) -> None:
    """A line of two thousand messages comes back in order."""
    messages = [{"role": "user" if n % 2 == 0 else "assistant", "content": str(n)} for n in range(2000)]
    [entry] = fill(store, [captured(1, {"messages": messages})])
    found = [json_value(text)["content"] for text in store.conversation(entry.columns["tip"])]
    assert found == [str(n) for n in range(2000)]
    assert store.body(exchange_id(1), "request") == json.dumps({"messages": messages}).encode()


def test_exchanges_come_newest_first(store: Store) -> None:
    """At most as many as asked for, before one, or from one on."""
    store.write([_open_entry(number) for number in (3, 1, 5, 2, 4)], [])

    def ids(**options: Any) -> list[str]:
        return [row["id"] for row in store.exchanges(**options)]

    assert ids(limit=3) == [exchange_id(n) for n in (5, 4, 3)]
    assert ids(limit=9, before=exchange_id(3)) == [exchange_id(n) for n in (2, 1)]
    assert ids(limit=9, changed_since=exchange_id(4)) == [exchange_id(n) for n in (5, 4)]
    assert ids(limit=1, before=exchange_id(5), changed_since=exchange_id(2)) == [exchange_id(4)]


def test_an_exchange_is_found_by_either_end_of_its_id(store: Store) -> None:
    """A beginning or an end is enough where it is the only one; else the sentence says what to do."""
    ids = [f"0000000{n}-0000-7000-8000-00000000{n}abc" for n in (1, 2)]
    entries = [replace(_open_entry(n), id=name) for n, name in enumerate(ids, 1)]
    for entry in entries:
        entry.columns["id"] = entry.id
    store.write(entries, [])
    assert store.exchange(ids[0])["id"] == ids[0]
    assert store.exchange("00000002")["id"] == ids[1]
    assert store.exchange(" 1ABC ")["id"] == ids[0]
    with pytest.raises(StoreError, match="more than one exchange"):
        store.exchange("abc")
    with pytest.raises(StoreError, match="no exchange has the id"):
        store.exchange("ffff")
    for nonsense in ("", "%", "_", "'", "nothing"):
        with pytest.raises(StoreError, match="is not an exchange id"):
            store.exchange(nonsense)


def test_search_finds_what_was_said(store: Store) -> None:
    """All words must stand in one block; the hit names the exchange in which it first stood."""
    answer = [TEXT, {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "count zebras --all"}}]
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "forty-two zebras, naïve count"}
    second = {**ASKED, "messages": [*ASKED["messages"], {"role": "assistant", "content": answer}, {"role": "user", "content": [result]}]}  # type: ignore[misc]  # fmt: skip
    fill(store, [captured(1, ASKED, stream(answer)), captured(2, second, stream([{"type": "text", "text": "Done."}]))])

    def hits(words: str) -> list[tuple[str | None, str, str]]:
        return sorted((hit.exchange, hit.role, hit.type) for hit in store.search(words, limit=9))

    assert hits("giraffes") == [(exchange_id(1), "user", "text")]
    assert hits("zebras about") == [(exchange_id(1), "assistant", "text")]
    assert hits("zebras Bash") == [(exchange_id(1), "assistant", "tool_use")]
    assert hits("FORTY-TWO naive") == [(exchange_id(2), "user", "tool_result")]
    assert len(hits("zebras")) == 3
    assert hits("zebras giraffes") == []
    [hit] = store.search("giraffes", limit=1)
    assert "[giraffes]" in hit.snippet
    assert hit.started_at == store.exchange(exchange_id(1))["started_at"]


@pytest.mark.parametrize("words", ['"', "zebras OR", "NEAR(a b)", "col:x", "*", "a^b", "-", "(", "'; DROP", "a\0b"])
def test_search_takes_any_words(store: Store, words: str) -> None:
    """What people type is words, never a query language."""
    fill(store, [captured(1, ASKED, stream([TEXT]))])
    assert store.search(words, limit=5) == []


def test_searching_for_nothing_is_a_mistake(store: Store) -> None:
    """An empty search says what is missing."""
    with pytest.raises(StoreError, match="nothing to search for"):
        store.search("  ", limit=5)


def test_counts_tell_what_is_there(store: Store) -> None:
    """Stats count rows, and exchanges by state."""
    store.write([_open_entry(9)], [])
    fill(store, [captured(1, ASKED, stream([TEXT])), captured(2, ASKED, stream([TEXT]), state=State.CLIENT_LEFT)])
    stats = store.stats()
    assert stats["exchanges"] == {"open": 1, "complete": 1, "client_left": 1}
    assert (stats["nodes"], stats["blocks"], stats["preambles"]) == (2, 2, 0)
    assert stats["bytes"] > 0
    assert stats["place"]


def test_all_states_are_kept(store: Store) -> None:
    """Each state in which an exchange can be is stored as that."""
    for number, state in enumerate(State, 1):
        exchange = captured(number, ASKED, stream([TEXT]))
        exchange.ending = Ending(state, 200)
        fill(store, [exchange])
        assert store.exchange(exchange.id)["state"] == state.value


def test_growth_is_linear(home: Home) -> None:
    """A session twice as long takes at most 2.2 times as much, although each request repeats all before it."""
    sizes = []
    store = home.open()
    exchanges = list(Session().exchanges(120))
    for place in range(0, 120, 60):
        memory = Memory(store.part)
        for exchange in exchanges[place : place + 60]:
            store.write([entry_of(exchange, memory)], [])
        sizes.append(store.stats()["bytes"])
    assert sum(len(exchange.request) for exchange in exchanges) > 15_000_000
    assert sizes[1] <= 2.2 * sizes[0]
