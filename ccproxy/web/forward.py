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
from dataclasses import replace

from ccproxy.auth import Gate
from ccproxy.errors import UpstreamError
from ccproxy.protocol import headers
from ccproxy.recorder import Recording
from ccproxy.records import Attempt, State
from ccproxy.routing.targets import HOME
from ccproxy.upstream import Answer
from ccproxy.web.answers import error_body, json_headers
from ccproxy.web.client import Client, ClientLeftError, Patience, RefusedError
from ccproxy.web.demoting import OneMessage, is_stream
from ccproxy.web.failure import log_failure
from ccproxy.web.planning import AS_IT_CAME, Plan, Planner, Rules
from ccproxy.web.routes import Watch
from ccproxy.web.translating import ChatAnswer
from ccproxy.wire import Header, RequestHead

SETTLE_S = 0.05  # longest wait for the journal before the very last byte goes to the client
_LEAVES = re.compile(rb"(?:^|[/\\])(?:\.|%2e){1,2}(?:[/\\]|%2f|%5c|$)", re.IGNORECASE)  # a dot segment, however spelled


class Forwarder:
    """Takes requests to the provider that the planner names.

    `settled` waits, a moment at most, until the journal has what it was given.
    """

    def __init__(
        self,
        planner: Planner,
        rules: Rules,
        gate: Gate,
        settled: Callable[[float], Awaitable[None]],
        patience: Patience,
    ) -> None:
        self._planner = planner
        self._rules = rules
        self._gate = gate
        self._settled = settled
        self._patience = patience

    async def __call__(self, client: Client, recording: Recording) -> None:
        """Answer one request. Ends the recording in every case that it knows; the guard knows the others."""
        head = replace(client.head, headers=self._gate.passed(client.head.headers))
        recording.open(head, HOME, client.peer)
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
        plan = await self._planner.plan(head, client.head.headers, body)
        if plan.is_chat:
            recording.sent_body(plan.body)
        recording.sent(None if plan.sending is AS_IT_CAME else plan.sending)
        if plan.refusal is not None:
            raise plan.refusal
        try:
            if plan.answer is not None:
                await self._answer_here(*plan.answer, client, recording)
                return
            answer = await self._send(plan, recording)
            recording.head(answer.head)
            await self._pass(plan, answer, client, recording)
        except UpstreamError as error:
            try:
                await self._failed(error, client, recording)
            finally:
                name, elapsed, sending = str(uuid.UUID(bytes=recording.id)), time.monotonic() - began, plan.sending
                route = {"provider": sending.provider, "routed_model": sending.model} if sending.provider else {}
                log_failure(name, head, body, elapsed, error.kind, route)
        finally:
            if answer is not None:
                await answer.close()

    async def _send(self, plan: Plan, recording: Recording) -> Answer:
        """Return the answer that counts, after as many attempts in vain as the rules allow."""
        tried = 0
        while True:
            tried += 1
            try:
                answer = await plan.upstream.send(plan.head, plan.headers, plan.body)
            except UpstreamError as error:
                wait = plan.retries.after_failure(error.kind, tried)
                if wait is None:
                    raise
                attempt = Attempt(error.kind, str(error), wait_ms=wait * 1000)
            else:
                wait = plan.retries.after_answer(answer.head, tried, time.time())
                if wait is None:
                    return answer
                await answer.close()
                attempt = Attempt("status", status=answer.head.status, wait_ms=wait * 1000)
            recording.retry(attempt)
            await asyncio.sleep(wait)

    async def _pass(self, plan: Plan, answer: Answer, client: Client, recording: Recording) -> None:
        """Bring the answer to the client in the form in which that wants it."""
        router, route = self._planner.router, plan.route
        watch = (
            router.watch(route, answer.head, translated=plan.stream if plan.is_chat else None)
            if router and route
            else None
        )
        if plan.is_chat:
            chat = ChatAnswer(plan, answer, recording, self._complete, watch)
            await chat.pass_on(client)
        elif plan.sending.demoted and is_stream(answer.head):
            await self._as_one_message(answer, client, recording, watch)
        else:
            await self._pass_on(answer, client, recording, watch)

    async def _pass_on(self, answer: Answer, client: Client, recording: Recording, watch: Watch | None) -> None:
        """Pass the answer on as it comes, and have its end on record before the client can see it."""
        await client.start(answer.head.status, headers.end_to_end(answer.head.headers))
        missing = _content_length(answer.head.headers)
        async for chunk in answer.chunks():
            recording.chunk(chunk)
            if watch is not None:
                watch.feed(chunk)
            if missing is not None:
                missing -= len(chunk)
                if missing <= 0:
                    if watch is not None:
                        watch.close()
                    await self._complete(recording)
            await client.body(chunk)
        if recording.ended is None:
            if watch is not None:
                watch.close()
            await self._complete(recording)
        await client.finish()

    async def _as_one_message(self, answer: Answer, client: Client, recording: Recording, watch: Watch | None) -> None:
        """Give a client that wanted one message the one that a stream comes to."""
        message = OneMessage(answer.head)
        async for chunk in answer.chunks():
            recording.chunk(chunk)
            message.feed(chunk)
            if watch is not None:
                watch.feed(chunk)
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
            recording.status = client.status if client.started else error.status  # what the client is told
            recording.end(State.FAILED, error=str(error), error_kind=error.kind)
        if not client.started:
            await self._answer(client, recording, error.status, str(error), error.kind)

    async def _answer_here(
        self, status: int, header_list: list[Header], body: bytes, client: Client, recording: Recording
    ) -> None:
        """Give an answer of our own that is none of an error."""
        recording.answered_here(status, header_list, body)
        await self._complete(recording)
        await client.answer(status, header_list, body)

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
