"""The hot path: one `/v1` request to the provider, its answer back, piece by piece, and everything noted on the way.

Speaks ASGI itself, since a framework between the bytes and the client only costs time here. Refuses to interpret anything:
what is only forwarded is forwarded as received.
"""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from ccproxy.auth import Gate
from ccproxy.errors import UpstreamError
from ccproxy.protocol import headers
from ccproxy.protocol.demotion import ask_for_stream
from ccproxy.recorder import Recording
from ccproxy.records import Attempt, Sending, State
from ccproxy.upstream import Answer, Upstream
from ccproxy.web.answers import error_body, json_headers
from ccproxy.web.client import Client, ClientLeftError, Patience, RefusedError
from ccproxy.web.demoting import OneMessage, is_stream
from ccproxy.web.failure import log_failure
from ccproxy.web.retrying import NO_RETRIES, Retries
from ccproxy.wire import Header, RequestHead

# Host is the provider's own, and what Expect asks for, the server has answered already.
NOT_PASSED = frozenset({b"host", b"expect", b"content-length"})
SETTLE_S = 0.05  # longest wait for the journal before the very last byte goes to the client
MESSAGES = b"/v1/messages"
_LEAVES = re.compile(rb"(?:^|[/\\])(?:\.|%2e){1,2}(?:[/\\]|%2f|%5c|$)", re.IGNORECASE)  # a dot segment, however spelled


@dataclass(frozen=True, slots=True)
class Rules:
    """What the configuration says about forwarding. Sizes in bytes (0: no limit), times in seconds (0: for ever)."""

    version: bytes
    max_body: int = 0
    read_timeout: float = 0.0
    retries: Retries = NO_RETRIES
    demote: bool = False
    api_key: bytes = b""

    def __repr__(self) -> str:
        return f"<Rules version {self.version!r} max_body {self.max_body} {self.retries} demote {self.demote}>"


