"""A guest among the children: whatever becomes of it, nobody else notices."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from ccproxy.lifecycle.child import GUEST_DEATHS, NOT_AGAIN, Guest


def _ending(code: int) -> Callable[[], subprocess.Popen[bytes]]:
    return lambda: subprocess.Popen([sys.executable, "-c", f"raise SystemExit({code})"], stdin=subprocess.PIPE)


def _dead(guest: Guest) -> None:
    assert guest.process is not None
    guest.process.wait()


def test_a_guest_that_dies_comes_back_and_not_for_ever() -> None:
    """It is started again, later each time, and stays away once it has died too often within a minute."""
    guest, now, starts = Guest("dashboard", _ending(1)), 1000.0, 1
    guest.begin()
    while not guest.gone:
        _dead(guest)
        before = guest.process
        guest.revive(now)
        guest.revive(now + 0.01)
        now += 10 if guest.gone else (guest.again_at or now) - now
        guest.revive(now)
        starts += guest.process is not before
        assert starts <= GUEST_DEATHS
    assert starts == GUEST_DEATHS
    guest.revive(now + 1000)
    assert not guest.alive


def test_a_guest_that_cannot_work_says_so_once() -> None:
    """The exit code for it means that starting again would not help."""
    guest = Guest("dashboard", _ending(NOT_AGAIN))
    guest.begin()
    _dead(guest)
    first = guest.process
    for moment in (1.0, 2.0, 100.0):
        guest.revive(moment)
    assert (guest.gone, guest.process) == (True, first)


def test_a_guest_that_cannot_be_started_stays_away() -> None:
    """A machine that gives no process stops nothing else."""

    def refuse() -> subprocess.Popen[bytes]:
        raise OSError(11, "Resource temporarily unavailable")

    guest = Guest("dashboard", refuse)
    guest.begin()
    guest.revive(1.0)
    assert guest.gone
