"""Several who write into one PostgreSQL store at once: nothing twice, nothing lost, nobody stuck, whoever dies or sweeps."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from ccproxy.errors import StoreBusyError, StoreSweptError
from ccproxy.ingest.memory import Memory
from ccproxy.records import Captured, Entry
from ccproxy.stores import checking
from ccproxy.stores.contract import Leftover, Selection
from ccproxy.stores.postgres import PostgresStore, planting, pruning
from tests.support.entries import Session, captured, entry_of, exchange_id, fill, stream
from tests.support.homes import Schema, home_in
from tests.support.ingesting import write_journal
from tests.support.pruned import assert_sound, assert_whole, one, tidy

LONG_S = 60.0
EVERYTHING = Selection(everything=True)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Schema]:
    """Give an empty schema."""
    with home_in("postgres", tmp_path) as found:
        assert isinstance(found, Schema)
        yield found


def until(condition: Callable[[], object]) -> None:
    """Wait for something that must happen."""
    deadline = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < deadline


def is_waiting(home: Schema, kind: str) -> bool:
    """Tell whether somebody waits for a lock of this kind."""
    query = "SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND locktype = ?"
    return bool(home.run(f"{query} AND starts_with(application_name, ?)", kind, home.schema))


# Whole processes -----------------------------------------------------------------------------------------------------------


@dataclass
class Machine:
    """A machine with a journal, and the ingest of it."""

    home: Schema
    folder: Path
    exchanges: list[Captured] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Return what its ingest calls itself, to the server too."""
        return f"{self.home.schema}-{self.folder.name}"

    def record(self, number: int) -> None:
        """Have two proxy workers record sessions: one that all machines have begun in the same way, and one of its own."""
        for worker, seed in enumerate((7, 100 + number)):
            session = list(Session(seed=seed, preamble_bytes=20_000, turn_bytes=900).exchanges(30))
            for turn, exchange in enumerate(session):
                exchange.id = exchange_id(1000 * number + 100 * worker + turn)
            write_journal(self.folder, f"{self.folder.name}-{worker}", session)
            self.exchanges += session

    def start(self) -> subprocess.Popen[str]:
        """Start its ingest."""
        dsn = make_conninfo(self.home.dsn, application_name=self.name)
        command = [sys.executable, "-m", "tests.support.ingesting", dsn, str(self.folder), self.folder.name]
        return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    def kill_within_a_transaction(self) -> None:
        """Start its ingest, and kill it while it has written something that is not committed."""
        process = self.start()
        asking = "SELECT 1 FROM pg_stat_activity WHERE application_name = ? AND backend_xid IS NOT NULL"
        until(lambda: self.home.run(asking, self.name) or process.poll() is not None)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=LONG_S)
        assert process.returncode == -signal.SIGKILL


@pytest.fixture
def machines(home: Schema, tmp_path: Path) -> list[Machine]:
    """Give four machines whose journals are full."""
    found = [Machine(home, tmp_path / f"machine{number}") for number in range(1, 5)]
    for number, machine in enumerate(found, 1):
        machine.record(number)
    return found


def ends(processes: Sequence[subprocess.Popen[str]]) -> list[str]:
    """Wait for processes, and return what went wrong with any."""
    said = [process.communicate(timeout=2 * LONG_S)[1] for process in processes]
    return [text for process, text in zip(processes, said, strict=True) if process.returncode]


def assert_stored(home: Schema, machines: Sequence[Machine]) -> None:
    """Fail where an exchange is missing, there twice or not whole, or anything else of the store is not as it should be."""
    store = home.open()
    exchanges = [exchange for machine in machines for exchange in machine.exchanges]
    assert store.stats()["exchanges"] == {"complete": len(exchanges)}
    for exchange in exchanges:
        assert store.body(exchange.id, "request") == exchange.request
        assert store.body(exchange.id, "response") == b"".join(piece for _, piece in exchange.chunks)
    assert list(checking.faults(store, lambda _: None)) == []
    assert_sound(store)
    assert not is_waiting(home, "transactionid")
    assert not is_waiting(home, "advisory")


