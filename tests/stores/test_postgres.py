"""What is PostgreSQL's own: getting in, what goes wrong with a server, what must not be told, and whose tables are ours."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ccproxy.errors import StoreBusyError, StoreError
from ccproxy.ingest.memory import Memory
from ccproxy.records import Entry, Position
from ccproxy.stores.contract import Filter, Selection
from ccproxy.stores.postgres import PostgresStore, address, migrating, planting, pruning, tables
from tests.support import routed
from tests.support.entries import Session, captured, entry_of, exchange_id, fill, stream
from tests.support.homes import Schema, disposable_dsn, home_in
from tests.support.pruned import one, running, tidy

SECRET = "s3cr3t/@:%?#zz"
LONG_S = 30.0


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Schema]:
    """Give an empty schema."""
    with home_in("postgres", tmp_path) as found:
        assert isinstance(found, Schema)
        yield found


@pytest.fixture
def store(home: Schema) -> PostgresStore:
    """Give an empty store."""
    return home.open()


def pid(store: PostgresStore) -> int:
    """Return the number of the server's process that serves a store."""
    with store.using() as db:
        return db.info.backend_pid


def end_connection(home: Schema, store: PostgresStore) -> None:
    """Have the server end a store's connection, and wait until it has."""
    number = pid(store)
    home.run("SELECT pg_terminate_backend(?)", number)
    while home.run("SELECT 1 FROM pg_stat_activity WHERE pid = ?", number):
        pass


def elsewhere(home: Schema, **changes: str | int) -> str:
    """Return the DSN with something else in it."""
    return make_conninfo(home.dsn, **changes)


def closed_port() -> int:
    """Return a port on which nobody listens."""
    with contextlib.closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


# What must not be told --------------------------------------------------------------------------------------------------------


def told_of(failing: Callable[[], object]) -> str:
    """Return all that a failure tells: its sentence, its causes, its traceback."""
    with pytest.raises(StoreError) as failed:
        failing()
    assert "\n" not in str(failed.value)
    return "".join(traceback.format_exception(failed.value)) + repr(failed.value)


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://u:{quoted}@127.0.0.1:{closed}/db",
        "postgresql://u:{quoted}@nowhere.invalid/db",
        "postgresql://u:{secret}@127.0.0.1:{closed}/db",
        "postgresql://u:{secret}@nowhere.invalid/db?sslmode=require",
        "postgres://{secret}@nowhere.invalid/db",
        "postgresql://u@127.0.0.1:{closed}/db?password={quoted}",
        "postgresql://u@127.0.0.1:{closed}/db?sslpassword={quoted}&password=x",
        "host=127.0.0.1 port={closed} password='{secret}'",
        "host=127.0.0.1 port={closed} password={secret} and more",
        "host=nowhere.invalid password={secret}",
        "postgresql://u:{quoted}@127.0.0.1:{closed}/db?nonsense=1",
        "postgresql://u:s3cr3t%zz@127.0.0.1/db",
        "postgresql://u:s3cr3t/x@127.0.0.1/db",
        "postgresql://u:s3cr3t?x@127.0.0.1/db",
        "postgresql://u:12/s3cr3t@127.0.0.1/db",
        "mysql://u:{secret}@127.0.0.1/db",
        "{secret}",
    ],
)
def test_the_password_is_never_told(dsn: str) -> None:
    """Whatever is wrong with a connection string or its server, no sentence, cause or traceback has a piece of the password."""
    written = dsn.format(secret=SECRET, quoted=quote(SECRET, safe=""), closed=closed_port())
    told = told_of(lambda: PostgresStore(written))
    for piece in (SECRET, quote(SECRET, safe=""), "s3cr3t", "@:%?#zz", "#zz"):
        assert piece not in told


@pytest.mark.parametrize("dsn", ["", "  ", "nonsense", "postgresql://u:a@b@c/d", "postgresql://h:port/d", "host=a b=c"])
def test_a_dsn_that_makes_no_sense_says_how_one_looks(dsn: str) -> None:
    """The sentence names the setting, the form, and how odd characters are written."""
    with pytest.raises(
        StoreError, match=r"DATABASE_URL is not a connection string .* postgresql://USER:PASSWORD@HOST.* %40 for @"
    ):
        PostgresStore(dsn)


