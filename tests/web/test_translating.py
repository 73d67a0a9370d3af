"""An answer in Chat Completions on its way to the client: what keeps a silent stream alive, and what the client is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

from ccproxy.protocol.openai.stream import PING
from ccproxy.recorder import Recording
from ccproxy.records import Sending, State
from ccproxy.upstream import Answer, Limits, Upstream
from ccproxy.web.client import Client
from ccproxy.web.planning import Plan
from ccproxy.web.retrying import NO_RETRIES
from ccproxy.web.translating import ChatAnswer
from ccproxy.wire import RequestHead, ResponseHead
from tests.support.chat_answers import DONE, chunk

SCOPE = {"method": "POST", "raw_path": b"/v1/messages", "query_string": b"", "headers": [], "client": None}
HEAD = ResponseHead(200, [(b"content-type", b"text/event-stream"), (b"X-Request-ID", b"r1"), (b"Retry-After", b"3")])


class Playing:
    """An answer whose pieces come when the test says so."""

    def __init__(self) -> None:
        self.head = HEAD
        self.pieces: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def chunks(self) -> AsyncIterator[bytes]:
        while (piece := await self.pieces.get()) is not None:
            yield piece


class Listening:
    """A client that notes what it is given; `until` waits for something to be there."""

    def __init__(self) -> None:
        self.given: list[dict[str, Any]] = []
        self._news = asyncio.Event()
        self.client = Client(SCOPE, self._receive, self._take)

    @property
    def bodies(self) -> list[bytes]:
        return [message["body"] for message in self.given[1:] if message["body"]]

    async def until(self, predicate: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not predicate():
                self._news.clear()
                await self._news.wait()

    async def _take(self, message: dict[str, Any]) -> None:
        self.given.append(message)
        self._news.set()

    async def _receive(self) -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError


def the_answer(playing: Playing, ping_s: float = 10.0) -> ChatAnswer:
    """Return the answer to a request for a stream."""
    sending = Sending(provider="openai", model="gpt-4o", format="openai")
    upstream = Upstream("http://127.0.0.1:9", Limits())
    head = RequestHead("POST", b"/chat/completions", b"", [])
    plan = Plan(upstream, head, [], b"", NO_RETRIES, sending, model="claude-x", stream=True)

    async def complete(recording: Recording) -> None:
        recording.end(State.COMPLETE)

    recording = Recording(lambda *_: None, lambda: 0, bytes(16))
    return ChatAnswer(plan, cast(Answer, playing), recording, complete, None, ping_s)


async def test_a_silent_stream_is_kept_alive() -> None:
    """Pings come as long as the provider says nothing, between events and never inside one, and end with the stream."""
    playing, listening = Playing(), Listening()
    passing = asyncio.create_task(the_answer(playing, 0.01).pass_on(listening.client))
    await listening.until(lambda: listening.bodies.count(PING) >= 2)
    assert b"message_start" in listening.bodies[0]
    playing.pieces.put_nowait(chunk({"role": "assistant", "content": "Hi"})[:40])  # half an event
    seen = len(listening.bodies)
    await listening.until(lambda: listening.bodies[seen:].count(PING) >= 2)
    for piece in (chunk({"role": "assistant", "content": "Hi"})[40:], chunk({}, "stop"), DONE, None):
        playing.pieces.put_nowait(piece)
    await passing
    assert all(body.startswith(b"event: ") and body.endswith(b"\n\n") for body in listening.bodies)
    ended = len(listening.given)
    await asyncio.sleep(0.05)  # time itself is what this is about
    assert len(listening.given) == ended
    assert b"message_stop" in listening.bodies[-1]


async def test_the_message_starts_before_any_token() -> None:
    """With the provider's head alone, the client has status, headers and the message's start."""
    playing, listening = Playing(), Listening()
    passing = asyncio.create_task(the_answer(playing).pass_on(listening.client))
    await listening.until(lambda: bool(listening.bodies))
    assert listening.given[0]["status"] == 200
    assert dict(listening.given[0]["headers"]) == {
        b"content-type": b"text/event-stream; charset=utf-8",
        b"cache-control": b"no-cache",
        b"retry-after": b"3",
        b"request-id": b"r1",
    }
    assert b"message_start" in listening.bodies[0]
    passing.cancel()
    await asyncio.gather(passing, return_exceptions=True)
