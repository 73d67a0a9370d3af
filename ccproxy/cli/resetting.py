"""`ccproxy db reset`: throws all captures away, after asking.

Knows which files hold captures. Refuses to delete under a running proxy, and a file that is not a store of ours.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import click

from ccproxy.cli.terminal import clean_line
from ccproxy.errors import StoreError
from ccproxy.journal import segments
from ccproxy.settings import Settings
from ccproxy.stores import choosing
from ccproxy.stores.sqlite import SqliteStore


def reset(settings: Settings, *, sure: bool) -> None:
    """Delete the store and its journal; unless `sure`, ask before."""
    if settings.storage.db_type == choosing.POSTGRES:
        raise StoreError(
            "db reset deletes the files of an SQLite store; in a database that others may share, `ccproxy prune` deletes"
        )
    path = settings.storage.db_path
    if not path.exists():
        click.echo(f"there is nothing to delete at {clean_line(str(path))}", err=True)
        return
    with contextlib.closing(SqliteStore(path)) as store:  # says so where this is some other file
        count = sum(store.stats()["exchanges"].values())
    with _nobody_writes(settings.storage.journal_dir, choosing.writer_lock(settings.storage) or path):
        if not sure and not click.confirm(f"Delete {count} exchanges in {clean_line(str(path))} for ever?", err=True):
            click.echo("nothing was deleted", err=True)
            return
        for file in _files(settings):
            file.unlink(missing_ok=True)
    click.echo(f"deleted {count} exchanges", err=True)


def _files(settings: Settings) -> list[Path]:
    path = settings.storage.db_path
    journal = [segment.path for segment in segments.list_segments(settings.storage.journal_dir)]
    return [path, *(Path(f"{path}{suffix}") for suffix in ("-wal", "-shm")), *journal]


@contextlib.contextmanager
def _nobody_writes(journal: Path, writer_lock: Path) -> Iterator[None]:
    """Keep every proxy from this store as long as this lasts."""
    segments.make_folder(journal)
    lock = segments.hold_lock(writer_lock)
    running = [s.writer for s in segments.list_segments(journal) if segments.is_alive(journal, s.writer)]
    if lock is None or running:
        if lock is not None:
            os.close(lock)
        raise StoreError("a proxy is writing to this store; stop it first")
    try:
        yield
    finally:
        os.close(lock)