def test_a_store_tells_its_place_and_no_more(home: Schema, store: PostgresStore) -> None:
    """Host, port and database stand in its name and its figures; user and password do not."""
    said = conninfo_to_dict(home.dsn)
    assert store.place == f"postgresql://{said['host']}:{said['port']}/{said['dbname']}" == store.stats()["place"]
    assert store.place in repr(store)
    for shown in (repr(store), repr(store.address), str(store.stats())):
        assert not said.get("password") or said["password"] not in shown


def test_what_the_server_says_shows_no_value(store: PostgresStore) -> None:
    """A sentence about what a server refuses ends before it shows what is stored."""
    entry = entry_of(one(1, "text"), Memory(store.part))
    entry.columns["max_tokens"] = "a private thing"
    told = told_of(lambda: store.write([entry], []))
    assert "DETAIL" not in told.splitlines()[-1]


# What goes wrong ----------------------------------------------------------------------------------------------------------


def test_a_server_that_is_not_there(home: Schema) -> None:
    """Refused connections may be accepted in a moment; the sentence says what to do."""
    dsn = elsewhere(home, host="127.0.0.1", port=closed_port())
    with pytest.raises(StoreBusyError, match=r"Connection refused.*; start it, or correct DATABASE_URL$"):
        PostgresStore(dsn)
    with pytest.raises(StoreBusyError, match=r"correct the host in DATABASE_URL$"):
        PostgresStore(elsewhere(home, host="nowhere.invalid"))


def test_a_database_that_is_not_there(home: Schema) -> None:
    """Its name is told, and how to make it."""
    with pytest.raises(StoreBusyError, match=r'database "nobodys" does not exist; create it with createdb'):
        PostgresStore(elsewhere(home, dbname="nobodys"))


def test_a_password_that_is_wrong(home: Schema) -> None:
    """Who is not let in is told to look at user and password, and tries again: it may be the server's side that is changed."""
    dsn = elsewhere(home, password=SECRET)
    with contextlib.suppress(psycopg.OperationalError):
        psycopg.connect(dsn).close()
        pytest.skip("this server asks for no password")
    with pytest.raises(StoreBusyError, match="check the user and the password in DATABASE_URL") as refused:
        PostgresStore(dsn)
    assert SECRET not in str(refused.value)


def test_tls_that_is_asked_for_is_not_done_without(home: Schema) -> None:
    """Where the connection string asks for TLS and the server has none, nothing is sent in clear."""
    if home.run("SHOW ssl") == [("on",)]:
        pytest.skip("this server speaks TLS")
    for mode in ("require", "verify-ca", "verify-full"):
        with pytest.raises(StoreError, match=r"TLS|certificate|SSL"):
            PostgresStore(elsewhere(home, sslmode=mode))


def test_a_server_that_does_not_answer_is_given_up(home: Schema) -> None:
    """A host that takes connections and says nothing costs a few seconds."""
    with contextlib.closing(socket.socket()) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        dsn = elsewhere(home, host="127.0.0.1", port=silent.getsockname()[1], connect_timeout=2)
        begun = time.monotonic()
        with pytest.raises(StoreBusyError, match=r"timeout.*; see that it can be reached from here"):
            PostgresStore(dsn)
        assert time.monotonic() - begun < LONG_S / 2


def test_what_is_open_about_a_connection_is_settled(home: Schema) -> None:
    """Connecting has a limit, a dead peer is noticed, texts are UTF-8; what the connection string says goes before."""
    settled = address.Address(home.dsn).parameters(write=True)
    assert settled["connect_timeout"] == "5"
    assert settled["tcp_user_timeout"] == "15000"
    own = address.Address(elsewhere(home, connect_timeout=17, options="-c lock_timeout=1s")).parameters(write=False)
    assert own["connect_timeout"] == "17"
    assert own["options"].endswith("-c lock_timeout=1s")
    store = PostgresStore(elsewhere(home, options=f"-c search_path={home.schema} -c lock_timeout=123ms"), write=True)
    with contextlib.closing(store):
        assert store.rows("SHOW lock_timeout") == [{"lock_timeout": "123ms"}]
        assert store.rows("SHOW statement_timeout") == [{"statement_timeout": "10min"}]
        assert store.rows("SHOW client_encoding") == [{"client_encoding": "UTF8"}]


def test_a_connection_that_was_lost_while_idle_is_not_missed(home: Schema, store: PostgresStore) -> None:
    """After a server was restarted the next question is answered as if nothing had been."""
    fill(store, [one(1, "text")])
    end_connection(home, store)
    assert len(store.exchanges(limit=5)) == 1
    end_connection(home, store)
    fill(store, [one(2, "text")])
    end_connection(home, store)
    with store.snapshot():
        assert store.listing(Filter(), limit=5).total == 2


