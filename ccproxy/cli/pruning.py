"""`ccproxy prune`: deletes some captures for ever, and sees to it that the store becomes smaller.

Works beside a running proxy, whose ingest sweeps up, and without one, when it does so itself. Asks before, unless told not
to. Refuses to delete what still runs.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import click

from ccproxy.cli.terminal import clean_line, count
from ccproxy.errors import StoreBusyError
from ccproxy.journal import segments
from ccproxy.settings import BY_KEY, Settings
from ccproxy.stores import choosing
from ccproxy.stores.contract import Counted, Leftover, Selection, Store

PATIENCE_S = 20.0  # for a store that is in use, and for the running ingest to sweep
POLL_S = 0.05
STEP = 1000  # exchanges


def age(_context: click.Context, _option: click.Parameter, text: str | None) -> float | None:
    """Read how old something is, written as durations are in the settings; return seconds."""
    if text is None:
        return None
    kind = BY_KEY["storage.max_age"].kind
    try:
        seconds: float = kind.read(text)
    except ValueError as error:
        raise click.BadParameter(f'"{text}" is not {kind.what}') from error
    if not seconds:  # in the settings it means for ever, and here it would mean everything
        raise click.BadParameter("everything is older than 0; give more, such as 30d")
    return seconds


def moment(_context: click.Context, _option: click.Parameter, text: str | None) -> datetime | None:
    """Read a date or a time as ISO 8601 writes it, of the local zone where it names none."""
    try:
        return datetime.fromisoformat(text.strip()).astimezone() if text is not None else None
    except (ValueError, OverflowError, OSError) as error:
        wanted = "a date such as 2026-01-31 nor a time such as 2026-01-31T18:30"
        raise click.BadParameter(f'"{text}" is neither {wanted}') from error


@dataclass(frozen=True, slots=True)
class Choice:
    """What the command line says is to go: exactly one of these."""

    older_than: float | None
    before: datetime | None
    session: str | None
    exchange: str | None

    def __post_init__(self) -> None:
        given = [value for value in (self.older_than, self.before, self.session, self.exchange) if value is not None]
        if len(given) != 1:
            raise click.UsageError("give one of --older-than, --before, --session and --exchange, and only one")

    def selection(self, store: Store) -> Selection:
        """Return the selection; ids that are cut short are looked up."""
        if self.session is not None:
            return Selection(session=store.session_named(self.session))
        if self.exchange is not None:
            return Selection(exchange=store.exchange(self.exchange)["id"])
        latest = self.before.timestamp() if self.before else time.time() - (self.older_than or 0)
        return Selection(before=int(latest * 1_000_000))


def prune(settings: Settings, choice: Choice, *, dry_run: bool, sure: bool) -> None:
    """Delete what was chosen; with `dry_run` only say what that would be; unless `sure`, ask before."""
    with contextlib.closing(choosing.open_store(settings.storage)) as store:
        selection = choice.selection(store)
        found = store.count(selection)
    what = f"{count(found.exchanges, 'exchange')}, {_size(found.bytes)} on the wire"
    if dry_run:
        click.echo(f"would delete {what}{_running(found)}")
    elif not found.exchanges:
        click.echo(f"there is nothing to delete{_running(found)}", err=True)
    elif not sure and not click.confirm(
        f"Delete {what}, from {clean_line(choosing.place(settings.storage))} for ever?", err=True
    ):
        click.echo("nothing was deleted", err=True)
    else:
        with contextlib.closing(choosing.open_store(settings.storage, write=True)) as store:
            _prune(store, selection, found, _writer_lock(settings))


def _prune(store: Store, selection: Selection, found: Counted, lock: Path) -> None:
    before = store.stats()["bytes"]
    deleted = _delete(store, selection)
    click.echo(f"deleted {count(deleted, 'exchange')}, {_size(found.bytes)} on the wire{_running(found)}", err=True)
    if _tidied(store, lock):
        after = store.stats()["bytes"]
        click.echo(f"freed {_size(max(0, before - after))}; the store takes {_size(after)} now", err=True)
    else:
        click.echo("the store is in use; the proxy makes it smaller as soon as it can", err=True)


def _writer_lock(settings: Settings) -> Path:
    """Return the lock of whoever may sweep: of the one ingest of a file, or of the ingest on this machine."""
    folder = settings.storage.journal_dir
    segments.make_folder(folder)
    return choosing.writer_lock(settings.storage) or folder / f"{segments.INGEST}{segments.LOCK_SUFFIX}"


def _delete(store: Store, selection: Selection) -> int:
    deleted, deadline = 0, time.monotonic() + PATIENCE_S
    while True:
        try:
            step = store.delete(selection, most=STEP)
        except StoreBusyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_S)
            continue
        deleted += step
        if step < STEP:
            return deleted


def _tidied(store: Store, writer_lock: Path) -> bool:
    """Wait until the running ingest has swept up, or do it where none runs; tell whether it is done."""
    deadline = time.monotonic() + PATIENCE_S
    while store.leftover():
        if time.monotonic() > deadline:
            return False
        lock = segments.hold_lock(writer_lock)
        if lock is None:
            time.sleep(POLL_S)
            continue
        try:
            _tidy(store)
        except StoreBusyError:
            time.sleep(POLL_S)
        finally:
            os.close(lock)
    return True


def _tidy(store: Store) -> None:
    while left := store.leftover():
        if left is Leftover.ROWS:
            store.sweep()
        else:
            store.shrink()


def _running(found: Counted) -> str:
    if not found.running:
        return ""
    return f"; {count(found.running, 'exchange')} still {'runs and stays' if found.running == 1 else 'run and stay'}"


def _size(number: int) -> str:
    return f"{number / 1e6:.1f} MB" if number >= 100_000 else f"{number / 1e3:.1f} kB"
