"""`ccproxy prune`: what was named goes, with a yes, beside a running proxy or without one; and the file is smaller."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ccproxy.cli import main, pruning
from ccproxy.errors import StoreBusyError
from ccproxy.journal import segments
from ccproxy.stores.contract import Selection
from ccproxy.stores.sqlite import SqliteStore
from tests.cli.conftest import SESSION, Captured, invoke, refusal
from tests.support.command import ccproxy
from tests.support.entries import T0, fill
from tests.support.proxy import Proxy, client, request
from tests.support.pruned import assert_sound, one
from tests.support.standin import Gate, StandIn, stream_answer, text_stream


@pytest.fixture
def store(captured: Captured, tmp_path: Path) -> Path:
    """A store of its own from which may be deleted."""
    return Path(shutil.copy(captured.db, tmp_path / "requests.db"))


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A store with a session a minute, five of them, from some time ago."""
    path = tmp_path / "old.db"
    with contextlib.closing(SqliteStore(path, write=True)) as store:
        fill(store, [one(n, f"text {n} " * 500, session=f"session-{n}") for n in range(1, 6)])
    return path


def ids(path: Path) -> list[str]:
    """Return the ids of what a store holds, oldest first."""
    with contextlib.closing(SqliteStore(path)) as store:
        return [row["id"] for row in store.exchanges(limit=1000)][::-1]


def wrong(*arguments: object) -> str:
    """Run a command line that is wrong, and return what it says."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert (result.exit_code, result.stdout) == (2, "")
    return result.stderr


def answered(answer: str, *arguments: object) -> Result:
    """Run a command that asks, and answer."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=f"{answer}\n")


# What is named ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--session", "a", "--older-than", "30d"],
        ["--exchange", "a", "--before", "2026-01-01"],
        ["--session", "a", "--exchange", "b"],
    ],
)
def test_one_thing_is_named(store: Path, options: list[str]) -> None:
    """Nothing named, or two things at once, is a mistake on the command line, and nothing is deleted."""
    before = ids(store)
    assert "one of --older-than, --before, --session and --exchange" in wrong("prune", "--yes", "--db", store, *options)
    assert ids(store) == before


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--older-than", "soon", '"soon" is not an age such as'),
        ("--older-than", "0", "everything is older than 0"),
        ("--older-than", "-3d", "is not an age"),
        ("--older-than", "900y", "is not an age"),
        ("--before", "yesterday", '"yesterday" is neither a date such as'),
        ("--before", "2026-13-01", "is neither a date"),
        ("--before", "0001-01-01", "is neither a date"),
        ("--before", "", "is neither a date"),
    ],
)
def test_ages_and_dates_are_read_with_care(store: Path, option: str, value: str, said: str) -> None:
    """What is no age or date is refused with an example, and nothing is deleted."""
    before = ids(store)
    assert said in wrong("prune", "--yes", "--db", store, option, value)
    assert ids(store) == before


def test_a_session_goes(store: Path, captured: Captured) -> None:
    """A session goes as a whole, its subagent too, by as much of its id as is needed; all others are as they were."""
    gone = {row["id"] for row in captured.rows.values() if row["session_id"] == SESSION}
    result = invoke("prune", "--yes", "--db", store, "--session", SESSION[:6])
    assert len(gone) > 2
    assert set(ids(store)) == {row["id"] for row in captured.rows.values()} - gone
    assert result.stdout == ""
    assert re.match(
        rf"deleted {len(gone)} exchanges, [0-9.]+ kB on the wire\nfreed [0-9.]+ [kM]B; the store takes", result.stderr
    )
    with contextlib.closing(SqliteStore(store, write=True)) as opened:
        assert opened.leftover() is None
        assert opened.body(captured.id("nasty"), "request") == captured.bodies["nasty"]
        assert_sound(opened)


def test_an_exchange_goes(store: Path, captured: Captured) -> None:
    """One exchange goes by the end of its id; the one that repeats its words keeps them."""
    assert (
        "deleted 1 exchange,"
        in invoke("prune", "--yes", "--db", store, "--exchange", captured.id("first")[-12:]).stderr
    )
    assert set(ids(store)) == {row["id"] for row in captured.rows.values()} - {captured.id("first")}
    assert "a plain [needle]" in invoke("search", "--db", store, "needle").stdout


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (datetime.fromtimestamp(T0 / 1e6 + 190, UTC).isoformat(), 2),
        (datetime.fromtimestamp(T0 / 1e6 + 180, UTC).astimezone().replace(tzinfo=None).isoformat(), 3),
        ((datetime.fromtimestamp(T0 / 1e6, UTC) + timedelta(days=2)).date().isoformat(), 0),
        ("2001-01-01", 5),
    ],
)
def test_what_began_before_a_moment_goes(old: Path, value: str, left: int) -> None:
    """A time with its zone, a time of here, a date: what began before it goes, and what began just then stays."""
    result = invoke("prune", "--yes", "--db", old, "--before", value)
    assert len(ids(old)) == left
    assert ("nothing to delete" in result.stderr) == (left == 5)


