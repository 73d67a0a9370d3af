"""Deleting: what was meant goes, with all that only it pointed to; everything else comes back byte for byte."""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccproxy.errors import StoreError
from ccproxy.ingest.memory import Memory
from ccproxy.records import Captured, Position
from ccproxy.stores.contract import Counted, Leftover, Selection, Store
from ccproxy.stores.postgres import pruning as postgres_pruning
from ccproxy.stores.sqlite import SqliteStore, file, pruning
from tests.support.entries import T0, Session, captured, entry_of, exchange_id, fill, stream
from tests.support.homes import DIALECTS, Home, home_in
from tests.support.pruned import TABLES, assert_sound, assert_whole, counts, one, running, tidy

MINUTE = 60_000_000
EVERYTHING = Selection(everything=True)


# What is selected --------------------------------------------------------------------------------------------------------


def test_a_selection_selects() -> None:
    """A selection that says nothing is refused, so that nobody deletes everything by leaving something out."""
    with pytest.raises(ValueError, match="without a condition"):
        Selection()
    with pytest.raises(ValueError, match="without a condition"):
        Selection(session=None, before=None)


@pytest.mark.parametrize(
    ("selection", "gone"),
    [
        (Selection(exchange=exchange_id(2)), {2}),
        (Selection(session="a"), {1, 2}),
        (Selection(session=""), set()),
        (Selection(before=T0 + 3 * MINUTE), {1, 2}),
        (Selection(before=T0 + 3 * MINUTE + 1), {1, 2, 3}),
        (Selection(session="b", before=T0 + 4 * MINUTE), {3}),
        (EVERYTHING, {1, 2, 3, 4}),
        (Selection(session="nobody's"), set()),
    ],
)
def test_what_is_selected_goes(store: Store, selection: Selection, gone: set[int]) -> None:
    """An exchange, a session, what is older, both at once, or everything: just that is counted, and just that goes."""
    exchanges = [one(n, f"text {n}", session="a" if n < 3 else "b") for n in (1, 2, 3, 4)]
    fill(store, exchanges)
    size = sum(row["request_bytes"] + row["response_bytes"] for row in store.exchanges(limit=9) if number(row) in gone)
    assert store.count(selection) == Counted(exchanges=len(gone), bytes=size, running=0)
    assert store.delete(selection) == len(gone)
    assert {number(row) for row in store.exchanges(limit=9)} == {1, 2, 3, 4} - gone
    assert (store.leftover() is None) == (not gone)
    tidy(store)
    assert_sound(store)
    assert_whole(store, [exchange for n, exchange in enumerate(exchanges, 1) if n not in gone])


def number(row: dict[str, Any]) -> int:
    """Return the number of an exchange by its row."""
    return (int(row["started_at"]) - T0) // MINUTE


def test_what_runs_stays(store: Store) -> None:
    """An exchange that has not ended is never deleted, and nothing of it is swept."""
    fill(store, [one(1, "ended")])
    store.write([running(2, "still running")], [])
    assert store.count(EVERYTHING).running == 1
    assert store.delete(EVERYTHING) == 1
    tidy(store)
    assert [row["state"] for row in store.exchanges(limit=9)] == ["open"]
    assert [json.loads(message)["content"] for message in store.conversation(store.exchanges(limit=1)[0]["tip"])] == [
        "still running"
    ]
    assert_sound(store)


def test_the_oldest_go_first(store: Store) -> None:
    """Where only some are to be deleted, these are the oldest; so it can be done a few at a time."""
    fill(store, [one(n, f"text {n}") for n in (3, 1, 4, 2, 5)])
    assert store.delete(EVERYTHING, most=2) == 2
    assert {number(row) for row in store.exchanges(limit=9)} == {3, 4, 5}
    assert store.delete(EVERYTHING, most=2) == 2
    assert store.delete(EVERYTHING, most=2) == 1
    assert store.delete(EVERYTHING, most=2) == 0


# What is shared ----------------------------------------------------------------------------------------------------------


