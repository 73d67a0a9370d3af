"""What `analysis.open` makes of a place: what is there is opened, and all else is one clear sentence without a secret in it."""

from __future__ import annotations

import contextlib
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

import analysis
from analysis import AnalysisError, Capture, sources
from analysis.sources import SCHEMA_VERSIONS
from ccproxy.errors import StoreError
from ccproxy.settings import SETTINGS
from tests.support import handmade
from tests.support.captures import WAYS, Places, copied, filled, frame, opened, url
from tests.support.command import silent_port
from tests.support.entries import exchange_id, fill
from tests.support.homes import Home, home_in

SECRET = "geheim%40words"  # of a URL: its password is geheim@words
OPENERS = pytest.mark.parametrize("way", ["attached", "copied"])


def by(way: str, place: str | Path) -> Capture:
    """Open a place by a scanner, or as where there is none."""
    if way == "attached":
        return opened(place)
    return copied(place)


def refusal(way: str, place: str | Path) -> str:
    """Return what is said of a place that cannot be opened."""
    with pytest.raises(AnalysisError) as error:
        by(way, place)
    assert error.value.__suppress_context__ or error.value.__cause__ is None  # no other error is shown with it
    return str(error.value)


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the test into a folder and a home of its own, with nothing set."""
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    for row in SETTINGS:
        monkeypatch.delenv(row.env, raising=False)
    return tmp_path


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """Give a schema of its own in which nothing is yet."""
    with home_in("postgres", tmp_path) as found:
        yield found


def test_without_a_place_the_configured_store_is_opened(
    alone: Path, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`analysis.open()` needs no argument: the environment, or a config.yaml, says where the store is."""
    monkeypatch.setenv("DB_PATH", str(places.sqlite))
    with analysis.open() as capture:
        assert (capture.place, frame(capture, "exchanges").height) == (str(places.sqlite), 17)
    monkeypatch.delenv("DB_PATH")
    (alone / "config.yaml").write_text(f"storage.db_path: {places.parquet}\n")
    with analysis.open() as capture:
        assert (capture.place, capture.way) == (str(places.parquet), "Parquet")


def test_without_a_place_and_without_a_store_it_says_where_one_was_expected(alone: Path) -> None:
    """Where nothing was captured yet, the sentence has the place and what makes a store."""
    with pytest.raises(
        AnalysisError, match=rf"there is no store at {re.escape(str(alone))}.*; `ccproxy serve` makes one"
    ):
        analysis.open()


@pytest.mark.usefixtures("alone")
def test_a_setting_that_makes_no_sense_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong in the settings is an error of analysis, with the setting's name."""
    monkeypatch.setenv("ANALYSIS_ALLOW_DOWNLOAD", "perhaps")
    with pytest.raises(AnalysisError, match="ANALYSIS_ALLOW_DOWNLOAD"):
        analysis.open()


def test_a_file_a_folder_and_a_home_are_places(places: Places, alone: Path) -> None:
    """A path may be text or a Path, relative, and begin with the user's home."""
    for place in (places.sqlite, str(places.sqlite), places.parquet, str(places.parquet)):
        with opened(place) as capture:
            assert frame(capture, "sessions").height == 3
    (alone / "HOME").mkdir()
    shutil.copy(places.sqlite, alone / "HOME" / "mine.db")
    shutil.copytree(places.parquet, alone / "taken [1] *away'")
    for place in ("~/mine.db", "HOME/mine.db", "taken [1] *away'", "./taken [1] *away'"):
        with opened(place) as capture:
            assert frame(capture, "sessions").height == 3


def test_a_database_is_a_place(places: Places) -> None:
    """A `postgresql://` URL is opened, and so is the configured one, also where it is written as words."""
    for capture in (
        opened(url(places.dsn)),
        opened(None, DB_TYPE="postgres", DATABASE_URL=url(places.dsn)),
        opened(None, DB_TYPE="postgres", DATABASE_URL=places.dsn),
    ):
        with capture:
            assert (capture.way, frame(capture, "sessions").height) == ("attached", 3)


def test_a_database_that_is_not_named_is_told() -> None:
    """Where PostgreSQL is configured without a database, the sentence names the variable."""
    with pytest.raises(AnalysisError, match="DATABASE_URL is not a connection string"):
        opened(None, DB_TYPE="postgres")


