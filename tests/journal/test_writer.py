"""The journal's writer: never in the way, and honest about what it could not write."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ccproxy.journal import frames, segments
from ccproxy.journal.reader import JournalReader
from ccproxy.journal.writer import JournalWriter
from ccproxy.records import Frame, FrameKind

OPEN, REQUEST, CHUNK, END, END_CUT = (
    FrameKind.OPEN,
    FrameKind.REQUEST,
    FrameKind.CHUNK,
    FrameKind.END,
    FrameKind.END_CUT,
)
LONG_S = 30.0  # as long as a broken test may take; a good one never waits for it


def _id(number: int) -> bytes:
    return number.to_bytes(16)


class Disk:
    """A disk that can be full after so many bytes, or hang."""

    def __init__(self) -> None:
        self.room: int | None = None
        self.going = threading.Event()
        self.going.set()
        self.reached = threading.Event()  # somebody writes, or tries to

    def write(self, descriptor: int, data: bytes) -> int:
        """Write what there is room for, as the system does: first less than asked, then nothing."""
        self.reached.set()
        assert self.going.wait(LONG_S)
        if self.room is None:
            return os.write(descriptor, data)
        if self.room == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = os.write(descriptor, data[: self.room])
        self.room -= written
        return written


@pytest.fixture
def disk() -> Iterator[Disk]:
    """Give a disk; it hangs no longer than its test."""
    disk = Disk()
    yield disk
    disk.going.set()


@contextlib.contextmanager
def _writer(folder: Path, disk: Disk | None = None, **options: int) -> Iterator[JournalWriter]:
    writer = JournalWriter(folder, "w", write=disk.write if disk else os.write, **options)
    try:
        yield writer
    finally:
        if disk:
            disk.going.set()
        writer.close()


def _read(folder: Path) -> tuple[list[Frame], int]:
    reader = JournalReader(folder, {})
    found = [frame for _ in range(200) for step in reader.steps() for frame, _ in step.frames]
    return found, reader.damaged_bytes


def _exchange(writer: JournalWriter, number: int, pieces: int = 3, size: int = 50) -> None:
    writer.append(OPEN, _id(number), 1, b"{}")
    for piece in range(pieces):
        writer.append(CHUNK, _id(number), 2 + piece, b"x" * size)
    writer.append(END, _id(number), 99, b"end")


async def test_what_is_appended_is_in_the_file_in_order(tmp_path: Path) -> None:
    """Frames reach the disk in the order in which they were appended."""
    with _writer(tmp_path) as writer:
        for number in range(500):
            writer.append(CHUNK, _id(number % 7), number, b"%d" % number)
        await writer.settled(LONG_S)
        found, damaged = _read(tmp_path)
    assert [frame.at for frame in found] == list(range(500))
    assert (damaged, writer.dropped_exchanges, writer.dropped_bytes) == (0, 0, 0)


def test_append_does_not_wait_for_a_hanging_disk(tmp_path: Path, disk: Disk) -> None:
    """While a write hangs, appending goes on, and all of it is written when the disk is back."""
    disk.going.clear()
    with _writer(tmp_path, disk) as writer:
        writer.append(OPEN, _id(1), 0, b"{}")
        assert disk.reached.wait(LONG_S)
        for number in range(1000):  # would hang here
            writer.append(CHUNK, _id(1), number, b"x" * 100)
    assert len(_read(tmp_path)[0]) == 1001


def test_data_above_the_bound_of_a_frame_is_split(tmp_path: Path) -> None:
    """A large body goes into several frames and comes back whole."""
    body = os.urandom(3 * frames.MAX_DATA_BYTES + 17)
    with _writer(tmp_path) as writer:
        writer.append(REQUEST, _id(1), 5, body)
    found, _ = _read(tmp_path)
    assert [frame.kind for frame in found] == [REQUEST] * 4
    assert b"".join(frame.data for frame in found) == body
    assert {frame.at for frame in found} == {5}


async def test_a_full_segment_is_followed_by_a_new_one(tmp_path: Path) -> None:
    """Segments are rotated by size; a reader notices nothing."""
    with _writer(tmp_path, segment_bytes=2000) as writer:
        for number in range(40):
            writer.append(CHUNK, _id(1), number, b"x" * 500)
            await writer.settled(LONG_S)
    numbers = [segment.number for segment in segments.list_segments(tmp_path)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 8
    assert [frame.at for frame in _read(tmp_path)[0]] == list(range(40))


def test_only_the_owner_may_read_a_journal(tmp_path: Path) -> None:
    """The folder has mode 0700, everything in it 0600."""
    folder = tmp_path / "journal"
    with _writer(folder) as writer:
        writer.append(OPEN, _id(1), 0, b"{}")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_a_writer_holds_its_lock_as_long_as_it_lives(tmp_path: Path) -> None:
    """Anyone can tell a writer that lives from one that does not."""
    with _writer(tmp_path) as writer:
        writer.append(OPEN, _id(1), 0, b"{}")
        assert segments.is_alive(tmp_path, "w")
        assert segments.hold_lock(segments.writer_lock(tmp_path, "w")) is None
    assert not segments.is_alive(tmp_path, "w")
    assert segments.list_segments(tmp_path)


def test_a_writer_that_wrote_nothing_leaves_nothing(tmp_path: Path) -> None:
    """A proxy that saw no request leaves no file behind."""
    with _writer(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_two_writers_of_one_name_are_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second writer of the same name is refused rather than taken for dead."""
    monkeypatch.setattr("ccproxy.journal.writer.LOCK_WAIT_S", 0.0)
    with _writer(tmp_path), pytest.raises(RuntimeError, match="another process writes as w"):
        JournalWriter(tmp_path, "w")