def test_of_everything_nothing_is_left(store: Store) -> None:
    """After all is deleted no table has a row of it."""
    fill(store, list(Session(preamble_bytes=3000).exchanges(5)))
    store.delete(EVERYTHING)
    tidy(store)
    assert set(counts(store).values()) == {0}
    assert_sound(store)


def test_a_history_stays_as_long_as_somebody_repeats_it(store: Store) -> None:
    """What a later turn sends again is its own; it goes with the last one that does."""
    exchanges = list(Session(preamble_bytes=3000, turn_bytes=300).exchanges(6))
    fill(store, exchanges)
    before = counts(store)
    store.delete(Selection(before=exchanges[4].opened_at))
    tidy(store)
    assert_whole(store, exchanges[4:])
    assert counts(store)["nodes"] == before["nodes"]
    store.delete(Selection(exchange=exchanges[5].id))
    tidy(store)
    assert_whole(store, exchanges[4:5])
    assert_sound(store)
    assert counts(store)["nodes"] == before["nodes"] - 2


@pytest.mark.parametrize("home", ["sqlite"], indirect=True)
def test_what_nobody_ever_pointed_to_is_swept_too(store: Store) -> None:
    """Parts without an exchange, whatever left them behind, go with the next sweep."""
    fill(store, [one(1, "text")])
    assert isinstance(store, SqliteStore)
    store._write_tree(running(2, "an orphan"), {})
    assert store.search("orphan", limit=5)
    store.sweep()
    assert_sound(store)
    assert store.search("text", limit=5)
    assert not store.search("orphan", limit=5)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Captured], list[set[int]]]:
    """Draw sessions that grow, branch and share what they say, and which of their exchanges go in each of some rounds."""
    words = draw(st.lists(st.text(min_size=1, max_size=12), min_size=2, max_size=6, unique=True))
    exchanges: list[Captured] = []
    lines: list[list[str]] = []
    for count in range(1, draw(st.integers(1, 12)) + 1):
        line = list(draw(st.sampled_from(lines))) if lines and draw(st.booleans()) else []
        keep = draw(st.integers(0, len(line)))
        said = [*line[: keep - keep % 2], f"{draw(st.sampled_from(words))} ask{count % 5}"]
        answer = f"{draw(st.sampled_from(words))} reply{count % 4}"
        lines.append([*said, answer])
        messages = [
            {"role": ("user", "assistant")[n % 2], "content": [{"type": "text", "text": text}] if n % 3 else text}
            for n, text in enumerate(said)
        ]
        tools = [{"name": f"tool{draw(st.integers(0, 2))}", "description": "does " + "much " * 50}]
        separators = draw(st.sampled_from([(",", ":"), (", ", ": ")]))
        body = json.dumps({"model": "m", "tools": tools, "messages": messages}, separators=separators).encode()
        answered = stream([{"type": "text", "text": answer}])
        exchanges.append(captured(count, body, answered, request_headers=[("x-session", f"s{count % 3}")]))
    ids = st.sets(st.integers(1, len(exchanges)))
    return exchanges, draw(st.lists(ids, min_size=1, max_size=3))


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=50, deadline=None)
@given(histories(), st.data())
def test_whatever_goes_the_rest_is_whole(
    tmp_path_factory: pytest.TempPathFactory,
    dialect: str,
    drawn: tuple[list[Captured], list[set[int]]],
    data: st.DataObject,
) -> None:
    """After any deletions, between any writes, all others come back byte for byte, and nothing is left over."""
    exchanges, rounds = drawn
    with home_in(dialect, tmp_path_factory.mktemp("any")) as home:
        store = home.open()
        memory = Memory(store.part)
        written = 0
        gone: set[int] = set()
        for doomed in rounds:
            upto = data.draw(st.integers(written, len(exchanges)))
            for exchange in exchanges[written:upto]:
                store.write([entry_of(exchange, memory)], [])
            written = upto
            for n in doomed:
                gone |= {n} if store.delete(Selection(exchange=exchange_id(n))) else set()
            tidy(store)
            memory.forget()
            left = [exchange for n, exchange in enumerate(exchanges[:written], 1) if n not in gone]
            assert_sound(store)
            assert_whole(store, left)
            assert counts(store)["exchanges"] == len(left)
        for exchange in exchanges[written:]:
            store.write([entry_of(exchange, memory)], [])
        assert_whole(store, [exchange for n, exchange in enumerate(exchanges, 1) if n not in gone])
        assert_sound(store)