@OPENERS
def test_a_missing_file_is_one_sentence(way: str, tmp_path: Path) -> None:
    """The sentence has the place and what to do; nothing is made there."""
    assert refusal(way, tmp_path / "none.db").startswith(f"there is no store at {tmp_path}/none.db; `ccproxy serve`")
    assert list(tmp_path.iterdir()) == []


@OPENERS
def test_what_is_no_store_is_one_sentence(way: str, tmp_path: Path) -> None:
    """A database of another program, a text, bytes, an empty file: each is said to be none, and stays as it is."""
    path = tmp_path / "some.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE exchanges (id TEXT)")
        database.execute("PRAGMA user_version = 3")
    assert refusal(way, path) == f"{path} is a database of some other program"
    for content in (
        b"just text, long enough to be looked at as a database header, and then some" * 9,
        bytes(range(256)) * 9,
    ):
        path.write_bytes(content)
        assert re.search(rf"{re.escape(str(path))} .*cannot be read: .*not a database", refusal(way, path))
        assert path.read_bytes() == content
    path.write_bytes(b"")
    assert refusal(way, path) == f"{path} holds no captures yet"
    assert [one.name for one in tmp_path.iterdir()] == ["some.db"]


@OPENERS
@pytest.mark.parametrize(("step", "said"), [(-1, "an older ccproxy; `ccproxy db migrate`"), (1, "a newer ccproxy")])
def test_a_store_of_another_version_is_one_sentence(way: str, step: int, said: str, tmp_path: Path) -> None:
    """A schema that is older or newer than the views is refused, with what to do."""
    path = filled(tmp_path / "captures.db", [])
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSIONS['sqlite'] + step}")
    assert refusal(way, path).startswith(f"{path} was written by {said}")


@OPENERS
@pytest.mark.parametrize(("version", "said"), [(1, "an older ccproxy; `ccproxy db migrate`"), (99, "a newer ccproxy")])
def test_a_database_of_another_version_is_one_sentence(way: str, version: int, said: str, home: Home) -> None:
    """Likewise in PostgreSQL."""
    home.open().close()
    assert home.run("SELECT max(version) FROM schema_version") == [(SCHEMA_VERSIONS["postgres"],)]
    home.run("DELETE FROM schema_version WHERE version > 1")
    if version > 1:
        home.run("UPDATE schema_version SET version = ?", version)
    dsn = home.dsn  # type: ignore[attr-defined]
    assert f" was written by {said}" in refusal(way, url(dsn) if way == "attached" else dsn)


@OPENERS
def test_a_schema_without_a_store_is_one_sentence(way: str, home: Home) -> None:
    """An empty schema, and one with tables of another program, have no store yet; nothing is made there."""
    dsn = home.dsn  # type: ignore[attr-defined]
    place = url(dsn) if way == "attached" else dsn
    assert re.fullmatch(r"there is no store at postgresql://127\.0\.0\.1:\d+/\w+ yet: .*", refusal(way, place))
    home.run("CREATE TABLE exchanges (id text)")
    assert "there is no store at" in refusal(way, place)
    assert home.run("SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()") == [(1,)]


def test_a_folder_without_an_export_is_one_sentence(tmp_path: Path) -> None:
    """A folder that is empty, or holds something else, or only the names of grains."""
    for name in (None, "other.txt", "exchanges/day=2025-10-09/exchanges.csv"):
        if name:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        with pytest.raises(AnalysisError, match=f"{tmp_path} is a folder without exported captures"):
            opened(tmp_path)


def test_an_export_that_cannot_be_read_back_is_one_sentence(places: Places, tmp_path: Path) -> None:
    """JSONL and CSV, a manifest that is damaged, and one of another version are told from a folder of Parquet."""
    with opened(places.sqlite) as capture:
        for form in ("jsonl", "csv"):
            capture.export(tmp_path / form, format=form)
            with pytest.raises(AnalysisError, match=f"was exported as {form}; only Parquet can be opened again"):
                opened(tmp_path / form)
    folder = tmp_path / "parquet"
    shutil.copytree(places.parquet, folder)
    manifest = folder / "ccproxy-export.json"
    text = manifest.read_text()
    manifest.write_text(text.replace('"schema": 1', '"schema": 2'))
    with pytest.raises(AnalysisError, match=r"another version of ccproxy \(schema 2, not 1\)"):
        opened(folder)
    manifest.write_text(text[:30])
    with pytest.raises(AnalysisError, match="is damaged"):
        opened(folder)
    manifest.unlink()  # any folder with the grains in it will do, whoever put them there
    with opened(folder) as capture:
        assert frame(capture, "exchanges").height == 17