def test_a_connection_that_is_lost_at_work_is_busy_and_then_not(
    home: Schema, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was being written is not there, nothing counts as stored, and the same goes in afterwards."""
    entry = entry_of(exchange := one(1, "text"), Memory(store.part))
    plant = planting.Planting.plant

    def broken(self: planting.Planting) -> None:
        plant(self)
        home.run("SELECT pg_terminate_backend(?)", self._db.info.backend_pid)

    with monkeypatch.context() as patch:
        patch.setattr(planting.Planting, "plant", broken)
        with pytest.raises(StoreBusyError, match="cannot be used right now"):
            store.write([entry], [Position("w", 1, 1)])
    assert store.exchanges(limit=5) == []
    assert store.stats()["blobs"] == 0
    store.write([entry], [Position("w", 1, 1)])
    assert store.body(exchange.id, "request") == exchange.request


def test_a_snapshot_that_is_lost_is_not_continued_by_another(home: Schema, store: PostgresStore) -> None:
    """What belongs together is never read in two parts; the next snapshot is fine."""
    with pytest.raises(StoreBusyError):
        with store.snapshot():
            store.exchanges(limit=1)
            end_connection(home, store)
            with pytest.raises(StoreBusyError):
                store.exchanges(limit=1)
            store.exchanges(limit=1)
    with store.snapshot():
        assert store.exchanges(limit=1) == []


def test_a_server_without_a_connection_to_spare_is_busy(home: Schema, store: PostgresStore) -> None:
    """Where others have all connections it is tried again later."""
    role = f"{home.schema}_r"
    home.run(f"CREATE ROLE {role} LOGIN PASSWORD 'p' CONNECTION LIMIT 1")
    try:
        home.run(f"GRANT USAGE ON SCHEMA {home.schema} TO {role}")
        home.run(f"GRANT SELECT ON ALL TABLES IN SCHEMA {home.schema} TO {role}")
        dsn = elsewhere(home, user=role, password="p")
        with contextlib.closing(PostgresStore(dsn)):
            with pytest.raises(StoreBusyError, match=r"too many connections.*; it has no connection to spare"):
                PostgresStore(dsn)
        with pytest.raises(StoreError, match=r"permission denied.*; give the user the rights, as by GRANT"):
            with contextlib.closing(PostgresStore(dsn, write=True)) as mine:
                mine.write([], [Position("w", 1, 1)])
    finally:
        home.run(f"DROP OWNED BY {role}")
        home.run(f"DROP ROLE {role}")


@pytest.mark.parametrize(
    ("state", "advice"),
    [
        ("53100", "make room on its disk"),
        ("53200", ""),
        ("57P01", ""),
        ("40P01", ""),
        ("58030", ""),
        ("25006", "name the primary in DATABASE_URL"),
    ],
)
def test_what_passes_is_busy_and_then_not(home: Schema, store: PostgresStore, state: str, advice: str) -> None:
    """A full disk, too little memory, a shutdown, a deadlock, a standby: nothing is half written, and all goes in later."""
    home.run(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$BEGIN RAISE EXCEPTION 'out of luck' USING ERRCODE = '{state}'; END$$"
    )
    home.run("CREATE TRIGGER refuse BEFORE INSERT ON journal_positions EXECUTE FUNCTION refuse()")
    entries = [entry_of(one(1, "text"), Memory(store.part))]
    with pytest.raises(StoreBusyError, match=f"out of luck.*{advice}$"):
        store.write(entries, [Position("w", 1, 1)])
    assert store.exchanges(limit=5) == []
    home.run("DROP TRIGGER refuse ON journal_positions")
    store.write(entries, [Position("w", 1, 1)])
    assert len(store.exchanges(limit=5)) == 1


def test_a_locked_table_is_waited_for_and_then_busy(home: Schema, store: PostgresStore) -> None:
    """While somebody holds a table writing waits for a while, and then says so."""
    dsn = elsewhere(home, options=f"-c search_path={home.schema} -c lock_timeout=100ms")
    with contextlib.closing(PostgresStore(dsn, write=True)) as impatient, psycopg.connect(home.dsn) as other:
        other.execute("LOCK TABLE journal_positions")
        with pytest.raises(StoreBusyError, match="lock timeout; somebody else holds what is needed"):
            impatient.write([], [Position("w", 1, 1)])
        other.rollback()
        impatient.write([], [Position("w", 1, 1)])
    assert store.positions() == {"w": Position("w", 1, 1)}


def test_a_query_that_takes_too_long_is_given_up(home: Schema, store: PostgresStore) -> None:
    """No question holds up its asker for ever."""
    dsn = elsewhere(home, options=f"-c search_path={home.schema} -c statement_timeout=100ms")
    with contextlib.closing(PostgresStore(dsn)) as reader:
        with pytest.raises(StoreBusyError, match="statement timeout"):
            reader.rows("SELECT pg_sleep(20)")
        assert reader.exchanges(limit=1) == []


def test_what_no_column_can_hold_is_refused_for_good(store: PostgresStore) -> None:
    """A value of the wrong kind or size is an error that stays, so that ingest can leave it out; nothing of it is kept."""
    wrong: list[dict[str, Any]] = [{"max_tokens": 2**63}, {"max_tokens": 2**70}, {"state": object()}, {"kind": None}]
    for columns in [*wrong, {"input_tokens": "many"}, {"tip": 5}]:
        entry = running(1, "text")
        entry.columns.update(columns)
        with pytest.raises(StoreError) as refused:
            store.write([entry], [])
        assert not isinstance(refused.value, StoreBusyError)
    assert store.exchanges(limit=1) == []
    store.write([], [Position("w", 1, 1)])


def test_who_only_reads_cannot_write(home: Schema, store: PostgresStore) -> None:
    """Who opened the store for reading changes nothing, not by mistake either."""
    fill(store, [one(1, "text")])
    reader = home.open(write=False)
    for change in (
        lambda: reader.write([], [Position("w", 1, 1)]),
        lambda: reader.delete(Selection(everything=True)),
        lambda: reader.interrupt([]),
        lambda: reader.sweep(),
    ):
        with pytest.raises(StoreError) as refused:
            change()
        assert not isinstance(refused.value, StoreBusyError)
    assert len(reader.exchanges(limit=5)) == 1


# What texts may have in them -----------------------------------------------------------------------------------------------


def test_a_nul_is_replaced_in_columns_and_nowhere_else(store: PostgresStore) -> None:
    """A text column cannot hold it; bodies, parts and headers come back byte for byte."""
    text = "before\0after half\ud83d"
    headers = [("content-type", "application/json"), ("x-claude-code-session-id", "a\0b"), ("x-odd", "c\0d")]
    request = {"model": "m\0", "messages": [{"role": "user", "content": text}], "system": text}
    exchange = captured(1, request, stream([{"type": "text", "text": text}]), request_headers=headers, query="q=\0")
    fill(store, [exchange])
    row = store.exchange(exchange.id)
    assert (row["session_id"], row["requested_model"], row["query"]) == ("a\ufffdb", "m\ufffd", "q=\ufffd")
    assert store.body(exchange.id, "request") == exchange.request
    assert store.body(exchange.id, "response") == b"".join(data for _, data in exchange.chunks)
    assert store.headers(exchange.id, "request") == headers
    assert json.loads(store.conversation(row["tip"])[0])["content"] == text.replace("\ud83d", "\ufffd")
    assert store.session_exchanges("a\0b") == [row]
    assert [hit.exchange for hit in store.search("before after", limit=5)] == [exchange.id, exchange.id]
    assert store.listing(Filter(words="after", session="a\0b"), limit=5).total == 1
    assert store.delete(Selection(session="a\0b")) == 1


def test_long_words_and_texts_are_found(store: PostgresStore) -> None:
    """A word of a megabyte, a text of many megabytes: what no index of the server could hold is found all the same."""
    word = "A1b2" * 250_000
    many = " ".join(f"w{number:x}" for number in range(700_000))
    exchange = one(1, f"see {word} here", many)
    fill(store, [exchange])
    for asked in (word, word.lower(), f"see-{word}", "w0", "w9fffb", "w9fffa-w9fffb"):
        assert [hit.exchange for hit in store.search(asked, limit=5)] == [exchange.id], asked[:20]
    assert store.search(word[1:], limit=5) == store.search("w9fffb-w9fffa", limit=5) == []
    assert store.body(exchange.id, "request") == exchange.request


def test_what_is_packed_is_not_packed_again(home: Schema, store: PostgresStore) -> None:
    """Bytes that are packed already are stored as they are, texts in the faster of two ways."""
    kinds = dict(
        home.run(
            "SELECT attrelid::regclass || '.' || attname, attstorage::text FROM pg_attribute"
            " WHERE attrelid IN ('bodies'::regclass, 'blobs'::regclass) AND attname = 'data'"
        )
    )
    assert kinds == {"bodies.data": "e", "blobs.data": "e"}


# Whose tables are ours ----------------------------------------------------------------------------------------------------


def test_ten_that_start_at_once_migrate_once(home: Schema) -> None:
    """Ten processes make one set of tables, and none of them fails."""
    code = (
        "import sys; from ccproxy.stores.postgres import PostgresStore; PostgresStore(sys.argv[1], write=True).close()"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, home.dsn], stderr=subprocess.PIPE, text=True) for _ in range(10)
    ]
    ends = [process.communicate(timeout=4 * LONG_S)[1] for process in started]
    assert [process.returncode for process in started] == [0] * 10, ends
    assert home.run("SELECT version FROM schema_version ORDER BY 1") == [(n,) for n, _ in migrating.migrations()]


ALL = migrating.migrations()
BLOCKS_NAME_THEIR_EXCHANGE = 2
FUTURE = (ALL[-1][0] + 1, "ALTER TABLE exchanges ADD COLUMN novel bigint; CREATE TABLE novelties (a bigint);")


@pytest.mark.parametrize("older", [number for number, _ in ALL])
def test_every_older_version_is_brought_up_to_date(home: Schema, older: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store of each version, with rows in it, is as good as new; by many at once, and one that reads waits for none."""
    exchanges = list(Session(preamble_bytes=3000).exchanges(3))
    monkeypatch.setattr(migrating, "migrations", lambda: ALL[:older])
    with monkeypatch.context() as patch:
        if older < BLOCKS_NAME_THEIR_EXCHANGE:
            columns = {name: kind for name, kind in tables.BLOCKS.columns.items() if name != "exchange"}
            patch.setattr(tables, "BLOCKS", replace(tables.BLOCKS, columns=columns))
            whole_row = planting._block_row
            patch.setattr(planting, "_block_row", lambda *values: whole_row(*values)[:-1])
        fill(home.open(), exchanges)
    monkeypatch.setattr(migrating, "migrations", lambda: [*ALL, FUTURE])
    failures: list[BaseException] = []

    def start() -> None:
        try:
            PostgresStore(home.dsn, write=True).close()
        except BaseException as failure:  # noqa: BLE001 (whatever it is belongs to the test)
            failures.append(failure)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_S)
    assert failures == []
    store = home.open()
    assert store.stats()["schema"] == FUTURE[0]
    brought = home.run("SELECT DISTINCT depth, exchange FROM blocks JOIN nodes ON digest = node ORDER BY depth")
    assert [depth for depth, _ in brought] == list(range(6))
    assert [exchange for _, exchange in brought] == [e.id for e in exchanges for _ in ("asked", "answered")]
    assert store.exchange(exchanges[0].id)["novel"] is None
    assert store.exchange(exchanges[0].id)["agent_name"] is None
    assert [store.body(exchange.id, "request") for exchange in exchanges] == [e.request for e in exchanges]
    fill(store, [one(9, "more")])
    routed.fill(store)
    assert store.exchange(routed.id_of(104))["endpoint"] == routed.OPENROUTER