def test_search_finds_nothing_of_what_is_gone(store: Store) -> None:
    """The full-text index forgets with the rest, and finds the rest as before."""
    fill(store, [one(1, "the giraffe"), one(2, "the zebra"), one(3, "the zebra", "answer 2", "a giraffe and a lion")])
    store.delete(Selection(exchange=exchange_id(3)))
    assert [hit.exchange for hit in store.search("zebra", limit=5)] == [exchange_id(2)]
    tidy(store)
    assert store.search("lion", limit=5) == []
    assert [hit.exchange for hit in store.search("giraffe", limit=5)] == [exchange_id(1)]
    assert_sound(store)


def test_blocks_without_words_leave_the_index_as_it_is(home: Home, store: Store) -> None:
    """What never stood in the index, an empty text or a picture, is not taken out of it."""
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0"}}
    blocks = [
        {"type": "text", "text": ""},
        picture,
        {"type": "text", "text": "nul \0 nul"},
        {"type": "text", "text": "?"},
    ]
    ask = {"model": "m", "messages": [{"role": "user", "content": blocks}]}
    fill(store, [captured(1, ask, stream([{"type": "text", "text": "an answer"}])), one(2, "the zebra")])
    rows = f"SELECT count(*) FROM {'block_search_docsize' if home.name == 'sqlite' else 'block_search'}"
    [(before,)] = home.run(rows)
    store.delete(Selection(exchange=exchange_id(1)))
    tidy(store)
    assert home.run(rows) == [(before - 3,)] == [(2,)]
    assert_sound(store)


