"""A child as the supervisor keeps it: started, started again when it dies, told to stop.

Knows how long one that dies often has to wait, and that a guest, without which the proxy is whole, may stay away. Refuses to know
what it does.
"""

from __future__ import annotations

import contextlib
import logging
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field

from ccproxy.lifecycle import children

log = logging.getLogger("ccproxy")
Launch = Callable[[], subprocess.Popen[bytes]]

RESTART_DELAYS_S = (0.1, 0.5, 2.0, 5.0, 15.0)  # by how often it died within a minute
SETTLED_S = 60.0
GUEST_DEATHS = 5  # within SETTLED_S; a start may cost some seconds of the machine's time
NOT_AGAIN = 78  # the exit code by which a guest says that starting it again would not help


@dataclass(slots=True)
class Child:
    """One child. `launch` starts its process."""

    name: str
    launch: Launch
    process: subprocess.Popen[bytes] | None = None
    deaths: list[float] = field(default_factory=list)
    again_at: float | None = None

    @property
    def alive(self) -> bool:
        """Tell whether it runs."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start it, or start it again."""
        self.again_at = None
        self.close_pipe()
        self.process = self.launch()

    def order(self, text: str) -> None:
        """Give it an order."""
        if self.process is not None:
            children.order(self.process, text)

    def close_pipe(self) -> None:
        """Let go of the pipe to it."""
        if self.process is not None and self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()

    def fell(self, now: float) -> bool:
        """Tell whether it has to be started again now; one that dies often has to wait."""
        if self.again_at is None:
            self.deaths = [at for at in self.deaths if now - at < SETTLED_S] + [now]
            self.again_at = now + RESTART_DELAYS_S[min(len(self.deaths), len(RESTART_DELAYS_S)) - 1]
            code = self.process.returncode if self.process else None
            log.error("%s ended with code %s; starting it again", self.name, code)
        return now >= self.again_at


@dataclass(slots=True)
class Guest(Child):
    """One without which the proxy is whole: whatever becomes of it, the proxy goes on."""

    gone: bool = False

    def begin(self) -> None:
        """Start it, or let it stay away."""
        try:
            self.start()
        except OSError as error:
            self._stay_away(str(error))

    def revive(self, now: float) -> None:
        """Start it again where it has died, unless that does not help."""
        if self.gone or self.alive:
            return
        if self.process is not None and self.process.returncode == NOT_AGAIN:
            self._stay_away("it has said why")
        elif self.fell(now):
            self.begin()
        elif len(self.deaths) >= GUEST_DEATHS:
            self._stay_away(f"it died {GUEST_DEATHS} times within a minute")

    def _stay_away(self, reason: str) -> None:
        log.warning("the %s stays off (%s); the proxy goes on without it", self.name, reason)
        self.gone = True
        self.close_pipe()
