"""The outermost guard: it stands around everything and concludes every exchange exactly once.

A body generator that was never started has no `finally`, and a framework may lose a request before its own code runs; so the
one place where an exchange surely ends is here. It also counts what is in flight, and writes the line of the access log.
Refuses to know how requests are answered.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from ccproxy.lifecycle.board import Row
from ccproxy.recorder import Recorder
from ccproxy.records import State
from ccproxy.web.answers import error_body, json_headers
from ccproxy.web.forward import Forwarder, Receive, Scope, Send

log = logging.getLogger("ccproxy")
access_log = logging.getLogger("ccproxy.access")

Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Guard:
    """The ASGI application: `/v1/*` goes to the forwarder, on record; everything else to `inner`."""

    def __init__(self, inner: Application, forwarder: Forwarder, recorder: Recorder, gauges: Row) -> None:
        self._inner = inner
        self._forward = forwarder
        self._recorder = recorder
        self._gauges = gauges
        self._in_flight = self._exchanges = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI scope."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
        elif scope["http_version"] == "2":
            await _refuse_version(send)
        elif scope["raw_path"].startswith(b"/v1/"):
            await self._exchange(scope, receive, send)
        else:
            await self._other(scope, receive, send)

    async def _exchange(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.monotonic()
        recording = self._recorder.start()
        self._count(1)
        try:
            await self._forward(scope, receive, send, recording)
        except Exception as error:
            log.exception("%s: ccproxy itself failed", recording)
            recording.end(State.FAILED, error=f"ccproxy itself failed: {type(error).__name__}", error_kind="internal")
            raise
        finally:
            recording.end(State.INTERRUPTED, error="the proxy was stopped", error_kind="stopped")
            self._count(-1)
            outcome = "" if recording.ended is State.COMPLETE else f" {recording.ended}"
            _log(scope, recording.status, began, outcome)

    def _count(self, step: int) -> None:
        self._in_flight += step
        self._exchanges += step > 0
        self._gauges.set("in_flight", self._in_flight)
        self._gauges.set("exchanges", self._exchanges)

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.monotonic()
        status: list[int] = []

        async def noting(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                status.append(message["status"])
            await send(message)

        try:
            await self._inner(scope, receive, noting)
        finally:
            _log(scope, status[0] if status else None, began, "")


async def _refuse_version(send: Send) -> None:
    """Answer a request over cleartext HTTP/2, in which a broken answer could not be told from a silent one."""
    body = error_body(505, "this proxy speaks HTTP/1.1")
    await send({"type": "http.response.start", "status": 505, "headers": json_headers(body)})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _log(scope: Scope, status: int | None, began: float, outcome: str) -> None:
    path = scope["raw_path"].decode("latin-1")  # without the query, in which a token may stand
    access_log.info(
        "%s %s %s %.0f ms%s", scope["method"], path, status or "-", (time.monotonic() - began) * 1000, outcome
    )
