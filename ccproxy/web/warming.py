"""A rehearsal: one exchange through the forwarder before the first real one, so that nobody's request pays for first times.

It goes to a stand-in inside this process and leaves no record; the provider sees nothing of it. Refuses to fail: a start that
could not be rehearsed is only slower.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from ccproxy.auth import Gate, Policy
from ccproxy.recorder import Recording
from ccproxy.upstream import Limits, Upstream
from ccproxy.web.client import Client, Patience
from ccproxy.web.forward import Forwarder
from ccproxy.web.planning import Planner, Rules

log = logging.getLogger("ccproxy")

ROUNDS = 3
LIMIT_S = 2.0
ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    b"6\r\ndata: \r\n2\r\n\n\n\r\n0\r\n\r\n"
)
BODY = b'{"model":"none","messages":[]}' * 4000


async def rehearse() -> None:
    """Send a few requests of a usual size to a stand-in on loopback, through everything that a real one passes."""
    try:
        async with asyncio.timeout(LIMIT_S):
            server = await asyncio.start_server(_answer, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            upstream = Upstream(f"http://127.0.0.1:{port}", Limits())
            await upstream.start()
            try:
                rules, gate = Rules(b"2023-06-01"), Gate(Policy())
                for _ in range(ROUNDS):
                    await _exchange(Forwarder(Planner(upstream, rules, gate), rules, gate, _settled, Patience(0)))
            finally:
                await upstream.close()
                server.close()
                await server.wait_closed()
    except (OSError, TimeoutError) as error:
        log.info("the rehearsal before the first request failed: %s", error)


async def _exchange(forwarder: Forwarder) -> None:
    scope = {
        "type": "http",
        "method": "POST",
        "raw_path": b"/v1/messages",
        "query_string": b"beta=true",
        "headers": [(b"content-length", b"%d" % len(BODY)), (b"x-api-key", b"none"), (b"user-agent", b"ccproxy")],
        "client": ("127.0.0.1", 0),
    }
    messages = iter([{"type": "http.request", "body": BODY, "more_body": False}])

    async def receive() -> dict[str, Any]:
        for message in messages:
            return message
        await asyncio.Event().wait()
        raise AssertionError

    async def send(_: dict[str, Any]) -> None:
        return

    await forwarder(Client(scope, receive, send), Recording(lambda *_: None, lambda: 0, bytes(16)))


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for _ in range(ROUNDS):
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(len(BODY))
        writer.write(ANSWER)
        await writer.drain()
    writer.close()


async def _settled(_: float) -> None:
    return
