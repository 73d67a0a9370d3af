"""Deleting under a running proxy: what is to go goes and takes no room any more, and nothing else is touched by it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sqlite3
from pathlib import Path

from ccproxy.stores.contract import Leftover, Selection
from ccproxy.stores.sqlite import SqliteStore
from tests.support.proxy import Proxy, client, request
from tests.support.pruned import assert_sound
from tests.support.standin import Gate, StandIn, message_answer, stream_answer, text, text_stream

EVERYTHING = Selection(everything=True)


async def _say(proxy: Proxy, *words: str) -> bytes:
    """Send a turn of a conversation, wait for its answer, and return the request's bytes."""
    sent = json.dumps(request(*words)).encode()
    async with client() as http:
        answer = await http.post(f"{proxy.url}/v1/messages", content=sent)
        assert answer.status_code == 200
    return sent


def _left(proxy: Proxy) -> Leftover | None:
    with contextlib.closing(proxy.store()) as store:
        return store.leftover()


def _delete(proxy: Proxy, selection: Selection) -> int:
    with contextlib.closing(SqliteStore(proxy.db, write=True)) as store:
        return store.delete(selection)


def _make_old(proxy: Proxy, number: int) -> None:
    """Make the oldest exchanges look older than they are."""
    database = sqlite3.connect(proxy.db)
    query = "UPDATE exchanges SET started_at = started_at - 3600000000 WHERE id IN (SELECT id FROM exchanges ORDER BY id LIMIT ?)"
    database.execute(query, (number,))
    database.commit()
    database.close()


async def test_a_running_proxy_deletes_what_is_too_old(tmp_path: Path) -> None:
    """`storage.max_age` holds from the start on, and the log says what went."""
    async with StandIn(lambda _request: stream_answer(text_stream("hi"))) as up:
        async with Proxy(up.url, tmp_path) as proxy:
            for number in range(3):
                await _say(proxy, f"question {number}")
            await proxy.ended(3)
        _make_old(proxy, 2)
        async with Proxy(up.url, tmp_path, environ={"STORAGE_MAX_AGE": "30m"}) as proxy:
            await proxy.until(lambda: len(proxy.rows()) == 1 and _left(proxy) is None)
            await proxy.until(lambda: "storage.max_age: deleted 2 exchanges from before" in proxy.said())


async def test_a_running_proxy_keeps_to_its_size(tmp_path: Path) -> None:
    """`storage.max_size` holds while exchanges come in, and the file is small on disk."""
    dice = random.Random(2)
    async with StandIn(lambda _request: stream_answer(text_stream("hi"))) as up:
        async with Proxy(up.url, tmp_path, environ={"STORAGE_MAX_SIZE": "1MB"}) as proxy:
            sent = [await _say(proxy, dice.randbytes(9000).hex(" ", 4)) for _ in range(60)]
            await proxy.until(lambda: "storage.max_size: deleted" in proxy.said())

            def small() -> bool:
                return (
                    proxy.db.stat().st_size < 1_000_000
                    and _left(proxy) is None
                    and proxy.body(proxy.rows()[-1], "request") == sent[-1]
                )

            await proxy.until(small)
            rows = proxy.rows()
            assert [proxy.body(row, "request") for row in rows] == sent[-len(rows) :]
            assert 5 < len(rows) < 60


async def test_a_session_that_goes_on_is_whole_after_a_prune(tmp_path: Path) -> None:
    """A turn whose history was deleted and swept a moment ago comes back byte for byte, with all of that history."""
    async with StandIn(lambda _request: stream_answer(text_stream("and so on"))) as up:
        async with Proxy(up.url, tmp_path) as proxy:
            await _say(proxy, "alpha")
            await _say(proxy, "alpha", "and so on", "beta")
            await proxy.ended(2)
            assert _delete(proxy, EVERYTHING) == 2
            await proxy.until(lambda: _left(proxy) is None)
            with contextlib.closing(proxy.store()) as store:
                assert store.stats()["nodes"] == store.stats()["blobs"] == 0
            sent = await _say(proxy, "alpha", "and so on", "beta", "and so on", "gamma")
            (row,) = await proxy.ended(1)
            assert proxy.body(row, "request") == sent
            with contextlib.closing(proxy.store()) as store:
                said = [json.loads(message)["content"] for message in store.conversation(row["tip"])]
                assert said == ["alpha", "and so on", "beta", "and so on", "gamma"]
                assert store.search("alpha", limit=3)


