"""`GET /api/live` as a browser sees it: server-sent events over HTTP, from the first byte to a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypercorn.asyncio import serve
from hypercorn.config import Config
from quart import Quart
from quart_schema import QuartSchema

from ccproxy.live import Follower, Listener
from ccproxy.protocol import sse
from ccproxy.web.api import live
from tests.support.running import begin_text, eventually, finish, journal, open_exchange, request_body, say


def _app(follower: Follower) -> Quart:
    app = Quart("ccproxy")
    QuartSchema(app, conversion_preference="msgspec")
    app.register_blueprint(live.blueprint(follower))
    return app


@contextlib.asynccontextmanager
async def _served(follower: Follower) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """Serve on loopback; the event tells the server to stop."""
    config, stop = Config(), asyncio.Event()
    config.accesslog = config.errorlog = None
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    config.bind = [f"fd://{listening.detach()}"]

    async def stopping() -> None:
        await stop.wait()
        await follower.close()

    serving = asyncio.create_task(serve(_app(follower), config, shutdown_trigger=stopping))  # type: ignore[arg-type]
    try:
        yield f"http://127.0.0.1:{port}", stop
    finally:
        stop.set()
        await serving


class _Reader:
    """Reads a stream of events."""

    def __init__(self, response: httpx.Response) -> None:
        self._bytes = response.aiter_raw()
        self._decoder = sse.Decoder()
        self._waiting: list[sse.Event | sse.Comment] = []
        self.raw = b""

    async def next(self) -> sse.Event | sse.Comment | None:
        async with asyncio.timeout(10):
            while not self._waiting:
                try:
                    data = await anext(self._bytes)
                except StopAsyncIteration:
                    return None
                self.raw += data
                self._waiting = self._decoder.feed(data)
        return self._waiting.pop(0)

    async def event(self, name: str) -> Any:
        while (found := await self.next()) is not None:
            if isinstance(found, sse.Event) and found.name == name:
                return json.loads(found.data)
        raise AssertionError(f"no event {name}")


@contextlib.asynccontextmanager
async def _listening(url: str, **params: str) -> AsyncIterator[tuple[httpx.Response, _Reader]]:
    async with httpx.AsyncClient(timeout=10, trust_env=False) as http:
        async with http.stream("GET", f"{url}/api/live", params=params) as response:
            yield response, _Reader(response)


async def test_an_exchange_is_followed_over_http(tmp_path: Path) -> None:
    """Snapshot, pieces and end arrive as server-sent events that no cache keeps and no proxy gathers."""
    follower = Follower(tmp_path, lambda: {})
    with journal(tmp_path) as (recorder, writer):
        recording = open_exchange(recorder)
        begin_text(recording)
        say(recording, "so far\n\n")
        await writer.settled(5)
        async with _served(follower) as (url, _), _listening(url) as (response, reader):
            assert response.status_code == 200
            assert response.headers["content-type"].startswith("text/event-stream")
            assert response.headers["cache-control"] == "no-store"
            assert response.headers["x-accel-buffering"] == "no"
            snapshot = await reader.event("snapshot")
            assert snapshot["exchanges"][0]["blocks"][0]["text"] == "so far\n\n"
            say(recording, "and on")
            assert (await reader.event("text"))["text"] == "and on"
            finish(recording)
            assert (await reader.event("ended"))["state"] == "complete"
            assert reader.raw.startswith(b"retry: 1000\n\n")
            ids = [int(line[4:]) for line in reader.raw.split(b"\n") if line.startswith(b"id: ")]
            assert ids == sorted(set(ids))
            for frame in reader.raw.split(b"\n\n")[1:-1]:
                assert [line.split(b":")[0] for line in frame.split(b"\n")] == [b"id", b"event", b"data"]


async def test_the_stream_ends_cleanly_when_the_process_stops(tmp_path: Path) -> None:
    """A stop is the stream's proper end, not a broken connection."""
    follower = Follower(tmp_path, lambda: {})
    async with _served(follower) as (url, stop), _listening(url) as (_, reader):
        await reader.event("snapshot")
        stop.set()
        assert await reader.next() is None


