"""Exchanges that run while a test looks on: real frames by a real recorder, in real journal files.

Knows how to begin an exchange, let it speak and end it, and what a listener has heard. Refuses to know what is made of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ccproxy.journal.writer import JournalWriter
from ccproxy.live import Follower, Listener, Wanted
from ccproxy.live.listener import Change
from ccproxy.recorder import Recorder, Recording
from ccproxy.records import State
from ccproxy.wire import Header, RequestHead, ResponseHead
from tests.support.entries import event

TIMEOUT_S = 10.0
STREAM = [(b"content-type", b"text/event-stream")]


def new_id() -> bytes:
    """Return an id of 16 bytes."""
    return uuid.uuid4().bytes


def now() -> int:
    """Return microseconds since 1970."""
    return time.time_ns() // 1000


def request_body(session: str = "session-1", model: str = "claude-test-1") -> bytes:
    """Return the body of a small request of that session."""
    user = json.dumps({"device_id": "d", "account_uuid": "", "session_id": session})
    messages = [{"role": "user", "content": "hi"}]
    return json.dumps({"model": model, "stream": True, "messages": messages, "metadata": {"user_id": user}}).encode()


def open_exchange(
    recorder: Recorder, *, body: bytes | None = None, headers: Iterable[Header] = (), sent: bool = True
) -> Recording:
    """Begin an exchange: its head, its body, and that it is on its way."""
    recording = recorder.start()
    given = [(b"content-type", b"application/json"), *headers]
    recording.open(RequestHead("POST", b"/v1/messages", b"", given), "anthropic", "127.0.0.1")
    if sent:
        recording.request(request_body() if body is None else body)
        recording.sent()
    return recording


def begin_text(recording: Recording, headers: Iterable[Header] = STREAM) -> None:
    """Let the answer begin: its head, and a text block."""
    recording.head(ResponseHead(200, list(headers)))
    start = {"id": "msg_1", "model": "claude-test-1", "content": [], "usage": {"input_tokens": 7}}
    recording.chunk(event("message_start", message=start))
    recording.chunk(event("content_block_start", index=0, content_block={"type": "text", "text": ""}))


def say(recording: Recording, text: str) -> None:
    """Let the answer say a piece of text."""
    recording.chunk(event("content_block_delta", index=0, delta={"type": "text_delta", "text": text}))


def finish(recording: Recording) -> None:
    """Let the answer, and with it the exchange, come to its end."""
    recording.chunk(event("content_block_stop", index=0))
    recording.chunk(event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 5}))
    recording.chunk(event("message_stop"))
    recording.end(State.COMPLETE)


@contextlib.contextmanager
def journal(folder: Path, name: str = "w1", **options: Any) -> Iterator[tuple[Recorder, JournalWriter]]:
    """Run a journal writer, and give a recorder that writes to it."""
    writer = JournalWriter(folder, name, **options)
    try:
        yield Recorder(writer.append, now, new_id), writer
    finally:
        writer.close()


@dataclass(slots=True)
class Heard:
    """What one listener has heard, as (event, data)."""

    listener: Listener
    changes: list[Change] = field(default_factory=list)

    async def until(self, fits: Callable[[str, Any], bool]) -> Any:
        """Listen until an event fits, and return its data."""
        async with asyncio.timeout(TIMEOUT_S):
            while (change := await self.listener.next()) is not None:
                self.changes.append(change)
                data = json.loads(change.data)
                if fits(change.name, data):
                    return data
        raise AssertionError("the stream is over")

    async def event(self, name: str) -> Any:
        """Listen until the next event of that name, and return its data."""
        return await self.until(lambda found, _: found == name)

    async def text(self, wanted: str) -> None:
        """Listen until the text pieces heard so far end with `wanted`."""
        await self.until(lambda *_: self.said().endswith(wanted))

    def said(self) -> str:
        """Return all text pieces heard, joined."""
        return "".join(json.loads(change.data)["text"] for change in self.changes if change.name == "text")

    def names(self) -> list[str]:
        """Return the names of the events heard."""
        return [change.name for change in self.changes]


@contextlib.asynccontextmanager
async def listening(follower: Follower, session: str | None = None, agent: str | None = None) -> AsyncIterator[Heard]:
    """Listen to a follower."""
    async with follower.listen(Wanted(session, agent)) as listener:
        yield Heard(listener)


async def eventually(true: Callable[[], bool]) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(TIMEOUT_S):
        while not true():  # noqa: ASYNC110 (what is waited for knows nothing of events)
            await asyncio.sleep(0.002)
