"""The dashboard as a process: whether it is installed, where it listens, how it is started; and `ccproxy dashboard`, which is it alone.

It is another package and an extra, so nothing of it is imported here. It gets its settings by the pipe to it: no password is in a list
of processes, nor in an environment. Refuses to know what it shows.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import importlib.util
import os
import signal
import subprocess
import time
from dataclasses import dataclass, replace
from typing import NamedTuple

import click

from ccproxy import auth
from ccproxy import settings as configuration
from ccproxy.cli.places import ServeError, url_of
from ccproxy.lifecycle import children
from ccproxy.lifecycle.child import Launch
from ccproxy.lifecycle.supervisor import DASHBOARD_STOP_S, listen
from ccproxy.settings import Settings

NEEDED = ("panel", "duckdb", "polars")
MISSING = "not installed: pip install 'ccproxy[dashboard]'"
# -P: a folder called dashboards where ccproxy was started is not ours.
WORDS = ("-P", "-m", "dashboards", "--child")
NICENESS = 10  # where the machine is busy, the proxy goes first
LOOPBACK = "127.0.0.1"
POLL_S = 0.05
ASKED_S = 2.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A dashboard that may be started, or why not. `line` is what a person is told."""

    line: str
    launch: Launch | None = None


def is_installed() -> bool:
    """Tell whether the extra is there."""
    return all(importlib.util.find_spec(name) is not None for name in NEEDED)


def prepare(settings: Settings) -> Prepared:
    """Find out whether the dashboard can be started, and where. Nothing here fails."""
    if not is_installed():
        return Prepared(MISSING)
    host = auth.dashboard_host(auth.policy_of(settings))
    try:
        port = _free(host, settings.dashboard.port)
    except OSError as error:
        busy = error.errno == errno.EADDRINUSE
        reason = (
            f"port {settings.dashboard.port} on {host} is in use"
            if busy
            else f"cannot listen on {host}: {error.strerror}"
        )
        return Prepared(f"off: {reason}; stop what uses it, or choose another with DASHBOARD_PORT")
    confined = not auth.is_loopback(settings.server.host) and auth.is_loopback(host)
    alone = ", for this machine only as long as there is no DASHBOARD_PASSWORD" if confined else ""
    found = replace(settings, dashboard=replace(settings.dashboard, port=port))
    return Prepared(url_of(host, port) + alone, lambda: start(found))


def start(settings: Settings) -> subprocess.Popen[bytes]:
    """Start the dashboard with these settings. It ends with us, and when it is told to."""
    process = children.spawn(WORDS, configuration.dump(settings).decode())
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
    return process


def show(settings: Settings) -> int:
    """Run the dashboard until a signal; return the exit code."""
    prepared = prepare(settings)
    if prepared.launch is None:
        raise ServeError(f"the dashboard is {prepared.line}")
    told: list[int] = []
    for number in children.OURS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: told.append(number))
    process = prepared.launch()
    click.echo(f"the dashboard is at {prepared.line}\nStop with Ctrl-C", err=True)
    while process.poll() is None and not told:
        time.sleep(POLL_S)
    children.order(process, "stop")
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(DASHBOARD_STOP_S)
    process.kill()
    return 0 if told else process.wait()


class Answer(NamedTuple):
    """What answers at an address: something, and whether that is a dashboard of ours."""

    there: bool
    ours: bool


def answering(settings: Settings) -> Answer:
    """Find out what answers where the dashboard would be."""
    host = auth.dashboard_host(auth.policy_of(settings))
    host = LOOPBACK if host in ("0.0.0.0", "::", "localhost") else host
    connection = http.client.HTTPConnection(host, settings.dashboard.port, timeout=ASKED_S)
    try:
        connection.request("GET", "/favicon.ico")
        names = {name.lower() for name, _ in connection.getresponse().getheaders()}
        return Answer(True, {"x-frame-options", "content-security-policy"} <= names)
    except ConnectionRefusedError:
        return Answer(False, False)
    except (OSError, http.client.HTTPException):
        return Answer(True, False)
    finally:
        connection.close()


def _free(host: str, port: int) -> int:
    """Return a port that can be listened on; any, where it is 0. Raises OSError."""
    with contextlib.closing(listen(host, port)) as probe:
        found: int = probe.getsockname()[1]
        return found