def test_four_ingests_at_full_speed(home: Schema, machines: list[Machine]) -> None:
    """Each exchange is there once, what they share is there once, and nobody waits for another for ever."""
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    before = home.run(deadlocks)
    assert ends([machine.start() for machine in machines]) == []
    assert_stored(home, machines)
    assert home.run(deadlocks) == before
    assert [list(machine.folder.glob("*.journal")) for machine in machines] == [[], [], [], []]


def test_one_that_is_killed_goes_on_where_it_was(home: Schema, machines: list[Machine]) -> None:
    """However often one dies in the middle of a batch, beside others who write: started again it brings the rest, once."""
    others = [machine.start() for machine in machines[1:]]
    for _ in range(4):
        machines[0].kill_within_a_transaction()
    assert ends([*others, machines[0].start()]) == []
    assert_stored(home, machines)


def test_deletions_and_sweeps_beside_them(home: Schema, machines: list[Machine]) -> None:
    """While four write, one deletes all it sees and sweeps: nothing comes back, and what was left alone is whole."""
    running = [machine.start() for machine in machines]
    store = home.open(journal="pruner")
    gone = 0
    while any(process.poll() is None for process in running):
        with contextlib.suppress(StoreBusyError):
            gone += store.delete(EVERYTHING, most=5)
            if store.leftover() is Leftover.ROWS:
                store.sweep()
    assert ends(running) == []
    assert gone
    left = {row["id"] for row in store.exchanges(limit=1000)}
    exchanges = [exchange for machine in machines for exchange in machine.exchanges]
    assert len(left) + gone == len(exchanges)
    tidy(store)
    for exchange in exchanges:
        assert store.body(exchange.id, "request") == (exchange.request if exchange.id in left else None)
    assert list(checking.faults(store, lambda _: None)) == []
    assert_sound(store)
    store.delete(EVERYTHING)
    tidy(store)
    assert store.stats()["nodes"] == store.stats()["blobs"] == 0


# One step at a time --------------------------------------------------------------------------------------------------------

SPELLINGS = (
    b'{"role":"user","content":"a question that is long enough to be worth packing, about giraffes and zebras"}',
    b'{"content": [{"text": "a question that is long enough to be worth packing, about giraffes and zebras",'
    b' "type": "text"}], "role": "user"}',
)
ANSWERED = (
    b'{"role":"assistant","content":[{"type":"text","text":"%s"}]}',
    b'{"content": [ {"text": "%s", "type": "text"} ], "role": "assistant"}',
)
ANSWER = "an answer that says the same thing again. " * 40


def spelled(number: int, way: int, *, answer: str | None = None) -> Captured:
    """Return an exchange whose parts are spelled in one of two ways."""
    system = (b'[{"type":"text","text":"%s"}]', b'[ {"text" : "%s" , "type":"text"} ]')[way] % (b"be good " * 50)
    body = b'{"model":"m","system":%s,"messages":[%s]}' % (system, SPELLINGS[way])
    return captured(number, body, stream([{"type": "text", "text": answer}]) if answer else None)


def raced(home: Schema, exchanges: Sequence[Captured]) -> list[tuple[PostgresStore, Memory, Entry]]:
    """Return stores with an entry each, all of them made before any of them was written."""
    stores = [home.open(journal=f"j{number}") for number in range(len(exchanges))]
    memories = [Memory(store.part) for store in stores]
    entries = [entry_of(exchange, memory) for exchange, memory in zip(exchanges, memories, strict=True)]
    return list(zip(stores, memories, entries, strict=True))


