"""One client's side of a request, as ASGI shows it: its head, its body, the way back, and whether it is still there.

Refuses to know what is asked and who answers.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from ccproxy.wire import Header, RequestHead

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOK_S = 1.0


class ClientLeftError(Exception):
    """The client is gone, or as good as gone: the message is a sentence."""


class RefusedError(Exception):
    """The proxy itself answers, with this status and sentence."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Client:
    """Who sent one request."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.head = RequestHead(scope["method"], scope["raw_path"], scope["query_string"], list(scope["headers"]))
        self.peer = peer_of(scope)
        self.started = False
        self.status: int | None = None  # of the answer that it was given
        self.waiting_since: float | None = None  # since when a piece of the answer waits to be accepted
        self._receive = receive
        self._to_client = send
        self._task: asyncio.Task[Any] | None = None
        self._left = ""

    async def pieces(self, max_body: int, read_timeout: float) -> AsyncIterator[bytes]:
        """Yield the request's body as it arrives. Raises RefusedError where it is too long or too slow, and ClientLeftError."""
        size, more = 0, True
        while more:
            try:
                async with asyncio.timeout(read_timeout or None):
                    message = await self._receive()
            except TimeoutError as error:
                sentence = f"the request stopped arriving for {read_timeout:g} s (server.timeouts.read)"
                raise RefusedError(408, sentence) from error
            if message["type"] == "http.disconnect":
                raise ClientLeftError("the client left before its request was complete")
            piece, more = message.get("body", b""), message.get("more_body", False)
            size += len(piece)
            if max_body and size > max_body:
                raise RefusedError(413, f"the request is larger than {max_body} bytes (server.max_body)")
            yield piece

    @contextlib.asynccontextmanager
    async def present(self) -> AsyncIterator[None]:
        """While this lasts the client is watched: when it leaves, what is done for it ends with a ClientLeftError."""
        task = self._task = asyncio.current_task()
        assert task is not None
        watcher = asyncio.get_running_loop().create_task(self._watch())
        try:
            yield
        except asyncio.CancelledError:
            if not self._left or task.uncancel():  # somebody else wants an end as well
                raise
            raise ClientLeftError(self._left) from None
        finally:
            self._task = None
            watcher.cancel()

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.give_up("the client left before the answer was complete")

    def give_up(self, sentence: str) -> None:
        """Take the client for gone, and end what is done for it."""
        if self._task is not None:
            self._left = self._left or sentence
            self._task.cancel()

    async def start(self, status: int, headers: list[Header]) -> None:
        """Send the head of the answer."""
        self.started, self.status = True, status
        await self._to_client({"type": "http.response.start", "status": status, "headers": headers})

    async def body(self, chunk: bytes) -> None:
        """Send a piece of the answer's body."""
        self.waiting_since = asyncio.get_running_loop().time()
        await self._to_client({"type": "http.response.body", "body": chunk, "more_body": True})
        self.waiting_since = None

    async def finish(self) -> None:
        """Send the answer's end."""
        await self._to_client({"type": "http.response.body", "body": b"", "more_body": False})

    async def answer(self, status: int, headers: list[Header], body: bytes) -> None:
        """Send a whole answer."""
        await self.start(status, headers)
        await self.body(body)
        await self.finish()


class Patience:
    """Gives up clients that stopped reading: a piece of an answer may wait for `limit` seconds (0: for ever)."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._clients: set[Client] = set()

    @contextlib.contextmanager
    def __call__(self, client: Client) -> Iterator[None]:
        """Look after a client while this lasts."""
        self._clients.add(client)
        try:
            yield
        finally:
            self._clients.discard(client)

    async def run(self) -> None:
        """Look at all of them, again and again."""
        while self._limit:
            await asyncio.sleep(min(LOOK_S, self._limit))
            now = asyncio.get_running_loop().time()
            for client in list(self._clients):
                if client.waiting_since is not None and now - client.waiting_since > self._limit:
                    client.give_up(
                        f"the client took nothing of its answer for {self._limit:g} s (server.timeouts.write)"
                    )


def peer_of(scope: Scope) -> str | None:
    """Return the address at the other end of the connection."""
    client = scope.get("client")
    return str(client[0]) if client else None
