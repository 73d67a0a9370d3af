"""`ccproxy serve`: opens the port, starts the processes, shows the banner.

Refuses to know what the processes do.
"""

from __future__ import annotations

import contextlib
import errno
import shlex
import socket
import sys
from dataclasses import replace

import click

from ccproxy import __version__, auth
from ccproxy import settings as configuration
from ccproxy.agents.folders import undefined
from ccproxy.cli import launch, showing
from ccproxy.cli.places import ServeError, url_of
from ccproxy.errors import StoreBusyError
from ccproxy.journal import segments
from ccproxy.lifecycle import logs
from ccproxy.lifecycle.child import Launch
from ccproxy.lifecycle.supervisor import Modules, Supervisor, listen
from ccproxy.routing.targets import targets_of
from ccproxy.settings import Settings, environment
from ccproxy.stores import choosing

WORKER, INGEST, API = "ccproxy.web.worker", "ccproxy.ingest.process", "ccproxy.web.api.process"


def serve(settings: Settings) -> int:
    """Run the proxy until a signal stops it; return the exit code."""
    auth.check(auth.policy_of(settings))
    choosing.check(settings.storage)
    listener = _listen(settings.server.host, settings.server.port)
    with contextlib.closing(listener):
        _check_places(settings)
        with logs.to_stderr(settings.logging):
            supervisor = Supervisor(
                modules=Modules(WORKER, INGEST if settings.storage.ingest else None, API),
                settings=configuration.dump(settings),
                workers=settings.server.workers,
                listeners=[listener],
                drain_timeout=settings.server.drain_timeout,
            )
            return supervisor.run(lambda: _ready(settings, listener))


def _ready(settings: Settings, listener: socket.socket) -> Launch | None:
    """Show the banner; return what starts the dashboard, which knows the proxy by the port that it was given."""
    if not settings.dashboard.enabled:
        _banner(settings, listener, "")
        return None
    server = replace(settings.server, port=listener.getsockname()[1])
    prepared = showing.prepare(replace(settings, server=server))
    _banner(settings, listener, f"\n  dashboard     {prepared.line}")
    return prepared.launch


def _listen(host: str, port: int) -> socket.socket:
    try:
        return listen(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            hint = f"port {port} on {host} is in use; stop what uses it, or choose another with --port"
        else:
            hint = (
                f"cannot listen on {host} port {port}: {error.strerror or error}; choose another with --host and --port"
            )
        raise ServeError(hint) from error


def _check_places(settings: Settings) -> None:
    """Find out before the start, not after it, that captures would have no place."""
    with contextlib.suppress(StoreBusyError):  # busy now is not busy for ever, and the journal can wait
        choosing.open_store(settings.storage, write=True).close()
    try:
        segments.make_folder(settings.storage.journal_dir)
    except OSError as error:
        raise ServeError(
            f"cannot write the journal in {settings.storage.journal_dir}: {error.strerror}; choose another storage.journal_dir"
        ) from error


def _notes(settings: Settings) -> list[str]:
    over = settings.passed_over
    passed_over = [f"passes over   {over}: it has none of ccproxy's keys"] if over else []
    who = "the token" if settings.auth.enabled else "what the reverse proxy in front checks"
    open_to = [] if auth.is_loopback(settings.server.host) else [f"is open to    other machines, who need {who}"]
    return [*open_to, *passed_over, *(f"note          {note}" for note in settings.notes)]


def _routes(settings: Settings) -> list[str]:
    """Return the banner's lines about agents that other models answer, and what it should be told of their definitions."""
    targets = targets_of(settings)
    told = [f"routes        {agent} to {target.model} at {target.provider}" for agent, target in targets.items()]
    return [*told, *(f"note          {sentence}" for sentence in undefined(settings, targets))]


def _banner(settings: Settings, listener: socket.socket, dashboard: str) -> None:
    url = url_of(settings.server.host, listener.getsockname()[1])
    told = launch.exports(settings.server.public_url or url, environment())
    exports = " ".join(f"{name}={shlex.quote(value)}" for name, value in told.items())
    wanted = f'\n  export {launch.CUSTOM_HEADERS}="X-CCProxy-Token: $AUTH_TOKEN"' if settings.auth.enabled else ""
    notes = "".join(f"\n  {line}" for line in [*_routes(settings), *_notes(settings)])
    click.echo(
        f"""\
ccproxy {__version__} listens on {url}

  forwards to   {settings.providers.anthropic.base_url}
  captures in   {choosing.place(settings.storage)}{dashboard}{notes}

Point Claude Code at it:

  export {exports}{wanted}
  claude

or let ccproxy start it: ccproxy run -- claude
Watch with: ccproxy tail -f        Stop with Ctrl-C""",
        err=True,
    )
    sys.stderr.flush()
