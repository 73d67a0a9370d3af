"""The parent process of a proxy: starts workers and ingest, restarts what dies, and stops everything in order.

It holds the listening sockets, so that connections wait instead of failing while a worker comes back. The process that answers
the data API is started when somebody first asks it, and again after it has gone to sleep; the dashboard comes last, and may stay
away. At a stop the workers finish what runs, then ingest brings what they wrote into the store. Refuses to know what its children do.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import resource
import select
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ccproxy.lifecycle import children
from ccproxy.lifecycle.board import Board
from ccproxy.lifecycle.child import Child, Guest, Launch

log = logging.getLogger("ccproxy")

POLL_S = 0.1
PROGRESS_S = 10.0
INGEST_STOP_S = 60.0  # how long a stop waits for ingest; what it does not manage stays in the journal
FORCED_STOP_S = 2.0  # likewise, when somebody wants an end at once
API_STOP_S = 5.0
DASHBOARD_STOP_S = 1.0  # it only reads, so nothing is lost where it is ended
SOCKET_FOLDER, SOCKET = "ccproxy-api-", "api.sock"
LONGEST_PLACE = 70  # of the 107 bytes that a Unix socket's path may have
MANY_FILES = 65_536


@dataclass(frozen=True, slots=True)
class Modules:
    """What the children run: workers, ingest, and the data API; None where there is none of a kind."""

    worker: str | None = None
    ingest: str | None = None
    api: str | None = None


class Supervisor:
    """Runs `workers` worker processes, one ingest process, and the data API's when it is asked for."""

    def __init__(
        self,
        *,
        modules: Modules,
        settings: bytes,
        workers: int,
        listeners: Sequence[socket.socket],
        drain_timeout: float,
    ) -> None:
        self._signals = 0
        allow_many_files()
        for number in children.OURS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup wants it
                signal.signal(number, self._on_signal)
        self._listeners = listeners
        self._drain_timeout = drain_timeout
        self._opened = contextlib.ExitStack()
        # Files without a name: nobody can clean them away under us.
        self._board_file = self._opened.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 (the stack closes it)
        self._notes_file = self._opened.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 (likewise)
        board = f"/dev/fd/{self._board_file.fileno()}"
        self.board = Board(Path(board), workers)
        self._api_listener, api_path = self._opened.enter_context(_private_socket())
        sockets = [listener.fileno() for listener in listeners]

        def child(name: str, module: str, index: int = 0, own: Sequence[int] = ()) -> Child:
            task = children.Task.of(
                settings,
                board=board,
                workers=workers,
                index=index,
                sockets=list(own),
                api=api_path if modules.api else "",
                notes=f"/dev/fd/{self._notes_file.fileno()}",
            )
            files = [self._board_file.fileno(), self._notes_file.fileno()]
            return Child(name, lambda: children.start(module, task, [*own, *files]))

        serving = modules.worker or ""
        self._workers = [child(f"worker {index}", serving, index, sockets) for index in range(workers)]
        self._ingest = child("ingest", modules.ingest) if modules.ingest else None
        self._api = child("data API", modules.api, 0, [self._api_listener.fileno()]) if modules.api else None
        self._dashboard: Guest | None = None
        for one in self._lasting():
            one.start()

    def run(self, ready: Callable[[], Launch | None]) -> int:
        """Watch until a signal says stop; call `ready` once all workers serve: it may return what starts the dashboard.

        Returns the exit code.
        """
        announced = False
        try:
            while not self._signals:
                if not announced and all(row.get("pid") for row in self.board.workers):
                    announced = True
                    if launch := ready():
                        self._dashboard = Guest("dashboard", launch)
                        self._dashboard.begin()
                self._revive()
                self._wait(POLL_S if announced else POLL_S / 10)
            return self._stop()
        finally:
            self._opened.close()

    def _lasting(self) -> list[Child]:
        return [*([self._ingest] if self._ingest else []), *self._workers]

    def _on_signal(self, number: int, _frame: object) -> None:
        self._signals += 1

    def _revive(self) -> None:
        now = time.monotonic()
        for child in self._lasting():
            if not child.alive and child.fell(now):
                child.start()
        if self._dashboard:
            self._dashboard.revive(now)

    def _wait(self, seconds: float) -> None:
        """Let time pass; start the data API's process when somebody asks for it meanwhile."""
        api = self._api
        if api is None or api.alive:
            time.sleep(seconds)
        elif api.process is not None and api.process.returncode and not api.fell(time.monotonic()):
            time.sleep(seconds)  # it died, and did not just go to sleep
        elif select.select([self._api_listener], [], [], seconds)[0]:
            api.start()

    # Stopping ---------------------------------------------------------------------------------------------------------

    def _stop(self) -> int:
        forced = self._drain()
        for listener in self._listeners:  # else connections would wait in it for a worker that never comes
            listener.close()
        if self._dashboard:
            self._dashboard.order("stop")
        if self._api:
            self._end(self._api, "stop", API_STOP_S, "the data API did not stop")
        if self._ingest:
            patience = FORCED_STOP_S if forced else INGEST_STOP_S
            left = "ingest is not done; the rest stays in the journal and is stored at the next start"
            self._end(self._ingest, "drain", patience, left)
        if self._dashboard:
            self._end(self._dashboard, "stop", DASHBOARD_STOP_S, "")
        for child in self._lasting():
            child.close_pipe()
        return 0

    def _drain(self) -> bool:
        """Have the workers finish what runs; return whether they had to be cut short, by a second signal or the ceiling."""
        orders, began = self._signals, time.monotonic()
        for child in self._workers:
            child.order("drain")
        in_flight = self.board.total("in_flight")
        if in_flight:
            log.info("stopping: waiting for %d running exchanges; a second signal ends them", in_flight)
        told, forced = began, False
        while any(child.alive for child in self._workers):
            now = time.monotonic()
            for row, child in zip(self.board.workers, self._workers, strict=True):
                if not child.alive:
                    row.set("in_flight", 0)  # nothing runs in one that died, and the others wait for all
            if not forced and (self._signals > orders or now - began > self._drain_timeout):
                forced = self._cut_short(now - began)
            if now - told >= PROGRESS_S:
                told = now
                log.info("stopping: %d exchanges run on after %.0f s", self.board.total("in_flight"), now - began)
            time.sleep(POLL_S / 4)
        return forced

    def _cut_short(self, seconds: float) -> bool:
        """End the workers at once; return whether that cuts anything short."""
        running = self.board.total("in_flight")
        if running:
            log.warning("stopping: %d exchanges are cut short after %.0f s", running, seconds)
        for child in self._workers:
            child.order("stop")
        return True

    def _end(self, child: Child, order: str, patience: float, complaint: str) -> None:
        """Wait for a child that was told to end, and no longer than that; a signal meanwhile ends the wait."""
        child.order(order)
        signals, last = self._signals, time.monotonic() + patience
        while child.alive and time.monotonic() < last and self._signals == signals:
            time.sleep(POLL_S / 10)
        if child.alive and child.process is not None:
            log.log(logging.WARNING if complaint else logging.DEBUG, "%s", complaint or f"{child.name} was ended")
            child.process.kill()
            child.process.wait()
        child.close_pipe()


