"""An HTTP answer without end, read as it comes.

Knows how long a connection may be silent before it is taken for dead, and closes what it opened. Refuses to know what the bytes are.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from tornado.http1connection import HTTP1Connection, HTTP1ConnectionParameters
from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, RequestStartLine, ResponseStartLine
from tornado.iostream import IOStream, StreamClosedError
from tornado.tcpclient import TCPClient

CONNECT_S = 3.0
SILENT_S = 40.0  # the live view sends a comment every 15 s
ENDLESS = 1 << 62


class RefusedError(Exception):
    """The answer is no stream: its HTTP status; 0 where it is no HTTP."""

    def __init__(self, status: int) -> None:
        super().__init__(f"it answered with status {status}")
        self.status = status


class _Taking(HTTPMessageDelegate):
    """Hands on the pieces of a body, and notes that there is life."""

    def __init__(self, take: Callable[[bytes], None], alive: Callable[[], None]) -> None:
        self._take = take
        self._alive = alive
        self.status = 0

    def headers_received(self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders) -> None:
        """Take the head."""
        self.status = getattr(start_line, "code", 0)
        self._alive()

    def data_received(self, chunk: bytes) -> None:
        """Take a piece."""
        self._alive()
        if self.status == 200:
            self._take(chunk)


async def follow(url: str, headers: Mapping[str, str], take: Callable[[bytes], None]) -> None:
    """Ask for a URL and hand on the pieces of the answer until it ends.

    Raises OSError where there is no connection, TimeoutError where it falls silent, RefusedError where the answer is not 200.
    """
    parts = urlsplit(url)
    stream = await _connected(parts.hostname or "", parts.port or 80)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(SILENT_S) as patience:
            taking = _Taking(take, lambda: patience.reschedule(loop.time() + SILENT_S))
            connection = HTTP1Connection(
                stream, True, HTTP1ConnectionParameters(no_keep_alive=True, max_body_size=ENDLESS)
            )
            await connection.write_headers(
                RequestStartLine("GET", parts.path, "HTTP/1.1"), HTTPHeaders({"Host": parts.netloc, **headers})
            )
            connection.finish()
            with contextlib.suppress(StreamClosedError):  # that is an end as well
                await connection.read_response(taking)
    finally:
        stream.close()
    if taking.status != 200:
        raise RefusedError(taking.status)


async def _connected(host: str, port: int) -> IOStream:
    try:
        async with asyncio.timeout(CONNECT_S):
            return await TCPClient().connect(host, port)
    except StreamClosedError as error:
        raise error.real_error if isinstance(error.real_error, OSError) else ConnectionError("no connection") from None