def test_what_is_older_goes(old: Path, captured: Captured) -> None:
    """An age is counted from now on."""
    now = datetime.now(UTC).timestamp()
    assert "nothing to delete" in invoke("prune", "--yes", "--db", old, "--older-than", "3652d").stderr
    age = int(now - T0 / 1e6 - 210)
    invoke("prune", "--yes", "--db", old, "--older-than", f"{age}s")
    assert 1 <= len(ids(old)) <= 2
    invoke("prune", "--yes", "--db", old, "--older-than", "1h")
    assert ids(old) == []


def test_who_is_not_there_cannot_be_deleted(store: Path, tmp_path: Path) -> None:
    """An unknown session or exchange, an id that fits two, or no store at all: one sentence each, exit code 1."""
    before = ids(store)
    with contextlib.closing(SqliteStore(store, write=True)) as opened:
        fill(opened, [one(n, "text", session=f"twin-{n}") for n in (1, 2)])
    for option, value, said in (
        ("--session", "nobody", 'no session has the id "nobody"'),
        ("--session", "twin", "more than one session"),
        ("--session", "", "no session has the id"),
        ("--exchange", "ffffffffffff", "no exchange has the id"),
        ("--exchange", "zebra", "is not an exchange id"),
    ):
        code, sentence = refusal("prune", "--yes", "--db", store, option, value)
        assert code == 1
        assert said in sentence
    code, sentence = refusal("prune", "--yes", "--db", tmp_path / "none.db", "--older-than", "1d")
    assert (code, (tmp_path / "none.db").exists()) == (1, False)
    assert "there is no store" in sentence
    assert len(ids(store)) == len(before) + 2


def test_a_file_of_another_program_is_left_alone(tmp_path: Path) -> None:
    """Nothing is deleted from what is not a store of ours."""
    foreign = tmp_path / "foreign.db"
    db = sqlite3.connect(foreign)
    db.execute("CREATE TABLE precious (x)")
    db.close()
    before = foreign.read_bytes()
    assert refusal("prune", "--yes", "--db", foreign, "--older-than", "1d")[0] == 1
    assert foreign.read_bytes() == before


# With a yes ------------------------------------------------------------------------------------------------------------------


def test_a_dry_run_only_tells(old: Path) -> None:
    """`--dry-run` says how much it is, asks nothing and changes nothing."""
    before = old.read_bytes()
    result = invoke("prune", "--dry-run", "--db", old, "--session", "session-2")
    assert re.fullmatch(r"would delete 1 exchange, [0-9.]+ kB on the wire\n", result.stdout)
    assert "would delete 5 exchanges" in invoke("prune", "--dry-run", "--db", old, "--before", "2099-01-01").stdout
    assert "would delete 0 exchanges" in invoke("prune", "--dry-run", "--db", old, "--before", "2001-01-01").stdout
    assert old.read_bytes() == before


def test_nothing_is_deleted_without_a_yes(old: Path) -> None:
    """It asks, says how much it is about, and neither a no nor silence deletes anything."""
    result = answered("n", "prune", "--db", old, "--session", "session-2")
    assert "Delete 1 exchange, " in result.stderr
    assert "nothing was deleted" in result.stderr
    assert CliRunner().invoke(main, ["prune", "--db", str(old), "--session", "session-2"]).exit_code == 1
    assert len(ids(old)) == 5
    assert answered("y", "prune", "--db", old, "--session", "session-2").exit_code == 0
    assert len(ids(old)) == 4


def test_no_trace_is_left(old: Path) -> None:
    """What was deleted stands in no file any more, and the store is smaller."""
    size = old.stat().st_size
    with contextlib.closing(SqliteStore(old, write=True)) as store:
        fill(store, [one(9, "swordfish", answer="the swordfish it is", session="swordfish")])
    assert b"swordfish" in old.read_bytes()
    invoke("prune", "--yes", "--db", old, "--session", "swordfish")
    assert [file.name for file in old.parent.iterdir() if file.is_file() and b"swordfish" in file.read_bytes()] == []
    invoke("prune", "--yes", "--db", old, "--before", "2099-01-01")
    assert old.stat().st_size < size


