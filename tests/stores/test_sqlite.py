"""What is SQLite's own: the file, its modes, who else may hold it, and what a file must be to be ours."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ccproxy.errors import StoreBusyError, StoreError
from ccproxy.records import Position
from ccproxy.stores.contract import Filter
from ccproxy.stores.sqlite import APPLICATION_ID, SqliteStore, file
from tests.support.entries import Session, captured, exchange_id, fill

LONG_S = 30.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the place of a store, in a folder that is not there yet."""
    return tmp_path / "data" / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    """Give an empty store."""
    store = SqliteStore(path, write=True)
    yield store
    store.close()


def test_only_the_owner_may_read_it(store: SqliteStore, path: Path) -> None:
    """The file, and those that SQLite puts beside it, have mode 0600, the folder 0700."""
    fill(store, [captured(1, b"{}")])
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}
    assert len(list(path.parent.iterdir())) == 3
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_file_that_others_could_read_is_made_private(tmp_path: Path) -> None:
    """An empty file of somebody's making becomes readable by its owner alone when it becomes a store."""
    path = tmp_path / "made.db"
    path.touch(mode=0o644)
    path.chmod(0o644)
    with contextlib.closing(SqliteStore(path, write=True)) as opened:
        fill(opened, [captured(1, b"{}")])
        assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir() if file.is_file()} == {0o600}


def test_it_is_in_wal_mode_and_names_its_owner(store: SqliteStore, path: Path) -> None:
    """Readers and the writer do not wait for each other, and the file says whose it is."""
    database = sqlite3.connect(path)
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert database.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert database.execute("SELECT version FROM schema_version").fetchall() == [
        (number,) for number, _ in file._migrations()
    ]
    database.close()


def test_one_file_is_left_after_a_close(store: SqliteStore, path: Path) -> None:
    """A closed store is one file, with everything in it."""
    fill(store, [captured(1, b'{"messages":[]}')])
    store.close()
    assert [file.name for file in path.parent.iterdir()] == ["store.db"]


def test_a_foreign_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    """A database of some other program is not touched."""
    path = tmp_path / "other.db"
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE theirs (a)")
    database.commit()
    database.close()
    before = path.read_bytes()
    for write in (True, False):
        with pytest.raises(StoreError, match="a database of some other program"):
            SqliteStore(path, write=write)
    assert path.read_bytes() == before


def test_a_newer_schema_is_refused(store: SqliteStore, path: Path) -> None:
    """A file of a newer version is refused with the advice to upgrade."""
    store.db.execute("PRAGMA user_version = 999")
    store.close()
    for write in (True, False):
        with pytest.raises(StoreError, match=r"newer ccproxy \(schema 999, this one knows \d+\); upgrade ccproxy"):
            SqliteStore(path, write=write)


def test_what_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    """A text file is not turned into a database."""
    path = tmp_path / "notes.txt"
    path.write_text("my notes\n" * 1000)
    for write in (True, False):
        with pytest.raises(StoreError, match=r"notes\.txt is not a SQLite database; choose another storage\.db_path"):
            SqliteStore(path, write=write)
    assert path.read_text() == "my notes\n" * 1000


def test_a_missing_store_is_not_made_by_looking(path: Path) -> None:
    """Reading says what to do where nothing was captured yet, and makes no file."""
    with pytest.raises(StoreError, match=r"there is no store at .* yet: start `ccproxy serve`"):
        SqliteStore(path)
    assert not path.exists()
    path.parent.mkdir()
    path.touch()
    with pytest.raises(StoreError, match="holds no captures yet"):
        SqliteStore(path)


