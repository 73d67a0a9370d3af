"""A performance of the week: every session through the proxy into a journal, and ingest behind it, into a store.

Puts the pieces together. Between two exchanges ingest takes a turn, as it would in a process of its own. Refuses to know where the store
is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

from ccproxy.demo.casting import actors
from ccproxy.demo.chance import Chance
from ccproxy.demo.line import Line
from ccproxy.demo.provider import Provider
from ccproxy.demo.proxy import Ask, Heard, Proxy
from ccproxy.demo.stage import Stage
from ccproxy.demo.week import Clock, Week
from ccproxy.errors import StoreBusyError
from ccproxy.ingest.pipeline import Pipeline
from ccproxy.journal.reader import JournalReader
from ccproxy.journal.writer import JournalWriter
from ccproxy.stores.contract import Store

TURN_EVERY = 16  # exchanges between two turns of ingest
BUSY_S = 0.1
PATIENCE_S = 60.0  # for a store that is busy
NAME_DIGITS = 16
LONGEST_PLACE = 70  # of the 107 bytes that a Unix socket's path may have

Progress = Callable[[float], None]  # is told which share of the week is over


def perform(store: Store, folder: Path, ending: date, seed: int, writer: str, progress: Progress | None = None) -> None:
    """Play the week that ends on a day into a store. The names of its journal writers begin with `writer`."""
    with (
        _quiet(),
        tempfile.TemporaryDirectory(prefix="journal-", dir=folder) as journal,
        tempfile.TemporaryDirectory(prefix="ccproxy-demo-", dir=_short_place()) as private,
    ):
        performance = _Performance(store, Path(journal), Path(private), Week(ending), seed, writer, progress)
        asyncio.run(performance.run())


class _Performance:
    """The pieces, and what goes on between two exchanges."""

    def __init__(
        self,
        store: Store,
        journal: Path,
        private: Path,
        week: Week,
        seed: int,
        writer: str,
        progress: Progress | None,
    ) -> None:
        clock, ids = Clock(), Chance(seed, "ids")
        self._journal, self._socket = journal, str(private / "api.sock")
        self._week, self._seed = week, seed
        self._writer, self._progress = writer, progress
        self._provider = Provider(clock, Chance(seed, "provider"))
        self._proxy = Proxy(clock, lambda: ids.uuid7(clock.now), private / "board", self._socket)
        self._names = Chance(seed, "writers")
        self._pipeline = Pipeline(JournalReader(self._journal, store.positions()), store)
        self._exchanges = 0

    async def run(self) -> None:
        """Play it to its end, and bring everything into the store."""
        async with self._provider.listening(self._socket), self._proxy.running():
            self._begin()
            await Stage(self._ask).play(actors(self._week, self._seed))
        self._ingest()

    def _begin(self) -> None:
        """Start a proxy process, as far as the journal can tell."""
        self._proxy.start(JournalWriter(self._journal, f"{self._writer}{self._names.hex(NAME_DIGITS)}"))

    async def _ask(self, ask: Ask) -> Heard:
        line = self._provider.line = Line(ask.reply)
        heard = await self._proxy.ask(ask, line)
        self._exchanges += 1
        if line.dark.is_set():
            self._proxy.stop()
            self._ingest()
            self._begin()
        elif self._exchanges % TURN_EVERY == 0:
            self._turn()
            if self._progress is not None:
                self._progress(self._week.share(ask.at))
        return heard

    def _ingest(self) -> None:
        while self._turn():
            pass

    def _turn(self) -> bool:
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                return self._pipeline.turn()
            except StoreBusyError:
                if time.monotonic() > until:
                    raise
                time.sleep(BUSY_S)


def _short_place() -> str:
    """Return a folder for a socket, whose path may not be long."""
    place = tempfile.gettempdir()
    return place if len(place) <= LONGEST_PLACE else "/tmp"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the failures that belong to the week out of the log."""
    log = logging.getLogger("ccproxy")

    def passes(record: logging.LogRecord) -> bool:
        """Tell whether a line is about anything else."""
        return not record.msg.startswith("forward failed")

    log.addFilter(passes)
    try:
        yield
    finally:
        log.removeFilter(passes)