async def test_a_listener_that_leaves_is_forgotten(tmp_path: Path) -> None:
    """When the browser goes, nothing of it stays, and with the last one the work ends."""
    follower = Follower(tmp_path, lambda: {})
    async with _served(follower) as (url, _):
        async with _listening(url) as (_, reader):
            await reader.event("snapshot")
            assert follower.listeners == 1
        await eventually(lambda: follower.listeners == 0 and follower._task is None)


async def test_silence_is_filled_with_comments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing happens, a comment keeps the line alive."""
    monkeypatch.setattr(live, "KEEP_ALIVE_S", 0.05)
    async with _served(Follower(tmp_path, lambda: {})) as (url, _), _listening(url) as (_, reader):
        await reader.event("snapshot")
        assert await reader.next() == sse.Comment(b"still here")
        assert await reader.next() == sse.Comment(b"still here")


async def test_the_response_has_no_time_limit(tmp_path: Path) -> None:
    """The framework's limit of a minute does not hold for this stream."""
    follower = Follower(tmp_path, lambda: {})
    app = _app(follower)
    app.config["RESPONSE_TIMEOUT"] = 0.05
    async with app.test_client().request("/api/live") as connection:
        await connection.send_complete()
        seen = b""
        with journal(tmp_path) as (recorder, _):
            while b"snapshot" not in seen:
                seen += await connection.receive()
            await asyncio.sleep(0.1)  # longer than the limit
            open_exchange(recorder)
            while b"event: exchange" not in seen:
                seen += await connection.receive()
        await connection.disconnect()
    await follower.close()


async def test_a_session_can_be_asked_for(tmp_path: Path) -> None:
    """`?session=` leaves out all others."""
    follower = Follower(tmp_path, lambda: {})
    with journal(tmp_path) as (recorder, _):
        async with _served(follower) as (url, _), _listening(url, session="mine") as (_, reader):
            await reader.event("snapshot")
            open_exchange(recorder, body=request_body("other"))
            open_exchange(recorder, body=request_body("mine"))
            assert (await reader.event("exchange"))["session_id"] == "mine"


async def test_a_listener_that_does_not_read_costs_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever stops reading is told that they lag once they read again, and misses nothing that was said last."""
    monkeypatch.setattr(Listener.__init__, "__defaults__", (20_000,))
    follower = Follower(tmp_path, lambda: {})
    with journal(tmp_path) as (recorder, writer):
        recording = open_exchange(recorder)
        begin_text(recording)
        async with _served(follower) as (url, _), _listening(url) as (_, reader):
            await reader.event("snapshot")
            while not any(listener._lagging for listener in follower._listeners):
                say(recording, "x" * 10_000)
                await writer.settled(5)
                await asyncio.sleep(0)
            await reader.event("lagging")
            say(recording, "the end")
            while True:
                found = await reader.next()
                assert isinstance(found, sse.Event)
                if b"the end" in found.data:
                    break


async def test_a_head_request_gets_no_stream(tmp_path: Path) -> None:
    """`HEAD` is answered at once."""
    follower = Follower(tmp_path, lambda: {})
    response = await _app(follower).test_client().head("/api/live")
    assert response.status_code == 200
    assert await response.get_data() == b""
    assert follower.listeners == 0
    await follower.close()


async def test_the_route_is_documented(tmp_path: Path) -> None:
    """The OpenAPI document lists the route, its parameters and what it answers with."""
    follower = Follower(tmp_path, lambda: {})
    document = await (await _app(follower).test_client().get("/openapi.json")).get_json()
    route = document["paths"]["/api/live"]["get"]
    assert {parameter["name"] for parameter in route["parameters"]} == {"session", "agent"}
    assert "200" in route["responses"]
    await follower.close()
