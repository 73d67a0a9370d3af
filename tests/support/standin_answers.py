"""What a stand-in for the API hears and what it may be told to answer.

Knows a request exactly as its bytes came, and an answer as a plan: a head, then steps (bytes, a pause, a gate that the
test opens), then one of several endings, polite or not. Refuses to own a socket: the stand-in carries the plan out.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import http.client
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import brotli
import zstandard

from tests.support import anthropic_messages as messages

Headers = Sequence[tuple[str, str]]
End = Literal["clean", "cut", "reset", "hang"]
Framing = Literal["chunked", "length", "close"]

STREAM_HEADERS: Headers = (
    ("Content-Type", "text/event-stream; charset=utf-8"),
    ("Cache-Control", "no-cache"),
    ("request-id", "req_standin"),
    ("anthropic-ratelimit-requests-remaining", "99"),
)
JSON_HEADERS: Headers = (("Content-Type", "application/json"), ("request-id", "req_standin"))


@dataclass(slots=True, eq=False)
class Request:
    """One request as it arrived, and what became of its answer.

    `at` and the times in `sent` are `time.monotonic()`. `sent` has one entry per chunk of the answer's body. `outcome`
    is None while the answer runs, then the answer's `end`, or `client_left`, or `stopped` where the stand-in closed.
    """

    method: str
    target: str
    headers: list[tuple[bytes, bytes]]
    body: bytes
    head: bytes
    connection: int
    at: float
    sent: list[tuple[float, bytes]] = field(default_factory=list)
    outcome: str | None = None

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def is_message(self) -> bool:
        """Whether this asks for a message, which is what a turn is."""
        return self.method == "POST" and self.path == "/v1/messages"

    def header(self, name: str) -> str | None:
        """Return the value of the first header with that name, whatever its case, or None."""
        wanted = name.lower().encode()
        return next((value.decode("latin-1") for key, value in self.headers if key.lower() == wanted), None)

    def json(self) -> Any:
        """Return the body's JSON value."""
        return json.loads(self.body)

    def __repr__(self) -> str:
        """Return what a failing test should show, which is not 70 KB of body."""
        return f"<Request {self.method} {self.target} {len(self.body)} bytes, outcome {self.outcome}>"


@dataclass(frozen=True, slots=True)
class Delay:
    """A step that waits: only where time itself is what the test is about."""

    seconds: float


class Gate:
    """A step that waits until the test opens it, and tells the test that the answer has come this far.

    Both sides work from any thread and any event loop.
    """

    def __init__(self) -> None:
        self._opened: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._reached: concurrent.futures.Future[None] = concurrent.futures.Future()

    def open(self) -> None:
        """Let the answer go on. To open an open gate does nothing."""
        if not self._opened.done():
            self._opened.set_result(None)

    async def reached(self, timeout: float = 10) -> None:
        """Wait until an answer stands before the gate, which means that all steps before it were written."""
        await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(self._reached)), timeout)

    def wait_reached(self, timeout: float = 10) -> None:
        """Do the same in a test without an event loop."""
        self._reached.result(timeout)

    async def pass_through(self) -> None:
        """Report the arrival and wait for the opening; this is the answer's side."""
        if not self._reached.done():
            self._reached.set_result(None)
        await asyncio.shield(asyncio.wrap_future(self._opened))


Step = bytes | Delay | Gate | asyncio.Event


@dataclass(frozen=True, slots=True)
class Answer:
    """A plan for one answer.

    `before` are steps to take before the head is sent; bytes among them are written as they are, in front of the head.
    Each entry of bytes in `chunks` is one write. `framing` says how the body's end is marked: chunked, by its
    `Content-Length` (its own, or any other given as `length`), or by closing the connection. With the status 0 there is
    neither head nor body, only the end. The ends:

    - `clean`: the body is completed, the connection is kept.
    - `cut`: the connection is closed after the last chunk, without the terminator or with bytes missing.
    - `reset`: the same with a TCP reset. What the client has not read by then may be lost: put a gate before it where
      that matters.
    - `hang`: nothing more comes until the client leaves or the stand-in is closed.
    """

    status: int = 200
    headers: Headers = ()
    chunks: Sequence[Step] = ()
    end: End = "clean"
    framing: Framing = "chunked"
    length: int | None = None
    before: Sequence[Step] = ()
    reason: str = ""

    @property
    def body(self) -> bytes:
        """All the bytes of the body."""
        return b"".join(step for step in self.chunks if isinstance(step, bytes))

    def head(self, method: str) -> bytes:
        """Return the status line and the header lines, as they go over the wire."""
        reason = self.reason or http.client.responses.get(self.status, "")
        lines = [f"HTTP/1.1 {self.status} {reason}", *(f"{name}: {value}" for name, value in self.headers)]
        if self.has_body(method):
            lines += self._framing_lines()
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def has_body(self, method: str) -> bool:
        """Tell whether HTTP allows a body here."""
        return method != "HEAD" and self.status not in {0, 204, 304}

    def _framing_lines(self) -> list[str]:
        match self.framing:
            case "chunked":
                return ["Transfer-Encoding: chunked"]
            case "length":
                return [f"Content-Length: {len(self.body) if self.length is None else self.length}"]
            case "close":
                return ["Connection: close"]


def stream_answer(chunks: Sequence[Step], *, headers: Headers = (), **fields: Any) -> Answer:
    """Return an event stream with the headers of the API and `headers`; the keywords are those of `Answer`."""
    return Answer(headers=(*STREAM_HEADERS, *headers), chunks=chunks, **fields)


def json_answer(value: Any, *, headers: Headers = (), **fields: Any) -> Answer:
    """Return a JSON body of known length with the headers of the API; the keywords are those of `Answer`."""
    return Answer(headers=(*JSON_HEADERS, *headers), chunks=[json.dumps(value).encode()], framing="length", **fields)


def error_answer(status: int, type: str, sentence: str, **fields: Any) -> Answer:  # noqa: A002 - the API's own name
    """Return an error as the API sends it: 400 `invalid_request_error`, 529 `overloaded_error`, …"""
    return json_answer(messages.error(type, sentence), status=status, **fields)


def message_answer(request: Request, blocks: Sequence[messages.Block], **message_fields: Any) -> Answer:
    """Return a message in the form that the request asks for, from the model it asks for."""
    asked = request.json()
    finished = messages.message(blocks, **{"model": asked["model"], **message_fields})
    return stream_answer(messages.stream_of(finished)) if asked.get("stream") else json_answer(finished)


def encoded(answer: Answer, coding: Literal["gzip", "deflate", "br", "zstd"]) -> Answer:
    """Return the answer with its body compressed, flushed after each chunk as a server that streams does it."""
    compress, finish = _compressor(coding)
    steps: list[Step] = [compress(step) if isinstance(step, bytes) else step for step in answer.chunks]
    headers = (*answer.headers, ("Content-Encoding", coding))
    return replace(answer, headers=headers, chunks=[*steps, finish()])


def _compressor(coding: str) -> tuple[Any, Any]:
    """Return a function that compresses and flushes a chunk, and one that ends the body."""
    match coding:
        case "br":
            br = brotli.Compressor()
            return lambda data: br.process(data) + br.flush(), br.finish
        case "zstd":
            zstd = zstandard.ZstdCompressor().compressobj()
            return lambda data: zstd.compress(data) + zstd.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK), zstd.flush
        case _:
            flate = zlib.compressobj(wbits=31 if coding == "gzip" else 15)
            return lambda data: flate.compress(data) + flate.flush(zlib.Z_SYNC_FLUSH), flate.flush