def test_a_migration_is_whole_or_not_at_all(home: Schema, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that fails leaves the store as it was, with all rows, for the version that made it."""
    fill(home.open(), [one(1, "text")])
    with monkeypatch.context() as patch:
        patch.setattr(migrating, "migrations", lambda: [*ALL, (FUTURE[0], f"{FUTURE[1]} SELECT 1 / 0;")])
        with pytest.raises(StoreError, match="division by zero"):
            home.open()
    store = home.open()
    assert store.stats()["schema"] == ALL[-1][0]
    assert "novel" not in store.exchange(exchange_id(1))


def test_a_newer_schema_is_refused(home: Schema, store: PostgresStore) -> None:
    """A store of a newer version is refused with the advice to upgrade, also by one whose connection was lost meanwhile."""
    home.run("INSERT INTO schema_version VALUES (999, '')")
    end_connection(home, store)
    for failing in (lambda: home.open(), lambda: home.open(write=False), lambda: store.exchanges(limit=1)):
        with pytest.raises(StoreError, match=r"newer ccproxy \(schema 999, this one knows \d+\); upgrade ccproxy"):
            failing()


def test_tables_of_another_program_are_left_alone(home: Schema) -> None:
    """Where a table has one of our names and is not ours, nothing is made and nothing is touched."""
    for table in ("settings", "schema_version"):
        home.run(f"CREATE TABLE {table} (version bigint, theirs text)")
        for write in (True, False):
            with pytest.raises(
                StoreError, match="has tables of some other program; choose another database, or a schema"
            ):
                home.open(write=write)
        assert home.run("SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace") == [(1,)]
        home.run(f"DROP TABLE {table}")


def test_what_is_no_store_yet_is_not_made_by_looking(home: Schema) -> None:
    """Reading says what to do where nothing was captured yet, and makes no table."""
    with pytest.raises(StoreError, match=r"holds no captures yet: start `ccproxy serve`"):
        home.open(write=False)
    assert home.run("SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace") == [(0,)]


def test_a_schema_that_is_not_there_is_told(home: Schema) -> None:
    """A search path that leads nowhere is a mistake of the connection string."""
    with pytest.raises(StoreError, match=r"search_path .* names no schema that there is"):
        PostgresStore(elsewhere(home, options="-csearch_path=nobodys"), write=True)


def test_two_stores_in_one_database_do_not_mix(home: Schema, store: PostgresStore, tmp_path: Path) -> None:
    """Each schema is a store of its own, with rows and locks of its own."""
    with home_in("postgres", tmp_path) as other_home:
        other = other_home.open()
        fill(store, [one(1, "text")])
        assert other.exchanges(limit=5) == []
        with psycopg.connect(home.dsn) as db:
            pruning.locks.hold(db, pruning.locks.CHANGE, store.schema)
            fill(other, [one(2, "text")])
        other.delete(Selection(everything=True))
        tidy(other)
    assert len(store.exchanges(limit=5)) == 1


def test_a_database_that_cannot_hold_every_text_is_refused(home: Schema) -> None:
    """Another encoding than UTF-8 loses characters, so such a database is told how to be made."""
    name = f"{home.schema}_latin"
    home.run(f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    try:
        with pytest.raises(StoreError, match=r"keeps texts as LATIN1.* create one with ENCODING 'UTF8'"):
            PostgresStore(elsewhere(home, dbname=name, options=""), write=True)
    finally:
        home.run(f"DROP DATABASE {name}")


def test_no_test_touches_a_database_that_is_not_empty(home: Schema, monkeypatch: pytest.MonkeyPatch) -> None:
    """A DSN of a database with anybody's tables in it is refused before anything is made there."""
    name = f"{home.schema}_full"
    home.run(f"CREATE DATABASE {name}")
    try:
        dsn = elsewhere(home, dbname=name, options="")
        monkeypatch.setenv("TEST_POSTGRES_DSN", dsn)
        assert disposable_dsn() == dsn
        with psycopg.connect(dsn) as database:
            database.execute("CREATE TABLE theirs (a int)")
        with pytest.raises(
            pytest.fail.Exception, match=r"not empty \(public\.theirs\); name one that may be thrown away"
        ):
            disposable_dsn()
    finally:
        home.run(f"DROP DATABASE {name}")


def test_positions_and_open_exchanges_are_each_journals_own(home: Schema) -> None:
    """What one machine asks or says of its writers is never about another machine's."""
    mine, theirs = home.open(journal="mine"), home.open(journal="theirs")
    entries: dict[str, Entry] = {name: running(n, name) for n, name in enumerate(("mine-1", "mine-2", "theirs-1"), 1)}
    for name, entry in entries.items():
        entry.columns["writer"] = name
        (mine if name.startswith("mine") else theirs).write([entry], [Position(name, 1, 7)])
    assert mine.positions().keys() == {"mine-1", "mine-2"}
    assert theirs.positions() == {"theirs-1": Position("theirs-1", 1, 7)}
    mine.forget_writer("theirs-1")
    assert theirs.positions() == {"theirs-1": Position("theirs-1", 1, 7)}
    assert mine.interrupt(["mine-2"]) == 1
    assert mine.interrupt(["mine-2"]) == 0
    assert [row["state"] for row in mine.exchanges(limit=9)] == ["open", "open", "interrupted"]
    assert theirs.interrupt([]) == 1
    mine.forget_writer("mine-1")
    assert mine.positions().keys() == {"mine-2"}
    assert home.run("SELECT writer FROM writers ORDER BY 1") == [("mine-2",), ("theirs-1",)]
