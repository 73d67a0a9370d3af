"""A worker process: hypercorn around the guard, with its own journal writer and its own pool to the provider.

Puts the pieces together; clock and ids come from here. Started by the supervisor as `python -m ccproxy.web.worker`.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import secrets
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import uvloop
from hypercorn.config import Config

from ccproxy import settings as configuration
from ccproxy.agents.folders import folders_of
from ccproxy.agents.notes import Notes
from ccproxy.auth import Gate, policy_of
from ccproxy.ingest.encodings import ContentDecoder
from ccproxy.journal.writer import JournalWriter
from ccproxy.lifecycle import children, logs
from ccproxy.lifecycle.board import Board, Row
from ccproxy.recorder import Recorder
from ccproxy.routing.targets import targets_of
from ccproxy.settings import Settings
from ccproxy.upstream import Limits, Upstream, environment_proxy
from ccproxy.web import orders
from ccproxy.web.app import create_app
from ccproxy.web.client import Application, Patience
from ccproxy.web.forward import Forwarder
from ccproxy.web.guard import Guard
from ccproxy.web.planning import Planner
from ccproxy.web.relay import Relay
from ccproxy.web.routes import Router
from ccproxy.web.server import serve
from ccproxy.web.status import Status
from ccproxy.web.warming import rehearse
from ccproxy.web.wishes import capture_limits, destinations_of, rules_of

log = logging.getLogger("ccproxy")

CLOSE_S = 5.0  # for connections on which nothing runs any more
DRAIN_POLL_S = 0.05
API_LIMITS = Limits(connect=5.0, head=600.0)  # a deletion in a large store takes its time
GAUGE_S = 0.2
LEAP_NS = 1_000_000_000
MAX_HEADER_BYTES = 1 << 18


def new_clock() -> Callable[[], int]:
    """Return a clock of microseconds since 1970 that counts on evenly and never steps back.

    It follows the time of day only where that has run ahead by more than a leap: after a sleep of the machine, which no
    monotonic clock counts.
    """
    origin = time.time_ns() - time.monotonic_ns()

    def clock() -> int:
        """Return the time."""
        nonlocal origin
        now = time.monotonic_ns()
        ahead = time.time_ns() - now - origin
        if ahead > LEAP_NS:
            origin += ahead
        return (now + origin) // 1000

    return clock


def new_id() -> bytes:
    """Return the 16 bytes of a UUIDv7 (RFC 9562): milliseconds since 1970, then random bits."""
    millis = time.time_ns() // 1_000_000
    noise = int.from_bytes(secrets.token_bytes(10))
    value = millis << 80 | 0x7 << 76 | (noise >> 68 & 0xFFF) << 64 | 0b10 << 62 | noise & (1 << 62) - 1
    return value.to_bytes(16)


class Worker:
    """The pieces of one worker process."""

    def __init__(self, settings: Settings, board: Board, task: children.Task) -> None:
        self.board = board
        self.gauges: Row = board.workers[task.index]
        self.gauges.clear()
        clock = new_clock()
        self.journal = JournalWriter(settings.storage.journal_dir, new_id().hex())
        provider = settings.providers.anthropic
        self.upstream = Upstream(
            provider.base_url,
            Limits(provider.connect_timeout, provider.response_header_timeout, provider.idle_timeout),
            environment_proxy(provider.base_url),
        )
        self.api = Upstream("http://ccproxy", API_LIMITS, socket=task.api)
        self.relay = Relay(self.api)
        self.patience = Patience(settings.server.timeouts.write)
        gate = Gate(policy_of(settings))
        rules = rules_of(settings)
        self.destinations = destinations_of(settings)
        planner = Planner(self.upstream, rules, gate, _router(settings, task), self.destinations)
        status = Status(board, settings.storage.journal_dir, lambda: time.time_ns() // 1000, settings.storage.ingest)
        self.app = Guard(
            cast(Application, create_app(status).asgi_app),
            Forwarder(planner, rules, gate, self.journal.settled, self.patience),
            self.relay,
            Recorder(self.journal.append, clock, new_id, capture_limits(settings), ContentDecoder),
            gate,
            self.gauges,
        )

    async def start(self) -> None:
        """Open the pools."""
        await rehearse()
        for upstream in self._upstreams():
            await upstream.start()

    async def close(self) -> None:
        """Close the pools, and the journal."""
        for upstream in self._upstreams():
            await upstream.close()
        self.journal.close()

    def _upstreams(self) -> list[Upstream]:
        return [self.upstream, self.api, *(one.upstream for one in self.destinations.values())]

    async def drained(self, drain: asyncio.Event) -> None:
        """Wait for the order to drain, take nothing new from then on, and wait until nothing runs, here and in the others."""
        await drain.wait()
        self.app.draining = True
        self.gauges.set("draining", 1)
        while self.board.total("in_flight"):  # noqa: ASYNC110 (other processes count in it)
            await asyncio.sleep(DRAIN_POLL_S)
        self.relay.stop()

    async def show_gauges(self) -> None:
        """Keep the board's picture of the journal up to date."""
        while True:
            self.gauges.set("dropped_exchanges", self.journal.dropped_exchanges)
            self.gauges.set("dropped_bytes", self.journal.dropped_bytes)
            if self.gauges.text() != (self.journal.error or ""):
                self.gauges.set_text(self.journal.error or "")
                if self.journal.error:
                    log.error("capture is suspended, traffic is not: %s", self.journal.error)
            await asyncio.sleep(GAUGE_S)


