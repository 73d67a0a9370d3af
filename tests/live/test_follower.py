"""The follower over real journal files: all writers, snapshot and changes, and nothing at all while nobody listens."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from ccproxy.errors import StoreError
from ccproxy.ingest.pipeline import Pipeline
from ccproxy.journal import segments
from ccproxy.journal.reader import JournalReader
from ccproxy.live import Follower, Wanted
from ccproxy.live import listener as queue
from ccproxy.records import Position, State
from ccproxy.stores.sqlite import SqliteStore
from tests.support.running import (
    begin_text,
    eventually,
    finish,
    journal,
    listening,
    open_exchange,
    request_body,
    say,
)


@contextlib.asynccontextmanager
async def _follower(folder: Path, positions: Mapping[str, Position] | None = None) -> AsyncIterator[Follower]:
    follower = Follower(folder, lambda: positions or {})
    try:
        yield follower
    finally:
        await follower.close()


async def test_what_runs_is_shown_and_what_follows_is_told(tmp_path: Path) -> None:
    """The first event is a snapshot with what was said so far; from there on each piece comes, up to the end."""
    with journal(tmp_path) as (recorder, writer):
        recording = open_exchange(recorder)
        begin_text(recording)
        say(recording, "before, ")
        await writer.settled(5)
        async with _follower(tmp_path) as follower, listening(follower) as heard:
            snapshot = await heard.event("snapshot")
            [running] = snapshot["exchanges"]
            assert running["exchange"]["model"] == "claude-test-1"
            assert [block["text"] for block in running["blocks"]] == ["before, "]
            say(recording, "after")
            await heard.text("after")
            finish(recording)
            ended = await heard.event("ended")
            assert (ended["state"], ended["output_tokens"]) == ("complete", 5)
            numbers = [change.number for change in heard.changes]
            assert numbers == sorted(set(numbers))


async def test_all_workers_are_heard(tmp_path: Path) -> None:
    """Exchanges of several writers are told side by side, each whole."""
    async with _follower(tmp_path) as follower, listening(follower) as heard:
        await heard.event("snapshot")
        with contextlib.ExitStack() as stack:
            recorders = [stack.enter_context(journal(tmp_path, f"w{number}"))[0] for number in range(3)]
            recordings = [open_exchange(recorder) for recorder in recorders]
            for recording in recordings:
                begin_text(recording)
            for number in range(9):
                say(recordings[number % 3], str(number))
            for recording in recordings:
                finish(recording)
            ended = [await heard.event("ended") for _ in recordings]
        assert {one["exchange"].replace("-", "") for one in ended} == {recording.id.hex() for recording in recordings}
        said = {one["exchange"]: "" for one in ended}
        for change in heard.changes:
            if change.name == "text":
                data = json.loads(change.data)
                said[data["exchange"]] += data["text"]
        assert sorted(said.values()) == ["036", "147", "258"]


async def test_a_piece_is_heard_at_once(tmp_path: Path) -> None:
    """From the write to the event it takes a moment, also while other streams run."""
    with journal(tmp_path) as (recorder, _):
        others = [open_exchange(recorder) for _ in range(10)]
        for other in others:
            begin_text(other)
        recording = open_exchange(recorder)
        begin_text(recording)
        async with _follower(tmp_path) as follower, listening(follower) as heard:
            await heard.event("snapshot")
            waits = []
            for number in range(20):
                for other in others:
                    say(other, "noise ")
                began = time.monotonic()
                say(recording, f"<{number}>")
                await heard.until(lambda name, data, n=number: name == "text" and data["text"] == f"<{n}>")  # type: ignore[misc]
                waits.append(time.monotonic() - began)
        assert sorted(waits)[len(waits) // 2] < 0.15, (
            waits
        )  # the writer gathers for 0.03 s, the follower looks each 0.05 s


async def test_what_had_ended_before_is_not_shown(tmp_path: Path) -> None:
    """An exchange that lies in the journal only by chance is no news."""
    with journal(tmp_path) as (recorder, writer):
        done = open_exchange(recorder)
        begin_text(done)
        finish(done)
        await writer.settled(5)
        async with _follower(tmp_path) as follower, listening(follower) as heard:
            assert await heard.event("snapshot") == {"exchanges": []}
            finish(open_exchange(recorder))
            await heard.event("ended")
            assert done.id.hex() not in "".join(change.data.decode().replace("-", "") for change in heard.changes)


async def test_reading_begins_where_the_store_is(tmp_path: Path) -> None:
    """What the store has is not read again."""
    with journal(tmp_path) as (recorder, writer):
        open_exchange(recorder)
        await writer.settled(5)
        [step] = JournalReader(tmp_path, {}).steps()
        running = open_exchange(recorder)
        await writer.settled(5)
        async with _follower(tmp_path, {"w1": step.position}) as follower, listening(follower) as heard:
            shown = (await heard.event("snapshot"))["exchanges"]
            assert [one["exchange"]["id"].replace("-", "") for one in shown] == [running.id.hex()]


async def test_without_a_store_the_journal_is_read_from_its_beginning(tmp_path: Path) -> None:
    """Where there is no store yet, nothing can be in it."""

    def none() -> Mapping[str, Position]:
        raise StoreError("there is no store yet")

    follower = Follower(tmp_path, none)
    with journal(tmp_path) as (recorder, writer):
        open_exchange(recorder)
        await writer.settled(5)
        async with listening(follower) as heard:
            assert len((await heard.event("snapshot"))["exchanges"]) == 1
    await follower.close()


async def test_nobody_listens_nothing_works(tmp_path: Path) -> None:
    """With the last listener the work ends; with the next one it begins again where the store is then."""
    asked = []

    def positions() -> Mapping[str, Position]:
        asked.append(1)
        return {}

    follower = Follower(tmp_path, positions)
    assert follower._task is None
    with journal(tmp_path) as (recorder, _):
        for round_ in range(2):
            async with listening(follower) as heard:
                await heard.event("snapshot")
                recording = open_exchange(recorder)
                begin_text(recording)
                say(recording, "x")
                await heard.text("x")
                assert follower.listeners == 1
            assert follower.listeners == 0
            await eventually(lambda: follower._task is None)
            assert len(follower._watch) == 0
            assert len(asked) == round_ + 1
    await follower.close()


async def test_each_listener_has_a_snapshot_of_its_own(tmp_path: Path) -> None:
    """Who comes later sees what was said before, and hears the same from there on."""
    with journal(tmp_path) as (recorder, _):
        recording = open_exchange(recorder)
        begin_text(recording)
        async with _follower(tmp_path) as follower, listening(follower) as first:
            await first.event("snapshot")
            say(recording, "one ")
            await first.text("one ")
            async with listening(follower) as second:
                [shown] = (await second.event("snapshot"))["exchanges"]
                assert shown["blocks"][0]["text"] == "one "
                say(recording, "two")
                await first.text("two")
                await second.text("two")
                assert (first.said(), second.said()) == ("one two", "two")


async def test_a_session_can_be_singled_out(tmp_path: Path) -> None:
    """A listener to one session hears of no other, in the snapshot as later."""
    with journal(tmp_path) as (recorder, writer):
        open_exchange(recorder, body=request_body("mine"))
        open_exchange(recorder, body=request_body("other"))
        await writer.settled(5)
        async with _follower(tmp_path) as follower, listening(follower, session="mine") as heard:
            [shown] = (await heard.event("snapshot"))["exchanges"]
            assert shown["exchange"]["session_id"] == "mine"
            open_exchange(recorder, body=request_body("other"))
            later = open_exchange(recorder, body=request_body("mine"))
            opened = await heard.event("exchange")
            assert (opened["id"].replace("-", ""), opened["complete"]) == (later.id.hex(), True)


async def test_an_agent_can_be_singled_out(tmp_path: Path) -> None:
    """A listener to one agent hears of no other."""
    with journal(tmp_path) as (recorder, _):
        async with _follower(tmp_path) as follower, listening(follower, agent="a2") as heard:
            await heard.event("snapshot")
            for agent in (b"a1", b"a2"):
                open_exchange(recorder, headers=[(b"x-claude-code-agent-id", agent)])
            assert (await heard.event("exchange"))["agent_id"] == "a2"
            assert heard.names() == ["snapshot", "exchange"]


async def test_a_slow_listener_catches_up_with_a_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who takes nothing for a while is told that they lag, and sees all of it in a fresh snapshot."""
    monkeypatch.setattr(queue.Listener.__init__, "__defaults__", (4000,))
    with journal(tmp_path) as (recorder, writer):
        recording = open_exchange(recorder)
        begin_text(recording)
        await writer.settled(5)
        async with _follower(tmp_path) as follower, listening(follower) as quick, listening(follower) as slow:
            await slow.event("snapshot")
            await quick.event("snapshot")
            said = [f"{number} ".rjust(600) for number in range(12)]
            for one in said:
                say(recording, one)
                await quick.text(one)
            await slow.event("lagging")
            [shown] = (await slow.event("snapshot"))["exchanges"]
            assert shown["blocks"][0]["text"] == "".join(said)
            say(recording, "more")
            await slow.text("more")
            assert "lagging" not in quick.names()


