"""`ccproxy run`: a client, a proxy in front of it, and what was captured meanwhile.

The client has our terminal, and decides what Ctrl-C means. Refuses to know how its command line is made (that is `launch`),
and how a proxy is kept alive (that is `keeper`).
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

import click

from ccproxy.cli import keeper, launch
from ccproxy.cli.keeper import LOOPBACK
from ccproxy.cli.tailing import first_id, totals
from ccproxy.cli.terminal import count
from ccproxy.errors import ConfigError, StoreError
from ccproxy.settings import Settings, environment
from ccproxy.stores import choosing

NOT_RUNNABLE, NOT_FOUND, KILLED = 126, 127, 128  # as a shell says it; KILLED plus the signal's number
STORED_S = 2.0  # how long the report waits until a proxy that runs on has stored all
MOST = 100_000
PLACEHOLDER = "MERGED-SETTINGS.json"


class _NotStartedError(Exception):
    """The command did not start: the message is one clear sentence, and `code` what a shell would return."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def run(settings: Settings, command: list[str], *, print_only: bool, config_file: Path | None) -> int:
    """Run the command through a proxy and return its exit code."""
    if print_only:
        _print(command, f"http://{LOOPBACK}:{settings.server.port}")
        return 0
    try:
        _check(command[0])
        with _signals((signal.SIGTERM, signal.SIGHUP), _leave):
            return _session(settings, command, config_file)
    except _NotStartedError as error:
        click.echo(f"ccproxy: {error}", err=True)
        return error.code


def _check(program: str) -> None:
    """Find out before a proxy is started that there is nothing to start it for."""
    if shutil.which(program) is None and not os.path.exists(program):
        raise _NotStartedError(f"there is no command {program}", NOT_FOUND)


def _session(settings: Settings, command: list[str], config_file: Path | None) -> int:
    port = settings.server.port
    shared = keeper.is_ccproxy(LOOPBACK, port)
    with contextlib.ExitStack() as stack:
        if not shared:
            port = stack.enter_context(keeper.own_proxy(settings, config_file))
        base_url = f"http://{LOOPBACK}:{port}"
        write = stack.enter_context(_private_files())
        began = time.time_ns() // 1_000_000
        environ = launch.merged_environment(environment(), base_url)
        if settings.auth.enabled:
            environ = launch.with_token(environ, settings.auth.token)
        code = _client(_command(command, base_url, write), environ)
    if shared:
        keeper.caught_up(LOOPBACK, port, STORED_S)
    with contextlib.suppress(OSError):  # the terminal may be gone
        _report(settings, began, base_url if shared else None)
    return code


def _print(command: list[str], base_url: str) -> None:
    """Show what would be run; settings that may hold keys show by the name of a file only."""
    words = _command(command, base_url, lambda _: PLACEHOLDER)
    assignments = [f"{name}={shlex.quote(value)}" for name, value in launch.exports(base_url, environment()).items()]
    click.echo(" ".join([*assignments, shlex.join(words)]))
    if PLACEHOLDER in words and PLACEHOLDER not in command:
        click.echo(
            f"ccproxy: {PLACEHOLDER} stands for a temporary file: your own settings with these variables", err=True
        )


def _command(command: list[str], base_url: str, write: Callable[[str], str]) -> list[str]:
    try:
        return launch.with_settings(command, base_url, lambda name: Path(name).expanduser().read_text("utf-8"), write)
    except ValueError as error:
        raise ConfigError(str(error).removesuffix(".")) from error


@contextlib.contextmanager
def _private_files() -> Iterator[Callable[[str], str]]:
    """Give a function that puts text into a file which only its owner can read, until the end, and returns its path."""
    with contextlib.ExitStack() as stack:

        def write(text: str) -> str:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ccproxy-", ignore_cleanup_errors=True))
            path = Path(folder) / "settings.json"
            with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
                file.write(text)
            return str(path)

        yield write


def _client(command: Sequence[str], environ: dict[str, str]) -> int:
    """Run a command on our own terminal and return its exit code; signals for us are handed on to it."""
    with _signals((signal.SIGINT, signal.SIGQUIT), _ignore):  # the terminal sends them to the client as well
        try:
            child = subprocess.Popen(command, env=environ)
        except OSError as error:
            raise _NotStartedError(f"cannot run {command[0]}: {error.strerror}", NOT_RUNNABLE) from error
        with _signals((signal.SIGTERM, signal.SIGHUP), lambda number, _: child.send_signal(number)):
            code = child.wait()
    return code if code >= 0 else KILLED - code


@contextlib.contextmanager
def _signals(numbers: Sequence[signal.Signals], handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """Handle these signals in this way, for as long as this lasts; those that are ignored stay so."""
    before = {number: signal.getsignal(number) for number in numbers}
    handled = [number for number in numbers if before[number] != signal.SIG_IGN]
    for number in handled:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, before[number])


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Do nothing. SIG_IGN would be inherited by the client, a function is not."""


def _leave(number: int, _frame: FrameType | None) -> None:
    """End in good order, so that the proxy is stopped as well."""
    raise SystemExit(KILLED + number)


def _report(settings: Settings, began: int, shared: str | None) -> None:
    """Say what was captured since `began` (ms since 1970), and where to look.

    The measure is time: what other clients sent through the same store meanwhile is counted as well. `shared` is the URL
    of the proxy where it was not started for this command alone.
    """
    try:
        with contextlib.closing(choosing.open_store(settings.storage)) as store:
            rows = store.exchanges(limit=MOST, changed_since=first_id(began))
    except StoreError as error:
        click.echo(f"ccproxy: {error}", err=True)
        return
    if not rows:
        hint = f"; the proxy at {shared} may keep its captures in another store, or be behind" if shared else ""
        click.echo(f"ccproxy: nothing was captured in {choosing.place(settings.storage)}{hint}", err=True)
        return
    through = f" through {shared}, all clients counted" if shared else ""
    click.echo(f"ccproxy: captured {count(len(rows), 'exchange')}{through}: {totals(rows)}", err=True)
    click.echo(
        f"ccproxy: look with `ccproxy tail -n {len(rows)}`; the newest with `ccproxy show {rows[0]['id'][-12:]}`",
        err=True,
    )