def _router(settings: Settings, task: children.Task) -> Router | None:
    """Return what finds the routes of requests; where no agent is mapped, nothing does, and nothing is read for it."""
    targets = targets_of(settings)
    if not targets:
        return None
    return Router(targets, Notes(Path(task.notes), task.workers, task.index), folders_of(settings))


def server_config(settings: Settings, sockets: list[int]) -> Config:
    """Return hypercorn's configuration: nothing added to answers, nothing cut short."""
    config = Config()
    config.bind = [f"fd://{descriptor}" for descriptor in sockets]
    config.include_date_header = False
    config.include_server_header = False
    config.h11_max_incomplete_size = MAX_HEADER_BYTES
    config.keep_alive_timeout = settings.server.timeouts.idle or configuration.LONGEST_DURATION
    config.keep_alive_max_requests = 1 << 40
    config.graceful_timeout = CLOSE_S
    config.accesslog = None
    config.errorlog = None
    return config


def _complain(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what went wrong outside of any request; a connection that was cut on purpose is nothing that did."""
    error = context.get("exception")
    if not isinstance(error, asyncio.CancelledError):
        log.error("%s", context.get("message"), exc_info=error)


async def run(task: children.Task) -> None:
    """Serve until told to stop."""
    settings = configuration.parse(task.settings_json())
    worker = Worker(settings, Board(Path(task.board), task.workers), task)
    drain, stop = asyncio.Event(), asyncio.Event()

    def obey(order: str) -> None:
        """Drain on every order; stop at once on some."""
        drain.set()
        if order in ("stop", orders.GONE):
            config.graceful_timeout = 0
            stop.set()

    config = server_config(settings, task.sockets)
    asyncio.get_running_loop().set_exception_handler(_complain)
    await worker.start()
    try:
        async with asyncio.TaskGroup() as group:
            helpers = [
                group.create_task(work) for work in (orders.listen(obey), worker.show_gauges(), worker.patience.run())
            ]
            serving = group.create_task(
                serve(worker.app, config, shutdown_trigger=partial(worker.drained, drain))  # type: ignore[arg-type]
            )
            stopping = group.create_task(stop.wait())
            worker.gauges.set("pid", os.getpid())
            await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
            for other in (serving, stopping, *helpers):
                other.cancel()
    finally:
        await worker.close()


def main() -> None:
    """Run a worker process."""
    task = children.read_task()
    with logs.to_stderr(configuration.parse(task.settings_json()).logging):
        gc.freeze()  # what is loaded by now stays; collections need not look at it again
        uvloop.run(run(task))


if __name__ == "__main__":
    main()
