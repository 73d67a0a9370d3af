"""What ingest deletes by itself, and how it sweeps behind any deletion: without losing or mixing up anything that stays."""

from __future__ import annotations

import contextlib
import json
import logging
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ccproxy.errors import StoreBusyError, StoreError
from ccproxy.ingest import retention as module
from ccproxy.ingest.pipeline import Pipeline
from ccproxy.ingest.retention import Retention
from ccproxy.journal.reader import JournalReader
from ccproxy.records import State
from ccproxy.settings import load
from ccproxy.stores.contract import Leftover, Selection
from ccproxy.stores.sqlite import SqliteStore
from tests.ingest.test_pipeline import LONG_S, TEXT, Proxy
from tests.support.entries import T0, Session, exchange_id, stream
from tests.support.pruned import assert_sound, tidy

DAY = 86400.0
ANSWER = stream([TEXT])
EVERYTHING = Selection(everything=True)


class Line:
    """A journal, a store and all between them, with a clock that goes when the test says so."""

    def __init__(self, folder: Path) -> None:
        self.journal = folder / "journal"
        self.proxy = Proxy(self.journal)
        self.store = SqliteStore(folder / "store.db", write=True)
        self.now = 1000.0
        self.start()

    def start(self, *, max_age: float = 0.0, max_size: int = 0) -> None:
        """Begin, within these bounds, as a process does that knows what the store knows."""
        options = {"storage.db_path": self.store.path, "storage.max_age": max_age, "storage.max_size": max_size}
        storage = load(cli=options, environ={}, dotenv=False, cwd=self.journal.parent).storage
        self.pipeline = Pipeline(JournalReader(self.journal, self.store.positions()), self.store)
        self.retention = Retention(
            self.pipeline, storage, lambda: None, clock=lambda: self.now, wall=lambda: T0 / 1e6 + self.now
        )

    async def turn(self) -> None:
        """Bring what the proxy wrote into the store."""
        await self.proxy.journal.settled(LONG_S)
        self.pipeline.turn()

    def rest(self, seconds: float = module.LOOK_S) -> int:
        """Let time pass and retention do all that is due then; return how many steps it took."""
        self.now += seconds
        steps = 0
        while self.retention.turn():
            steps += 1
            assert steps < 1000
        return steps

    def ids(self) -> set[str]:
        """Return the ids of what is in the store."""
        return {row["id"] for row in self.store.exchanges(limit=10_000)}

    def close(self) -> None:
        """Let go of everything."""
        self.proxy.die()
        self.store.close()


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    """Give an empty line without bounds."""
    with contextlib.closing(Line(tmp_path)) as line:
        yield line


def body(*texts: str) -> bytes:
    """Return a request whose turns say these texts."""
    messages = [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(texts)]
    return json.dumps({"model": "m", "messages": messages}).encode()


# What is too old, and what is too much -------------------------------------------------------------------------------------


