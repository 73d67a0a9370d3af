"""A scripted stand-in for the Anthropic API on a loopback port.

Knows just enough HTTP/1.1 to note every request byte for byte and to carry out an `Answer`, also an impolite one. It is
written on bare sockets, because a web framework would be too polite and would tidy up what a test wants to see. Refuses
to check what it is asked: a script decides, and a script that fails makes the test fail when the stand-in is closed.

Everything a test needs comes from here: `async with StandIn(script) as up`, or in a test without an event loop
`with StandInThread(script) as up`. `up.url` is the base URL, `up.requests` what came.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from tests.support.anthropic_messages import (
    MODEL,
    NO_TOKENS,
    PING,
    SMALL,
    Usage,
    error,
    error_event,
    event_bytes,
    message,
    redacted_thinking,
    stream_of,
    text,
    text_stream,
    thinking,
    thinking_stream,
    tool_stream,
    tool_use,
    tool_uses,
)
from tests.support.claude_script import ClaudeScript, claude_script, kind_of, of_kind
from tests.support.standin_answers import (
    Answer,
    Delay,
    Gate,
    Request,
    Step,
    encoded,
    error_answer,
    json_answer,
    message_answer,
    stream_answer,
)

__all__ = [
    "MODEL",
    "NO_TOKENS",
    "PING",
    "SMALL",
    "Answer",
    "ClaudeScript",
    "Delay",
    "Gate",
    "Request",
    "Script",
    "StandIn",
    "StandInThread",
    "Step",
    "Usage",
    "claude_script",
    "encoded",
    "error",
    "error_answer",
    "error_event",
    "event_bytes",
    "json_answer",
    "kind_of",
    "message",
    "message_answer",
    "of_kind",
    "redacted_thinking",
    "stream_answer",
    "stream_of",
    "text",
    "text_stream",
    "thinking",
    "thinking_stream",
    "tool_stream",
    "tool_use",
    "tool_uses",
]

Script = Callable[[Request], Answer]
Predicate = Callable[["StandIn"], bool]

PROBE_PATHS = {"/", "/api/hello"}
RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, for no time: close() sends RST


class StandIn:
    """The stand-in in the running event loop.

    `script` is a function of the request, or a list of answers that are used up in order; with a list, the probes of
    Claude Code are answered apart from it, and a request beyond its end fails the test.
    """

    def __init__(self, script: Script | Iterable[Answer] | None = None, *, host: str = "127.0.0.1") -> None:
        self.script: Script = script if callable(script) else _in_order(script or ())
        self.requests: list[Request] = []
        self.connections = 0
        self.failures: list[Exception] = []
        self._host = host
        self._address: tuple[str, int] = (host, 0)
        self._open: set[_Connection] = set()
        self._waiting: list[tuple[Predicate, concurrent.futures.Future[None]]] = []
        self._lock = threading.Lock()

    @property
    def port(self) -> int:
        """The port that the system chose."""
        return self._address[1]

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://{self._host}:{self.port}"

    @property
    def messages(self) -> list[Request]:
        """The requests for a message, without probes, counts and the like."""
        return [request for request in self.requests if request.is_message]

    @property
    def open_connections(self) -> int:
        """How many connections are open at this moment."""
        return len(self._open)

    async def __aenter__(self) -> Self:
        """Open the port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), self._host, 0, backlog=1024)
        self._address = self._server.sockets[0].getsockname()[:2]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the port and every connection, and raise what a script raised."""
        await self.close()
        if error is None and self.failures:
            raise self.failures[0]

    async def close(self) -> None:
        """Close the port and hang up every connection; answers that still run are `stopped`."""
        self._server.close()
        await asyncio.gather(*(connection.stop() for connection in list(self._open)))
        await self._server.wait_closed()

    async def until(self, predicate: Predicate, timeout: float = 10) -> None:
        """Wait until `predicate(self)` holds; it is asked after each request, each chunk and each ending."""
        await asyncio.wait_for(asyncio.wrap_future(self.promise(predicate)), timeout)

    async def received(self, count: int = 1, timeout: float = 10) -> None:
        """Wait until that many requests have arrived."""
        await self.until(lambda up: len(up.requests) >= count, timeout)

    async def settled(self, count: int = 1, timeout: float = 10) -> None:
        """Wait until that many answers have ended, one way or another."""
        await self.until(lambda up: sum(request.outcome is not None for request in up.requests) >= count, timeout)

    def promise(self, predicate: Predicate) -> concurrent.futures.Future[None]:
        """Return a future that is done once `predicate(self)` holds; safe to call from any thread."""
        future: concurrent.futures.Future[None] = concurrent.futures.Future()
        with self._lock:
            self._waiting.append((predicate, future))
        self.changed()
        return future

    def changed(self) -> None:
        """Ask the waiting predicates again. The connections call this."""
        with self._lock:
            fulfilled = [entry for entry in self._waiting if entry[1].cancelled() or entry[0](self)]
            self._waiting = [entry for entry in self._waiting if entry not in fulfilled]
        for _, future in fulfilled:
            if future.set_running_or_notify_cancel():
                future.set_result(None)

    def __repr__(self) -> str:
        """Return the state in one line."""
        return f"<StandIn {self.url}, {len(self.requests)} requests, {self.open_connections} connections>"


class StandInThread(StandIn):
    """The stand-in in a thread of its own, for tests without an event loop and for those that block theirs."""

    def __enter__(self) -> Self:
        """Start the thread and return when the port is open."""
        ready: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._stopped: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), name="standin")
        self._thread.start()
        ready.result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close everything, end the thread and raise what a script raised."""
        self._stopped.set_result(None)
        self._thread.join()
        if error is None and self.failures:
            raise self.failures[0]

    def wait_until(self, predicate: Predicate, timeout: float = 10) -> None:
        """Block until `predicate(self)` holds."""
        self.promise(predicate).result(timeout)

    def wait_received(self, count: int = 1, timeout: float = 10) -> None:
        """Block until that many requests have arrived."""
        self.wait_until(lambda up: len(up.requests) >= count, timeout)

    async def _serve(self, ready: concurrent.futures.Future[None]) -> None:
        try:
            await self.__aenter__()
        except OSError as error:
            ready.set_exception(error)
            return
        ready.set_result(None)
        await asyncio.wrap_future(self._stopped)
        await self.close()


