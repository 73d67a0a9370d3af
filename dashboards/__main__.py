"""`python -m dashboards`: the dashboard's server. Ends when its standard input does, where `--child` says that a parent holds it.

The password comes by the environment, so it is in no process list.
"""

from __future__ import annotations

import sys
import threading

import panel as pn

from dashboards.guard import install
from dashboards.serving import configuration, tab


def main() -> None:
    """Serve until a signal, or the end of standard input."""
    found = configuration()
    install(found.dashboard_password)
    origins = sorted(
        {f"{host}:{found.dashboard_port}" for host in ("localhost", "127.0.0.1", found.dashboard_host)}
    )
    server = pn.io.server.get_server(
        {"/": tab}, port=found.dashboard_port, address=found.dashboard_host, websocket_origin=origins, show=False, start=False,
        title="ccproxy", keep_alive_milliseconds=15_000, unused_session_lifetime_milliseconds=20_000,
        check_unused_sessions_milliseconds=10_000, num_threads=2,
    )  # fmt: skip
    server.start()
    if "--child" in sys.argv[1:]:
        threading.Thread(target=_end_with_parent, args=(server.io_loop,), daemon=True).start()
    server.io_loop.start()


def _end_with_parent(loop: object) -> None:
    sys.stdin.buffer.read()
    loop.add_callback(loop.stop)  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
