"""From journal to store: each exchange once, whatever dies, waits or refuses in between."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ccproxy.errors import StoreBusyError, StoreError
from ccproxy.ingest.pipeline import Pipeline
from ccproxy.journal import segments
from ccproxy.journal.reader import JournalReader
from ccproxy.journal.writer import JournalWriter
from ccproxy.protocol.parts import json_value
from ccproxy.recorder import Recorder, Recording
from ccproxy.records import Entry, Position, State
from ccproxy.stores.sqlite import SqliteStore
from ccproxy.wire import RequestHead, ResponseHead
from tests.support.entries import T0, Session, captured, exchange_id, stream

LONG_S = 30.0
TEXT = {"type": "text", "text": "An answer."}


class Proxy:
    """A proxy worker without a proxy: its journal, and exchanges to put into it."""

    def __init__(self, folder: Path, name: str = "w") -> None:
        self.journal = JournalWriter(folder, name)
        self._now = T0
        self._number = 0
        self.recorder = Recorder(self.journal.append, self._clock, self._new_id)

    def _clock(self) -> int:
        self._now += 1000
        return self._now

    def _new_id(self) -> bytes:
        self._number += 1
        return bytes.fromhex(exchange_id(self._number).replace("-", ""))

    def begin(self, body: bytes) -> Recording:
        """Record a request up to where it goes to the provider."""
        recording = self.recorder.start()
        head = RequestHead("POST", b"/v1/messages", b"", [(b"content-type", b"application/json")])
        recording.open(head, "anthropic", None)
        recording.request(body)
        recording.sent()
        return recording

    def answer(self, recording: Recording, pieces: Sequence[bytes], state: State | None = State.COMPLETE) -> None:
        """Record an answer, and unless told not to, the end."""
        recording.head(ResponseHead(200, [(b"content-type", b"text/event-stream")]))
        for piece in pieces:
            recording.chunk(piece)
        if state:
            recording.end(state)

    def exchange(self, body: bytes, pieces: Sequence[bytes]) -> None:
        """Record a whole exchange."""
        self.answer(self.begin(body), pieces)

    def die(self) -> None:
        """Be gone, with whatever was recorded so far."""
        self.journal.close()


class Trouble(SqliteStore):
    """A store that can be busy, or refuse what `refuses` says."""

    busy = False
    forgetful = False  # busy when a part is looked up
    refuses: Callable[[Entry], bool] = staticmethod(lambda _entry: False)
    writes = 0

    def part(self, digest: bytes) -> bytes | None:
        """Look a part up, unless there is trouble."""
        if self.forgetful:
            raise StoreBusyError("the store is busy")
        return super().part(digest)

    def write(self, entries: Sequence[Entry], positions: Iterable[Position]) -> None:
        """Write, unless there is trouble."""
        if self.busy:
            raise StoreBusyError("the store is busy")
        if any(self.refuses(entry) for entry in entries):
            raise StoreError("the store does not like it")
        self.writes += 1
        super().write(entries, positions)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Give the place of the journal."""
    return tmp_path / "journal"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Trouble]:
    """Give an empty store."""
    store = Trouble(tmp_path / "store.db", write=True)
    yield store
    store.close()


@pytest.fixture
def proxy(journal: Path) -> Iterator[Proxy]:
    """Give a proxy that lives as long as its test lets it."""
    proxy = Proxy(journal)
    yield proxy
    proxy.die()


def _pipeline(journal: Path, store: SqliteStore) -> Pipeline:
    return Pipeline(JournalReader(journal, store.positions()), store)


def _turn(pipeline: Pipeline, times: int = 3) -> None:
    for _ in range(times):
        pipeline.turn()


def _body(*texts: str) -> bytes:
    messages = [{"role": "user" if n % 2 == 0 else "assistant", "content": text} for n, text in enumerate(texts)]
    return json.dumps({"model": "m", "messages": messages}).encode()


def _states(store: SqliteStore) -> list[str]:
    return [row["state"] for row in reversed(store.exchanges(limit=100))]


async def test_an_exchange_shows_while_it_runs(journal: Path, store: Trouble, proxy: Proxy) -> None:
    """A request is in the store as soon as it is on its way, and its answer when it is over."""
    pipeline = _pipeline(journal, store)
    recording = proxy.begin(_body("hello"))
    await proxy.journal.settled(LONG_S)
    _turn(pipeline)
    assert _states(store) == ["open"]
    assert store.body(exchange_id(1), "request") == _body("hello")
    proxy.answer(recording, stream([TEXT]))
    await proxy.journal.settled(LONG_S)
    _turn(pipeline)
    assert _states(store) == ["complete"]
    assert store.body(exchange_id(1), "response") == b"".join(stream([TEXT]))
    assert pipeline.stored == 1


