"""Log lines: written by a thread of their own, so that nobody who logs ever waits."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
from dataclasses import dataclass
from datetime import datetime

import pytest

from ccproxy.lifecycle import logs

LONG_S = 30.0


@dataclass
class Wishes:
    """What settings would say."""

    access: bool = True
    level: str = "info"
    format: str = "text"


class Slow(io.StringIO):
    """A terminal that nobody looks at until it goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.going, self.reached = threading.Event(), threading.Event()

    def write(self, text: str) -> int:
        """Wait, then write."""
        self.reached.set()
        assert self.going.wait(LONG_S)
        return super().write(text)


def _lines(monkeypatch: pytest.MonkeyPatch, wishes: Wishes) -> list[str]:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with logs.to_stderr(wishes):
        logging.getLogger("ccproxy").info("an info with a %s", "value")
        logging.getLogger("ccproxy").warning("a warning")
        logging.getLogger("ccproxy.access").info("an access")
    return [line[9:] for line in stream.getvalue().splitlines()]


def test_lines_are_written_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line has its time, and all are there when logging ends."""
    assert _lines(monkeypatch, Wishes()) == ["an info with a value", "a warning", "an access"]


def test_wishes_are_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Level and access log are as the settings say; a line of the access log is an info."""
    assert _lines(monkeypatch, Wishes(level="warning")) == ["a warning"]
    assert _lines(monkeypatch, Wishes(access=False)) == ["an info with a value", "a warning"]


def test_a_stopped_terminal_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the terminal does not take anything, logging goes on; beyond a bound the oldest lines are lost."""
    monkeypatch.setattr(logs, "MAX_WAITING", 50)
    stream = Slow()
    monkeypatch.setattr(sys, "stderr", stream)
    with logs.to_stderr(Wishes()):
        log = logging.getLogger("ccproxy")
        log.info("first")
        assert stream.reached.wait(LONG_S)
        for number in range(1000):  # would hang here
            log.info("line %d", number)
        stream.going.set()
    written = stream.getvalue()
    assert "first" in written
    assert "line 999" in written
    assert "line 100\n" not in written


def test_a_line_that_cannot_be_formatted_costs_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log call with the wrong arguments does not silence the ones after it."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(
        logging.getLogger("ccproxy"), "propagate", False
    )  # the test runner listens, too, and would object
    with logs.to_stderr(Wishes()):
        logging.getLogger("ccproxy").info("%d lines", "no number")
        logging.getLogger("ccproxy").info("still there")
    assert "still there" in stream.getvalue()


def test_a_terminal_that_is_gone_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """When nobody reads any more the process goes on."""
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    with logs.to_stderr(Wishes()):
        logging.getLogger("ccproxy").info("into the void")


def test_a_line_is_written_as_things_stood(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is logged is what was true then, though it is written a moment later."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    values = ["early"]
    with logs.to_stderr(Wishes()):
        logging.getLogger("ccproxy").info("said %s", values[0])
        values[0] = "late"
    assert "said early" in stream.getvalue()


def test_json_lines_are_objects_with_the_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the format json each line is one object: time, level, logger, message, what its caller named, and the traceback."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with logs.to_stderr(Wishes(format="json")):
        logging.getLogger("ccproxy").warning('said "%s"', "a\nb", extra={"fields": {"status": 200}})
        try:
            raise ValueError("why")
        except ValueError:
            logging.getLogger("ccproxy").exception("failed")
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert first["message"] == 'said "a\nb"'
    assert (first["level"], first["logger"], first["status"]) == ("warning", "ccproxy", 200)
    assert datetime.fromisoformat(first["time"]).tzinfo is not None
    assert "ValueError: why" in second["exception"]
