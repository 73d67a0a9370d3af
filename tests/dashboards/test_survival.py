"""What every page must survive: a store that is empty, missing, locked, gone, broken, newer; and that nothing is ever written to it."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import analysis
from ccproxy.stores.sqlite import SqliteStore
from dashboards import app
from dashboards.data import Data
from dashboards.live import Live
from dashboards.pages import PAGES
from dashboards.state import Route
from dashboards.view import View
from tests.dashboards.conftest import NOW
from tests.support import handmade
from tests.support.dashboard import free_port
from tests.support.entries import exchange_id, fill

EXCHANGE = exchange_id(1)
SEARCHES = (
    *(f"?page={name}" for name in PAGES),
    f"?page=exchanges&item={EXCHANGE}",
    f"?page=sessions&item={handmade.SESSION}",
    f"?page=context&session={handmade.SESSION}",
    "?page=sql&q=SELECT+count(1)+FROM+exchanges",
    "?page=exchanges&text=importer&status=errors",
    "?page=exchanges&item=0199c8c5-0000-7000-8000-000000000000",
    "?page=exchanges&item='%3Cb%3E",
    "?page=sessions&item=nobody",
)
FAILED = "The dashboard failed on this page"
ALWAYS = ("live", "setup")  # they need no store


@pytest.fixture
def store(handmade_store: Path, tmp_path: Path) -> Path:
    """Give a store of the test's own."""
    return Path(shutil.copy(handmade_store, tmp_path / "requests.db"))


NOON = [1000.0]  # what clocks show


@contextlib.contextmanager
def _data(path: Path) -> Iterator[Data]:
    data = Data(lambda: analysis.open(path), lambda: NOON[0])
    yield data
    data.forget()


def _later() -> None:
    """Let so much time pass that nothing is answered as it was a moment ago."""
    NOON[0] += 60


def _shown(data: Data, search: str) -> str:
    """Return what a tab shows at an address: header and page."""
    view = View(Route.read(search), data, Live(analysis.configuration({"PORT": str(free_port())})), NOW)
    return app.header(view) + _html(app.page(view))


def _html(panes: list[Any]) -> str:
    return "".join(str(getattr(pane, "object", "")) + _html(list(getattr(pane, "objects", []))) for pane in panes)


def _all(data: Data) -> dict[str, str]:
    """Return what each address shows; none of them has failed."""
    shown = {}
    for search in SEARCHES:
        _later()
        shown[search] = _shown(data, search)
    assert [search for search, html in shown.items() if FAILED in html] == []
    return shown


def _digests(folder: Path) -> dict[str, str]:
    """Return the digest of each file; SQLite's own index of its log is nobody's content."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if not path.name.endswith("-shm")
    }


def test_looking_writes_nothing(store: Path) -> None:
    """After every page has been shown, the store's file and its log are what they were, bit for bit, and nothing stands beside them."""
    with contextlib.closing(sqlite3.connect(store)) as holder:  # as the proxy holds it, with a log
        holder.execute("PRAGMA journal_mode = wal")
        holder.execute("PRAGMA wal_autocheckpoint = 0")
        holder.execute("UPDATE exchanges SET error = 'x' WHERE status = 529")
        holder.commit()
        before = _digests(store.parent)
        with _data(store) as data:
            _all(data)
        assert _digests(store.parent) == before
    with _data(store) as data:
        _all(data)


def test_a_store_that_is_not_there_yet(tmp_path: Path, handmade_store: Path) -> None:
    """Without a store each page says so and how one is made; once it appears, they show it, without a new start."""
    path = tmp_path / "later.db"
    with _data(path) as data:
        for search, html in _all(data).items():
            if Route.read(search).page not in ALWAYS and search != "?page=sql":
                assert f"there is no store at {path}" in html, search
                assert "ccproxy serve" in html
        assert not path.exists()
        shutil.copy(handmade_store, path)
        shown = _all(data)
        assert "there is no store" not in "".join(shown.values())
        assert "Flaky importer test" in shown["?page=sessions"]


def test_an_empty_store(tmp_path: Path) -> None:
    """A store in which nothing is gives pages that say what would be there."""
    path = tmp_path / "empty.db"
    SqliteStore(path, write=True).close()
    with _data(path) as data:
        shown = _all(data)
        assert "ccproxy run -- claude" in shown["?page=exchanges"]
        assert "0 exchanges in 0 sessions" in shown["?page=setup"]


def test_a_file_that_is_empty_or_no_store(tmp_path: Path) -> None:
    """An empty file, text, and another program's database are told apart, on each page, and left as they are."""
    path = tmp_path / "x.db"
    for content, said in (
        (b"", "holds no captures yet"),
        (b"just some text, and more of it\n" * 99, "not a store of ccproxy"),
        (None, "some other program"),
    ):
        if content is None:
            path.unlink()
            with contextlib.closing(sqlite3.connect(path)) as db:
                db.execute("CREATE TABLE t (a)")
        else:
            path.write_bytes(content)
        before = _digests(tmp_path)
        with _data(path) as data:
            for search, html in _all(data).items():
                if Route.read(search).page not in ALWAYS and search != "?page=sql":
                    assert said in html, search
        assert _digests(tmp_path) == before


@pytest.mark.parametrize(
    ("version", "said"), [(999, "was written by a newer ccproxy"), (1, "was written by an older ccproxy")]
)
def test_a_store_of_another_version(store: Path, version: int, said: str) -> None:
    """A newer or older store is not read: each page says what to do about it."""
    with contextlib.closing(sqlite3.connect(store)) as db:
        db.execute(f"PRAGMA user_version = {version}")
    with _data(store) as data:
        shown = _all(data)
        assert said in shown["?page=sessions"]
        assert said in shown["?page=setup"]


def test_a_store_that_is_locked(store: Path) -> None:
    """While another program has it for itself each page shows, or says that it is locked; afterwards all is there again."""
    with _data(store) as data:
        _all(data)
        with contextlib.closing(sqlite3.connect(store, isolation_level=None)) as other:
            other.execute("PRAGMA locking_mode = exclusive")
            other.execute("BEGIN EXCLUSIVE")
            other.execute("UPDATE exchanges SET error = 'x'")
            _all(data)
            other.execute("ROLLBACK")
        assert "Flaky importer test" in _all(data)["?page=sessions"]


def test_a_store_that_goes_away_and_comes_back(store: Path, handmade_store: Path) -> None:
    """Taken away under an open dashboard, each page shows or says so; put back, all is there again."""
    with _data(store) as data:
        _all(data)
        store.unlink()
        for sibling in (f"{store}-wal", f"{store}-shm"):
            Path(sibling).unlink(missing_ok=True)
        _all(data)
        store.write_bytes(b"")
        _all(data)
        store.unlink()
        shutil.copy(handmade_store, store)
        data.forget()
        assert "Flaky importer test" in _all(data)["?page=sessions"]


def test_a_store_that_grows_under_it(store: Path) -> None:
    """What is stored while the dashboard is open is shown with the next look."""
    with _data(store) as data:
        first = _shown(data, "?page=exchanges")
        with contextlib.closing(SqliteStore(store, write=True)) as writer:
            fill(writer, [handmade.asked(3000, [handmade.user(handmade.text("later"))], handmade.answer(3000))])
        _later()
        second = _shown(data, "?page=exchanges")
        assert exchange_id(3000) not in first
        assert exchange_id(3000) in second
