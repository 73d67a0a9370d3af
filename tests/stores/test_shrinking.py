"""What a deletion does to the file: it becomes smaller, keeps no trace, and gets along with all others who use it."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ccproxy.errors import StoreBusyError, StoreError
from ccproxy.ingest.memory import Memory
from ccproxy.records import Block, Captured, Entry, Position
from ccproxy.stores.contract import Filter, Leftover, Selection
from ccproxy.stores.sqlite import SqliteStore, file, pruning
from tests.support.entries import T0, Session, entry_of, exchange_id, fill
from tests.support.pruned import assert_sound, assert_whole, one, running, tidy

LONG_S = 30.0
MINUTE = 60_000_000
EVERYTHING = Selection(everything=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the place of a store."""
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    """Give an empty store."""
    store = SqliteStore(path, write=True)
    yield store
    store.close()


def bytes_on_disk(path: Path) -> bytes:
    """Return all that stands in the store's files."""
    files = [path, Path(f"{path}-wal")]
    return b"".join(file.read_bytes() for file in files if file.exists())


# The file ----------------------------------------------------------------------------------------------------------------


def test_the_file_becomes_smaller(store: SqliteStore, path: Path) -> None:
    """What was deleted takes no room on disk any more, while the store stays open."""
    exchanges = list(Session(preamble_bytes=20_000, turn_bytes=3000).exchanges(60))
    empty = path.stat().st_size + Path(f"{path}-wal").stat().st_size
    fill(store, exchanges)
    full, used = len(bytes_on_disk(path)), store.used_bytes()
    store.delete(EVERYTHING, wipe=False)
    tidy(store)
    assert full > 5 * empty
    assert len(bytes_on_disk(path)) < empty + 20_000
    assert store.used_bytes() < used / 4
    assert Path(f"{path}-wal").stat().st_size < 10_000


