"""The parent process of a proxy: starts workers and ingest, restarts what dies, and stops everything in order.

It holds the listening socket, so that connections wait instead of failing while a worker comes back. At a stop the workers
finish first, then ingest brings what they wrote into the store. Refuses to know what a worker or ingest does.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ccproxy.lifecycle import children
from ccproxy.lifecycle.board import Board

log = logging.getLogger("ccproxy")

POLL_S = 0.1
RESTART_DELAYS_S = (0.1, 0.5, 2.0, 5.0, 15.0)  # by how often it died within a minute
SETTLED_S = 60.0
INGEST_STOP_S = 60.0  # how long a stop waits for ingest; what it does not manage stays in the journal


@dataclass(slots=True)
class _Child:
    name: str
    launch: Callable[[], subprocess.Popen[bytes]]
    process: subprocess.Popen[bytes]
    deaths: list[float] = field(default_factory=list)
    again_at: float | None = None


class Supervisor:
    """Runs `workers` worker processes and, unless told not to, one ingest process."""

    def __init__(
        self,
        *,
        worker_module: str,
        ingest_module: str | None,
        settings: bytes,
        workers: int,
        listeners: Sequence[socket.socket],
    ) -> None:
        self._stopping = 0
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup wants it
                signal.signal(number, self._on_signal)
        self._listeners = listeners
        # A file without a name: nobody can clean it away under us.
        self._board_file = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as we do)
        board = f"/dev/fd/{self._board_file.fileno()}"
        self.board = Board(Path(board), workers)
        sockets = [listener.fileno() for listener in listeners]
        shared = [*sockets, self._board_file.fileno()]
        self._children: list[_Child] = []
        self._ingest: _Child | None = None
        if ingest_module:
            task = children.Task.of(settings, board=board, workers=workers)
            self._ingest = self._begin("ingest", lambda: children.start(ingest_module, task, shared[-1:]))
        for index in range(workers):
            task = children.Task.of(settings, board=board, workers=workers, index=index, sockets=sockets)
            self._children.append(
                self._begin(f"worker {index}", lambda task=task: children.start(worker_module, task, shared))  # type: ignore[misc]
            )

    def run(self, ready: Callable[[], None]) -> int:
        """Watch until a signal says stop; call `ready` once all workers serve. Returns the exit code."""
        announced = False
        while not self._stopping:
            if not announced and all(row.get("pid") for row in self.board.workers):
                announced = True
                ready()
            self._revive()
            time.sleep(POLL_S if announced else POLL_S / 10)
        return self._stop()

    def _begin(self, name: str, launch: Callable[[], subprocess.Popen[bytes]]) -> _Child:
        return _Child(name, launch, launch())

    def _on_signal(self, number: int, _frame: object) -> None:
        self._stopping += 1

    def _revive(self) -> None:
        now = time.monotonic()
        for child in [*self._children, *([self._ingest] if self._ingest else [])]:
            if child.process.poll() is None:
                continue
            if child.again_at is None:
                child.deaths = [at for at in child.deaths if now - at < SETTLED_S] + [now]
                delay = RESTART_DELAYS_S[min(len(child.deaths), len(RESTART_DELAYS_S)) - 1]
                child.again_at = now + delay
                log.error("%s ended with code %s; starting it again", child.name, child.process.returncode)
            if now >= child.again_at:
                child.again_at = None
                _close_pipe(child.process)
                child.process = child.launch()

    def _stop(self) -> int:
        orders = self._stopping
        for listener in self._listeners:  # else connections would wait in it for a worker that never comes
            listener.close()
        for child in self._children:
            children.order(child.process, "drain")
        in_flight = self.board.total("in_flight")
        if in_flight:
            log.info("stopping: waiting for %d running exchanges; a second signal ends them", in_flight)
        while any(child.process.poll() is None for child in self._children):
            if self._stopping > orders:
                orders = self._stopping
                for child in self._children:
                    children.order(child.process, "stop")
            time.sleep(POLL_S / 4)
        if self._ingest:
            self._finish_ingest(self._ingest.process)
        for child in [*self._children, *([self._ingest] if self._ingest else [])]:
            _close_pipe(child.process)
        return 0

    def _finish_ingest(self, process: subprocess.Popen[bytes]) -> None:
        children.order(process, "drain")
        try:
            process.wait(INGEST_STOP_S)
        except subprocess.TimeoutExpired:
            log.warning("ingest is not done; the rest stays in the journal and is stored at the next start")
            process.kill()
            process.wait()


def _close_pipe(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()


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
