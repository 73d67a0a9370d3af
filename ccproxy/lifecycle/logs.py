"""Where log lines go: to standard error, from a thread of their own.

A terminal that is stopped, or a pipe that nobody reads, must not hold up a stream; so no log line is written by whoever has
something else to do, and lines wait a moment for company. Refuses to know what is logged.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import threading
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Protocol, TextIO

MAX_WAITING = 10_000  # log lines; beyond it the oldest are thrown away rather than waited for
DELAY_S = 0.1
TEXT = "%(asctime)s %(message)s"


class Wishes(Protocol):
    """What the settings say about logging."""

    @property
    def access(self) -> bool:
        """Whether each request is a line."""

    @property
    def level(self) -> str:
        """The least important level that is shown."""

    @property
    def format(self) -> str:
        """`text`, or `json`: an object a line."""


class _Json(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, and the fields that the caller named."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told, default=str)


class _Later(logging.Handler):
    """Keeps records until its thread writes them."""

    def __init__(self, stream: TextIO, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self._stream = stream
        self._waiting: deque[logging.LogRecord] = deque(maxlen=MAX_WAITING)
        self._work = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record; never waits."""
        self._waiting.append(record)
        if not self._work.is_set():
            self._work.set()

    def close(self) -> None:
        """Write what is left, as long as that takes no second."""
        self._closing.set()
        self._work.set()
        self._thread.join(1.0)
        super().close()

    def _run(self) -> None:
        last = False
        while not last:
            self._work.wait()
            self._closing.wait(DELAY_S)
            self._work.clear()
            last = self._closing.is_set()
            text = "".join(self._taken())
            with contextlib.suppress(OSError, ValueError):  # nobody reads any more
                self._stream.write(text)
                self._stream.flush()

    def _taken(self) -> Iterator[str]:
        """Yield the lines that wait, each once."""
        with contextlib.suppress(IndexError):
            while True:
                record = self._waiting.popleft()
                try:
                    yield self.format(record) + "\n"
                except (TypeError, ValueError, KeyError):  # its arguments do not fit its text
                    yield f"{record.msg} {record.args!r}\n"


@contextlib.contextmanager
def to_stderr(wishes: Wishes) -> Iterator[None]:
    """Send our log lines to standard error for as long as this lasts."""
    ours = logging.getLogger("ccproxy")
    before = ours.level
    ours.setLevel(wishes.level.upper())
    logging.getLogger("ccproxy.access").setLevel(logging.NOTSET if wishes.access else logging.CRITICAL)
    handler = _Later(sys.stderr, _Json() if wishes.format == "json" else logging.Formatter(TEXT, "%H:%M:%S"))
    ours.addHandler(handler)
    try:
        yield
    finally:
        ours.removeHandler(handler)
        ours.setLevel(before)
        handler.close()