def test_a_part_that_two_saw_first_in_different_spellings(home: Schema) -> None:
    """The text of one of them is kept, and the bodies of both come back byte for byte, then and later."""
    exchanges = [spelled(number, number % 2, answer=ANSWER) for number in (1, 2)]
    racing = raced(home, exchanges)
    assert {body.encoding for _, _, entry in racing for body in entry.bodies} == {"parts", "reply"}
    for store, _, entry in racing:
        store.write([entry], [])
    reader = home.open(write=False)
    assert_whole(reader, exchanges)
    later = [spelled(number, number % 2, answer=ANSWER + str(number)) for number in (3, 4, 5, 6)]
    for exchange in later:
        store, memory, _ = racing[(exchange.opened_at // 60_000_000) % 2]
        store.write([entry_of(exchange, memory)], [])
    assert_whole(reader, [*exchanges, *later])
    assert home.run("SELECT count(*) FROM nodes WHERE parent IS NULL") == [(1,)]
    assert max(size for (size,) in home.run("SELECT octet_length(data) FROM bodies WHERE side = 'request'")) < 250


def test_an_answer_that_two_saw_first_in_different_spellings(home: Schema) -> None:
    """An answer's bytes come back, too, where its message is stored as another client has spelled it."""
    asked = spelled(1, 0, answer=ANSWER)
    history = b'{"model":"m","messages":[%s,%s,{"role":"user","content":"go on"}]}'
    repeated = captured(2, history % (SPELLINGS[1], ANSWERED[1] % ANSWER.encode()))
    (second, _, late), (first, _, early) = raced(home, [asked, repeated])
    first.write([early], [])
    second.write([late], [])
    assert home.open().body(asked.id, "response") == b"".join(piece for _, piece in asked.chunks)
    assert home.open().body(asked.id, "request") == asked.request
    assert home.open().body(repeated.id, "request") == repeated.request


@pytest.mark.parametrize("gives_up", [False, True])
def test_two_that_write_the_same_at_the_same_moment(
    home: Schema, gives_up: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second waits until the first is through, and then builds on it; or takes its place where the first gives up."""
    exchanges = [spelled(1 + way, way, answer=ANSWER) for way in (0, 1)]
    (first, _, early), (second, _, late) = raced(home, exchanges)
    planted, go_on = threading.Event(), threading.Event()
    plant = planting.Planting.plant

    def slowly(self: planting.Planting) -> None:
        plant(self)
        if self._known is first._known:
            planted.set()
            assert go_on.wait(LONG_S)
            if gives_up:
                raise StoreBusyError("given up")

    monkeypatch.setattr(planting.Planting, "plant", slowly)
    threads = [threading.Thread(target=_write, args=pair) for pair in ((first, early), (second, late))]
    threads[0].start()
    assert planted.wait(LONG_S)
    threads[1].start()
    until(lambda: is_waiting(home, "transactionid"))
    go_on.set()
    for thread in threads:
        thread.join(LONG_S)
    assert_whole(home.open(), exchanges[1:] if gives_up else exchanges)
    assert_sound(home.open())


def _write(store: PostgresStore, entry: Entry) -> None:
    with contextlib.suppress(StoreBusyError):
        store.write([entry], [])


def test_the_same_in_another_order_blocks_nobody(home: Schema) -> None:
    """Two who bring the same parts and messages in opposite orders wait for each other, and never both at once."""
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    before = home.run(deadlocks)
    stores = [home.open(journal=f"j{number}") for number in range(2)]
    for attempt in range(8):
        exchanges = [one(number, f"{attempt} {number}") for number in range(300)]
        batches = [[entry_of(x, Memory(lambda _: None)) for x in exchanges[::way]] for way in (1, -1)]
        together = threading.Barrier(2)

        def put(store: PostgresStore, entries: Sequence[Entry], together: threading.Barrier = together) -> None:
            together.wait(LONG_S)
            store.write(entries, [])

        threads = [threading.Thread(target=put, args=pair) for pair in zip(stores, batches, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONG_S)
        assert stores[0].delete(EVERYTHING) == 300
    assert home.run(deadlocks) == before


def test_what_another_has_swept_is_not_taken_for_stored(home: Schema) -> None:
    """Parts that a writer knew to be stored are stored again when somebody has swept them away meanwhile."""
    writer, other = home.open(journal="mine"), home.open(journal="theirs")
    memory = Memory(writer.part)
    first, second = (spelled(number, 0, answer=f"{ANSWER}{number}") for number in (1, 2))
    second = captured(2, second.request.replace(b"giraffes", b"lions"), stream([{"type": "text", "text": "yes"}]))
    writer.write([entry_of(first, memory)], [])
    other.delete(EVERYTHING)
    tidy(other)
    assert other.stats()["blobs"] == 0
    writer.write([entry_of(second, memory)], [])
    assert_whole(other, [second])
    assert list(checking.faults(other, lambda _: None)) == []


def test_a_conversation_whose_beginning_was_swept_away_is_begun_anew(home: Schema) -> None:
    """An entry that builds on what is gone is refused as a whole, and goes in when it is made anew."""
    writer, other = home.open(journal="mine"), home.open(journal="theirs")
    memory = Memory(writer.part)
    turns = list(Session(preamble_bytes=3000, turn_bytes=300).exchanges(4))
    for exchange in turns[:2]:
        writer.write([entry_of(exchange, memory)], [])
    other.delete(EVERYTHING)
    tidy(other)
    for exchange in turns[2:]:
        with pytest.raises(StoreSweptError, match="earlier messages were deleted"):
            writer.write([entry_of(exchange, memory)], [])
    assert writer.stats()["blobs"] == writer.stats()["nodes"] == 0
    fill(writer, turns[2:])
    assert_whole(other, turns[2:])
    assert_sound(other)


def test_what_runs_is_not_swept_from_under_another(home: Schema) -> None:
    """An exchange that is open keeps what it points to, so its end can be written whoever has swept."""
    writer, other = home.open(journal="mine"), home.open(journal="theirs")
    memory = Memory(writer.part)
    first, second = list(Session(preamble_bytes=3000, turn_bytes=300).exchanges(2))
    writer.write([entry_of(first, memory)], [])
    begun = captured(2, second.request, request_headers=second.opening.headers)
    begun.opened_at = second.opened_at
    writer.write([entry_of(begun, memory)], [])
    assert other.delete(EVERYTHING) == 1
    tidy(other)
    writer.write([entry_of(second, memory)], [])
    assert_whole(other, [second])


def test_only_one_sweeps(home: Schema) -> None:
    """A second one is told that it is being done."""
    store = home.open()
    fill(store, [one(1, "text")])
    store.delete(EVERYTHING)
    with psycopg.connect(home.dsn, row_factory=psycopg.rows.dict_row) as other:
        assert pruning.locks.try_hold(other, pruning.locks.SWEEP, store.schema)
        with pytest.raises(StoreBusyError, match="is being swept by another process"):
            store.sweep()
    tidy(store)
    assert store.leftover() is None


def test_a_deletion_waits_for_those_who_write(home: Schema) -> None:
    """An exchange that is read again at the very moment in which it is deleted does not come back."""
    writer, other = home.open(journal="mine"), home.open(journal="theirs")
    exchange = one(1, "text", writer="w")
    with writer.transaction() as db:
        pruning.locks.share(db, pruning.locks.CHANGE, writer.schema)
        deleting = threading.Thread(target=other.delete, args=(EVERYTHING,))
        fill(home.open(), [exchange])
        deleting.start()
        until(lambda: is_waiting(home, "advisory"))
        assert home.run("SELECT count(*) FROM exchanges") == [(1,)]
    deleting.join(LONG_S)
    assert home.run("SELECT count(*) FROM exchanges") == [(0,)]


def test_shrinking_shows_signs_of_life(home: Schema, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the server cleans up somebody can be told that it goes on; what cannot be cleaned now is left to another."""
    monkeypatch.setattr(pruning, "ALIVE_S", 0.0)
    store = home.open()
    fill(store, [one(number, f"text {number}") for number in range(30)])
    store.delete(EVERYTHING)
    while not store.sweep().done:
        pass
    beats: list[None] = []
    with psycopg.connect(home.dsn) as other:
        other.execute("LOCK TABLE blobs IN SHARE UPDATE EXCLUSIVE MODE")
        while store.shrink(lambda: beats.append(None)):
            pass
    assert beats
    assert store.leftover() is None
    assert store.rows("SHOW statement_timeout") == [{"statement_timeout": "10min"}]
