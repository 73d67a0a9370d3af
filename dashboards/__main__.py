"""`python -m dashboards`: the dashboard's server, until a signal.

With `--child` a parent holds its standard input: the settings come as its first line, so that no password is in a list of
processes, and its end is ours. Refuses to know what is shown.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading

import panel as pn
from tornado.ioloop import IOLoop

from analysis import AnalysisError
from dashboards.guard import install
from dashboards.serving import CHILD, configuration, shared, tab

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CANNOT_LISTEN = 78  # the exit code that says that starting again would not help
CONFIGURED_WRONG = 2


def main() -> None:
    """Serve until a signal, or the end of the parent."""
    logging.getLogger("tornado.access").setLevel(logging.ERROR)  # who was refused is no news
    child = CHILD in sys.argv[1:]
    if child:
        _leave_signals_to_the_parent()
    try:
        found = configuration()
    except AnalysisError as error:
        _leave(str(error), CONFIGURED_WRONG)
    install(found)
    host = "127.0.0.1" if found.dashboard_host == "localhost" else found.dashboard_host
    try:
        server = pn.io.server.get_server(
            {"/": tab}, port=found.dashboard_port, address=host, show=False, start=False, title="ccproxy",
            keep_alive_milliseconds=15_000, unused_session_lifetime_milliseconds=20_000, check_unused_sessions_milliseconds=10_000,
        )  # fmt: skip
    except OSError as error:
        reason = f"the dashboard cannot listen on {host} port {found.dashboard_port}: {error.strerror or error}"
        _leave(f"{reason}; choose another with DASHBOARD_PORT", CANNOT_LISTEN)
    loop = server.io_loop
    if child:
        threading.Thread(target=_wait_for_the_parent, args=(loop,), daemon=True).start()
    else:
        for number in SIGNALS:
            signal.signal(number, lambda *_: loop.add_callback_from_signal(loop.stop))
        sys.stderr.write(f"the dashboard is at http://{f'[{host}]' if ':' in host else host}:{server.port}\n")
    server.start()
    loop.start()
    shared()[0].forget()  # with it goes a copy of the store
    os._exit(0)  # a query that still runs is waited for by nobody


def _leave_signals_to_the_parent() -> None:
    """A terminal sends them to all processes at once; ours has blocked them until here."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _wait_for_the_parent(loop: IOLoop) -> None:
    """Whatever it says now, its end included, means that we end."""
    sys.stdin.buffer.readline()
    loop.add_callback(loop.stop)


def _leave(sentence: str, code: int) -> None:
    sys.stderr.write(f"ccproxy: {sentence}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
