"""The live view, followed: against a server that does what a test wants, and against a real proxy."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

import analysis
from dashboards import following, live
from dashboards.live import Live
from tests.support.proxy import Proxy, client, request
from tests.support.standin import Gate, StandIn, stream_answer, text_stream

Write = Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
EXCHANGE = {"id": "a", "started_at": 1_760_000_000_000_000, "path": "/v1/messages", "model": "m"}


def _event(name: str, **data: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def _chunks(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def _live(url: str, **settings: str) -> Live:
    return Live(replace(analysis.configuration(settings), proxy_url=url))


@contextlib.asynccontextmanager
async def _serving(*answers: bytes | None) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Answer one connection after the other with these bytes and close it; None holds it open. Yield the URL and what was asked."""
    waiting, asked, forever = list(answers), list[bytes](), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        answer = waiting.pop(0) if waiting else None
        writer.write(HEAD + b"4\r\n: \n\n\r\n" if answer is None else answer)
        if answer is None:
            await forever.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
    finally:
        forever.set()
        server.close()


@contextlib.asynccontextmanager
async def _followed(found: Live) -> AsyncIterator[Callable[[Callable[[], bool]], object]]:
    """Listen; yield what waits until something is so, looking whenever the listener is told."""
    news = asyncio.Event()

    async def until(predicate: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not predicate():
                news.clear()
                await news.wait()

    found.join(news.set)
    try:
        yield until
    finally:
        found.leave(news.set)
        task = found._task
        found._rest()
        if task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def test_bytes_may_be_cut_anywhere() -> None:
    """A character that two chunks share arrives whole."""
    wire = _event("snapshot", exchanges=[]) + _event("exchange", **EXCHANGE)
    wire += _event("text", exchange="a", index=0, text="naïve 👩‍👧")
    pieces = [wire[place : place + 1] for place in range(len(wire))]
    async with _serving(HEAD + _chunks(*pieces)) as (url, _), _followed(found := _live(url)) as until:
        await until(lambda: found.state().word == "stopped")
        assert found.board.running["a"].blocks[0].text == "naïve 👩‍👧"


async def test_a_proxy_that_comes_back_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an end the proxy is looked for again; what ran is kept meanwhile, and the next snapshot says what became of it."""
    monkeypatch.setattr(live, "RETRY_S", 0.01)
    first = HEAD + _chunks(_event("snapshot", exchanges=[]), _event("exchange", **EXCHANGE))
    again = HEAD + _chunks(_event("snapshot", exchanges=[]))
    async with _serving(first, again) as (url, asked), _followed(found := _live(url)) as until:
        await until(lambda: found.state().word == "stopped")
        assert "a" in found.board.running
        assert found.state().at is not None
        assert found.state().command == "ccproxy serve"
        await until(lambda: bool(found.board.ended))
        assert (found.board.running, found.board.ended[0].id) == ({}, "a")
        await until(lambda: len(asked) == 3 and found.state().on)


async def test_silence_is_taken_for_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection on which nothing comes, not even a comment, is given up and made anew."""
    monkeypatch.setattr(following, "SILENT_S", 0.2)
    monkeypatch.setattr(live, "RETRY_S", 0.01)
    async with _serving(None, None) as (url, asked), _followed(found := _live(url)) as until:
        await until(lambda: found.state().word == "silent")
        await until(lambda: len(asked) >= 2)


@pytest.mark.parametrize(
    ("answer", "word", "sentence"),
    [
        (b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n", "refused", "DASHBOARD_PASSWORD"),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 5\r\n\r\nevent", "refused", "status 404"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "refused", "is no ccproxy"),
    ],
)
async def test_an_answer_that_is_no_stream_is_said(answer: bytes, word: str, sentence: str) -> None:
    """Who is not let in, or finds another program, is told so, and what to look at."""
    async with _serving(answer) as (url, _), _followed(found := _live(url)) as until:
        await until(lambda: found.state().word == word)
        assert sentence in found.state().sentence
        assert not found.state().on


async def test_nobody_there_is_said_with_the_command() -> None:
    """Where nobody listens, the state says where it looked and how a proxy is started."""
    async with _serving() as (url, _):
        pass
    async with _followed(found := _live(url)) as until:
        await until(lambda: "to be reached" in found.state().sentence)
        assert url in found.state().sentence
        assert (found.state().word, found.state().command) == ("looking", "ccproxy serve")


async def test_who_listens_to_nothing_leaves_the_proxy_in_peace(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the last listener gone the connection is closed after a while; a new one opens it again."""
    monkeypatch.setattr(live, "ALONE_S", 0.01)
    async with _serving(None, None) as (url, asked):
        found, news = _live(url), asyncio.Event()
        found.join(news.set)
        async with asyncio.timeout(20):
            while not asked:  # noqa: ASYNC110 (the server knows nothing of events)
                await asyncio.sleep(0)
        task = found._task
        assert task is not None
        found.leave(news.set)
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert task.cancelled()
        async with _followed(found):
            async with asyncio.timeout(20):
                while len(asked) < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0)


async def test_it_shows_what_the_proxy_wants() -> None:
    """The password where there is one, else the token where auth is on, goes along, and nowhere else."""
    for settings, header in (
        ({"DASHBOARD_PASSWORD": "geheim"}, b"Authorization: Basic Y2Nwcm94eTpnZWhlaW0="),
        ({"AUTH_ENABLED": "true", "AUTH_TOKEN": "let-me-in"}, b"X-Ccproxy-Token: let-me-in"),
    ):
        async with _serving(None) as (url, asked), _followed(found := _live(url, **settings)):
            async with asyncio.timeout(20):
                while not asked:  # noqa: ASYNC110
                    await asyncio.sleep(0)
            assert header in asked[0]
            assert asked[0].startswith(b"GET /api/live HTTP/1.1\r\n")
            assert "geheim" not in repr(found)


async def test_a_real_stream_is_seen_before_it_ends(tmp_path: Path) -> None:
    """Through a real proxy, the first words of a stream are on the board while the provider holds back the rest."""
    gate, events = Gate(), text_stream("first and then the rest of it")
    async with (
        StandIn([stream_answer([*events[:4], gate, *events[4:]])]) as up,
        Proxy(up.url, tmp_path) as proxy,
        client() as http,
    ):
        async with _followed(found := _live(proxy.url)) as until:
            await until(lambda: found.state().on)
            asking = asyncio.create_task(http.post(f"{proxy.url}/v1/messages", json=request()))
            await gate.reached()
            await until(lambda: any(one.characters for one in found.board.running.values()))
            (one,) = found.board.running.values()
            assert "first and then the rest of it".startswith(one.blocks[0].text)
            assert one.status == 200
            assert 0 < (one.first_token_ms or 0) < 20_000
            gate.open()
            await asking
            await until(lambda: bool(found.board.ended))
            assert found.board.ended[0].blocks[0].text == "first and then the rest of it"
            assert found.board.ended[0].state == "complete"
            await proxy.stop()
            await until(lambda: not found.state().on)