def test_an_empty_file_becomes_a_store(path: Path) -> None:
    """An empty file is as good as none."""
    path.parent.mkdir()
    path.touch()
    SqliteStore(path, write=True).close()
    SqliteStore(path).close()


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    """Where no file can be made the sentence names the place and the setting."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot write the store at .*; choose another storage\.db_path"):
        SqliteStore(tmp_path / "file" / "store.db", write=True)
    with pytest.raises(StoreError, match="cannot write the store"):
        SqliteStore(tmp_path, write=True)


def test_a_locked_store_is_busy_and_then_not(store: SqliteStore, path: Path) -> None:
    """While another process writes the store is busy, not broken; afterwards it takes the same again."""
    store.db.execute("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusyError, match="cannot be used right now: database is locked"):
        store.write([], [Position("w", 1, 1)])
    with pytest.raises(StoreBusyError):
        store.forget_writer("w")
    assert store.positions() == {}
    other.execute("ROLLBACK")
    other.close()
    store.write([], [Position("w", 1, 1)])
    assert store.positions() == {"w": Position("w", 1, 1)}


def test_a_full_disk_is_busy_and_then_not(store: SqliteStore) -> None:
    """A store that has no room leaves nothing half written, and goes on when there is room."""
    exchanges = list(Session(preamble_bytes=3000).exchanges(30))
    pages = store.db.execute("PRAGMA page_count").fetchone()[0]
    store.db.execute(f"PRAGMA max_page_count = {pages + 3}")
    with pytest.raises(StoreBusyError, match="full"):
        fill(store, exchanges)
    done = sum(store.stats()["exchanges"].values())
    assert done < 30
    store.db.execute("PRAGMA max_page_count = 100000")
    fill(store, exchanges)
    assert store.stats()["exchanges"] == {"complete": 30}
    for exchange in exchanges:
        assert store.body(exchange.id, "request") == exchange.request


def test_readers_read_while_the_writer_writes(store: SqliteStore, path: Path) -> None:
    """Any number of readers see whole exchanges, more and more of them, and nobody waits or fails."""
    exchanges = list(Session(preamble_bytes=3000, turn_bytes=300).exchanges(40))
    failures: list[BaseException] = []
    seen: list[int] = []
    done = threading.Event()

    def read() -> None:
        reader = SqliteStore(path)
        try:
            while not done.is_set():
                rows = reader.exchanges(limit=100)
                seen.append(len(rows))
                for row in rows[:3]:
                    number = next(n for n in range(1, 41) if exchange_id(n) == row["id"])
                    assert reader.body(row["id"], "request") == exchanges[number - 1].request
        except BaseException as failure:  # noqa: BLE001 (whatever it is belongs to the test)
            failures.append(failure)
        finally:
            reader.close()

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    fill(store, exchanges)
    done.set()
    for thread in threads:
        thread.join(LONG_S)
    assert failures == []
    assert seen


def test_a_reader_cannot_write(store: SqliteStore, path: Path) -> None:
    """Who opened the store for reading changes nothing, not by mistake either."""
    reader = SqliteStore(path)
    with pytest.raises(StoreError):
        reader.write([], [Position("w", 1, 1)])
    reader.close()
    assert store.positions() == {}


def test_a_damaged_body_is_told_and_not_given_back(store: SqliteStore) -> None:
    """Bytes that are not those that were captured are an error, never an answer."""
    [exchange] = Session(preamble_bytes=3000).exchanges(1)
    fill(store, [exchange])
    store.db.execute("UPDATE bodies SET data = x'00010203' WHERE side = 'request'")
    store.db.execute("UPDATE bodies SET size = size + 1 WHERE side = 'response'")
    for side in ("request", "response"):
        with pytest.raises(StoreError, match=r"damaged|cannot be unpacked"):
            store.body(exchange.id, side)


def test_a_missing_part_is_told(store: SqliteStore) -> None:
    """A body whose parts are gone is an error, never a shorter body."""
    exchanges = list(Session(preamble_bytes=3000).exchanges(2))
    fill(store, exchanges)
    store.db.execute("DELETE FROM blobs WHERE size > 200")
    with pytest.raises(StoreError):
        store.body(exchanges[1].id, "request")


def test_a_failed_batch_leaves_the_store_usable(store: SqliteStore) -> None:
    """After an error no transaction stays open and nothing counts as known."""
    entries = fill(store, list(Session(preamble_bytes=3000).exchanges(1)))
    entries[0].columns["state"] = object()
    entries[0].id = entries[0].columns["id"] = exchange_id(7)
    with pytest.raises(StoreError):
        store.write(entries, [])
    assert not store.db.in_transaction
    store.write([], [Position("w", 1, 1)])


def test_a_store_gets_the_indexes_of_a_large_one_when_it_is_one(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small store does without them; lists and totals are the same before and after."""
    exchanges = list(Session().exchanges(6))
    fill(store, exchanges[:4])
    assert not store.is_large()
    wanted = [
        Filter(),
        Filter(model="TEST"),
        Filter(model="nothing"),
        Filter(state="complete"),
        Filter(project="x", model="e"),
    ]
    before = [store.listing(one, limit=10) for one in wanted]
    monkeypatch.setattr(file, "LARGE", 5)
    fill(store, exchanges[4:])
    assert store.is_large()
    with contextlib.closing(SqliteStore(path, write=True)) as again:
        assert again.grow()
    after = [store.listing(one, limit=10) for one in wanted]
    assert [page.total for page in before] == [4, 4, 0, 4, 0]
    assert [page.total for page in after] == [6, 6, 0, 6, 0]
    assert [row["id"] for row in after[1].rows][2:] == [row["id"] for row in before[1].rows]
