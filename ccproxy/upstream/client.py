"""Sends a request to a provider and hands back its answer as it comes.

Knows how long to wait for what, and says in a sentence why no answer came. An HTTP error of the provider is an answer, not
an error. Refuses to decode, retry or record.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp
import httpx

from ccproxy.errors import UpstreamError
from ccproxy.upstream.transport import CONNECT_ERRORS, PassingTransport
from ccproxy.wire import Header, RequestHead, ResponseHead

KEEPALIVE_S = 300.0  # longer than a person thinks between two prompts, so that most prompts need no new TLS handshake
WHOLE_BODY_BYTES = 1 << 20  # a larger body goes out in pieces, so that one upload does not hold up other streams
UPLOAD_STEP = 1 << 18
_USER_INFO = re.compile(r"://[^/@\s]*@")


@dataclass(frozen=True, slots=True)
class Limits:
    """How long to wait, in seconds: to connect, for the head of an answer, and inside an answer (0: for ever)."""

    connect: float = 30.0
    head: float = 300.0
    idle: float = 0.0


class Answer:
    """A provider's answer: its head, and its body in the pieces in which it arrives. Close it in any case."""

    def __init__(self, response: httpx.Response, where: str, idle: float, name: str = "anthropic") -> None:
        self.head = ResponseHead(response.status_code, list(response.headers.raw))
        self._stream = response.stream
        self._where = where
        self._idle = idle
        self._name = name

    def __repr__(self) -> str:
        return f"<Answer {self.head.status} from {self._where}>"

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives. Raises UpstreamError where it breaks off or stays silent for too long."""
        assert isinstance(self._stream, httpx.AsyncByteStream)
        try:
            if not self._idle:
                async for chunk in self._stream:
                    yield chunk
                return
            pieces = self._stream.__aiter__()
            while True:
                async with asyncio.timeout(self._idle):
                    try:
                        chunk = await anext(pieces)
                    except StopAsyncIteration:
                        return
                yield chunk
        except TimeoutError as error:
            raise UpstreamError(
                f"{self._where} sent nothing for {self._idle:g} s in the middle of its answer "
                f"(providers.{self._name}.idle_timeout)",
                kind="idle_timeout",
                status=504,
            ) from error
        except (httpx.HTTPError, OSError) as error:
            raise UpstreamError(
                f"{self._where} broke off in the middle of its answer: {_cause(error)}",
                kind="broken_stream",
                status=502,
            ) from error

    async def close(self) -> None:
        """Let go of the connection: back into the pool when the answer was read to its end, else closed at once."""
        assert isinstance(self._stream, httpx.AsyncByteStream)
        await self._stream.aclose()


class Upstream:
    """One provider, behind one pool of connections.

    It is reached by way of `proxy`, the URL of an HTTP proxy, where there is one; or over `socket`, a Unix socket's path.
    `name` is that of its settings, for sentences.
    """

    def __init__(
        self,
        base_url: str,
        limits: Limits,
        proxy: str | None = None,
        socket: str | None = None,
        name: str = "anthropic",
    ) -> None:
        parts = urlsplit(base_url)
        self._url = httpx.URL(f"{parts.scheme}://{parts.netloc}")
        self._prefix = parts.path.rstrip("/").encode()
        self._limits = limits
        self._where = parts.netloc
        self._name = name
        self._proxy = proxy
        self._transport = PassingTransport(
            connect_timeout=limits.connect, keepalive=KEEPALIVE_S, proxy=proxy, socket=socket
        )

    def __repr__(self) -> str:
        return f"<Upstream {self._url}{self._prefix.decode()}>"

    async def start(self) -> None:
        """Open the pool."""
        await self._transport.start()

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    async def send(self, head: RequestHead, headers: list[Header], body: bytes) -> Answer:
        """Send a request with these headers and return the answer's head. Raises UpstreamError where none comes."""
        request = httpx.Request(head.method, self._url, headers=headers)
        request.extensions["target"] = self._prefix + head.target
        if self._proxy and urlsplit(self._proxy).scheme not in ("http", "https"):
            sentence = (
                f"the environment names {_place(self._proxy)} as proxy, and only HTTP proxies are known (HTTPS_PROXY)"
            )
            raise UpstreamError(sentence, kind="proxy", status=502)
        sent: list[bool] = []
        try:
            async with asyncio.timeout(self._limits.connect) as limit:

                def on_sent() -> None:
                    """From now on it is the head that is waited for."""
                    sent.append(True)
                    limit.reschedule(asyncio.get_running_loop().time() + self._limits.head)

                request.extensions["sent"] = on_sent
                request.extensions["content"] = self._content(body, limit)
                response = await self._transport.handle_async_request(request)
        except TimeoutError as error:
            raise (self._no_head() if sent else self._no_connection()) from error
        except (httpx.HTTPError, aiohttp.ClientError, OSError, ValueError) as error:
            raise self._failure(error) from error
        return Answer(response, self._where, self._limits.idle, self._name)

    def _content(self, body: bytes, limit: asyncio.Timeout) -> bytes | AsyncIterator[bytes] | None:
        return (body or None) if len(body) <= WHOLE_BODY_BYTES else self._pieces(body, limit)

    async def _pieces(self, body: bytes, limit: asyncio.Timeout) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        for start in range(0, len(body), UPLOAD_STEP):
            yield body[start : start + UPLOAD_STEP]
            with contextlib.suppress(
                RuntimeError
            ):  # the head came before the upload's end, and the wait for it is over
                limit.reschedule(loop.time() + self._limits.head)

    def _no_head(self) -> UpstreamError:
        sentence = (
            f"{self._where} sent no response head within {self._limits.head:g} s "
            f"(providers.{self._name}.response_header_timeout)"
        )
        return UpstreamError(sentence, kind="response_header_timeout", status=504)

    def _no_connection(self) -> UpstreamError:
        sentence = (
            f"{self._where} accepted no connection within {self._limits.connect:g} s "
            f"(providers.{self._name}.connect_timeout)"
        )
        return UpstreamError(sentence, kind="connect_timeout", status=504)

    def _failure(self, error: Exception) -> UpstreamError:
        # The transport's own mapping calls too much a timeout; aiohttp's error, which it chains, says what it was.
        origin = error if isinstance(error, aiohttp.ClientError) else error.__cause__ or error
        cause = _cause(error)
        if isinstance(origin, TimeoutError):
            return self._no_connection()
        if isinstance(origin, aiohttp.ClientHttpProxyError | aiohttp.ClientProxyConnectionError):
            sentence = f"the proxy {_place(self._proxy or '')} gives no way to {self._where}: {cause}"
            return UpstreamError(sentence, kind="proxy", status=502)
        if isinstance(origin, aiohttp.ClientResponseError):
            return UpstreamError(
                f"{self._where} gave an answer that is not HTTP: {cause}", kind="bad_answer", status=502
            )
        if isinstance(origin, CONNECT_ERRORS):
            return UpstreamError(f"cannot connect to {self._where}: {cause}", kind="connect", status=502)
        return UpstreamError(
            f"{self._where} closed the connection without an answer: {cause}", kind="no_answer", status=502
        )


def environment_proxy(base_url: str) -> str | None:
    """Return the proxy that the environment names for this provider (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY)."""
    parts = urlsplit(base_url)
    if urllib.request.proxy_bypass(parts.netloc):
        return None
    proxies = urllib.request.getproxies()
    found = proxies.get(parts.scheme) or proxies.get("all")
    return found if not found or "://" in found else f"http://{found}"


def _cause(error: Exception) -> str:
    """Return the most telling text of an error: the system's own, where there is one. Never a URL with its password."""
    for known in (error, error.__cause__):
        if isinstance(known, aiohttp.ClientResponseError):
            return f"{known.status} {known.message}".splitlines()[0]
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno and seen.errno > 0:
            return os.strerror(seen.errno)
        seen = seen.__cause__ or seen.__context__
    return _USER_INFO.sub("://", str(error)) or type(error).__name__


def _place(url: str) -> str:
    """Return a URL without the user and password in it."""
    return _USER_INFO.sub("://", url)