async def test_a_writer_that_dies_ends_what_it_carried(tmp_path: Path) -> None:
    """When a proxy is gone, its exchanges are told as interrupted."""
    async with _follower(tmp_path) as follower, listening(follower) as heard:
        with journal(tmp_path) as (recorder, _):
            begin_text(open_exchange(recorder))
            await heard.event("head")
        assert (await heard.event("ended"))["state"] == "interrupted"


async def test_segments_may_vanish_at_any_moment(tmp_path: Path) -> None:
    """While ingest stores and deletes below it, the follower goes on, and nothing runs for ever."""
    folder = tmp_path / "journal"
    store = SqliteStore(tmp_path / "store.db", write=True)
    pipeline = Pipeline(JournalReader(folder, {}), store)
    with contextlib.closing(store), journal(folder, segment_bytes=2000) as (recorder, writer):
        async with _follower(folder) as follower, listening(follower) as heard:
            await heard.event("snapshot")
            for number in range(60):
                recording = open_exchange(recorder)
                begin_text(recording)
                say(recording, f"{number}")
                finish(recording)
                if number % 3 == 0:
                    await writer.settled(5)
                    pipeline.turn()
            await writer.settled(5)
            pipeline.turn()
            last = open_exchange(recorder)
            begin_text(last)
            say(last, "the last")
            await heard.until(lambda name, data: name == "text" and data["text"] == "the last")
            await eventually(lambda: len(follower._watch) == 1)
            assert {"exchange", "ended"} <= set(heard.names())
            assert len(segments.list_segments(folder)) < 30


