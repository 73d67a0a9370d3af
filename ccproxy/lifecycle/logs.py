"""Where log lines go: to standard error, from a thread of their own.

A terminal that is stopped, or a pipe that nobody reads, must not hold up a stream; so no log line is written by whoever has
something else to do. Refuses to know what is logged.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import sys
from collections.abc import Iterator
from logging.handlers import QueueHandler, QueueListener
from typing import Protocol

MAX_WAITING = 10_000  # log lines; beyond it they are thrown away rather than waited for


class Wishes(Protocol):
    """What the settings say about logging."""

    @property
    def access(self) -> bool: ...
    @property
    def level(self) -> str: ...


class _Impatient(QueueHandler):
    """Throws a line away where the queue is full."""

    def enqueue(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(queue.Full):
            self.queue.put_nowait(record)

    def handleError(self, record: logging.LogRecord) -> None:
        return


@contextlib.contextmanager
def to_stderr(wishes: Wishes) -> Iterator[None]:
    """Send our log lines to standard error for as long as this lasts."""
    lines: queue.Queue[logging.LogRecord] = queue.Queue(MAX_WAITING)
    sink = logging.StreamHandler(sys.stderr)
    sink.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    listener = QueueListener(lines, sink)
    ours = logging.getLogger("ccproxy")
    ours.setLevel(wishes.level.upper())
    logging.getLogger("ccproxy.access").setLevel("INFO" if wishes.access else "CRITICAL")
    handler = _Impatient(lines)
    ours.addHandler(handler)
    listener.start()
    try:
        yield
    finally:
        ours.removeHandler(handler)
        listener.stop()