def with_password(dsn: str, password: str, *, words: bool) -> tuple[str, str]:
    """Return a connection string with a user of that name, and the password as it may be written."""
    said = {key: str(value) for key, value in conninfo_to_dict(dsn).items()}
    changed = make_conninfo(**(said | {"password": password}))
    return (changed if words else url(changed)), password


@OPENERS
def test_a_wrong_password_is_never_shown(way: str, places: Places) -> None:
    """The server refuses, and the sentence says so, with neither the password nor a piece of the connection string in it."""
    for password in ("wrong-geheim-1", 'geh\'eim \\ "2" %40'):
        dsn, secret = with_password(places.dsn, password, words=way == "copied")
        said = refusal(way, dsn)
        assert "password authentication failed" in said
        assert secret not in said
        assert "geh" not in said


@OPENERS
def test_a_missing_server_is_one_sentence_soon(way: str) -> None:
    """Nobody listens: the sentence has the place and no secret."""
    with silent_port() as port:
        said = refusal(way, f"postgresql://me:{SECRET}@127.0.0.1:{port}/none")
    assert "geheim" not in said
    assert str(port) in said
    assert "refused" in said


@OPENERS
@pytest.mark.parametrize(
    "form", ["postgresql://me:ge/heim@host/db", "postgresql://me:ge heim@host/db", "postgresql://:ge#heim"]
)
def test_a_connection_string_that_is_misread_shows_nothing_of_it(way: str, form: str) -> None:
    """A password with characters that should have been encoded is not shown in the complaint about it."""
    with pytest.raises((AnalysisError, StoreError)) as error:
        by(way, form)
    assert "DATABASE_URL is not a connection string" in str(error.value)
    assert "heim" not in str(error.value)


def test_no_query_can_find_the_password(places: Places) -> None:
    """Whatever DuckDB knows of databases, secrets and settings, no query gets the password out of it, nor an error."""
    password = str(conninfo_to_dict(places.dsn)["password"])
    queries = [
        "SELECT * FROM duckdb_databases", "SELECT * FROM duckdb_databases()", "SELECT * FROM duckdb_secrets()",
        "SELECT * FROM duckdb_secrets", "SELECT * FROM duckdb_settings", "SELECT * FROM duckdb_settings()",
        "SELECT * FROM duckdb_views", "SELECT * FROM pg_catalog.pg_settings", "SHOW DATABASES", "SHOW ALL TABLES",
        "SELECT current_setting('secret_directory')", "SELECT * FROM information_schema.schemata",
        "SELECT * FROM postgres_query('store', 'SELECT 1')", "SELECT * FROM store.pg_catalog.pg_authid", "SELECT * FROM sqlite_master",
        "SELECT * FROM pragma_database_list", "SELECT * FROM pragma_database_list()", "SELECT * FROM duckdb_logs", "DESCRIBE store",
    ]  # fmt: skip
    answered = 0
    with places.open("postgres") as capture:
        for query in queries:
            try:
                said = str(capture.sql(query).rows())
                answered += 1
            except AnalysisError as error:
                said = str(error)
            assert password not in said, query
        assert password not in repr(capture) + capture._repr_html_()
    assert answered


def test_an_error_while_reading_shows_no_password(home: Home) -> None:
    """A store that goes away while it is open is an error without a secret in it."""
    home.open().close()
    dsn = home.dsn  # type: ignore[attr-defined]
    password = str(conninfo_to_dict(dsn)["password"])
    with opened(url(dsn)) as capture:
        assert frame(capture, "exchanges").height == 0
        home.run("DROP TABLE exchanges CASCADE")
        with pytest.raises(AnalysisError) as error:
            capture.sql("SELECT count(*) FROM exchanges")
    assert password not in str(error.value)


def test_the_database_is_only_read(home: Home) -> None:
    """What is attached is attached read-only: DuckDB refuses to write, and so does the server."""
    home.open().close()
    with opened(url(home.dsn)) as capture:  # type: ignore[attr-defined]
        engine, source = capture._engine(whole=False), capture._source
        assert source is not None
        with pytest.raises(AnalysisError, match="read-only"):
            engine.run(f"DELETE FROM {source.table('exchanges')}")
        with pytest.raises(AnalysisError, match="read-only"):
            engine.frame("FROM postgres_query('store', 'SELECT nextval(pg_get_serial_sequence(''blocks'', ''id''))')")


