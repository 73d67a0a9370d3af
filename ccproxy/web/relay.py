"""The way to the data API: what comes in below `/api/` goes to the process that answers it, over its private socket.

Another process, so that no query, however large, holds up a stream. Refuses to know what is asked, and records nothing.
"""

from __future__ import annotations

import asyncio

from ccproxy.errors import UpstreamError
from ccproxy.protocol import headers
from ccproxy.upstream import Answer, Upstream
from ccproxy.web.answers import error_body, json_headers
from ccproxy.web.client import Client, ClientLeftError, RefusedError
from ccproxy.wire import Header

MAX_BODY = 1 << 20  # nothing that the data API takes is larger
READ_S = 30.0
AT_ONCE = 32  # more wait here, so that no burst overruns the socket; streams of events count apart
AGAIN_S = 0.1
NOT_HEARD = frozenset({"connect", "no_answer"})
ENDLESS = b"/api/live"
NOT_PASSED = frozenset({b"content-length", b"expect", b"authorization", b"x-api-key", b"x-ccproxy-token"})


class Relay:
    """Takes requests to the data API."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._running: set[Client] = set()
        self._places = asyncio.Semaphore(AT_ONCE)
        self._endless: set[Client] = set()  # of them, those that hear a stream of events
        self._stopping = False

    async def __call__(self, client: Client) -> None:
        """Answer one request."""
        self._running.add(client)
        try:
            body = b"".join([piece async for piece in client.pieces(MAX_BODY, READ_S)])
            async with client.present():
                if client.head.path == ENDLESS:
                    await self._pass(client, body)
                else:
                    async with self._places:
                        await self._pass(client, body)
        except ClientLeftError:
            if self._stopping and client in self._endless:
                await client.finish()
        except RefusedError as error:
            await _answer(client, error.status, str(error))
        except UpstreamError as error:
            if not client.started:
                await _answer(client, 503, f"the data API gives no answer: {error}")
        finally:
            self._running.discard(client)
            self._endless.discard(client)

    def stop(self) -> None:
        """End what runs: a live stream would otherwise go on for ever. It ends cleanly; a download that is cut does not."""
        self._stopping = True
        for client in list(self._running):
            client.give_up("the proxy stops")

    async def _pass(self, client: Client, body: bytes) -> None:
        answer = await self._ask(client, body)
        try:
            await client.start(answer.head.status, headers.end_to_end(answer.head.headers))
            if (headers.header(answer.head.headers, "content-type") or "").startswith("text/event-stream"):
                self._endless.add(client)
            async for chunk in answer.chunks():
                await client.body(chunk)
            await client.finish()
        finally:
            await answer.close()

    async def _ask(self, client: Client, body: bytes) -> Answer:
        head = client.head
        passed: list[Header] = [
            (name, value) for name, value in headers.end_to_end(head.headers) if name not in NOT_PASSED
        ]
        if body:
            passed.append((b"content-length", b"%d" % len(body)))
        try:
            return await self._upstream.send(head, passed, body)
        except UpstreamError as error:
            if head.method not in ("GET", "HEAD") or error.kind not in NOT_HEARD:
                raise
            await asyncio.sleep(AGAIN_S)
            return await self._upstream.send(head, passed, body)  # it had just gone to sleep


async def _answer(client: Client, status: int, message: str) -> None:
    body = error_body(status, message)
    await client.answer(status, json_headers(body), body)
