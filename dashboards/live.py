"""What runs at this moment: the proxy's live view, followed once for all tabs.

Reads `/api/live` on the proxy's own address, in the server's loop, and only while somebody listens. A proxy that is away is looked
for again. Refuses to know how any of it is shown.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable
from typing import NamedTuple

from analysis import Configuration
from dashboards.board import Board
from dashboards.events import Events
from dashboards.following import RefusedError, follow

RETRY_S = 1.0
ALONE_S = 30.0  # after so long without anybody who listens, the proxy is left in peace
START = "ccproxy serve"
Listener = Callable[[], None]


class State(NamedTuple):
    """How the connection to the proxy is: a word for the header, a sentence, and the command that helps, if one does.

    `at` is when it was lost, as seconds; None while it is there, or before it ever was.
    """

    on: bool
    word: str
    sentence: str
    command: str = ""
    at: float | None = None


def credentials(found: Configuration) -> dict[str, str]:
    """Return the headers by which the proxy lets the dashboard in: the password where there is one, else the token."""
    if found.dashboard_password:
        shown = base64.b64encode(f"ccproxy:{found.dashboard_password}".encode()).decode()
        return {"Authorization": f"Basic {shown}"}
    return {"X-CCProxy-Token": found.auth_token} if found.auth_enabled else {}


class Live:
    """Follows one proxy. `clock` gives seconds since 1970."""

    def __init__(self, configuration: Configuration, clock: Callable[[], float] = time.time) -> None:
        self.board = Board()
        self._configuration = configuration
        self._clock = clock
        self._listeners: set[Listener] = set()
        self._task: asyncio.Task[None] | None = None
        self._events = Events()
        self._state = State(False, "looking", f"looking for the proxy at {configuration.proxy_url}")

    def __repr__(self) -> str:
        return f"<Live {self._state.word} {self.board} listeners={len(self._listeners)}>"

    @property
    def public_url(self) -> str:
        """Where clients are told that the proxy is."""
        return self._configuration.public_url

    def join(self, listener: Listener) -> None:
        """Call `listener`, in the server's loop, after anything has changed. Only within that loop."""
        self._listeners.add(listener)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._follow())

    def leave(self, listener: Listener) -> None:
        """Call it no more. Only within the server's loop; who was never there may leave."""
        self._listeners.discard(listener)
        if not self._listeners and self._task is not None:
            asyncio.get_running_loop().call_later(ALONE_S, self._rest)

    def state(self) -> State:
        """Return how the connection is."""
        return self._state

    @property
    def configuration(self) -> Configuration:
        """What is configured, the proxy's address included."""
        return self._configuration

    def _rest(self) -> None:
        if not self._listeners and self._task is not None:
            self._task.cancel()
            self._task = None
            self._become(State(False, "looking", f"looking for the proxy at {self._configuration.proxy_url}"))

    async def _follow(self) -> None:
        """Follow for ever; each connection begins with a snapshot."""
        url = f"{self._configuration.proxy_url}/api/live"
        while True:
            self._events = Events()
            try:
                await follow(url, credentials(self._configuration), self._take)
                self._lose(
                    "stopped",
                    "the proxy has ended the live view, as it does when it stops; looking for it again",
                    START,
                )
            except RefusedError as error:
                self._lose("refused", *self._why(error.status))
            except TimeoutError:
                self._lose("silent", f"the proxy at {url} says nothing any more; looking for it again")
            except OSError as error:
                sentence = f"no proxy is to be reached at {self._configuration.proxy_url} ({error.strerror or error}); looking for it"
                self._lose("looking", sentence, START)
            await asyncio.sleep(RETRY_S)

    def _why(self, status: int) -> tuple[str, str]:
        if status in (401, 403):
            sentence = "the proxy does not let the dashboard in: both must have the same DASHBOARD_PASSWORD, AUTH_TOKEN and ALLOWED_HOSTS"
            return sentence, "ccproxy config show"
        if not status:
            return (
                f"what answers at {self._configuration.proxy_url} is no ccproxy; looking for it again",
                "ccproxy doctor",
            )
        return (
            f"the proxy answers with status {status} where its live view should be; looking for it again",
            "ccproxy doctor",
        )

    def _take(self, data: bytes) -> None:
        if not self._state.on:
            self._state = State(True, "live", f"connected to the proxy at {self._configuration.proxy_url}")
        for event in self._events.feed(data):
            self.board.take(event.name, event.data, self._clock())
        self._tell()

    def _lose(self, word: str, sentence: str, command: str = "") -> None:
        at = self._clock() if self._state.on else self._state.at
        self._become(State(False, word, sentence, command, at))

    def _become(self, state: State) -> None:
        if state != self._state:
            self._state = state
            self._tell()

    def _tell(self) -> None:
        for listener in list(self._listeners):
            listener()