def test_the_file_is_only_read(places: Places) -> None:
    """What is attached is attached read-only: DuckDB refuses to write, and the file stays as it is."""
    before = places.sqlite.read_bytes()
    with opened(places.sqlite) as capture:
        with pytest.raises(AnalysisError, match="read-only"):
            capture._engine(whole=False).run("DELETE FROM store.exchanges")
        frame(capture, "threads")
    assert places.sqlite.read_bytes() == before


def test_a_copy_goes_with_its_captures(places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of a copy is the user's own, and gone when the captures are closed, or forgotten."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with copied(places.sqlite) as capture:
        [folder] = tmp_path.iterdir()
        assert folder.stat().st_mode & 0o077 == 0
        assert frame(capture, "blocks").height == 34  # the whole views take the same copy
        assert list(tmp_path.iterdir()) == [folder]
    assert list(tmp_path.iterdir()) == []
    copied(places.sqlite)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(AnalysisError):
        copied(filled_by_others(tmp_path / "other.db"))
    assert [path.name for path in tmp_path.iterdir()] == ["other.db"]


def filled_by_others(path: Path) -> Path:
    """Make a database of another program."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE theirs (x)")
    return path


def test_a_store_may_grow_while_it_is_open(tmp_path: Path) -> None:
    """What a proxy in another process captures meanwhile is seen by the next question; here the process is the same, and the
    store is closed whenever DuckDB is not looking."""
    exchanges = handmade.exchanges()
    path = filled(tmp_path / "captures.db", exchanges[:3])
    with opened(path) as capture:
        plan = capture.exchanges()
        assert plan.collect().height == 3
    filled(path, exchanges[3:5])
    with opened(path) as capture:
        assert capture.exchanges().collect().height == 5


@OPENERS
def test_a_database_is_not_kept_waiting(way: str, home: Home) -> None:
    """While nobody reads, no transaction is held: no clean-up waits, and no server ends an idle one."""
    fill(home.open(), handmade.exchanges()[:2])
    dsn = home.dsn  # type: ignore[attr-defined]
    with by(way, url(dsn) if way == "attached" else dsn) as capture:
        assert frame(capture, "blocks").height == 7
        assert capture.body(exchange_id(1), "request")
        deadline = time.monotonic() + 10  # what was asked last may be on its way back to the pool
        while _states(home) != {"idle"}:
            assert time.monotonic() < deadline, _states(home)
            time.sleep(0.05)


def _states(home: Home) -> set[str]:
    """Return in which states the connections of a test's own schema are."""
    asked = "SELECT state FROM pg_stat_activity WHERE application_name = ? AND pid <> pg_backend_pid()"
    return {state for (state,) in home.run(asked, home.schema)}  # type: ignore[attr-defined]


@OPENERS
def test_a_file_is_not_kept_waiting(way: str, tmp_path: Path) -> None:
    """While nobody reads, the proxy's process can write, and bring its log of changes to nothing."""
    path = filled(tmp_path / "captures.db", handmade.exchanges()[:2])
    program = (
        "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)\n"
        "db.execute('CREATE TABLE mine (x)')\n"
        "print(db.execute('PRAGMA wal_checkpoint(TRUNCATE)').fetchone())"
    )
    with by(way, path) as capture:
        assert frame(capture, "blocks").height == 7
        assert capture.body(exchange_id(1), "request")
        done = subprocess.run([sys.executable, "-c", program, path], check=True, capture_output=True, text=True)
        assert done.stdout == "(0, 0, 0)\n"
        assert frame(capture, "exchanges").height == 2


@pytest.mark.parametrize("way", WAYS)
def test_the_file_of_prices_is_at_hand(way: str, places: Places, tmp_path: Path) -> None:
    """The captures know the configured file of prices, so that measures of cost can be given it."""
    place = places.parquet if way == "parquet" else places.sqlite if way.startswith("sqlite") else url(places.dsn)
    prices = tmp_path / "prices.json"
    with pytest.MonkeyPatch.context() as patch:
        if way.endswith("copied"):
            patch.setattr(sources, "find", lambda *_: None)
        with opened(place, ANALYSIS_PRICES=str(prices)) as capture:
            assert capture.prices == prices
        with opened(place) as capture:
            assert capture.prices is None