async def test_a_stream_goes_on_through_a_prune(tmp_path: Path) -> None:
    """An exchange that runs while everything is deleted stays, and is whole when it ends."""
    gate = Gate()
    events = text_stream("a long answer")
    async with StandIn([stream_answer(text_stream("hi")), stream_answer([*events[:3], gate, *events[3:]])]) as up:
        async with Proxy(up.url, tmp_path) as proxy, client() as http:
            await _say(proxy, "alpha")
            await proxy.ended(1)
            sent = json.dumps(request("alpha", "hi", "beta")).encode()
            async with http.stream("POST", f"{proxy.url}/v1/messages", content=sent) as answer:
                await proxy.until(lambda: len(proxy.rows()) == 2)
                assert _delete(proxy, EVERYTHING) == 1
                await proxy.until(lambda: _left(proxy) is None)
                assert [row["state"] for row in proxy.rows()] == ["open"]
                gate.open()
                got = await answer.aread()
            (row,) = await proxy.ended(1)
            assert proxy.body(row, "request") == sent
            assert proxy.body(row, "response") == got
            assert proxy.reply(row)["content"] == [text("a long answer")]


async def test_a_killed_proxy_does_not_bring_back_what_was_deleted(tmp_path: Path) -> None:
    """After kill -9 the journal is read again from the oldest running exchange on; what was deleted since stays deleted."""
    gate = Gate()
    answers = [stream_answer([*text_stream("runs")[:2], gate]), *[stream_answer(text_stream("hi"))] * 4]
    async with StandIn(answers) as up:
        async with Proxy(up.url, tmp_path) as proxy, client() as http:
            asked = http.build_request("POST", f"{proxy.url}/v1/messages", content=json.dumps(request("runs")).encode())
            hanging = await http.send(asked, stream=True)
            for number in range(3):
                await _say(proxy, f"question {number}")
            rows = await proxy.ended(3)
            doomed = rows[2]["id"]
            assert _delete(proxy, Selection(exchange=doomed)) == 1
            await proxy.until(lambda: _left(proxy) is None)
            await proxy.kill()
            with contextlib.suppress(Exception):
                await hanging.aclose()
        async with Proxy(up.url, tmp_path) as proxy:
            await _say(proxy, "the last one")
            await proxy.ended(4)
            await proxy.until(lambda: _left(proxy) is None)
            assert [row["state"] for row in proxy.rows()] == ["interrupted", "complete", "complete", "complete"]
            assert doomed not in {row["id"] for row in proxy.rows()}
            assert not list(proxy.journal.glob(f"{rows[0]['writer']}*"))
        gate.open()


async def test_under_load_deletions_are_swept_and_nothing_is_mixed_up(tmp_path: Path) -> None:
    """While conversations go on without a pause everything is deleted again and again; what stays is byte for byte."""
    sent: set[bytes] = set()
    async with StandIn(lambda asked: message_answer(asked, [text(f"answer to {len(asked.body)}")])) as up:
        async with Proxy(up.url, tmp_path) as proxy:

            async def converse(name: str) -> None:
                words: list[str] = []
                for number in range(25):
                    words.append(f"{name} asks {number}")
                    sent.add(said := await _say(proxy, *words))
                    words.append(f"answer to {len(said)}")

            async def delete(talking: asyncio.Future[object]) -> int:
                gone = 0
                await proxy.ended(1)
                while not talking.done() or not gone:
                    gone += await asyncio.to_thread(_delete, proxy, EVERYTHING)
                    await proxy.until(lambda: _left(proxy) is None)
                return gone

            talking = asyncio.gather(*(converse(name) for name in ("one", "two", "three")))
            gone = await delete(talking)
            await talking
        rows = proxy.rows()
        assert len(rows) == 75 - gone
        assert {proxy.body(row, "request") for row in rows} <= sent
    with contextlib.closing(SqliteStore(proxy.db, write=True)) as store:
        store.sweep()
        assert_sound(store)