def test_it_is_done_a_piece_at_a_time(home: Home, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much there is to be freed, each piece is small, and between two pieces everything is sound and can be written."""
    for module in (pruning, postgres_pruning):
        for step in {"STEP_ROWS", "STEP_EXCHANGES", "STEP_PAGES", "STEP_NOTED"} & vars(module).keys():
            monkeypatch.setattr(module, step, 2)
    exchanges = list(Session(preamble_bytes=9000, turn_bytes=900).exchanges(8))
    fill(store, exchanges)
    assert store.delete(Selection(before=exchanges[7].opened_at)) == 7
    assert store.delete(Selection(exchange=exchanges[7].id)) == 1
    pieces = 0
    while not store.sweep().done:
        pieces += 1
        fill(store, [one(20 + pieces, f"written between {pieces}")])
        if home.name == "sqlite":
            assert home.run("PRAGMA integrity_check") == [("ok",)]
    fill(store, exchanges[:3])
    assert pieces > 5
    assert store.leftover() is Leftover.SPACE
    while store.shrink():
        pieces += 1
    assert store.leftover() is None
    assert pieces > 12
    store.sweep()
    assert_sound(store)
    assert_whole(store, exchanges[:3])
    assert len(store.exchanges(limit=99)) > 5


# Coming back -------------------------------------------------------------------------------------------------------------


def test_frames_that_are_read_again_bring_nothing_back(store: Store) -> None:
    """While a writer's journal is there, what was deleted of it is passed over; what builds on it is whole all the same."""
    exchanges = list(Session(preamble_bytes=3000, turn_bytes=300).exchanges(3))
    store.write([], [Position("w", 1, 16)])
    fill(store, exchanges)
    store.delete(Selection(before=exchanges[2].opened_at))
    tidy(store)
    fill(store, exchanges)  # with a memory of its own, as after a start
    assert [row["id"] for row in store.exchanges(limit=9)] == [exchanges[2].id]
    assert store.leftover() is Leftover.ROWS
    assert_whole(store, exchanges[2:])
    store.delete(Selection(exchange=exchanges[2].id))
    fill(store, exchanges)
    tidy(store)
    assert counts(store) == dict.fromkeys(TABLES, 0) | {"deleted": 3}
    store.forget_writer("w")
    assert counts(store)["deleted"] == 0


def test_nothing_is_remembered_of_a_journal_that_is_gone(home: Home, store: Store) -> None:
    """Where no frame can be read again no id is kept, and ids of writers that nobody knows are swept away."""
    fill(store, [one(1, "text", writer="dead"), one(2, "text", writer="alive")])
    store.write([], [Position("alive", 1, 16)])
    store.delete(EVERYTHING)
    assert home.run("SELECT exchange FROM deleted") == [(exchange_id(2),)]
    home.run("DELETE FROM journal_positions")
    tidy(store)
    assert counts(store)["deleted"] == 0


def test_after_a_sweep_nothing_counts_as_stored(store: Store) -> None:
    """The same entry that was written once is written whole again when its parts were swept meanwhile."""
    (entry,) = fill(store, [exchange := one(1, "text")])
    store.delete(EVERYTHING)
    tidy(store)
    store.write([entry], [])
    assert_whole(store, [exchange])
    assert_sound(store)


# What retention asks --------------------------------------------------------------------------------------------------------


def test_what_is_too_much_is_found_from_the_oldest_on(store: Store) -> None:
    """Deleting what a limit asks for brings the store near that limit, and no further below than need be."""
    dice = random.Random(1)
    words = [" ".join(f"{dice.randrange(10**6)}" for _ in range(400)) for _ in range(100)]
    exchanges = [one(n, text, session=f"s{n}") for n, text in enumerate(words, 1)]
    fill(store, exchanges)
    full = store.used_bytes()
    assert store.excess(full) is None
    before = store.excess(full * 6 // 10)
    assert before
    deleted = store.delete(Selection(before=before), wipe=False)
    tidy(store)
    assert 25 < deleted < 55
    assert full * 0.45 < store.used_bytes() < full * 0.75
    assert_whole(store, exchanges[deleted:])


def test_where_nothing_has_ended_nothing_is_too_much(store: Store) -> None:
    """Without an exchange that may be deleted no limit asks for one."""
    assert store.excess(1) is None
    store.write([running(1, "still running")], [])
    assert store.excess(1) is None


def test_the_table_of_an_original_does_not_count(tmp_path: Path) -> None:
    """Where our tables stand in the file of the original proxy, its own table costs no exchange of ours its place."""
    path = tmp_path / "store.db"
    database = sqlite3.connect(path)
    columns = ", ".join(f"{name} TEXT" for name in file.ORIGINAL_COLUMNS)
    database.execute(f"CREATE TABLE requests ({columns})")
    database.executemany("INSERT INTO requests (id, body) VALUES (?, ?)", [(str(n), "x" * 5000) for n in range(200)])
    database.commit()
    database.close()
    with contextlib.closing(SqliteStore(path, write=True)) as store:
        assert path.stat().st_size > 1_000_000
        assert store.used_bytes() < 800_000
        fill(store, [one(1, "text")])
        store.delete(EVERYTHING)
        tidy(store)
        assert store.number("auto_vacuum") == 2
        assert store.db.execute("SELECT count(*), max(length(body)) FROM requests").fetchone()[:] == (200, 5000)


def test_a_session_is_found_by_its_beginning(store: Store) -> None:
    """As much of a session's id is needed as tells it from the others; an id that begins another one names itself."""
    fill(store, [one(n, "text", session=name) for n, name in enumerate(["abc", "abcdef", "b%", "b_x"], 1)])
    assert store.session_named("abcd") == "abcdef"
    assert store.session_named("abc") == "abc"
    assert store.session_named("b%") == "b%"
    for unknown in ("x", "", "bc", "%"):
        with pytest.raises(StoreError, match=f'no session has the id "{unknown}"'):
            store.session_named(unknown)
    for ambiguous in ("a", "ab", "b"):
        with pytest.raises(StoreError, match="more than one session"):
            store.session_named(ambiguous)