class _Connection(asyncio.Protocol):
    """One connection: requests one after the other, each answered by the script before the next is looked at."""

    def __init__(self, owner: StandIn) -> None:
        self._owner = owner
        self._buffer = bytearray()
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        self._lost = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to serve."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._owner.connections += 1
        self._number = self._owner.connections
        self._owner._open.add(self)
        self._task = asyncio.get_running_loop().create_task(self._serve())

    def data_received(self, data: bytes) -> None:
        """Note what came."""
        self._buffer += data
        self._arrived.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the client left, or that the stand-in hung up."""
        self._lost.set()
        self._arrived.set()
        self._writable.set()
        self._owner._open.discard(self)
        self._owner.changed()

    def pause_writing(self) -> None:
        """Wait for a slow reader."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Go on."""
        self._writable.set()

    async def stop(self) -> None:
        """Hang up at once."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._transport.abort()
        await self._lost.wait()

    async def _serve(self) -> None:
        with contextlib.suppress(ConnectionResetError):
            while (request := await self._next_request()) is not None:
                self._owner.requests.append(request)
                self._owner.changed()
                await self._answer(request, self._scripted(request))
        self._transport.close()

    def _scripted(self, request: Request) -> Answer:
        try:
            return self._owner.script(request)
        except Exception as failure:  # noqa: BLE001 - whatever a script raises is shown when the stand-in closes
            self._owner.failures.append(failure)
            return error_answer(500, "api_error", f"the script of the stand-in failed: {failure!r}")

    async def _answer(self, request: Request, answer: Answer) -> None:
        """Carry an answer out, and drop it where the client leaves first."""
        playing = asyncio.create_task(self._play(request, answer))
        leaving = asyncio.create_task(self._lost.wait())
        try:
            await asyncio.wait({playing, leaving}, return_when=asyncio.FIRST_COMPLETED)
            request.outcome = answer.end if playing.done() else "client_left"
        finally:
            request.outcome = request.outcome or "stopped"
            for task in (playing, leaving):
                task.cancel()
            problems = await asyncio.gather(playing, leaving, return_exceptions=True)
            self._owner.failures += [problem for problem in problems if isinstance(problem, Exception)]
            self._owner.changed()

    async def _play(self, request: Request, answer: Answer) -> None:
        for step in answer.before:
            await self._take(step, self._transport.write)
        if answer.status:
            self._transport.write(answer.head(request.method))
        if answer.has_body(request.method):
            await self._write_body(request, answer)
        await self._end(answer)

    async def _write_body(self, request: Request, answer: Answer) -> None:
        chunked = answer.framing == "chunked"

        def write(data: bytes) -> None:
            request.sent.append((time.monotonic(), data))
            self._transport.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
            self._owner.changed()

        for step in answer.chunks:
            if step != b"":  # an empty chunk would be the terminator
                await self._take(step, write)
        if chunked and answer.end == "clean":
            self._transport.write(b"0\r\n\r\n")

    async def _take(self, step: Step, write: Callable[[bytes], None]) -> None:
        match step:
            case bytes():
                write(step)
                await self._writable.wait()
            case Delay(seconds):
                await asyncio.sleep(seconds)
            case Gate():
                await step.pass_through()
            case _:
                await step.wait()

    async def _end(self, answer: Answer) -> None:
        if answer.end == "hang":
            await self._lost.wait()
            await asyncio.Event().wait()  # the client's leaving is the news, not the end of this plan
        if answer.end == "reset":
            sock: socket.socket = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self._transport.abort()
        elif answer.end == "cut" or answer.framing == "close":
            self._transport.close()

    async def _next_request(self) -> Request | None:
        """Return the next request, or None where the connection is over."""
        head = await self._take_until(b"\r\n\r\n")
        if head is None:
            return None
        first, *lines = head[:-4].split(b"\r\n")
        method, target, _ = first.decode("latin-1").split(" ", 2)
        headers = [(name, value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
        known = {name.lower(): value for name, value in headers}
        if known.get(b"expect", b"").lower() == b"100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await self._body(known)
        if body is None:
            return None
        return Request(method, target, headers, body, head, self._number, time.monotonic())

    async def _body(self, headers: dict[bytes, bytes]) -> bytes | None:
        if headers.get(b"transfer-encoding", b"").lower() != b"chunked":
            return await self._take_bytes(int(headers.get(b"content-length", b"0")))
        body = bytearray()
        while (size := await self._take_until(b"\r\n")) is not None:
            length = int(size.split(b";")[0], 16)
            data = await self._take_bytes(length + 2)
            if data is None or length == 0:
                return bytes(body)
            body += data[:-2]
        return None

    async def _take_until(self, mark: bytes) -> bytes | None:
        while (found := self._buffer.find(mark)) < 0:
            if not await self._more():
                return None
        return await self._take_bytes(found + len(mark))

    async def _take_bytes(self, count: int) -> bytes | None:
        while len(self._buffer) < count:
            if not await self._more():
                return None
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    async def _more(self) -> bool:
        """Wait for more bytes and tell whether there can be any."""
        if self._lost.is_set() or self._transport.is_closing():
            return False
        self._arrived.clear()
        await self._arrived.wait()
        return True


def _in_order(answers: Iterable[Answer]) -> Script:
    """Return the script that uses up a list of answers, and leaves probes out of the count."""
    left: list[Answer] = list(answers)

    def script(request: Request) -> Answer:
        if request.method == "HEAD" and request.path in PROBE_PATHS:
            return Answer(200)
        assert left, f"the list of answers was used up when {request!r} came"
        return left.pop(0)

    return script