@pytest.mark.parametrize("seed", range(4))
def test_no_trace_is_left(store: SqliteStore, path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes of what was deleted stand nowhere in the store's files, small pieces neither, nor words in the index."""
    monkeypatch.setattr(pruning, "STEP_PAGES", (1, 2000)[seed % 2])
    dice = random.Random(seed)
    marks = {n: f"mark{n:04}x{dice.randrange(10**9):09}" for n in range(1, 121)}
    memory = Memory(store.part)
    for n, mark in marks.items():
        text = f"{mark} " * dice.choice([1, 3, 10, 14, 200])
        store.write([entry_of(one(n, text, answer=f"{mark} so", session=mark), memory)], [])
    gone = {n for n in marks if dice.random() < dice.choice([0.1, 0.5, 0.9])}
    before = bytes_on_disk(path)
    assert all(mark.encode() in before for mark in marks.values())
    for n in gone:
        store.delete(Selection(exchange=exchange_id(n)))
    tidy(store)
    after = bytes_on_disk(path)
    assert Path(f"{path}-wal").exists()
    assert [n for n in gone if marks[n].encode() in after] == []
    assert all(marks[n].encode() in after for n in marks.keys() - gone)
    assert_sound(store)


def test_the_index_is_merged_to_its_end(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """However small the steps are, afterwards the full-text index is of one piece, in which nothing deleted stands."""
    fill(store, list(Session(preamble_bytes=3000, turn_bytes=20_000).exchanges(30)))
    store.delete(Selection(before=T0 + 4 * MINUTE), wipe=False)
    store.sweep()
    pieces = "SELECT count(DISTINCT segid) FROM block_search_idx"
    assert store.db.execute(pieces).fetchone()[0] > 1
    monkeypatch.setattr(pruning, "STEP_PAGES", 1)
    monkeypatch.setattr(store, "_give_back", lambda: False)
    steps = 1
    while store.shrink():
        steps += 1
    assert steps > 10
    assert store.db.execute(pieces).fetchone()[0] == 1
    assert_sound(store)


def test_a_new_file_can_shrink_by_pieces(store: SqliteStore) -> None:
    """A store is made so that it can give back room, and so that what is freed is overwritten."""
    assert store.number("auto_vacuum") == 2
    assert store.number("secure_delete") == 1


def _old_store(path: Path, monkeypatch: pytest.MonkeyPatch, fill_it: Callable[[SqliteStore], object]) -> None:
    """Make a store as the first version did: of schema 1, and not able to shrink by pieces."""
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode = WAL")
    database.close()
    with monkeypatch.context() as patch:
        patch.setattr(file, "_migrations", lambda: FIRST)
        patch.setattr(SqliteStore, "_write_entry", _write_entry_of_the_first_version)
        patch.setattr(SqliteStore, "_write_block", _write_block_of_the_first_version)
        with contextlib.closing(SqliteStore(path, write=True)) as store:
            fill_it(store)
            assert (store.version(), store.number("auto_vacuum")) == (1, 0)


def _brought(store: SqliteStore) -> list[tuple[object, ...]]:
    rows = store.db.execute(
        "SELECT node, position, exchange FROM blocks WHERE text NOT LIKE '%still running%' ORDER BY 1, 2"
    )
    return [tuple(row) for row in rows]


def _brought_in_a_new_store(exchanges: list[Captured], path: Path) -> list[tuple[object, ...]]:
    with contextlib.closing(SqliteStore(path, write=True)) as store:
        fill(store, exchanges)
        return _brought(store)


FIRST = file._migrations()[:1]


def _write_entry_of_the_first_version(self: SqliteStore, entry: Entry, fresh: dict[bytes, None]) -> None:
    self._write_tree(entry, fresh)
    self._write_exchange(entry)


def _write_block_of_the_first_version(self: SqliteStore, node: bytes, block: Block, _exchange: str) -> None:
    values = (node, block.position, block.type, block.tool_name, block.tool_use_id, block.characters, block.text)
    row = self.db.execute(
        "INSERT INTO blocks (node, position, type, tool_name, tool_use_id, characters, text) VALUES (?, ?, ?, ?, ?, ?, ?)",
        values,
    )
    if block.text:
        self.db.execute(
            "INSERT INTO block_search (rowid, text, tool_name) VALUES (?, ?, ?)",
            (row.lastrowid, block.text, block.tool_name),
        )


def test_a_store_of_the_first_schema_is_brought_up_to_date(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows, bodies and positions of the first version are there afterwards, and it can be pruned; then it is smaller."""
    exchanges = list(Session(preamble_bytes=20_000, turn_bytes=3000).exchanges(20))

    def fill_it(store: SqliteStore) -> None:
        fill(store, exchanges)
        store.write([running(99, "still running")], [Position("w", 3, 33)])

    _old_store(path, monkeypatch, fill_it)
    size = path.stat().st_size
    with contextlib.closing(SqliteStore(path, write=True)) as store:
        assert store.version() == file._migrations()[-1][0]
        assert store.positions() == {"w": Position("w", 3, 33)}
        assert store.stats()["exchanges"] == {"complete": 20, "open": 1}
        assert {row["demoted"] for row in store.exchanges(limit=99)} == {None}
        assert {
            row[name]
            for row in store.exchanges(limit=99)
            for name in ("agent_name", "agent_sign", "endpoint", "losses")
        } == {None}
        assert _brought(store) == _brought_in_a_new_store(exchanges, path.with_name("new.db"))
        assert store.listing(Filter(), limit=1).total == 21
        assert_whole(store, exchanges)
        assert store.delete(Selection(before=exchanges[15].opened_at), wipe=False) == 15
        tidy(store)
        assert_whole(store, exchanges[15:])
        assert_sound(store)
        assert store.number("auto_vacuum") == 2
        store.delete(EVERYTHING, wipe=False)
        tidy(store)
        assert path.stat().st_size < size / 2


# While others are there ----------------------------------------------------------------------------------------------------


def test_a_reader_is_waited_for(store: SqliteStore, path: Path) -> None:
    """While somebody reads an older state the store stays as it is, says that it is busy, and is made smaller later."""
    fill(store, list(Session(preamble_bytes=20_000).exchanges(5)))
    store.db.execute("PRAGMA busy_timeout = 1")
    with contextlib.closing(SqliteStore(path)) as reader, reader.snapshot():
        (row, *_) = reader.exchanges(limit=1)
        body = reader.body(row["id"], "request")
        store.delete(EVERYTHING)
        store.sweep()
        with pytest.raises(StoreBusyError, match="is being read"):
            while store.shrink():
                pass
        assert store.leftover() is Leftover.SPACE
        assert reader.body(row["id"], "request") == body
    tidy(store)
    assert store.leftover() is None


def test_what_is_deleted_meanwhile_is_swept_next(store: SqliteStore, path: Path) -> None:
    """A deletion by another process between two pieces of the work is not forgotten."""
    fill(store, [one(n, f"text {n}") for n in range(1, 9)])
    store.delete(Selection(exchange=exchange_id(1)))
    with contextlib.closing(SqliteStore(path, write=True)) as other:
        store.sweep()
        other.delete(Selection(exchange=exchange_id(2)))
        assert store.leftover() is Leftover.ROWS
        store.sweep()
        while store.shrink():
            pass
        other.delete(Selection(exchange=exchange_id(3)))
        assert other.leftover() is Leftover.ROWS
        tidy(store)
        assert other.leftover() is None
    assert_sound(store)


def test_a_deletion_between_the_last_steps_is_not_lost(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is deleted while the file is being emptied still counts as not swept afterwards."""
    fill(store, [one(n, f"text {n}") for n in range(1, 9)])
    store.delete(Selection(exchange=exchange_id(1)))
    store.sweep()
    checkpoint = store._checkpoint
    with contextlib.closing(SqliteStore(path, write=True)) as other:

        def delayed() -> None:
            checkpoint()
            other.delete(Selection(exchange=exchange_id(2)))

        monkeypatch.setattr(store, "_checkpoint", delayed)
        while store.shrink():
            pass
    assert store.leftover() is Leftover.ROWS
    assert store._note(pruning.WIPE)


def test_others_delete_while_one_writes(store: SqliteStore, path: Path) -> None:
    """A writer and somebody who deletes get along: nobody fails, what stays is whole."""
    exchanges = list(Session(preamble_bytes=3000, turn_bytes=300).exchanges(60))
    fill(store, exchanges[:30])
    failures: list[BaseException] = []

    def delete() -> None:
        try:
            with contextlib.closing(SqliteStore(path, write=True)) as other:
                for exchange in exchanges[:30]:
                    assert other.delete(Selection(exchange=exchange.id)) == 1
        except BaseException as failure:  # noqa: BLE001 (whatever it is belongs to the test)
            failures.append(failure)

    thread = threading.Thread(target=delete)
    thread.start()
    memory = Memory(store.part)
    for exchange in exchanges[30:]:
        store.write([entry_of(exchange, memory)], [])
        if store.leftover() is Leftover.ROWS:
            store.sweep()
            memory.forget()
    thread.join(LONG_S)
    tidy(store)
    assert failures == []
    assert_whole(store, exchanges[30:])
    assert_sound(store)


def test_long_steps_show_signs_of_life(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the file is written anew somebody can be told that it goes on."""
    monkeypatch.setattr(pruning, "ALIVE_STEPS", 10)
    fill(store, list(Session(preamble_bytes=3000).exchanges(5)))
    store.delete(Selection(before=T0 + 2 * MINUTE))
    store.sweep()
    beats: list[None] = []
    while store.shrink(lambda: beats.append(None)):
        pass
    assert beats


def test_who_only_reads_cannot_delete(store: SqliteStore, path: Path) -> None:
    """A store that was opened for reading deletes nothing."""
    fill(store, [one(1, "text")])
    with contextlib.closing(SqliteStore(path)) as reader:
        assert reader.count(EVERYTHING).exchanges == 1
        assert reader.leftover() is None
        with pytest.raises(StoreError):
            reader.delete(EVERYTHING)
    assert store.count(EVERYTHING).exchanges == 1
