"""`ccproxy run`: a client, a proxy in front of it, and what was captured meanwhile.

Keeps the proxy alive as long as the client runs: one that dies comes back on the same port. Refuses to know how the client's
command line is made (that is `launch`), and what the proxy does.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from ccproxy.cli import launch
from ccproxy.cli.looking import count, totals
from ccproxy.cli.serving import ServeError
from ccproxy.errors import ConfigError, StoreError
from ccproxy.settings import Settings, environment
from ccproxy.stores.sqlite import SqliteStore

LOOPBACK = "127.0.0.1"
START_S = 30.0
RESTART_S = 0.2
NOT_FOUND, NOT_RUNNABLE = 127, 126  # as a shell says it


def run(settings: Settings, command: list[str], *, print_only: bool, config_file: Path | None) -> int:
    """Run the command through a proxy and return its exit code."""
    host, port = LOOPBACK, settings.server.port
    running = _is_ccproxy(host, port)
    if print_only:
        base_url = f"http://{host}:{port}"
        click.echo(
            shlex.join([*(f"{k}={v}" for k, v in launch.variables(base_url).items()), *_command(command, base_url)])
        )
        return 0
    if running:
        return _session(settings, command, f"http://{host}:{port}", lambda: None)
    with _own_proxy(settings, config_file) as (base_url, stop):
        return _session(settings, command, base_url, stop)


def _session(settings: Settings, command: list[str], base_url: str, stop: object) -> int:
    began = time.time_ns() // 1000
    code = _run(_command(command, base_url), launch.merged_environment(environment(), base_url))
    assert callable(stop)
    stop()
    _report(settings, began)
    return code


def _command(command: list[str], base_url: str) -> list[str]:
    if not launch.is_claude(command):
        return command
    try:
        return launch.with_settings(command, base_url, lambda name: Path(name).expanduser().read_text())
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _run(command: Sequence[str], environ: dict[str, str]) -> int:
    """Run a command on our own terminal and return its exit code. Signals for it are handed on."""
    previous = signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # the terminal sends Ctrl-C to the client as well; it decides
    try:
        child = subprocess.Popen(command, env=environ, restore_signals=True, preexec_fn=_default_interrupt)
    except FileNotFoundError:
        click.echo(f"ccproxy: there is no command {command[0]}", err=True)
        return NOT_FOUND
    except OSError as error:
        click.echo(f"ccproxy: cannot run {command[0]}: {error.strerror}", err=True)
        return NOT_RUNNABLE
    finally_restore = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    for number in finally_restore:
        signal.signal(number, lambda got, _: child.send_signal(got))
    try:
        code = child.wait()
    finally:
        signal.signal(signal.SIGINT, previous)
        for number, handler in finally_restore.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code


def _default_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextlib.contextmanager
def _own_proxy(settings: Settings, config_file: Path | None) -> Iterator[tuple[str, object]]:
    """Start a proxy on a free port and keep it alive; yield its URL and the function that stops it."""
    port = _free_port()
    arguments = [
        "serve",
        "--host",
        LOOPBACK,
        "--port",
        str(port),
        "--db",
        str(settings.storage.db_path),
        "--no-dashboard",
    ]
    if config_file:
        arguments += ["--config", str(config_file)]
    log_path = settings.storage.db_path.with_suffix(".log")
    keeper = _Keeper([sys.executable, "-m", "ccproxy", *arguments], log_path)
    try:
        _wait_for(port, keeper, log_path)
        yield f"http://{LOOPBACK}:{port}", keeper.stop
    finally:
        keeper.stop()


class _Keeper:
    """Keeps one process running until told to stop."""

    def __init__(self, command: list[str], log_path: Path) -> None:
        self._command = command
        self._log = log_path
        self._stopping = threading.Event()
        self.process = self._start()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _start(self) -> subprocess.Popen[bytes]:
        self._log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        with open(descriptor, "ab") as log:
            # A group of its own: Ctrl-C in the client must not stop the proxy.
            return subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def _watch(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(RESTART_S)
                if not self._stopping.wait(RESTART_S):
                    self.process = self._start()

    def stop(self) -> None:
        """Stop the process, letting it bring what it has into the store."""
        if not self._stopping.is_set():
            self._stopping.set()
            self._thread.join()
            self.process.terminate()
            self.process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def _is_ccproxy(host: str, port: int) -> bool:
    """Tell whether a ccproxy that takes requests listens there."""
    connection = http.client.HTTPConnection(host, port, timeout=1.0)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        return answer.status == 200 and json.loads(answer.read()).get("service") == "ccproxy"
    except (OSError, http.client.HTTPException, ValueError, AttributeError):
        return False
    finally:
        connection.close()


def _wait_for(port: int, keeper: _Keeper, log_path: Path) -> None:
    deadline = time.monotonic() + START_S
    while not _is_ccproxy(LOOPBACK, port):
        if time.monotonic() > deadline or keeper.process.poll() is not None:
            keeper.stop()
            lines = log_path.read_text(errors="replace").strip().splitlines()
            raise ServeError(f"the proxy did not start: {lines[-1] if lines else 'it said nothing'} (see {log_path})")
        time.sleep(0.05)


def _report(settings: Settings, began: int) -> None:
    """Say what was captured since `began` (µs since 1970), and where to look."""
    try:
        with contextlib.closing(SqliteStore(settings.storage.db_path)) as store:
            rows = [row for row in store.exchanges(limit=100_000) if row["started_at"] >= began]
    except StoreError as error:
        click.echo(f"ccproxy: {error}", err=True)
        return
    if not rows:
        click.echo("ccproxy: nothing was captured", err=True)
        return
    click.echo(f"ccproxy: captured {count(len(rows), 'exchange')}, {totals(rows)}", err=True)
    click.echo(
        f"ccproxy: look with `ccproxy tail -n {len(rows)}`; the newest with `ccproxy show {rows[0]['id'][-12:]}`",
        err=True,
    )
