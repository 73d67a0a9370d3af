"""A journal with sessions in it, and an ingest of a journal into a PostgreSQL store as a process of its own.

    python -m tests.support.ingesting DSN FOLDER JOURNAL

Ends at the journal's end, with exit code 0. Does what the contract asks of who writes: waits where the store is busy, and
begins anew where something was swept away.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from ccproxy.errors import StoreBusyError, StoreSweptError
from ccproxy.ingest.pipeline import Pipeline
from ccproxy.journal.reader import JournalReader
from ccproxy.journal.writer import JournalWriter
from ccproxy.recorder import Recorder
from ccproxy.records import Captured, State
from ccproxy.stores.postgres import PostgresStore
from ccproxy.wire import RequestHead, ResponseHead

PAUSE_S = 0.01


def write_journal(folder: Path, writer: str, exchanges: Iterable[Captured]) -> None:
    """Record exchanges as a proxy worker does that then ends."""
    journal = JournalWriter(folder, writer)
    for exchange in exchanges:
        now = iter(range(exchange.opened_at, exchange.opened_at + 10**9))
        recorder = Recorder(
            journal.append, now.__next__, lambda exchange=exchange: bytes.fromhex(exchange.id.replace("-", ""))
        )
        recording = recorder.start()
        opening = exchange.opening
        headers = [(name.encode(), value.encode()) for name, value in opening.headers]
        recording.open(
            RequestHead(opening.method, opening.path.encode(), opening.query.encode(), headers), "anthropic", None
        )
        recording.request(exchange.request)
        recording.sent()
        recording.head(ResponseHead(200, [(b"content-type", b"text/event-stream")]))
        for _, piece in exchange.chunks:
            recording.chunk(piece)
        recording.end(State.COMPLETE)
    journal.close()


def main(dsn: str, folder: Path, journal: str) -> None:
    """Ingest a journal to its end."""
    while True:
        with contextlib.suppress(StoreSweptError), contextlib.closing(_opened(dsn, journal)) as store:
            pipeline = Pipeline(JournalReader(folder, store.positions()), store)
            while _turn(pipeline):
                pass
            return


def _opened(dsn: str, journal: str) -> PostgresStore:
    while True:
        try:
            return PostgresStore(dsn, write=True, journal=journal)
        except StoreBusyError:
            time.sleep(PAUSE_S)


def _turn(pipeline: Pipeline) -> bool:
    try:
        return pipeline.turn()
    except StoreBusyError:
        time.sleep(PAUSE_S)
        return True


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