async def test_every_segment_may_vanish(tmp_path: Path) -> None:
    """When all files of a writer go between two looks, its exchanges are over, in a state that the store knows."""
    writer_folder = tmp_path
    async with _follower(writer_folder) as follower, listening(follower) as heard:
        with journal(writer_folder) as (recorder, _):
            begin_text(open_exchange(recorder))
            await heard.event("head")
            for segment in segments.list_segments(writer_folder):
                segment.path.unlink()
            assert (await heard.event("ended"))["state"] is None


async def test_a_folder_that_is_not_there_yet_is_no_trouble(tmp_path: Path) -> None:
    """Before the first capture there is nothing to show; when it comes, it is told."""
    folder = tmp_path / "later"
    async with _follower(folder) as follower, listening(follower) as heard:
        assert await heard.event("snapshot") == {"exchanges": []}
        with journal(folder) as (recorder, _):
            recorder.start().end(State.FAILED)
            open_exchange(recorder)
            await heard.event("exchange")


async def test_trouble_is_survived(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the files cannot be read for a moment, the listener stays and gets a snapshot when they can."""
    monkeypatch.setattr("ccproxy.live.follower.FAILED_PAUSE_S", 0.01)
    failing = [OSError("the disk is away")] * 3

    def positions() -> Mapping[str, Position]:
        if failing:
            raise failing.pop()
        return {}

    follower = Follower(tmp_path, positions)
    async with listening(follower) as heard:
        await heard.event("snapshot")
    await follower.close()
    assert sum("the disk is away" in record.getMessage() for record in caplog.records) == 1


async def test_a_long_backlog_is_read_before_the_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much lies in the journal, the snapshot comes when all of it was read, and shows what runs now."""
    monkeypatch.setattr("ccproxy.journal.reader.READ_BYTES", 1 << 16)
    monkeypatch.setattr("ccproxy.live.follower.READ_BYTES", 1 << 16)
    with journal(tmp_path, segment_bytes=1 << 18) as (recorder, writer):
        for _ in range(50):
            done = open_exchange(recorder, body=request_body() + b" " * 20_000)
            begin_text(done)
            finish(done)
        running = open_exchange(recorder)
        await writer.settled(5)
        async with _follower(tmp_path) as follower, listening(follower) as heard:
            shown = (await heard.event("snapshot"))["exchanges"]
            assert [one["exchange"]["id"].replace("-", "") for one in shown] == [running.id.hex()]


async def test_closing_ends_every_stream(tmp_path: Path) -> None:
    """When the process stops, who listens hears the end, and who comes later hears nothing else."""
    follower = Follower(tmp_path, lambda: {})
    async with listening(follower) as heard:
        await heard.event("snapshot")
        waiting = asyncio.create_task(heard.listener.next())
        await asyncio.sleep(0)
        await follower.close()
        assert await waiting is None
    async with follower.listen(Wanted()) as late:
        assert await late.next() is None
