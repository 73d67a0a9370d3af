"""A proxy that `ccproxy run` starts for itself, and keeps alive: one that dies comes back on the same port.

Also knows how a running proxy is recognised, and asked how it is. Refuses to know for whom it runs.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ccproxy.cli.places import ServeError
from ccproxy.settings import Settings
from ccproxy.stores import choosing

LOOPBACK = "127.0.0.1"
START_S = 30.0
STOP_S = 5.0  # how long exchanges that still run are waited for when the client is gone
POLL_S = 0.05
RESTART_S = 0.2  # doubled for each death that follows soon after another
LONGEST_RESTART_S = 5.0
SETTLED_S = 10.0
MAX_LOG_BYTES = 1 << 20


@contextlib.contextmanager
def own_proxy(settings: Settings, config_file: Path | None) -> Iterator[int]:
    """Run a proxy on a free port and yield the port. At the end it is stopped, and all that it captured is stored."""
    port = _free_port()
    database = settings.storage.db_path
    options = ["--host", LOOPBACK, "--port", str(port), "--no-dashboard", "--no-dotenv"]
    options += ["--db", str(database)] if settings.storage.db_type != choosing.POSTGRES else []
    options += ["--config", str(config_file)] if config_file else []
    keeper = Keeper([sys.executable, "-m", "ccproxy", "serve", *options], database.with_suffix(".log"))
    try:
        _wait_for(port, keeper)
        keeper.watch()
        yield port
    finally:
        keeper.stop()


class Keeper:
    """Keeps one process running until told to stop."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self.log = log
        self._command = command
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="keeper", daemon=True)
        self._make_log()
        self.process = self._start()

    def _make_log(self) -> None:
        try:
            self.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(self.log, os.O_CREAT | os.O_WRONLY, 0o600))
            if self.log.stat().st_size > MAX_LOG_BYTES:
                os.truncate(self.log, 0)
        except OSError as error:
            raise ServeError(
                f"cannot write the log {self.log}: {error.strerror}; choose another storage.db_path"
            ) from error

    def _start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C in the client must not stop the proxy.
            return subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def watch(self) -> None:
        """Begin to start it again whenever it dies."""
        self._thread.start()

    def _watch(self) -> None:
        began, delay = time.monotonic(), RESTART_S
        while not self._stopping.wait(POLL_S):
            if self.process.poll() is None:
                continue
            delay = RESTART_S if time.monotonic() - began > SETTLED_S else min(delay * 2, LONGEST_RESTART_S)
            if not self._stopping.wait(delay):
                self.process, began = self._start(), time.monotonic()

    def stop(self) -> None:
        """Stop the process, letting it bring what it has into the store; what still runs is cut off after a while."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.terminate()
            self.process.wait()


def _wait_for(port: int, keeper: Keeper) -> None:
    deadline = time.monotonic() + START_S
    while not is_ccproxy(LOOPBACK, port):
        if time.monotonic() > deadline or keeper.process.poll() is not None:
            lines = keeper.log.read_text(errors="replace").strip().splitlines()
            said = lines[-1].removeprefix("ccproxy: ") if lines else "it said nothing"
            raise ServeError(f"the proxy did not start: {said} (its log is {keeper.log})")
        time.sleep(POLL_S)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def is_ccproxy(host: str, port: int) -> bool:
    """Tell whether a ccproxy listens there."""
    return (_asked(host, port, "/") or {}).get("service") == "ccproxy"


def health(host: str, port: int) -> dict[str, Any] | None:
    """Return what a running ccproxy says of itself, or None where none runs there."""
    found = _asked(host, port, "/livez")
    return found if found and "ingest" in found else None


def caught_up(host: str, port: int, patience: float) -> bool:
    """Wait until a running proxy has brought all that it captured into the store; tell whether it has."""
    deadline = time.monotonic() + patience
    while (found := health(host, port)) and found["journal"]["lag_bytes"]:
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return found is not None


def _asked(host: str, port: int, path: str) -> dict[str, Any] | None:
    connection = http.client.HTTPConnection(host, port, timeout=2.0)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        found = json.loads(answer.read(1 << 16))
        return found if answer.status == 200 and isinstance(found, dict) else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