async def test_frames_that_are_read_twice_count_once(journal: Path, store: Trouble, proxy: Proxy) -> None:
    """Reading the journal anew from its beginning changes nothing."""
    for exchange in Session(preamble_bytes=2000, turn_bytes=200).exchanges(4):
        proxy.exchange(exchange.request, [data for _, data in exchange.chunks])
    running = proxy.begin(_body("still running"))
    await proxy.journal.settled(LONG_S)
    _turn(_pipeline(journal, store))
    before, rows = store.stats(), store.exchanges(limit=10)
    for _ in range(2):
        _turn(Pipeline(JournalReader(journal, {}), store))
        assert store.exchanges(limit=10) == rows
        assert {**store.stats(), "bytes": 0} == {**before, "bytes": 0}
    running.end(State.FAILED)


async def test_a_restart_in_the_middle_of_an_exchange_loses_nothing(
    journal: Path, store: Trouble, proxy: Proxy
) -> None:
    """An ingest that dies at any moment is followed by one that has every byte."""
    pieces = stream([TEXT], pieces=8)
    recording = proxy.begin(_body("hello"))
    recording.head(ResponseHead(200, [(b"content-type", b"text/event-stream")]))
    for number, piece in enumerate(pieces):
        proxy.exchange(_body(f"beside {number}"), stream([TEXT]))
        recording.chunk(piece)
        await proxy.journal.settled(LONG_S)
        _turn(_pipeline(journal, store))
        assert store.exchange(exchange_id(1))["state"] == "open"
    recording.end(State.COMPLETE)
    await proxy.journal.settled(LONG_S)
    _turn(_pipeline(journal, store))
    assert store.body(exchange_id(1), "response") == b"".join(pieces)
    assert store.exchange(exchange_id(1))["events"] == len(pieces)
    assert _states(store) == ["complete"] * (len(pieces) + 1)


async def test_a_restart_between_answer_and_echo_gives_bytes_back(journal: Path, store: Trouble, proxy: Proxy) -> None:
    """What an ingest forgot with its death it learns again from the store."""
    exchanges = list(Session(preamble_bytes=2000, turn_bytes=200).exchanges(5))
    for exchange in exchanges:
        proxy.exchange(exchange.request, [data for _, data in exchange.chunks])
        await proxy.journal.settled(LONG_S)
        _turn(_pipeline(journal, store))
    for number, exchange in enumerate(exchanges, 1):
        assert store.body(exchange_id(number), "request") == exchange.request
    assert store.stats()["nodes"] == 10


async def test_a_busy_store_is_waited_for(journal: Path, store: Trouble, proxy: Proxy) -> None:
    """While the store is busy nothing is read ahead and nothing lost; then all of it is stored, once."""
    pipeline = _pipeline(journal, store)
    exchanges = list(Session(preamble_bytes=2000, turn_bytes=200).exchanges(6))
    store.busy = True
    for number, exchange in enumerate(exchanges):
        proxy.exchange(exchange.request, [data for _, data in exchange.chunks])
        await proxy.journal.settled(LONG_S)
        with pytest.raises(StoreBusyError):
            pipeline.turn()
        assert bool(pipeline.reader.unread_bytes()) == bool(number)
    assert segments.list_segments(journal)
    store.busy = False
    _turn(pipeline)
    assert _states(store) == ["complete"] * 6
    assert pipeline.stored == 6
    for number, exchange in enumerate(exchanges, 1):
        assert store.body(exchange_id(number), "request") == exchange.request


async def test_a_store_that_is_busy_when_asked_degrades_nothing(journal: Path, store: Trouble, proxy: Proxy) -> None:
    """Where a part cannot be looked up right now, the exchange is made later, and as whole as any."""
    pipeline = _pipeline(journal, store)
    proxy.exchange(_body("hello"), stream([TEXT]))
    await proxy.journal.settled(LONG_S)
    store.forgetful = True
    for _ in range(3):
        with pytest.raises(StoreBusyError):
            pipeline.turn()
    store.forgetful = False
    _turn(pipeline)
    (row,) = store.exchanges(limit=2)
    assert (row["state"], row["capture_note"]) == ("complete", None)
    assert row["tip"]
    assert row["reply"]


