"""An answer in Chat Completions on its way to a client that speaks the Messages API.

A stream begins at once with the message's start, goes on with each fragment as it comes, and is kept alive with pings while the
provider is silent. Knows when to say what; refuses to know how one protocol is said in the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from ccproxy.errors import UpstreamError
from ccproxy.ingest import chat
from ccproxy.ingest.encodings import ContentDecoder
from ccproxy.protocol import headers, sse
from ccproxy.protocol.demotion import error_status, unstreamed
from ccproxy.protocol.message import build
from ccproxy.protocol.openai.json_text import written
from ccproxy.protocol.openai.reply import as_stream
from ccproxy.protocol.openai.stream import PING, ChatStream
from ccproxy.recorder import Recording
from ccproxy.records import State
from ccproxy.upstream import Answer
from ccproxy.web.answers import json_headers
from ccproxy.web.client import Client
from ccproxy.web.planning import Plan
from ccproxy.web.routes import Watch
from ccproxy.wire import Header

PING_S = 10.0  # a silence as long as this is broken; clients wait for minutes
READ_OUT_S = 0.1
NO_RETRY = (b"x-should-retry", b"false")
STREAM_TYPE = b"text/event-stream; charset=utf-8"
_PASSED = frozenset({b"retry-after", b"retry-after-ms", b"x-should-retry"})
_REQUEST_ID = (b"request-id", b"x-request-id")


class ChatAnswer:
    """One answer. `complete` ends the recording, and waits until that is safe, a moment at most."""

    def __init__(
        self,
        plan: Plan,
        answer: Answer,
        recording: Recording,
        complete: Callable[[Recording], Awaitable[None]],
        watch: Watch | None,
        ping_s: float = PING_S,
    ) -> None:
        self._plan = plan
        self._sending = plan.sending
        self._answer = answer
        self._recording = recording
        self._complete = complete
        self._watch = watch
        self._ping_s = ping_s
        self._exchange = str(uuid.UUID(bytes=recording.id))
        self._kind = headers.header(answer.head.headers, "content-type")
        self._decoder = ContentDecoder(headers.header(answer.head.headers, "content-encoding"))
        self._said_at = 0.0

    async def pass_on(self, client: Client) -> None:
        """Give the client the whole answer. Raises UpstreamError where the provider broke off; a stream was told so then."""
        if not chat.is_streamed(self._answer.head.status, self._kind):
            await self._whole(client)
        elif self._plan.stream:
            await self._stream(client)
        else:
            await self._one_message(client)

    async def _stream(self, client: Client) -> None:
        stream = self._translation()
        await client.start(200, [(b"content-type", STREAM_TYPE), (b"cache-control", b"no-cache"), *self._passed()])
        await self._say(client, stream.open())
        chunks = self._chunks()
        try:
            async with self._kept_alive(client):
                async for data in chunks:
                    last = stream.feed(data)
                    if stream.over:  # whatever the provider still does with its connection
                        break
                    await self._say(client, last)
                else:
                    last = stream.close()
        except UpstreamError as error:
            self._recording.end(State.FAILED, error=str(error), error_kind=error.kind)
            await self._say(client, stream.close(str(error)))
            await client.finish()
            raise
        await self._complete(self._recording)  # before the client hears the message's end
        await self._say(client, last)
        await client.finish()
        await self._read_out(chunks)

    async def _read_out(self, chunks: AsyncIterator[bytes]) -> None:
        """Wait a moment for the end of the body, so that the connection can be used again. The client has all it gets."""
        with contextlib.suppress(TimeoutError, UpstreamError):
            async with asyncio.timeout(READ_OUT_S):
                async for _ in chunks:
                    pass

    async def _one_message(self, client: Client) -> None:
        """Give a client that wanted one message the one that a stream comes to, which nobody asked for."""
        stream = self._translation()
        said, chunks = [stream.open()], self._chunks()
        async for data in chunks:
            said.append(stream.feed(data))
            if stream.over:
                break
        said.append(stream.close())
        built = build(sse.Decoder().feed(b"".join(said)))
        if built.error is not None:
            await self._json(client, error_status(built.error), built.error)
        else:
            await self._json(client, 200, unstreamed(built.message or {}))
        await self._read_out(chunks)

    async def _whole(self, client: Client) -> None:
        body = b"".join([data async for data in self._chunks()])
        said = chat.whole(self._exchange, self._sending, self._answer.head.status, self._kind, body, self._plan.model)
        if said.status == 200 and self._plan.stream:
            events = as_stream(said.value)
            self._look(events)
            await self._complete(self._recording)
            await client.answer(200, [(b"content-type", STREAM_TYPE), *self._passed()], events)
        else:
            await self._json(client, said.status, said.value, is_final=said.is_final)

    async def _json(self, client: Client, status: int, value: dict[str, Any], *, is_final: bool = False) -> None:
        body = written(value)
        if status == 200:
            self._look(body, over=True)
        self._recording.status = status  # what the client is told
        await self._complete(self._recording)
        passed = [header for header in self._passed() if not (is_final and header[0] == NO_RETRY[0])]
        await client.answer(status, [*json_headers(body), *passed, *([NO_RETRY] if is_final else [])], body)

    async def _chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes, on record already and decoded."""
        async for chunk in self._answer.chunks():
            if self._recording.ended is None:
                self._recording.chunk(chunk)
            data = self._decoder.feed(chunk) if self._decoder.encoded else chunk
            if self._decoder.problem:
                sentence = f"the answer of {self._sending.provider} cannot be read: {self._decoder.problem}"
                raise UpstreamError(sentence, kind="bad_answer", status=502)
            yield data

    async def _say(self, client: Client, said: bytes) -> None:
        if said:
            self._look(said)
            await client.body(said)
            self._said_at = asyncio.get_running_loop().time()

    def _look(self, said: bytes, *, over: bool = False) -> None:
        """Look for agents that are started in what the client is given."""
        if self._watch is not None:
            self._watch.feed(said)
            if over:
                self._watch.close()

    @contextlib.asynccontextmanager
    async def _kept_alive(self, client: Client) -> AsyncIterator[None]:
        task = asyncio.get_running_loop().create_task(self._ping(client))
        try:
            yield
        finally:
            task.cancel()

    async def _ping(self, client: Client) -> None:
        loop = asyncio.get_running_loop()
        while True:
            left = self._said_at + self._ping_s - loop.time()
            if left > 0:
                await asyncio.sleep(left)
            else:
                self._said_at = loop.time()
                if client.waiting_since is None:
                    await client.body(PING)

    def _translation(self) -> ChatStream:
        return chat.chat_stream(self._exchange, self._sending, self._plan.model)

    def _passed(self) -> list[Header]:
        """Return what of the provider's headers means the same to the client."""
        given = self._answer.head.headers
        kept = [(name.lower(), value) for name, value in given if name.lower() in _PASSED]
        found = next((value for name, value in given if name.lower() in _REQUEST_ID), None)
        return kept if found is None else [*kept, (_REQUEST_ID[0], found)]
