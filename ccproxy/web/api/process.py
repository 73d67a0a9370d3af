"""The process that answers the data API: started when somebody asks, asleep again when nobody has asked for a while.

Listens on a private socket behind the proxy, which has checked who asks. Refuses to touch the hot path: whatever a query
costs, it costs here.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from typing import Any, cast

from hypercorn.config import Config

from ccproxy import settings as configuration
from ccproxy.lifecycle import children, logs
from ccproxy.settings import Settings
from ccproxy.web import orders
from ccproxy.web.api import application
from ccproxy.web.client import Application, Receive, Scope, Send
from ccproxy.web.server import serve

ASLEEP_S = 600.0  # a browser tab that looks once in a while keeps it awake
LOOK_S = 5.0
CLOSE_S = 1.0
NICENESS = 5  # a stream that is being forwarded goes before a page that is being looked at


class Watched:
    """The application, and when it last did something."""

    def __init__(self, inner: Application) -> None:
        self._inner = inner
        self._running = 0
        self._last = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI scope."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        self._running += 1
        try:
            await self._inner(scope, receive, send)
        finally:
            self._running -= 1
            self._last = time.monotonic()

    async def sleepy(self, seconds: float) -> None:
        """Wait until nobody has asked for so long."""
        while self._running or time.monotonic() - self._last < seconds:  # noqa: ASYNC110 (time is what is waited for)
            await asyncio.sleep(min(LOOK_S, seconds))


def server_config(sockets: list[int]) -> Config:
    """Return hypercorn's configuration."""
    config = Config()
    config.bind = [f"fd://{descriptor}" for descriptor in sockets]
    config.include_date_header = False
    config.include_server_header = False
    config.graceful_timeout = CLOSE_S
    config.accesslog = None
    config.errorlog = None
    return config


async def run(settings: Settings, sockets: list[int]) -> None:
    """Answer until told to stop, or until nobody asks any more."""
    stop = asyncio.Event()
    api, end_streams = application.create(settings)
    app = Watched(cast(Application, api))
    listening = asyncio.create_task(orders.listen(lambda _: stop.set()))
    ends = [asyncio.create_task(app.sleepy(ASLEEP_S)), asyncio.create_task(stop.wait())]

    async def shutdown() -> None:
        """Wait for a reason to end, then end the streams."""
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        await end_streams()

    try:
        await serve(cast(Any, app), server_config(sockets), shutdown_trigger=shutdown)
    finally:
        for task in (listening, *ends):
            task.cancel()


def main() -> None:
    """Run the data API's process."""
    task = children.read_task()
    settings = configuration.parse(task.settings_json())
    os.nice(NICENESS)
    with logs.to_stderr(settings.logging):
        gc.freeze()
        asyncio.run(run(settings, task.sockets))


if __name__ == "__main__":
    main()