def test_a_finished_writer_leaves_no_trace(journal: Path, store: Trouble) -> None:
    """When a proxy is gone and all of it is stored, its segments, its lock and its position go."""
    proxy = Proxy(journal)
    proxy.exchange(_body("hello"), stream([TEXT]))
    proxy.die()
    _turn(_pipeline(journal, store))
    assert list(journal.iterdir()) == []
    assert store.positions() == {}
    assert _states(store) == ["complete"]


def test_a_finished_writer_is_forgotten_later_when_the_store_is_busy(
    journal: Path, store: Trouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exchange is counted once also when the store is busy right after it was written."""

    def busy(_writer: str) -> None:
        raise StoreBusyError("the store is busy")

    proxy = Proxy(journal)
    proxy.exchange(_body("hello"), stream([TEXT]))
    proxy.die()
    pipeline = _pipeline(journal, store)
    with monkeypatch.context() as patch:
        patch.setattr(store, "forget_writer", busy)
        with pytest.raises(StoreBusyError):
            pipeline.turn()
    _turn(pipeline)
    assert pipeline.stored == 1
    assert _states(store) == ["complete"]


def test_what_ran_when_its_proxy_died_is_interrupted(journal: Path, store: Trouble) -> None:
    """Everything that had arrived is kept, in a state of its own."""
    proxy = Proxy(journal)
    pieces = stream([TEXT], pieces=4)
    proxy.answer(proxy.begin(_body("hello")), pieces[:4], state=None)
    proxy.die()
    _turn(_pipeline(journal, store))
    row = store.exchange(exchange_id(1))
    assert (row["state"], row["status"], row["message_id"]) == ("interrupted", 200, "msg_01")
    assert "died" in row["error"]
    assert store.body(row["id"], "response") == b"".join(pieces[:4])


def test_a_request_that_never_went_up_is_interrupted_too(journal: Path, store: Trouble) -> None:
    """An exchange whose proxy died while the request was coming in is on record as far as it came."""
    proxy = Proxy(journal)
    recording = proxy.recorder.start()
    recording.open(RequestHead("POST", b"/v1/messages", b"", []), "anthropic", None)
    recording.request(b'{"messages":[{"role"')
    proxy.die()
    _turn(_pipeline(journal, store))
    assert _states(store) == ["interrupted"]
    assert store.body(exchange_id(1), "request") == b'{"messages":[{"role"'


async def test_open_rows_of_a_lost_journal_are_closed(journal: Path, store: Trouble, proxy: Proxy) -> None:
    """When a journal is gone its open exchanges are interrupted; those of living writers stay open."""
    proxy.begin(_body("hello"))
    await proxy.journal.settled(LONG_S)
    _turn(_pipeline(journal, store))
    assert store.interrupt(["w"]) == 0
    assert store.interrupt(["another"]) == 1
    assert _states(store) == ["interrupted"]


async def test_a_refused_entry_does_not_stop_the_line(journal: Path, store: Trouble, proxy: Proxy) -> None:
    """Of an entry that the store refuses the bytes are kept, and all others are stored as usual."""
    exchanges = list(Session(preamble_bytes=2000, turn_bytes=200).exchanges(6))
    store.refuses = lambda entry: entry.id == exchange_id(3) and entry.columns["kind"] != "other"
    for exchange in exchanges:
        proxy.exchange(exchange.request, [data for _, data in exchange.chunks])
    await proxy.journal.settled(LONG_S)
    _turn(_pipeline(journal, store))
    assert _states(store) == ["complete"] * 6
    assert "the store refused it" in store.exchange(exchange_id(3))["capture_note"]
    for number, exchange in enumerate(exchanges, 1):
        assert store.body(exchange_id(number), "request") == exchange.request
        assert store.body(exchange_id(number), "response") == b"".join(data for _, data in exchange.chunks)


async def test_a_value_that_no_column_holds_is_no_crash(journal: Path, store: Trouble, proxy: Proxy) -> None:
    """A number beyond 64 bits that slipped into a column costs that row its details, not the process its life."""
    pipeline = _pipeline(journal, store)
    proxy.begin(_body("hello"))
    await proxy.journal.settled(LONG_S)

    original = pipeline._entry

    def spoiled(running: Any) -> Entry:
        entry = original(running)
        entry.columns["max_tokens"] = 2**80
        return entry

    pipeline._entry = spoiled  # type: ignore[method-assign]
    _turn(pipeline)
    assert store.body(exchange_id(1), "request") == _body("hello")
    assert "cannot hold" in store.exchange(exchange_id(1))["capture_note"]


async def test_a_failure_of_our_own_keeps_the_bytes(
    journal: Path, store: Trouble, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When ingest itself fails on a request or an answer it is kept as bytes with the reason, and the next is fine."""
    pipeline = _pipeline(journal, store)

    def fail(*_arguments: object) -> None:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr("ccproxy.ingest.request.add_node", fail)
        patch.setattr("ccproxy.ingest.pipeline.add_response", fail)
        proxy.exchange(_body("hello"), stream([TEXT]))
        await proxy.journal.settled(LONG_S)
        _turn(pipeline)
    proxy.exchange(_body("hello"), stream([TEXT]))
    await proxy.journal.settled(LONG_S)
    _turn(pipeline)
    for number in (1, 2):
        assert store.body(exchange_id(number), "request") == _body("hello")
        assert store.body(exchange_id(number), "response") == b"".join(stream([TEXT]))
    assert "a bug" in store.exchange(exchange_id(1))["capture_note"]
    assert json_value(store.conversation(store.exchange(exchange_id(2))["tip"])[0])["content"] == "hello"
    assert _states(store) == ["complete", "complete"]


async def test_nothing_new_means_nothing_written(journal: Path, store: Trouble, proxy: Proxy) -> None:
    """A stream that runs for minutes costs the store nothing until it ends."""
    pipeline = _pipeline(journal, store)
    recording = proxy.begin(_body("hello"))
    recording.head(ResponseHead(200, []))
    await proxy.journal.settled(LONG_S)
    _turn(pipeline)
    writes = store.writes
    for _ in range(5):
        recording.chunk(b"data: x\n\n")
        await proxy.journal.settled(LONG_S)
        _turn(pipeline, 1)
    assert store.writes == writes
    recording.end(State.CLIENT_LEFT)


async def test_segments_are_deleted_when_the_store_has_them(journal: Path, store: Trouble) -> None:
    """The journal is as long as what is not stored yet, and a running exchange keeps what follows it."""
    proxy = Proxy(journal)
    proxy.journal._segment_bytes = 2000
    with contextlib.closing(proxy.journal):
        pipeline = _pipeline(journal, store)
        for number in range(10):
            proxy.exchange(_body("x" * 3000, str(number)), stream([TEXT]))
            await proxy.journal.settled(LONG_S)
            _turn(pipeline, 1)
        assert len(segments.list_segments(journal)) <= 2
        recording = proxy.begin(_body("running"))
        for number in range(5):
            proxy.exchange(_body("x" * 3000, str(number)), stream([TEXT]))
            await proxy.journal.settled(LONG_S)
            _turn(pipeline, 1)
        assert len(segments.list_segments(journal)) >= 5
        recording.end(State.COMPLETE)
        await proxy.journal.settled(LONG_S)
        _turn(pipeline, 2)
        assert len(segments.list_segments(journal)) <= 2


def test_a_torn_journal_costs_only_its_end(journal: Path, store: Trouble) -> None:
    """A proxy that was killed in the middle of a write loses that frame, and no other exchange."""
    proxy = Proxy(journal)
    proxy.exchange(_body("first"), stream([TEXT]))
    proxy.answer(proxy.begin(_body("second")), stream([TEXT])[:3], state=None)
    proxy.die()
    [segment] = segments.list_segments(journal)
    data = segment.path.read_bytes()
    segment.path.write_bytes(data[:-5])
    _turn(_pipeline(journal, store))
    assert _states(store) == ["complete", "interrupted"]
    assert store.body(exchange_id(2), "response") == b"".join(stream([TEXT])[:2])


def test_an_exchange_by_hand_is_the_one_from_the_journal(journal: Path, store: Trouble, tmp_path: Path) -> None:
    """What other tests build by hand is what a journal gives."""
    proxy = Proxy(journal)
    proxy.exchange(_body("hello"), stream([TEXT]))
    proxy.die()
    _turn(_pipeline(journal, store))
    row = store.exchange(exchange_id(1))
    exchange = captured(1, _body("hello"), stream([TEXT]))
    assert (row["path"], row["method"], row["provider"]) == ("/v1/messages", "POST", exchange.opening.provider)
    assert row["events"] == len(exchange.chunks)