class Forwarder:
    """Takes requests to one provider. `settled` waits, a moment at most, until the journal has what it was given."""

    def __init__(
        self,
        upstream: Upstream,
        rules: Rules,
        gate: Gate,
        settled: Callable[[float], Awaitable[None]],
        patience: Patience,
    ) -> None:
        self._upstream = upstream
        self._rules = rules
        self._gate = gate
        self._settled = settled
        self._patience = patience

    async def __call__(self, client: Client, recording: Recording) -> None:
        """Answer one request. Ends the recording in every case that it knows; the guard knows the others."""
        head = replace(client.head, headers=self._gate.passed(client.head.headers))
        recording.open(head, "anthropic", client.peer)
        try:
            body = await self._body(client, recording)
            refuse(head)
            async with client.present():
                with self._patience(client):
                    await self._exchange(head, body, client, recording)
        except ClientLeftError as error:
            recording.end(State.CLIENT_LEFT, error=str(error))
        except RefusedError as error:
            await self._answer(client, recording, error.status, str(error), "refused")

    async def _body(self, client: Client, recording: Recording) -> bytes:
        pieces = []
        async for piece in client.pieces(self._rules.max_body, self._rules.read_timeout):
            recording.request(piece)
            pieces.append(piece)
        return b"".join(pieces)

    async def _exchange(self, head: RequestHead, body: bytes, client: Client, recording: Recording) -> None:
        began = time.monotonic()
        answer: Answer | None = None
        demoted = self._demoted(head, body)
        recording.sent(Sending(demoted=True) if demoted else None)
        try:
            answer = await self._send(head, client, demoted or body, recording)
            recording.head(answer.head)
            if demoted and is_stream(answer.head):
                await self._as_one_message(answer, client, recording)
            else:
                await self._pass_on(answer, client, recording)
        except UpstreamError as error:
            try:
                await self._failed(error, client, recording)
            finally:
                log_failure(str(uuid.UUID(bytes=recording.id)), head, body, time.monotonic() - began, error.kind)
        finally:
            if answer is not None:
                await answer.close()

    def _demoted(self, head: RequestHead, body: bytes) -> bytes | None:
        """Return the body that asks for a stream in the place of one that asks for a message, where that is wanted."""
        wanted = self._rules.demote and head.method == "POST" and head.path == MESSAGES
        return ask_for_stream(body) if wanted else None

    async def _send(self, head: RequestHead, client: Client, body: bytes, recording: Recording) -> Answer:
        """Return the answer that counts, after as many attempts in vain as the rules allow."""
        header_list = self._headers(head, client, body)
        tried = 0
        while True:
            tried += 1
            try:
                answer = await self._upstream.send(head, header_list, body)
            except UpstreamError as error:
                wait = self._rules.retries.after_failure(error.kind, tried)
                if wait is None:
                    raise
                attempt = Attempt(error.kind, str(error), wait_ms=wait * 1000)
            else:
                wait = self._rules.retries.after_answer(answer.head, tried, time.time())
                if wait is None:
                    return answer
                await answer.close()
                attempt = Attempt("status", status=answer.head.status, wait_ms=wait * 1000)
            recording.retry(attempt)
            await asyncio.sleep(wait)

    def _headers(self, head: RequestHead, client: Client, body: bytes) -> list[Header]:
        passed = [(name, value) for name, value in headers.end_to_end(head.headers) if name not in NOT_PASSED]
        if body or head.method in ("POST", "PUT", "PATCH"):
            passed.append((b"content-length", b"%d" % len(body)))
        if not any(name == b"anthropic-version" for name, _ in passed):
            passed.append((b"anthropic-version", self._rules.version))
        if self._rules.api_key and self._gate.lends(client.head.headers):
            passed.append((b"x-api-key", self._rules.api_key))
        return passed

    async def _pass_on(self, answer: Answer, client: Client, recording: Recording) -> None:
        """Pass the answer on as it comes, and have its end on record before the client can see it."""
        await client.start(answer.head.status, headers.end_to_end(answer.head.headers))
        missing = _content_length(answer.head.headers)
        async for chunk in answer.chunks():
            recording.chunk(chunk)
            if missing is not None:
                missing -= len(chunk)
                if missing <= 0:
                    await self._complete(recording)
            await client.body(chunk)
        if recording.ended is None:
            await self._complete(recording)
        await client.finish()

    async def _as_one_message(self, answer: Answer, client: Client, recording: Recording) -> None:
        """Give a client that wanted one message the one that a stream comes to."""
        message = OneMessage(answer.head)
        async for chunk in answer.chunks():
            recording.chunk(chunk)
            message.feed(chunk)
        status, header_list, body = message.answer()
        recording.status = status  # what the client is told; the stream itself came with 200
        await self._complete(recording)
        await client.answer(status, header_list, body)

    async def _complete(self, recording: Recording) -> None:
        recording.end(State.COMPLETE)
        await self._settled(SETTLE_S)

    async def _failed(self, error: UpstreamError, client: Client, recording: Recording) -> None:
        """Tell the client where it has seen nothing yet; else leave its connection to break, never to end cleanly."""
        if client.started or recording.status is not None:
            recording.end(State.FAILED, error=str(error), error_kind=error.kind)
        if not client.started:
            await self._answer(client, recording, error.status, str(error), error.kind)

    async def _answer(self, client: Client, recording: Recording, status: int, message: str, error_kind: str) -> None:
        body = error_body(status, message)
        answer_headers = json_headers(body)
        if recording.ended is None:
            recording.answered_here(status, answer_headers, body)
            recording.end(State.FAILED, error=message, error_kind=error_kind)
        await client.answer(status, answer_headers, body)


def refuse(head: RequestHead) -> None:
    """Raise RefusedError for paths that look like the Messages API and are not, and for those that lead elsewhere."""
    if _LEAVES.search(head.path):
        raise RefusedError(404, "a path below /v1/ may not lead out of it")
    if head.path == b"/v1/chat/completions" and head.method == "POST":
        raise RefusedError(400, "this is a proxy for the Anthropic API; send Messages requests to /v1/messages")
    if head.path == b"/v1/messages/":
        raise RefusedError(404, "there is no /v1/messages/; the Messages API is at /v1/messages")


def _content_length(header_list: list[Header]) -> int | None:
    for name, value in header_list:
        if name.lower() == b"content-length" and value.isdigit():
            return int(value) or None
    return None
