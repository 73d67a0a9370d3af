"""The hot path: one `/v1` request to the provider, its answer back, piece by piece, and everything noted on the way.

Speaks ASGI itself, since a framework between the bytes and the client only costs time here. Refuses to interpret anything:
what is only forwarded is forwarded as received.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from ccproxy.errors import UpstreamError
from ccproxy.protocol import headers
from ccproxy.recorder import Recording
from ccproxy.records import State
from ccproxy.upstream import Answer, Upstream
from ccproxy.web.answers import error_body, json_headers
from ccproxy.web.failure import failure_line
from ccproxy.wire import Header, RequestHead

log = logging.getLogger("ccproxy")

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

# Host is the provider's own, and what Expect asks for, the server has answered already.
NOT_PASSED = frozenset({b"host", b"expect", b"content-length"})
SETTLE_S = 0.05  # longest wait for the journal before the very last byte goes to the client


@dataclass(frozen=True, slots=True)
class Rules:
    """What the configuration says about forwarding. Sizes in bytes (0: no limit), times in seconds (0: for ever)."""

    version: bytes
    max_body: int
    read_timeout: float


class ClientLeftError(Exception):
    """The client closed its connection before its request was complete."""


class RefusedError(Exception):
    """The proxy itself answers, with this status and sentence."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Forwarder:
    """Takes requests to one provider. `settled` waits, a moment at most, until the journal has what it was given."""

    def __init__(self, upstream: Upstream, rules: Rules, settled: Callable[[float], Awaitable[None]]) -> None:
        self._upstream = upstream
        self._rules = rules
        self._settled = settled

    async def __call__(self, scope: Scope, receive: Receive, send: Send, recording: Recording) -> None:
        """Answer one request. Ends the recording in every case that it knows; the guard knows the others."""
        head = request_head(scope)
        client = scope.get("client")
        recording.open(head, "anthropic", client[0] if client else None)
        outgoing = _Outgoing(send)
        try:
            body = await self._body(receive, recording)
            refuse(head)
            recording.sent()
        except ClientLeftError:
            recording.end(State.CLIENT_LEFT, error="the client left before its request was complete")
            return
        except RefusedError as error:
            await self._answer(outgoing, recording, error.status, str(error), "refused")
            return
        await self._exchange(head, body, receive, outgoing, recording)

    async def _body(self, receive: Receive, recording: Recording) -> bytes:
        pieces: list[bytes] = []
        size, more = 0, True
        while more:
            try:
                async with asyncio.timeout(self._rules.read_timeout or None):
                    message = await receive()
            except TimeoutError as error:
                sentence = f"the request stopped arriving for {self._rules.read_timeout:g} s (server.timeouts.read)"
                raise RefusedError(408, sentence) from error
            if message["type"] == "http.disconnect":
                raise ClientLeftError
            piece, more = message.get("body", b""), message.get("more_body", False)
            size += len(piece)
            if self._rules.max_body and size > self._rules.max_body:
                raise RefusedError(413, f"the request is larger than {self._rules.max_body} bytes (server.max_body)")
            recording.request(piece)
            pieces.append(piece)
        return b"".join(pieces)

    async def _exchange(
        self, head: RequestHead, body: bytes, receive: Receive, outgoing: _Outgoing, recording: Recording
    ) -> None:
        """Carry one exchange while watching whether the client is still there."""
        task = asyncio.current_task()
        assert task is not None
        departure = _Departure(task)
        watcher = asyncio.get_running_loop().create_task(departure.watch(receive))
        answer: Answer | None = None
        began = asyncio.get_running_loop().time()
        try:
            try:
                answer = await self._upstream.send(head, self._headers(head, body), body)
                await self._pass_on(answer, outgoing, recording)
            except UpstreamError as error:
                elapsed = asyncio.get_running_loop().time() - began
                log.error("%s", failure_line(str(uuid.UUID(bytes=recording.id)), head, body, elapsed, error.kind))
                await self._failed(error, outgoing, recording)
        except asyncio.CancelledError:
            if not departure.happened:
                raise
            recording.end(State.CLIENT_LEFT, error="the client left before the answer was complete")
            if task.uncancel():  # somebody else wants an end as well
                raise
        finally:
            departure.over = True
            watcher.cancel()
            if answer is not None:
                await answer.close()

    def _headers(self, head: RequestHead, body: bytes) -> list[Header]:
        passed = [(name, value) for name, value in headers.end_to_end(head.headers) if name not in NOT_PASSED]
        if body or head.method in ("POST", "PUT", "PATCH"):
            passed.append((b"content-length", b"%d" % len(body)))
        if not any(name == b"anthropic-version" for name, _ in passed):
            passed.append((b"anthropic-version", self._rules.version))
        return passed

    async def _pass_on(self, answer: Answer, outgoing: _Outgoing, recording: Recording) -> None:
        """Pass the answer on as it comes, and have its end on record before the client can see it."""
        recording.head(answer.head)
        await outgoing.start(answer.head.status, headers.end_to_end(answer.head.headers))
        missing = _content_length(answer.head.headers)
        async for chunk in answer.chunks():
            recording.chunk(chunk)
            if missing is not None:
                missing -= len(chunk)
                if missing <= 0:
                    recording.end(State.COMPLETE)
                    await self._settled(SETTLE_S)
            await outgoing.body(chunk)
        if recording.ended is None:
            recording.end(State.COMPLETE)
            await self._settled(SETTLE_S)
        await outgoing.finish()

    async def _failed(self, error: UpstreamError, outgoing: _Outgoing, recording: Recording) -> None:
        """Tell the client where it has seen nothing yet; else leave its connection to break, never to end cleanly."""
        if outgoing.started:
            recording.end(State.FAILED, error=str(error), error_kind=error.kind)
        else:
            await self._answer(outgoing, recording, error.status, str(error), error.kind)

    async def _answer(
        self, outgoing: _Outgoing, recording: Recording, status: int, message: str, error_kind: str
    ) -> None:
        body = error_body(status, message)
        answer_headers = json_headers(body)
        recording.answered_here(status, answer_headers, body)
        recording.end(State.FAILED, error=message, error_kind=error_kind)
        await outgoing.start(status, answer_headers)
        await outgoing.body(body)
        await outgoing.finish()


class _Outgoing:
    """The client's side of one exchange."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def start(self, status: int, header_list: list[Header]) -> None:
        self.started = True
        await self._send({"type": "http.response.start", "status": status, "headers": header_list})

    async def body(self, chunk: bytes) -> None:
        await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def finish(self) -> None:
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


class _Departure:
    """Notices when the client leaves, and cancels the work that was done for it."""

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self._task = task
        self.happened = False
        self.over = False

    async def watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        if not self.over:
            self.happened = True
            self._task.cancel()


def request_head(scope: Scope) -> RequestHead:
    """Return the head of the request that an ASGI scope describes."""
    return RequestHead(scope["method"], scope["raw_path"], scope["query_string"], list(scope["headers"]))


def refuse(head: RequestHead) -> None:
    """Raise RefusedError for the two paths that look like the Messages API and are not."""
    if head.path == b"/v1/chat/completions":
        raise RefusedError(400, "this is a proxy for the Anthropic API; send Messages requests to /v1/messages")
    if head.path == b"/v1/messages/":
        raise RefusedError(404, "there is no /v1/messages/; the Messages API is at /v1/messages")


def _content_length(header_list: list[Header]) -> int | None:
    for name, value in header_list:
        if name.lower() == b"content-length" and value.isdigit():
            return int(value) or None
    return None
