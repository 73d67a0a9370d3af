"""`ccproxy ingest`: brings a journal into the store, alone, beside proxies that were started with `--no-ingest`.

Refuses a journal that another ingest reads: every frame would be counted twice.
"""

from __future__ import annotations

import os

import click

from ccproxy import settings as configuration
from ccproxy.cli.places import ServeError
from ccproxy.cli.serving import INGEST
from ccproxy.cli.terminal import clean_line
from ccproxy.journal import segments
from ccproxy.lifecycle import logs
from ccproxy.lifecycle.supervisor import Modules, Supervisor
from ccproxy.settings import Settings
from ccproxy.stores import choosing


def ingest(settings: Settings) -> int:
    """Run until a signal stops it, then to the journal's end; return the exit code."""
    choosing.check(settings.storage)
    _check_lock(settings)
    with logs.to_stderr(settings.logging):
        supervisor = Supervisor(
            modules=Modules(ingest=INGEST),
            settings=configuration.dump(settings),
            workers=0,
            listeners=[],
            drain_timeout=0.0,
        )
        return supervisor.run(lambda: _banner(settings))


def _check_lock(settings: Settings) -> None:
    folder = settings.storage.journal_dir
    try:
        segments.make_folder(folder)
    except OSError as error:
        raise ServeError(
            f"cannot read the journal in {folder}: {error.strerror}; choose another storage.journal_dir"
        ) from error
    lock = segments.hold_lock(folder / f"{segments.INGEST}{segments.LOCK_SUFFIX}")
    if lock is None:
        raise ServeError(
            f"another ingest reads the journal in {folder}; start the proxy with --no-ingest, or stop that one"
        )
    os.close(lock)


def _banner(settings: Settings) -> None:
    journal, store = (
        clean_line(str(path)) for path in (settings.storage.journal_dir, choosing.place(settings.storage))
    )
    click.echo(f"ccproxy brings {journal} into {store}        Stop with Ctrl-C", err=True)
