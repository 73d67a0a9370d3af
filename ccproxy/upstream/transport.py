"""httpx's transport over aiohttp, for a proxy: what goes out is what was given.

Differs from the one it builds on in this: the request target and the header lines are sent as given, none is added but Host,
and no answer of a provider leaves a cookie behind for somebody else's request.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.transport import AiohttpResponseStream, map_aiohttp_exceptions
from yarl import URL

UNBOUNDED = 0
MAX_HEADER_BYTES = 1 << 18  # aiohttp's own limit of 8 KB a line is below what gateways put into headers
CONNECT_ERRORS = (aiohttp.ClientConnectorError, aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError)
AUTOMATIC = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


class PassingTransport(AiohttpTransport):
    """Sends `request.extensions["target"]` (bytes: path and query) below the origin of `request.url`.

    `request.extensions["sent"]` is called once a connection is there and the request's head has been given to it.
    """

    def __init__(
        self, *, connect_timeout: float, keepalive: float, proxy: str | None = None, socket: str | None = None
    ) -> None:
        super().__init__()
        self._socket = socket
        self._keepalive = keepalive
        self._by_way_of = proxy
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout)

    async def start(self) -> None:
        """Open the connection pool; belongs to the running event loop."""
        tracing = aiohttp.TraceConfig()
        tracing.on_request_headers_sent.append(_tell)
        self.client = aiohttp.ClientSession(
            connector=self._connector(),
            trace_configs=[tracing],
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,  # it would read ~/.netrc for every request, and add what it finds there
            skip_auto_headers=AUTOMATIC,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            timeout=self._timeout,
        )
        # A request whose connection died is the client's to repeat: what was sent once must be seen once.
        self.client._retry_connection = False

    def _connector(self) -> aiohttp.BaseConnector:
        if self._socket:
            return aiohttp.UnixConnector(self._socket, limit=UNBOUNDED, keepalive_timeout=self._keepalive)
        return aiohttp.TCPConnector(
            limit=UNBOUNDED, keepalive_timeout=self._keepalive, ssl=self.ssl_context, ttl_dns_cache=60
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request and return the answer's head, with the body still to come."""
        assert isinstance(self.client, aiohttp.ClientSession)
        target = request.extensions["target"].decode("latin-1")
        content = request.extensions["content"]
        with map_aiohttp_exceptions():
            response = await self.client.request(
                request.method,
                URL(f"{request.url.scheme}://{request.url.netloc.decode()}{target}", encoded=True),
                headers=[(_text(name), _text(value)) for name, value in request.headers.raw],
                data=content,
                allow_redirects=False,
                proxy=self._by_way_of,
                trace_request_ctx=request.extensions["sent"],
            )
        return httpx.Response(
            response.status, headers=response.raw_headers, stream=ChunkStream(response), request=request
        )


class ChunkStream(AiohttpResponseStream):
    """The body in the pieces in which it arrives, still encoded as the provider encoded it."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield each piece as soon as it is there."""
        with map_aiohttp_exceptions():
            async for chunk in self._aiohttp_response.content.iter_any():
                yield chunk


async def _tell(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx()


def _text(raw: bytes) -> str:
    """Return the text that aiohttp will encode, as UTF-8, to these bytes; other bytes are read as Latin-1."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