def test_what_still_runs_stays(old: Path) -> None:
    """An exchange that has not ended is left out, and that is said."""
    db = sqlite3.connect(old)
    db.execute("UPDATE exchanges SET state = 'open' WHERE session_id IN ('session-1', 'session-2')")
    db.commit()
    db.close()
    everything = ("prune", "--db", old, "--before", "2099-01-01", "--yes")
    assert "deleted 3 exchanges, " in (said := invoke(*everything).stderr)
    assert "on the wire; 2 exchanges still run and stay\n" in said
    assert "nothing to delete; 2 exchanges still run and stay\n" in invoke(*everything).stderr
    assert len(ids(old)) == 2


# Who else is there -----------------------------------------------------------------------------------------------------------


def test_an_ingest_that_does_not_come_to_it_is_not_waited_for(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another process writes to the store but does not sweep, the deletion counts, and it says what is still to come."""
    monkeypatch.setattr(pruning, "PATIENCE_S", 0.1)
    lock = segments.hold_lock(old.with_name(f"{old.name}.lock"))
    assert lock is not None
    result = invoke("prune", "--yes", "--db", old, "--session", "session-1")
    assert "the store is in use; the proxy makes it smaller as soon as it can" in result.stderr
    assert len(ids(old)) == 4


def test_a_store_that_is_in_use_is_tried_again(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy moment is waited for; a store that stays busy is one sentence, and exit code 1."""
    busy = iter([True, True, False, True, False])
    delete, shrink = SqliteStore.delete, SqliteStore.shrink

    def sometimes(self: SqliteStore, selection: Selection, **options: int) -> int:
        if next(busy):
            raise StoreBusyError("the store is busy")
        return delete(self, selection, **options)

    def then(self: SqliteStore) -> bool:
        if next(busy):
            raise StoreBusyError("the store is busy")
        monkeypatch.setattr(SqliteStore, "shrink", shrink)
        return shrink(self)

    monkeypatch.setattr(SqliteStore, "delete", sometimes)
    monkeypatch.setattr(SqliteStore, "shrink", then)
    assert "the store takes" in invoke("prune", "--yes", "--db", old, "--session", "session-1").stderr
    monkeypatch.setattr(pruning, "PATIENCE_S", 0.1)
    busy = iter(lambda: True, False)
    assert refusal_after_asking(old) == (1, "the store is busy")


def refusal_after_asking(path: Path) -> tuple[int, str]:
    """Return exit code and sentence of a deletion that cannot be done."""
    return refusal("prune", "--yes", "--db", path, "--session", "session-2")


async def test_a_running_proxy_sweeps(tmp_path: Path) -> None:
    """Beside a running proxy it deletes, waits until that has swept, and says how small the store is; the stream goes on."""
    gate = Gate()
    answers = [stream_answer(text_stream("hi")), stream_answer([*text_stream("a long answer")[:3], gate])]
    async with StandIn(answers) as up, Proxy(up.url, tmp_path) as proxy, client() as http:
        await http.post(f"{proxy.url}/v1/messages", json=request("marker-of-mine " * 3000))
        await proxy.ended(1)
        async with http.stream("POST", f"{proxy.url}/v1/messages", json=request("goes on")) as answer:
            await proxy.until(lambda: len(proxy.rows()) == 2)
            done = await ccproxy(
                "prune", "--yes", "--before", "2099-01-01", "--db", str(proxy.db), home=tmp_path / "cli"
            )
            assert (done.code, done.out) == (0, b"")
            assert "deleted 1 exchange, " in done.err
            assert "1 exchange still runs and stays\nfreed " in done.err
            assert "MB; the store takes " in done.err or "kB; the store takes " in done.err
            files = [proxy.db, Path(f"{proxy.db}-wal")]
            assert [file.name for file in files if b"marker-of-mine" in file.read_bytes()] == []
            gate.open()
            await answer.aread()
        rows = await proxy.ended(1)
        assert [row["state"] for row in rows] == ["complete"]
        assert json.loads(proxy.body(rows[0], "request") or b"")["messages"][0]["content"] == "goes on"
        again = await asyncio.to_thread(invoke, "prune", "--dry-run", "--before", "2099-01-01", "--db", proxy.db)
        assert "would delete 1 exchange," in again.stdout
