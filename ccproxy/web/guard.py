"""The outermost guard: it stands around everything, lets in who may come in, and concludes every exchange exactly once.

A body generator that was never started has no `finally`, and a framework may lose a request before its own code runs; so the
one place where an exchange surely ends is here. It also counts what is in flight, and writes the line of the access log.
Refuses to know how requests are answered. Who is refused here, for want of a token or because the proxy is stopping, leaves
a line in the log and nothing on record.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from ccproxy.auth import Gate, Refusal
from ccproxy.lifecycle.board import Row
from ccproxy.recorder import Recorder, Recording
from ccproxy.records import State
from ccproxy.web.answers import error_body, json_headers
from ccproxy.web.client import Application, Client, ClientLeftError, Receive, RefusedError, Scope, Send, peer_of
from ccproxy.wire import Header

log = logging.getLogger("ccproxy")
access_log = logging.getLogger("ccproxy.access")

HERE = frozenset({b"/api/hello"})  # below /api/, and yet no data: the client's probe
DOCUMENTS = frozenset({b"/openapi.json", b"/openapi.yaml"})
RETRY_AFTER_S = 2  # a proxy that is started again is back by then
SWALLOWED_BYTES = 1 << 20  # of the body of a refused request: a client that still sends would not hear the answer
SWALLOW_S = 2.0


class Guard:
    """The ASGI application: `/v1/*` goes to the forwarder, on record; the data API to `relay`; everything else to `inner`."""

    def __init__(
        self,
        inner: Application,
        forward: Callable[[Client, Recording], Awaitable[None]],
        relay: Callable[[Client], Awaitable[None]],
        recorder: Recorder,
        gate: Gate,
        gauges: Row,
    ) -> None:
        self._inner = inner
        self._forward = forward
        self._relay = relay
        self._recorder = recorder
        self._gate = gate
        self._gauges = gauges
        self._in_flight = self._exchanges = 0
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI scope."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
        elif scope["http_version"] == "2":
            await _refuse_version(send)
        elif scope["raw_path"].startswith(b"/v1/"):
            await self._provider(scope, receive, send)
        else:
            await self._other(scope, receive, send)

    async def _provider(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = _misframed(scope["headers"]) or self._gate.proxy(scope["headers"], peer_of(scope))
        if refusal is None and self.draining:
            refusal = Refusal(503, "the proxy is stopping, and takes nothing new")
        if refusal is None:
            await self._exchange(Client(scope, receive, send))
        else:
            await self._logged(scope, send, lambda noting: _refuse(Client(scope, receive, noting), refusal))

    async def _exchange(self, client: Client) -> None:
        began = time.monotonic()
        recording = self._recorder.start(client.head.path)
        self._count(1)
        try:
            await self._forward(client, recording)
        except Exception as error:
            log.exception("%s: ccproxy itself failed", recording)
            recording.end(State.FAILED, error=f"ccproxy itself failed: {type(error).__name__}", error_kind="internal")
            raise
        finally:
            recording.end(State.INTERRUPTED, error="the proxy was stopped", error_kind="stopped")
            self._count(-1)
            outcome = "" if recording.ended is State.COMPLETE else str(recording.ended)
            _log(client.head.method, client.head.path, client.status or recording.status, began, outcome)

    def _count(self, step: int) -> None:
        self._in_flight += step
        self._exchanges += step > 0
        self._gauges.set("in_flight", self._in_flight)
        self._gauges.set("exchanges", self._exchanges)

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["raw_path"]
        if path.startswith(b"/api/") and path not in HERE:
            refusal = self._gate.data(scope["method"], scope["headers"], peer_of(scope))
            if refusal:
                await self._logged(scope, send, lambda noting: _refuse(Client(scope, receive, noting), refusal))
            else:
                await self._logged(scope, send, lambda noting: self._relay(Client(scope, receive, noting)))
        elif path in DOCUMENTS and scope["method"] in ("GET", "HEAD"):
            await self._logged(scope, send, lambda noting: self._relay(Client(scope, receive, noting)))
        else:
            scope["ccproxy.trusted"] = self._gate.trusts(scope["headers"], peer_of(scope))
            await self._logged(scope, send, lambda noting: self._inner(scope, receive, noting))

    async def _logged(self, scope: Scope, send: Send, answer: Callable[[Send], Awaitable[None]]) -> None:
        """Have something answered, and log with which status."""
        began = time.monotonic()
        status: list[int] = []

        async def noting(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                status.append(message["status"])
            await send(message)

        try:
            await answer(noting)
        finally:
            _log(scope["method"], scope["raw_path"], status[0] if status else None, began, "")


def _misframed(headers: Sequence[Header]) -> Refusal | None:
    """Refuse a request that tells two lengths: whoever stands in front may have believed the other one (RFC 9112, 6.1)."""
    names = {name for name, _ in headers}
    if b"transfer-encoding" in names and b"content-length" in names:
        return Refusal(400, "a request has a content-length or a transfer-encoding, not both")
    return None


async def _refuse(client: Client, refusal: Refusal) -> None:
    """Answer somebody who does not come in. What is left of the request is read, up to a point, and thrown away."""
    try:
        async for _ in client.pieces(SWALLOWED_BYTES, SWALLOW_S):
            pass
    except ClientLeftError:
        return
    except RefusedError:
        pass
    body = error_body(refusal.status, refusal.message)
    headers = [*json_headers(body), (b"connection", b"close")]
    if refusal.challenge:
        headers.append((b"www-authenticate", refusal.challenge.encode()))
    if refusal.status == 503:
        headers.append((b"retry-after", b"%d" % RETRY_AFTER_S))
    await client.answer(refusal.status, headers, body)


async def _refuse_version(send: Send) -> None:
    """Answer a request over cleartext HTTP/2, in which a broken answer could not be told from a silent one."""
    body = error_body(505, "this proxy speaks HTTP/1.1")
    await send({"type": "http.response.start", "status": 505, "headers": json_headers(body)})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _log(method: str, path: bytes, status: int | None, began: float, outcome: str) -> None:
    shown = path.decode("latin-1")  # without the query, in which a token may stand
    took = (time.monotonic() - began) * 1000
    if access_log.isEnabledFor(logging.INFO):
        fields = {"method": method, "path": shown, "status": status, "duration_ms": round(took, 1), "outcome": outcome}
        access_log.info(
            "%s %s %s %.0f ms%s",
            *(method, shown, status or "-", took, f" {outcome}" if outcome else ""),
            extra={"fields": fields},
        )