async def test_what_is_too_old_goes(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    """At its start and then every ten minutes what is past its age is deleted; one line says so."""
    for number in range(4):
        line.proxy.exchange(body(f"text {number}"), ANSWER)
    running = line.proxy.begin(body("still running"))
    await line.turn()
    half = line.store.exchange(exchange_id(3))["started_at"]
    line.start(max_age=line.now + (T0 - half) / 1e6)
    caplog.set_level(logging.INFO, logger="ccproxy")
    line.rest(0)
    assert line.ids() == {exchange_id(3), exchange_id(4), exchange_id(5)}
    assert [record.message[:60] for record in caplog.records] == [
        "storage.max_age: deleted 2 exchanges from before 2025-10-09 "
    ]
    assert line.store.leftover() is None
    assert_sound(line.store)
    line.rest(module.AGE_S - 1)
    assert len(line.ids()) == 3
    line.rest(1)
    assert line.ids() == {exchange_id(5)}
    assert len(caplog.records) == 2
    running.end(State.COMPLETE)
    await line.turn()
    line.rest(module.AGE_S)
    assert line.ids() == set()


async def test_no_bounds_mean_for_ever(line: Line) -> None:
    """Without an age and a size nothing is ever deleted."""
    line.proxy.exchange(body("text"), ANSWER)
    await line.turn()
    for _ in range(5):
        assert line.rest(100 * DAY) == 0
    assert len(line.ids()) == 1


async def test_the_store_keeps_to_its_size(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    """However much comes, the oldest go soon after the bound is passed, and not at every turn."""
    limit = 1_000_000
    line.start(max_size=limit)
    dice, largest, sent = random.Random(1), 0, {}
    with caplog.at_level(logging.INFO, logger="ccproxy"):
        for number in range(1, 201):
            sent[number] = body(dice.randbytes(4000).hex(" ", 4))
            line.proxy.exchange(sent[number], ANSWER)
            await line.turn()
            line.rest()
            largest = max(largest, line.store.used_bytes())
    left = sorted(line.ids())
    assert largest < limit * 1.1
    assert len(left) > 20
    assert left == [exchange_id(number) for number in range(201 - len(left), 201)]
    assert all(
        line.store.body(exchange_id(number), "request") == sent[number] for number in range(201 - len(left), 201)
    )
    assert 3 < len(caplog.records) < 50
    assert line.store.path.stat().st_size < limit * 1.2
    assert_sound(line.store)


async def test_no_more_is_deleted_than_need_be(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the room of what was deleted cannot be given back yet, nothing more goes for it."""
    dice = random.Random(3)
    for _ in range(60):
        line.proxy.exchange(body(dice.randbytes(4000).hex(" ", 4)), ANSWER)
    await line.turn()
    line.start(max_size=line.store.used_bytes() * 8 // 10)

    def busy(*_arguments: object) -> bool:
        raise StoreBusyError("the store is being read")

    with monkeypatch.context() as patch:
        patch.setattr(line.store, "shrink", busy)
        for _ in range(100):
            line.rest(10)
        assert 30 < len(line.ids()) < 50
    line.rest(module.RETRY_S[-1])
    line.rest()
    assert 30 < len(line.ids()) < 50


async def test_much_is_deleted_a_little_at_a_time(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two steps of a large deletion the journal has its turn."""
    monkeypatch.setattr(module, "STEP", 3)
    for number in range(10):
        line.proxy.exchange(body(f"text {number}"), ANSWER)
    await line.turn()
    line.start(max_age=1.0)
    left = []
    while line.retention.turn():
        left.append(len(line.ids()))
        line.proxy.exchange(body(f"more {len(left)}"), ANSWER) if len(left) < 4 else None
        await line.turn()
    assert left[:3] == [10, 10 - 3 + 1, 8 - 3 + 1]
    assert line.ids() == set()


async def test_a_bound_that_cannot_be_kept_is_no_busy_loop(line: Line) -> None:
    """Where all that is left still runs, or an empty store is too large already, it is looked at seldom."""
    line.start(max_size=1)
    line.proxy.begin(body("still running"))
    await line.turn()
    assert line.rest() == 0
    assert line.rest(module.AGE_S) == 0
    assert len(line.ids()) == 1


# What deletions leave ------------------------------------------------------------------------------------------------------


async def test_what_others_delete_is_swept_soon(line: Line) -> None:
    """A deletion by another process is seen at the next look, and swept to the end."""
    for number in range(3):
        line.proxy.exchange(body(f"text {number}"), ANSWER)
    await line.turn()
    line.rest()
    with contextlib.closing(SqliteStore(line.store.path, write=True)) as other:
        other.delete(Selection(exchange=exchange_id(2)))
    assert line.rest(0) == 0
    assert line.rest() > 1
    assert line.store.leftover() is None
    assert line.ids() == {exchange_id(1), exchange_id(3)}
    assert_sound(line.store)


async def test_it_is_swept_while_much_is_going_on(line: Line) -> None:
    """A journal that never ends does not keep a deletion from being swept, one step a turn."""
    line.proxy.exchange(body("text"), ANSWER)
    await line.turn()
    line.store.delete(EVERYTHING)
    for number in range(50):
        line.proxy.exchange(body(f"more {number}"), ANSWER)
        await line.turn()
        line.now += 0.1
        line.retention.turn()
    assert line.store.leftover() is None
    assert len(line.ids()) == 50


async def test_deletions_one_by_one_are_not_shrunk_for_one_by_one(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where giving room back takes long, what is deleted meanwhile is swept at once, and its room given back together."""
    shrink, shrunk = line.store.shrink, []

    def slow(alive: Callable[[], None] | None = None) -> bool:
        line.now += 1
        shrunk.append(more := shrink(alive))
        return more

    monkeypatch.setattr(line.store, "shrink", slow)
    for number in range(20):
        line.proxy.exchange(body(f"text {number}"), ANSWER)
    await line.turn()
    for number in range(20):
        line.store.delete(Selection(exchange=exchange_id(number + 1)))
        line.rest()
        assert line.store.leftover() is not Leftover.ROWS
    assert shrunk.count(False) < 5
    line.rest(60)
    assert line.store.leftover() is None


async def test_a_session_goes_on_after_it_was_deleted(line: Line) -> None:
    """The turns that follow are whole, though they build on a history that nobody had any more."""
    exchanges = list(Session(preamble_bytes=3000, turn_bytes=300).exchanges(9))
    for number, exchange in enumerate(exchanges, 1):
        line.proxy.exchange(exchange.request, [data for _, data in exchange.chunks])
        await line.turn()
        if number in (3, 6):
            line.store.delete(EVERYTHING)
            line.rest()
            assert line.store.stats()["nodes"] == 0
    for number in (7, 8, 9):
        assert line.store.body(exchange_id(number), "request") == exchanges[number - 1].request
        assert line.store.body(exchange_id(number), "response") == b"".join(c for _, c in exchanges[number - 1].chunks)
    assert len(line.store.conversation(line.store.exchange(exchange_id(9))["reply"])) == 18
    assert_sound(line.store)


async def test_what_runs_meanwhile_is_whole(line: Line) -> None:
    """An exchange that began before a sweep and ends after it is stored as any other, and so is the one after it."""
    first, second, third = Session(preamble_bytes=3000, turn_bytes=300).exchanges(3)
    line.proxy.exchange(first.request, [data for _, data in first.chunks])
    running = line.proxy.begin(second.request)
    await line.turn()
    line.store.delete(EVERYTHING)
    line.rest()
    line.proxy.answer(running, [data for _, data in second.chunks])
    line.proxy.exchange(third.request, [data for _, data in third.chunks])
    await line.turn()
    assert line.ids() == {exchange_id(2), exchange_id(3)}
    for number, exchange in ((2, second), (3, third)):
        assert line.store.body(exchange_id(number), "request") == exchange.request
        assert line.store.body(exchange_id(number), "response") == b"".join(data for _, data in exchange.chunks)
    line.store.sweep()
    assert_sound(line.store)


async def test_nothing_is_swept_while_something_waits(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on its way to a busy store points to parts that are only its own, so no sweep comes between."""
    line.proxy.exchange(body("first"), ANSWER)
    await line.turn()
    line.store.delete(EVERYTHING)
    line.proxy.exchange(body("second"), ANSWER)

    def busy(*_arguments: object) -> None:
        raise StoreBusyError("the store is busy")

    with monkeypatch.context() as patch:
        patch.setattr(line.store, "write", busy)
        with pytest.raises(StoreBusyError):
            await line.turn()
        assert line.pipeline.sweep() is None
    await line.turn()
    assert line.pipeline.sweep()
    assert line.store.body(exchange_id(2), "request") == body("second")


async def test_a_restart_does_not_bring_back_what_was_deleted(line: Line) -> None:
    """Frames that are read again, since an older exchange still runs, are passed over for what was deleted meanwhile."""
    running = line.proxy.begin(body("runs for long"))
    exchanges = list(Session(preamble_bytes=3000, turn_bytes=300).exchanges(4))
    for exchange in exchanges[:3]:
        line.proxy.exchange(exchange.request, [data for _, data in exchange.chunks])
    await line.turn()
    line.store.delete(Selection(exchange=exchange_id(2)))
    line.store.delete(Selection(exchange=exchange_id(4)))
    line.rest()
    line.start()
    line.proxy.exchange(exchanges[3].request, [data for _, data in exchanges[3].chunks])
    await line.turn()
    line.rest()
    assert line.ids() == {exchange_id(1), exchange_id(3), exchange_id(5)}
    assert line.store.body(exchange_id(3), "request") == exchanges[1].request
    assert line.store.body(exchange_id(5), "request") == exchanges[3].request
    running.end(State.COMPLETE)
    await line.turn()
    assert_sound(line.store)


async def test_a_part_that_cannot_be_looked_up_costs_no_node(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the store is busy in the middle of a request, the request that is made later has its whole history."""
    line.proxy.exchange(body("one", "two", "three"), ANSWER)
    part, asked = line.store.part, 0

    def busy_at_the_third(digest: bytes) -> bytes | None:
        nonlocal asked
        asked += 1
        if asked == 3:
            raise StoreBusyError("the store is busy")
        return part(digest)

    monkeypatch.setattr(line.store, "part", busy_at_the_third)
    with pytest.raises(StoreBusyError):
        line.pipeline._memory._stored = busy_at_the_third
        await line.turn()
    await line.turn()
    assert line.store.body(exchange_id(1), "request") == body("one", "two", "three")
    assert len(line.store.conversation(line.store.exchange(exchange_id(1))["tip"])) == 3


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_happens_in_whatever_order_the_rest_is_whole(line: Line, seed: int) -> None:
    """Turns of several sessions, deletions, sweeps cut short and restarts, mixed at random: what stays is byte for byte."""
    dice = random.Random(seed)
    sessions = [Session(seed=n, preamble_bytes=2000, turn_bytes=200).exchanges(40) for n in range(3)]
    sent: dict[str, tuple[bytes, bytes]] = {}
    running, gone = [], set()
    for _ in range(120):
        match dice.choice(["turn", "begin", "begin", "end", "delete", "step", "step", "restart", "rest"]):
            case "begin":
                exchange = next(dice.choice(sessions))
                answer = [data for _, data in exchange.chunks]
                running.append((line.proxy.begin(exchange.request), answer))
                sent[exchange_id(line.proxy._number)] = (exchange.request, b"".join(answer))
            case "end" if running:
                line.proxy.answer(*running.pop(dice.randrange(len(running))))
            case "delete" if line.ids():
                doomed = dice.choice(sorted(line.ids()))
                gone |= {doomed} if line.store.delete(Selection(exchange=doomed)) else set()
            case "turn":
                await line.turn()
            case "step":
                line.now += 1
                line.retention.turn()
            case "rest":
                line.rest()
            case "restart":
                line.start()
    for recording, answer in running:
        line.proxy.answer(recording, answer)
    await line.turn()
    tidy(line.store)
    assert line.ids() == sent.keys() - gone
    assert gone
    for key in line.ids():
        assert (line.store.body(key, "request"), line.store.body(key, "response")) == sent[key]
    line.store.sweep()
    assert_sound(line.store)


# When the store cannot -----------------------------------------------------------------------------------------------------


async def test_a_busy_store_is_tried_again(
    line: Line, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be done right now is done later, without a word, and at longer and longer intervals."""
    line.proxy.exchange(body("text"), ANSWER)
    await line.turn()
    line.store.delete(EVERYTHING)
    tries = []

    def busy(*_arguments: object) -> bool:
        tries.append(line.now)
        raise StoreBusyError("the store is being read")

    with monkeypatch.context() as patch:
        patch.setattr(line.store, "shrink", busy)
        for _ in range(1000):
            line.rest(1)
    assert 4 < len(tries) < 15
    assert line.store.leftover() is Leftover.SPACE
    line.rest(module.RETRY_S[-1])
    assert line.store.leftover() is None
    assert caplog.records == []


async def test_room_that_cannot_be_given_back_holds_up_nothing_else(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While somebody reads what was deleted, all else goes on: what others delete is swept, what is too old goes."""

    def busy(*_arguments: object) -> bool:
        raise StoreBusyError("the store is being read")

    monkeypatch.setattr(line.store, "shrink", busy)
    line.start(max_age=DAY)
    for number in range(3):
        line.proxy.exchange(body(f"text {number}"), ANSWER)
    await line.turn()
    line.store.delete(Selection(exchange=exchange_id(1)))
    for _ in range(20):
        line.rest()
    line.store.delete(Selection(exchange=exchange_id(2)))
    line.rest()
    assert line.store.leftover() is Leftover.SPACE
    line.rest(DAY)
    line.rest()
    assert line.ids() == set()
    line.rest()
    line.store.sweep()
    assert_sound(line.store)


async def test_a_store_that_fails_is_told_of_once(
    line: Line, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A failure that will not pass by itself is one line in the log, and ingest goes on."""
    line.proxy.exchange(body("text"), ANSWER)
    await line.turn()
    line.store.delete(EVERYTHING)

    def fail() -> None:
        raise StoreError("the store is damaged")

    monkeypatch.setattr(line.store, "sweep", fail)
    for _ in range(100):
        line.rest(10)
    assert [record.message for record in caplog.records] == ["what was deleted still takes room: the store is damaged"]
    line.proxy.exchange(body("after"), ANSWER)
    await line.turn()
    assert line.ids() == {exchange_id(2)}
