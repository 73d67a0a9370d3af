"""The proxy, with the real pieces of a worker around a clock and ids from the script: guard, forwarder, recorder, journal.

A request goes in as the server would hand it over, and its answer comes out; in between everything is as ever. Only sockets to the
outside are missing: nobody can connect, and the provider is a path in a private folder.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ccproxy.auth import Gate, Policy
from ccproxy.demo.line import Line
from ccproxy.demo.replies import Reply
from ccproxy.demo.week import Clock
from ccproxy.journal.writer import JournalWriter
from ccproxy.lifecycle.board import Board
from ccproxy.recorder import Recorder
from ccproxy.upstream import Limits, Upstream
from ccproxy.web.client import Patience, Receive, Scope, Send
from ccproxy.web.forward import Forwarder
from ccproxy.web.guard import Guard
from ccproxy.web.planning import Planner, Rules
from ccproxy.wire import Header

PROVIDER = "http://api.anthropic.com"  # as errors name it; every connection goes to the socket
PATIENCE_S = 60.0  # for one exchange, which takes milliseconds: a mistake in the script is not to hang for ever
READ_US = 900
BYTES_PER_US = 30


@dataclass(frozen=True, slots=True)
class Ask:
    """A request: when it is made, what it says, and what is to be answered."""

    at: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    reply: Reply
    method: str = "POST"
    path: str = "/v1/messages"
    query: str = "beta=true"


@dataclass(frozen=True, slots=True)
class Heard:
    """What the client knows in the end. `tokens` are those of the request and its answer."""

    status: int | None
    ended_at: int
    tokens: int


class Proxy:
    """A worker without a server around it. `start` gives it a journal; after a power cut it needs a new one."""

    def __init__(self, clock: Clock, new_id: Callable[[], bytes], board: Path, socket: str) -> None:
        self.journal: JournalWriter | None = None
        self._clock = clock
        self._dark = False
        self._upstream = Upstream(PROVIDER, Limits(), socket=socket)
        rules, gate = Rules(b"2023-06-01"), Gate(Policy())
        self._guard = Guard(
            _nowhere,
            Forwarder(Planner(self._upstream, rules, gate), rules, gate, self._settled, Patience(0)),
            _no_api,
            Recorder(self._append, clock, new_id),
            gate,
            Board(board, 1).workers[0],
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open the pool, and close it and the journal at the end."""
        await self._upstream.start()
        try:
            yield
        finally:
            await self._upstream.close()
            self.stop()

    def start(self, journal: JournalWriter) -> None:
        """Write to this journal from now on."""
        self.journal, self._dark = journal, False

    def stop(self) -> None:
        """Close the journal."""
        if self.journal is not None:
            self.journal.close()
            self.journal = None

    async def ask(self, ask: Ask, line: Line) -> Heard:
        """Send one request through everything, and return when its exchange is on record."""
        self._clock.now = ask.at
        status: list[int] = []

        async def send(message: dict[str, Any]) -> None:
            """Hear a piece of the answer."""
            if message["type"] == "http.response.start":
                status.append(message["status"])
                line.hear(None)
            else:
                line.hear(len(message["body"]))

        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
            exchange = group.create_task(self._guard(_scope(ask), self._receive(ask.body, line), send))
            watch = group.create_task(self._cut(line, exchange))
            await asyncio.wait([exchange])
            watch.cancel()
        return Heard(status[0] if status else None, self._clock.now, line.tokens)

    def _receive(self, body: bytes, line: Line) -> Receive:
        given: list[bool] = []

        async def receive() -> dict[str, Any]:
            """Give the request; then, where the script has the client leave, the news of that."""
            if given:
                await line.left.wait()
                return {"type": "http.disconnect"}
            given.append(True)
            self._clock.now += READ_US + len(body) // BYTES_PER_US
            return {"type": "http.request", "body": body, "more_body": False}

        return receive

    async def _cut(self, line: Line, exchange: asyncio.Task[None]) -> None:
        await line.dark.wait()
        self._dark = True
        exchange.cancel()

    def _append(self, kind: int, exchange: bytes, at: int, data: bytes) -> None:
        if self.journal is not None and not self._dark:
            self.journal.append(kind, exchange, at, data)

    async def _settled(self, timeout: float) -> None:
        if self.journal is not None and not self._dark:
            await self.journal.settled(timeout)


def _scope(ask: Ask) -> Scope:
    headers: list[Header] = [(name.lower().encode(), value.encode()) for name, value in ask.headers]
    return {
        "type": "http",
        "http_version": "1.1",
        "method": ask.method,
        "raw_path": ask.path.encode(),
        "query_string": ask.query.encode(),
        "headers": headers,
        "client": ("127.0.0.1", 50_000),
    }


async def _nowhere(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise AssertionError("the script asks for nothing but /v1/")


async def _no_api(_client: object) -> None:
    raise AssertionError("the script asks for nothing but /v1/")
