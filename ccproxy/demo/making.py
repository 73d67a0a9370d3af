"""Makes the demo: plays the week into a store, or into a file.

A file is made beside its place, in a folder that goes away, and put there when it is whole; who comes meanwhile waits, and takes it. A
store with anybody else's captures in it is never touched. Refuses to know what is played.
"""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from ccproxy.demo.casting import edition
from ccproxy.demo.performing import Progress, perform
from ccproxy.errors import StoreBusyError, StoreError
from ccproxy.journal import segments
from ccproxy.settings import Settings
from ccproxy.stores.contract import Store
from ccproxy.stores.sqlite import SqliteStore

ENDING = date(2026, 11, 8)
SEED = 7
FILE = "demo.db"
WRITER = "demo"  # how the names of a demo's journal writers begin, before its edition: by them it is known
MAKING_S = 300.0  # longest wait for another process that makes the same file
PAGE = 1000


def default_path(settings: Settings) -> Path:
    """Return where the demo is kept: beside the store of the settings, which is in the user's data folder where they name none."""
    return settings.storage.db_path.with_name(FILE)


def make(
    path: Path, *, ending: date = ENDING, seed: int = SEED, again: bool = False, progress: Progress | None = None
) -> bool:
    """Make the demo as an SQLite store at `path`; return whether that had to be done.

    The same demo that is there already stays, unless it is to be made `again`. Raises StoreError where something else is there. Runs
    an event loop of its own, so it is not for the thread of another one.
    """
    writer = f"{WRITER}{edition(ending, seed)}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _alone(path):
            if path.exists() and path.stat().st_size and _is_demo(path, writer) and not again:
                return False
            with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as folder:
                made = Path(folder) / path.name
                with contextlib.closing(SqliteStore(made, write=True)) as store:
                    perform(store, Path(folder), ending, seed, writer, progress)
                _put(made, path)
            return True
    except (FileExistsError, NotADirectoryError) as error:
        raise StoreError(f"cannot make the demo at {path}: {path.parent} is no folder") from error
    except OSError as error:
        raise StoreError(f"cannot make the demo at {path}: {error.strerror or error}") from error


def make_into(
    store: Store, folder: Path, *, ending: date = ENDING, seed: int = SEED, progress: Progress | None = None
) -> None:
    """Play the week into a store that is open for writing, by way of a journal below `folder`."""
    perform(store, folder, ending, seed, f"{WRITER}{edition(ending, seed)}", progress)


def _is_demo(path: Path, writer: str) -> bool:
    """Tell whether there is this very demo. Raises StoreError where there is anything but a demo."""
    same = True
    with contextlib.closing(_opened(path)) as store:
        before: str | None = None
        while rows := store.exchanges(limit=PAGE, before=before):
            if not all(row["writer"].startswith(WRITER) for row in rows):
                raise StoreError(f"{path} holds captures that are no demo; choose another place for it")
            same = same and all(row["writer"].startswith(writer) for row in rows)
            before = rows[-1]["id"]
        return same and before is not None


def _opened(path: Path) -> SqliteStore:
    try:
        return SqliteStore(path)
    except StoreBusyError:
        raise
    except StoreError:
        return SqliteStore(
            path, write=True
        )  # brings one of an older version up to date; anything else it refuses again


def _put(made: Path, path: Path) -> None:
    """Put a whole store in its place. What an older one has left beside it would be taken for its own."""
    with _held(path.with_name(f"{path.name}.lock"), 0.0, f"a proxy writes to {path}; stop it first"):
        for suffix in ("-wal", "-shm"):
            path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)
        made.replace(path)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Be the one process that makes this file, and clear away what one left that was killed over it."""
    with _held(path.with_name(f".{path.name}.making"), MAKING_S, f"another process is making {path}"):
        for left in path.parent.glob(f".{glob.escape(path.name)}-*"):
            shutil.rmtree(left, ignore_errors=True)
        yield


@contextlib.contextmanager
def _held(lock: Path, wait_s: float, otherwise: str) -> Iterator[None]:
    """Hold a lock, and leave no file behind."""
    descriptor = segments.hold_lock(lock, wait_s=wait_s)
    if descriptor is None:
        raise StoreError(otherwise)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)  # while it is held, so that nobody can take it to be their own
        os.close(descriptor)