def test_sweeping_spares_the_living(tmp_path: Path) -> None:
    """The lock files of dead writers go, those of living ones and of ingest stay."""
    with _writer(tmp_path):
        segments.writer_lock(tmp_path, "dead").touch()
        segments.writer_lock(tmp_path, segments.INGEST).touch()
        segments.sweep(tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {"w.lock", "ingest.lock"}
        assert segments.is_alive(tmp_path, "w")


def test_closing_writes_what_is_queued(tmp_path: Path) -> None:
    """What was appended before the close is on disk after it."""
    with _writer(tmp_path) as writer:
        for number in range(5000):
            writer.append(CHUNK, _id(1), number, b"x")
    assert len(_read(tmp_path)[0]) == 5000


async def test_settled_means_that_the_system_has_it(tmp_path: Path) -> None:
    """When `settled` returns, a reader finds all that was appended before."""
    with _writer(tmp_path) as writer:
        for number in range(20):
            writer.append(CHUNK, _id(1), number, b"x")
            await writer.settled(LONG_S)
            assert len(_read(tmp_path)[0]) == number + 1


async def test_settled_gives_up_in_time(tmp_path: Path, disk: Disk) -> None:
    """A disk that hangs holds nobody longer than asked for; several may wait at once."""
    disk.going.clear()
    with _writer(tmp_path, disk) as writer:
        writer.append(OPEN, _id(1), 0, b"{}")
        async with asyncio.timeout(LONG_S):
            await asyncio.gather(*(writer.settled(0.05) for _ in range(5)))
        assert not _read(tmp_path)[0]


async def test_nobody_waits_twice_for_a_hanging_disk(tmp_path: Path, disk: Disk) -> None:
    """After one wait in vain the others return at once, until the disk has come round."""
    disk.going.clear()
    with _writer(tmp_path, disk) as writer:
        writer.append(OPEN, _id(1), 0, b"{}")
        await writer.settled(0.05)
        async with asyncio.timeout(LONG_S):
            await writer.settled(10 * LONG_S)
        disk.going.set()
        await asyncio.to_thread(_until, lambda: not writer._stalled)
        writer.append(END, _id(1), 0, b"{}")
        await writer.settled(LONG_S)
        assert len(_read(tmp_path)[0]) == 2


async def test_settled_returns_when_frames_were_dropped(tmp_path: Path, disk: Disk) -> None:
    """With a full disk nobody waits: dropped is settled, too."""
    disk.room = 0
    with _writer(tmp_path, disk) as writer:
        writer.append(OPEN, _id(1), 0, b"{}")
        async with asyncio.timeout(LONG_S):
            await writer.settled(LONG_S)
        assert writer.dropped_exchanges == 1
        assert "No space left" in (writer.error or "")


def _missing(appended: list[Frame], found: list[Frame]) -> tuple[int, int]:
    """Return how many exchanges are not whole, and how many bytes other than endings did not arrive."""
    lost = Counter((f.exchange, f.at, f.data) for f in appended if f.kind is not END)
    lost.subtract((f.exchange, f.at, f.data) for f in found if f.kind not in (END, END_CUT))
    assert all(count >= 0 for count in lost.values()), "a frame that nobody wrote"
    gone = {key[0] for key, count in lost.items() if count}
    return len(gone), sum(len(key[2]) * count for key, count in lost.items())


@pytest.mark.parametrize("room", [0, 1, 40, 45, 100, 150, 170, 200, 333, 700, 1200, 2000])
async def test_a_full_disk_tears_nothing_and_counts_all(tmp_path: Path, disk: Disk, room: int) -> None:
    """Wherever the disk is full: no torn frame, no hole in an exchange, and the counters say what is missing."""
    appended: list[Frame] = []

    def append(writer: JournalWriter, kind: FrameKind, number: int, at: int, data: bytes) -> None:
        writer.append(kind, _id(number), at, data)
        appended.append(Frame(kind, _id(number), at, data))

    disk.room = room
    with _writer(tmp_path, disk) as writer:
        for at in range(6):  # six exchanges begin, go on side by side, and five of them end
            append(writer, OPEN, at, at, b"{}")
        for at in range(10, 40):
            append(writer, CHUNK, at % 6, at, b"x" * (at % 7) * 10)
            if at % 9 == 0:
                await writer.settled(LONG_S)
        for number in range(5):
            append(writer, END, number, 50, b"end")
        await writer.settled(LONG_S)
        disk.room = None
        append(writer, CHUNK, 5, 60, b"late")  # still of an exchange with a hole, or whole
        append(writer, END, 5, 61, b"end")
        append(writer, OPEN, 9, 70, b"{}")
        append(writer, CHUNK, 9, 71, b"all of it")
        append(writer, END, 9, 72, b"end")
        await writer.settled(LONG_S)
    found, damaged = _read(tmp_path)
    assert damaged == 0
    assert (writer.dropped_exchanges, writer.dropped_bytes) == _missing(appended, found)
    assert writer.error is None
    _check_exchanges(appended, found)


def _check_exchanges(appended: list[Frame], found: list[Frame]) -> None:
    """Each exchange is a beginning of what was appended; whole ones end as they ended, cut ones as cut."""
    for exchange in {frame.exchange for frame in appended}:
        wanted = [(f.at, f.data) for f in appended if f.exchange == exchange and f.kind is not END]
        frames_found = [f for f in found if f.exchange == exchange]
        got = [(f.at, f.data) for f in frames_found if f.kind not in (END, END_CUT)]
        assert got == wanted[: len(got)]
        endings = [f.kind for f in frames_found if f.kind in (END, END_CUT)]
        assert endings == ([] if not got else [END] if got == wanted else [END_CUT])


async def test_a_cut_ending_arrives_when_there_is_space_again(tmp_path: Path, disk: Disk) -> None:
    """An exchange of which the end could not be written is told to be cut as soon as that can be written."""
    with _writer(tmp_path, disk) as writer:
        writer.append(OPEN, _id(1), 0, b"{}")
        await writer.settled(LONG_S)
        disk.room = 0
        writer.append(CHUNK, _id(1), 1, b"lost")
        writer.append(END, _id(1), 2, b"end")
        await writer.settled(LONG_S)
        assert [frame.kind for frame in _read(tmp_path)[0]] == [OPEN]
        disk.room = None
        await writer.settled(LONG_S)
        assert [(frame.kind, frame.data) for frame in _read(tmp_path)[0]] == [(OPEN, b"{}"), (END_CUT, b"end")]
        assert (writer.dropped_exchanges, writer.dropped_bytes) == (1, 4)


async def test_an_ending_that_alone_did_not_fit_comes_later(tmp_path: Path, disk: Disk) -> None:
    """When all frames but the ending arrived nothing is missing, and the ending is written as it was."""
    with _writer(tmp_path, disk) as writer:
        writer.append(OPEN, _id(1), 0, b"{}")
        await writer.settled(LONG_S)
        disk.room = 0
        writer.append(END, _id(1), 2, b"end")
        await writer.settled(LONG_S)
        disk.room = None
        await writer.settled(LONG_S)
    assert [frame.kind for frame in _read(tmp_path)[0]] == [OPEN, END]
    assert (writer.dropped_exchanges, writer.dropped_bytes) == (0, 0)


async def test_whole_frames_of_a_failed_write_stay(tmp_path: Path, disk: Disk) -> None:
    """A reader may have taken what was written before the disk was full; it is not taken back."""
    with _writer(tmp_path, disk) as writer:
        writer.append(OPEN, _id(1), 0, b"{}")
        await writer.settled(LONG_S)
        disk.room = 2 * (frames.OVERHEAD + 5) + 9
        for at in range(1, 5):
            writer.append(CHUNK, _id(1), at, b"piece")
        await writer.settled(LONG_S)
        assert [frame.at for frame in _read(tmp_path)[0]] == [0, 1, 2]
        assert segments.total_bytes(tmp_path) == 3 * frames.OVERHEAD + 2 + 2 * 5
        assert writer.dropped_bytes == 2 * 5


async def test_a_reader_that_saw_a_torn_frame_reads_on(tmp_path: Path, disk: Disk) -> None:
    """What a live reader saw of a frame that was taken back does not spoil what is written in its place."""
    reader = JournalReader(tmp_path, {})
    with _writer(tmp_path, disk) as writer:
        writer.append(OPEN, _id(1), 0, b"{}")
        await writer.settled(LONG_S)
        path = segments.list_segments(tmp_path)[0].path
        whole = path.stat().st_size
        with path.open("ab") as file:
            file.write(frames.encode(CHUNK, _id(1), 1, b"x" * 100)[:60])
        assert [frame.at for step in reader.steps() for frame, _ in step.frames] == [0]
        os.truncate(path, whole)
        writer.append(CHUNK, _id(1), 2, b"y" * 90)
        await writer.settled(LONG_S)
        assert [frame.at for step in reader.steps() for frame, _ in step.frames] == [2]
        assert reader.damaged_bytes == 0


async def test_no_disk_at_all_drops_and_recovers(tmp_path: Path) -> None:
    """When not even a segment can be made, exchanges are dropped and counted; later ones are written."""
    folder = tmp_path / "journal"
    with _writer(folder) as writer:
        hidden = folder.rename(tmp_path / "elsewhere")
        _exchange(writer, 1)
        await writer.settled(LONG_S)
        assert (writer.dropped_exchanges, writer.dropped_bytes) == (1, 2 + 3 * 50)
        hidden.rename(folder)
        _exchange(writer, 2)
        await writer.settled(LONG_S)
        assert {frame.exchange for frame in _read(folder)[0]} == {_id(2)}
        assert writer.error is None


def test_a_hanging_disk_costs_only_so_much_memory(tmp_path: Path, disk: Disk) -> None:
    """Beyond the bound frames are refused; what was queued before is written, the exchange ends as cut."""
    disk.going.clear()
    with _writer(tmp_path, disk, max_queued_bytes=10_000) as writer:
        writer.append(OPEN, _id(1), 0, b"{}")
        assert disk.reached.wait(LONG_S)
        for at in range(1, 40):
            writer.append(CHUNK, _id(1), at, b"x" * 1000)
        writer.append(END, _id(1), 90, b"end")
        _exchange(writer, 2, size=5000)
        assert writer.error == "the disk does not keep up"
        assert writer.dropped_exchanges == 2
    found, damaged = _read(tmp_path)
    first = [frame for frame in found if frame.exchange == _id(1)]
    assert damaged == 0
    assert [frame.at for frame in first] == [*range(len(first) - 1), 90]
    assert first[-1].kind is END_CUT
    assert len(first) == 11
    assert {frame.kind for frame in found if frame.exchange == _id(2)} <= {OPEN, END_CUT}
    kept = sum(len(frame.data) for frame in found if frame.kind is CHUNK)
    assert writer.dropped_bytes == 39 * 1000 + 3 * 5000 - kept


def test_the_bound_holds_after_large_bodies(tmp_path: Path) -> None:
    """The count of queued bytes returns to nothing, however bodies were split."""
    with _writer(tmp_path, max_queued_bytes=8 << 20) as writer:
        for number in range(20):
            writer.append(REQUEST, _id(number), number, b"x" * (3 << 20))
            _until(lambda: not writer._queue)
    assert writer._queued_in == writer._queued_out
    assert writer.dropped_exchanges == 0


def test_many_owed_endings_do_not_stop_the_queue(tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many exchanges were cut, what comes later is looked at, and all of them end."""
    monkeypatch.setattr("ccproxy.journal.writer.MAX_BATCH", 4)
    with _writer(tmp_path, disk) as writer:
        for number in range(10):
            writer.append(OPEN, _id(number), 0, b"{}")
        _until(lambda: segments.total_bytes(tmp_path) == 10 * (frames.OVERHEAD + 2))
        disk.room = 0
        for number in range(10):
            writer.append(CHUNK, _id(number), 1, b"x")
            writer.append(END, _id(number), 2, b"end")
        _until(lambda: writer.dropped_exchanges == 10 and not writer._queue)
        disk.room = None
    found, _ = _read(tmp_path)
    assert Counter(frame.kind for frame in found) == {OPEN: 10, END_CUT: 10}


def test_a_bug_of_a_dead_loop_does_not_stop_the_thread(tmp_path: Path) -> None:
    """Somebody who waited on an event loop that is gone is passed over."""
    with _writer(tmp_path) as writer:
        asyncio.run(_abandon(writer))
        _exchange(writer, 1)
    assert len(_read(tmp_path)[0]) == 5


async def _abandon(writer: JournalWriter) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0):
            await writer.settled(LONG_S)


def _until(condition: Callable[[], bool]) -> None:
    """Wait for the writer's thread to come to a state."""
    pause = threading.Event()
    for _ in range(int(LONG_S / 0.005)):
        if condition():
            return
        pause.wait(0.005)
    raise AssertionError("the writer did not get there")
