"""The demo as a file: the same at each run, whole or not there, and never in anybody's way."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import socket
import sqlite3
import sys
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ccproxy import demo
from ccproxy.demo import casting
from ccproxy.errors import StoreError
from ccproxy.journal import segments
from ccproxy.settings import load
from ccproxy.stores.sqlite import SqliteStore
from tests.demo.conftest import Made

TABLES = ("exchanges", "nodes", "blocks", "blobs", "preambles", "preamble_parts", "bodies", "headers", "timelines")
EARLIER = date(2026, 5, 3)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Play two sessions in place of all: what is tested is the file around them."""
    few = list(itertools.islice(casting.stories(), 2))
    monkeypatch.setattr(casting, "stories", lambda: iter(few))


def rows_of(path: Path) -> dict[str, str]:
    """Return a digest of each table's rows."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return {
            name: sha256(repr(db.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall()).encode()).hexdigest()
            for name in TABLES
        }


def test_two_runs_give_the_same_rows(made: Made, tmp_path: Path) -> None:
    """Every row and every byte of every body is the same when the demo is made again, times and ids included."""
    demo.make(tmp_path / "again.db")
    assert rows_of(tmp_path / "again.db") == rows_of(made.path)


def test_another_week_is_another_demo(made: Made, tmp_path: Path) -> None:
    """With another last day everything happens in that week, and with another seed it happens otherwise."""
    path = tmp_path / "earlier.db"
    demo.make(path, ending=EARLIER, seed=8)
    with contextlib.closing(SqliteStore(path)) as store:
        rows = store.exchanges(limit=10_000)
    days = {datetime.fromtimestamp(row["started_at"] / 1e6, UTC).date() for row in rows}
    assert (min(days), max(days)) == (date(2026, 4, 27), EARLIER)
    assert len(rows) == len(made.rows)
    assert not {row["session_id"] for row in rows} & {row["session_id"] for row in made.rows}
    assert sum(row["output_tokens"] or 0 for row in rows) != sum(row["output_tokens"] or 0 for row in made.rows)


def test_nothing_is_left_beside_it(made: Made) -> None:
    """Beside the store there is no journal, no folder and no lock, and in it there is no reader's position."""
    assert [path.name for path in made.path.parent.iterdir() if path.suffix not in (".db-wal", ".db-shm")] == [
        "demo.db"
    ]
    assert made.path.stat().st_mode & 0o777 == 0o600
    assert made.store.positions() == {}


@pytest.mark.usefixtures("short")
def test_what_is_there_stays(tmp_path: Path) -> None:
    """The same demo is not made twice, unless it is asked for; one of another week, or an empty file, gives way."""
    path = tmp_path / "demo.db"
    assert demo.make(path)
    before = path.stat().st_ino
    assert not demo.make(path)
    assert path.stat().st_ino == before
    assert demo.make(path, again=True)
    assert path.stat().st_ino != before
    assert demo.make(path, ending=EARLIER)
    (tmp_path / "empty.db").touch()
    assert demo.make(tmp_path / "empty.db")
    assert not list(tmp_path.glob(".*"))


@pytest.mark.usefixtures("short")
def test_captures_are_never_touched(made: Made, tmp_path: Path) -> None:
    """A store with a single exchange of anybody else in it is refused, and so is a file that is no store."""
    path = shutil.copy(made.path, tmp_path / "mine.db")
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE exchanges SET writer = 'mine' WHERE id = ?", (made.rows[100]["id"],))
        db.commit()
    with pytest.raises(StoreError, match="holds captures that are no demo"):
        demo.make(path, again=True)
    text = tmp_path / "notes.txt"
    text.write_text("not a database, and long enough to be looked at as one, which takes a hundred bytes or so" * 3)
    with pytest.raises(StoreError, match="is not a SQLite database"):
        demo.make(text, again=True)
    with pytest.raises(StoreError, match="cannot make the demo"):
        demo.make(text / "below" / "demo.db")


@pytest.mark.usefixtures("short")
def test_a_proxy_that_writes_into_it_is_respected(made: Made, tmp_path: Path) -> None:
    """A demo that an ingest writes to is not replaced under it."""
    path = shutil.copy(made.path, tmp_path / "demo.db")
    lock = segments.hold_lock(path.with_name("demo.db.lock"))
    assert lock is not None
    with pytest.raises(StoreError, match="a proxy writes to"):
        demo.make(path, again=True)
    os.close(lock)
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")] == []


@pytest.mark.usefixtures("short")
def test_what_a_killed_run_left_is_cleared_away(tmp_path: Path) -> None:
    """The half-made folder of a run that was killed goes with the next one."""
    left = tmp_path / ".demo.db-abc"
    left.mkdir()
    (left / "demo.db").write_bytes(b"half")
    demo.make(tmp_path / "demo.db")
    assert [entry.name for entry in tmp_path.iterdir()] == ["demo.db"]


async def test_two_at_once_make_it_once(tmp_path: Path) -> None:
    """Of two processes that want the same file at once one makes it, and both find it whole."""
    path = tmp_path / "demo.db"
    script = f"from pathlib import Path; from ccproxy import demo; print(demo.make(Path({str(path)!r})))"

    async def run() -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, err = await process.communicate()
        assert (process.returncode, err) == (0, b"")
        return out.decode().strip()

    assert sorted(await asyncio.gather(run(), run())) == ["False", "True"]
    with contextlib.closing(SqliteStore(path)) as store:
        assert len(store.exchanges(limit=10_000)) > 400


def test_it_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is connected to but a socket in a private folder, and no port is opened; progress is told in shares of the week."""
    connect, bind = socket.socket.connect, socket.socket.bind

    def only_private(real: Any) -> Any:
        def call(self: socket.socket, address: Any) -> Any:
            assert self.family == socket.AF_UNIX, address
            return real(self, address)

        return call

    monkeypatch.setattr(socket.socket, "connect", only_private(connect))
    monkeypatch.setattr(socket.socket, "bind", only_private(bind))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: pytest.fail("a name was looked up"))
    told: list[float] = []
    assert demo.make(tmp_path / "demo.db", progress=told.append)
    assert len(told) > 20
    assert 0 < told[0] < told[-1] <= 1


def test_its_place_is_beside_the_store(tmp_path: Path) -> None:
    """Where no place is named it is kept in the folder of the store."""
    settings = load(cli={"storage.db_path": str(tmp_path / "mine" / "requests.db")}, environ={}, dotenv=False)
    assert demo.default_path(settings) == tmp_path / "mine" / "demo.db"