@contextlib.contextmanager
def _private_socket() -> Iterator[tuple[socket.socket, str]]:
    """Listen on a Unix socket in a folder that nobody else can enter; yield it and its path."""
    place = tempfile.gettempdir()
    place = place if len(place) <= LONGEST_PLACE else "/tmp"
    _sweep(Path(place))
    with (
        tempfile.TemporaryDirectory(prefix=SOCKET_FOLDER, dir=place) as folder,
        _held(folder),
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener,
    ):
        path = f"{folder}/{SOCKET}"
        listener.bind(path)
        listener.listen(1024)
        os.set_inheritable(listener.fileno(), True)
        yield listener, path


@contextlib.contextmanager
def _held(folder: str) -> Iterator[None]:
    """Hold a folder's lock, by which others see that its owner lives. Raises BlockingIOError where another holds it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _sweep(place: Path) -> None:
    """Remove the folders of our own that a killed parent left."""
    for path in place.glob(f"{SOCKET_FOLDER}*/{SOCKET}"):
        with contextlib.suppress(OSError):
            if path.parent.stat().st_uid == os.geteuid():
                with _held(str(path.parent)):
                    path.unlink()
                    path.parent.rmdir()


def allow_many_files() -> None:
    """Raise the number of open files that this process and its children may have to what the system allows them.

    Each client, and each connection to the provider, is one; the usual limit of 1024 is meant for programs that do not serve.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MANY_FILES if hard == resource.RLIM_INFINITY else min(hard, MANY_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def listen(host: str, port: int) -> socket.socket:
    """Open the listening socket. Raises OSError where the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
        os.set_inheritable(listener.fileno(), True)
    except OSError:
        listener.close()
        raise
    return listener
