"""The ingest process: turns the pipeline for as long as its parent lives, and to the journal's end at a stop.

Started by the supervisor as `python -m ccproxy.ingest.process`. Between two turns retention takes a step. Shows on the board
how far it is. Waits here, and only here.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import select
import time
from collections.abc import Iterator
from pathlib import Path

from ccproxy import settings as configuration
from ccproxy.errors import StoreBusyError, StoreError, StoreSweptError
from ccproxy.ingest import original
from ccproxy.ingest.pipeline import Pipeline
from ccproxy.ingest.retention import Retention
from ccproxy.journal import segments
from ccproxy.journal.reader import JournalReader
from ccproxy.lifecycle import children, logs
from ccproxy.lifecycle.board import Board, Row
from ccproxy.settings import Settings
from ccproxy.stores import choosing
from ccproxy.stores.contract import Store
from ccproxy.stores.sqlite import SqliteStore

log = logging.getLogger("ccproxy")

PAUSE_S = 0.05  # between two looks at the journal: what the store lags behind, and a twentieth of a percent of a core
BUSY_PAUSE_S = 0.25
FAILED_PAUSE_S = 5.0
LOCK_PAUSE_S = 1.0
NICENESS = 5  # a stream that is being forwarded goes before a row that is being written

STARTING, RUNNING, WAITING = 0, 1, 2


class Ingest:
    """The loop around a pipeline."""

    def __init__(self, settings: Settings, gauges: Row) -> None:
        self._settings = settings
        self._gauges = gauges
        self._gauges.clear()
        self._gauges.set("pid", os.getpid())
        self._stopping = False
        self._gone = False

    def run(self) -> None:
        """Work until told to stop; then to the end of the journal."""
        folder = self._settings.storage.journal_dir
        segments.make_folder(folder)
        with self._lock(folder) as held:
            while held and self._work(folder):
                log.info("ingest begins anew from what the store has: something it built on was swept away")

    def _work(self, folder: Path) -> bool:
        """Bring the journal into the store; return whether that has to be begun anew."""
        with self._pipeline(folder) as pipeline:
            if pipeline is None:
                return False
            try:
                self._turns(pipeline)
            except StoreSweptError:  # by another machine's ingest; what was read and not stored is read again
                return True
            return False

    def _turns(self, pipeline: Pipeline) -> None:
        retention = Retention(pipeline, self._settings.storage, lambda: self._beat(RUNNING, ""))
        told = ""
        while not self._gone:
            try:
                busy = pipeline.turn()
            except StoreSweptError:
                raise
            except StoreError as error:
                passing = isinstance(error, StoreBusyError)
                if not passing and str(error) != told:
                    told = str(error)
                    log.error("ingest waits: %s", error)
                self._show(pipeline, WAITING, str(error))
                if self._stopping:  # the journal keeps it for the next start
                    return
                self._pause(BUSY_PAUSE_S if passing else FAILED_PAUSE_S)
                continue
            self._show(pipeline, RUNNING, "")
            if not self._stopping:  # what is not done by then waits for the next start
                busy |= retention.turn()
            if busy:
                self._pause(0)
            elif self._stopping:
                return
            else:
                self._pause(PAUSE_S)

    @contextlib.contextmanager
    def _lock(self, folder: Path) -> Iterator[bool]:
        """Hold the one right to read this journal, and to write to an SQLite file; wait where another process has it."""
        with contextlib.ExitStack() as held:
            store = choosing.writer_lock(self._settings.storage)
            locks = {
                folder / f"{segments.INGEST}{segments.LOCK_SUFFIX}": f"another ingest reads the journal in {folder}"
            }
            if store is not None:
                store.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                locks[store] = f"another ingest writes to {self._settings.storage.db_path}, from a journal of its own"
            yield all(self._locked(path, sentence, held) for path, sentence in locks.items())

    def _locked(self, path: Path, sentence: str, held: contextlib.ExitStack) -> bool:
        """Wait for a lock and hold it; return False where the wait was for nothing, since this process is to stop."""
        told = False
        while (descriptor := segments.hold_lock(path)) is None:
            if not told:
                log.warning("%s; this one waits", sentence)
                told = True
            self._beat(WAITING, sentence)
            self._pause(LOCK_PAUSE_S)
            if self._stopping:  # what is in the journal stays there for the next start
                return False
        held.callback(os.close, descriptor)
        return True

    @contextlib.contextmanager
    def _pipeline(self, folder: Path) -> Iterator[Pipeline | None]:
        store = self._store(folder)
        if store is None:
            yield None
            return
        with contextlib.closing(store):
            raw_responses = self._settings.capture.raw_responses
            yield Pipeline(JournalReader(folder, store.positions()), store, raw_responses=raw_responses)

    def _store(self, folder: Path) -> Store | None:
        """Open the store and put it in order, trying until that can be done."""
        told, journal = "", segments.name_of(folder)
        while not self._stopping:
            try:
                with contextlib.ExitStack() as opened:
                    store = opened.enter_context(
                        contextlib.closing(choosing.open_store(self._settings.storage, write=True, journal=journal))
                    )
                    _put_in_order(store, folder)
                    opened.pop_all()
                    return store
            except StoreError as error:
                if str(error) != told:
                    told = str(error)
                    log.error("ingest waits: %s", error)
                self._beat(WAITING, str(error))
                self._pause(LOCK_PAUSE_S)
        return None

    def _show(self, pipeline: Pipeline, state: int, text: str) -> None:
        unread = pipeline.reader.unread_bytes()
        row = self._gauges
        row.set("unread_bytes", unread)
        row.set("segment_bytes", segments.total_bytes(pipeline.reader.folder))
        row.set("damaged_bytes", pipeline.reader.damaged_bytes)
        row.set("unreadable_frames", pipeline.unreadable_frames)
        row.set("stored", pipeline.stored)
        if state == RUNNING and not unread:
            row.set("caught_up_at", time.time_ns() // 1000)
        self._beat(state, text)

    def _beat(self, state: int, text: str) -> None:
        self._gauges.set("state", state)
        self._gauges.set_text(text)
        self._gauges.set("heartbeat", time.time_ns() // 1000)

    def _pause(self, seconds: float) -> None:
        """Wait, and listen for orders meanwhile."""
        if self._stopping and not self._gone:
            time.sleep(seconds)
            return
        readable, _, _ = select.select([0], [], [], seconds)
        if readable:
            said = os.read(0, 4096)
            self._stopping = True
            self._gone = not said  # the parent is gone: what is left is read at the next start


def _put_in_order(store: Store, folder: Path) -> None:
    """Settle what earlier runs left: exchanges whose journal is gone, positions of writers that are, an original's rows."""
    segments.sweep(folder)
    present = {segment.writer for segment in segments.list_segments(folder)}
    store.interrupt(present)
    for writer in store.positions().keys() - present:
        store.forget_writer(writer)
    if isinstance(store, SqliteStore) and (taken := original.take_over(store)):
        log.info("took over %d exchanges that another proxy had recorded in %s", taken, store.path)


def main() -> None:
    """Run the ingest process."""
    task = children.read_task()
    settings = configuration.parse(task.settings_json())
    os.nice(NICENESS)
    gc.freeze()
    with logs.to_stderr(settings.logging):
        Ingest(settings, Board(Path(task.board), task.workers).ingest).run()


if __name__ == "__main__":
    main()
