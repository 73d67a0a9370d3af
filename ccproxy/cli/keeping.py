"""`ccproxy db stats`, `check`, `copy` and `migrate`: how the store is, and how it moves.

Refuses to mend what a check finds.
"""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ccproxy.cli.terminal import clean_line, count, echo, json_text
from ccproxy.errors import StoreError
from ccproxy.ingest import copying
from ccproxy.records import State
from ccproxy.settings import Settings
from ccproxy.stores import checking, choosing

SHOWN_EVERY = 1000
MOST_SHOWN = 100


def stats(settings: Settings, *, as_json: bool) -> None:
    """Print what is in the store, and how large it is."""
    with contextlib.closing(choosing.open_store(settings.storage)) as store:
        found = store.stats()
    if as_json:
        echo(json_text(found))
        return
    for name, value in _facts(found):
        echo(f"{name:>12}  {clean_line(str(value))}")


def _facts(found: dict[str, Any]) -> list[tuple[str, object]]:
    states = found["exchanges"]
    total = sum(states.values())
    each = f", {found['bytes'] / total / 1000:.1f} kB an exchange" if total else ""
    return [
        ("store", found["place"]),
        ("schema", found["schema"]),
        ("size", f"{found['bytes'] / 1e6:.1f} MB{each}"),
        ("exchanges", f"{total:,}"),
        *((state, f"{number:,}") for state, number in sorted(states.items())),
        *((name, f"{found[name]:,}") for name in ("nodes", "blocks", "blobs", "preambles")),
    ]


def check(settings: Settings) -> int:
    """Look at every digest, pointer and body; print the faults, and return 1 where there are any."""
    seen: Counter[str] = Counter()

    def looked_at(kind: str) -> None:
        """Show now and then how far it is."""
        seen[kind] += 1
        if sys.stderr.isatty() and seen.total() % SHOWN_EVERY == 0:
            click.echo(f"\r{_seen(seen)} looked at", nl=False, err=True)

    bad = 0
    with contextlib.closing(choosing.open_store(settings.storage)) as store:
        for fault in checking.faults(store, looked_at):
            bad += 1
            if bad <= MOST_SHOWN:
                echo(clean_line(fault), fg="red")
    if bad > MOST_SHOWN:
        echo(f"and {count(bad - MOST_SHOWN, 'fault')} more")
    echo(f"{_seen(seen)} looked at, {count(bad, 'fault') if bad else 'all whole'}")
    return 1 if bad else 0


def _seen(seen: Counter[str]) -> str:
    return ", ".join(count(seen[kind], kind) for kind in ("exchange", "node", "part"))


def copy(settings: Settings, url: str) -> None:
    """Copy what has ended into another store, with a bar that shows how far it is."""
    goal = settings.storage
    into = replace(goal, **({"db_type": choosing.POSTGRES, "database_url": url} if _is_url(url) else _file(url)))
    with (
        contextlib.closing(choosing.open_store(settings.storage)) as source,
        contextlib.closing(choosing.open_store(into, write=True)) as target,
    ):
        total = sum(number for state, number in source.stats()["exchanges"].items() if state != State.OPEN)
        before = sum(target.stats()["exchanges"].values())
        with click.progressbar(length=total, label="copying", file=sys.stderr) as bar:
            for _ in copying.copy(source, target):
                bar.update(1)
        after = sum(target.stats()["exchanges"].values())
    echo(f"{count(total, 'exchange')} are in {clean_line(choosing.place(into))} now, {after - before} of them new")


def _is_url(text: str) -> bool:
    return text.startswith(("postgresql://", "postgres://"))


def _file(text: str) -> dict[str, Any]:
    return {"db_type": "sqlite", "db_path": Path(text).expanduser().absolute()}


def migrate(settings: Settings) -> None:
    """Bring the store up to date, and say which schema it has."""
    if settings.storage.db_type != choosing.POSTGRES and not settings.storage.db_path.exists():
        raise StoreError(f"there is no store at {settings.storage.db_path} yet; `ccproxy serve` makes it")
    with contextlib.closing(choosing.open_store(settings.storage, write=True)) as store:
        found = store.stats()
    echo(f"{clean_line(str(found['place']))} has schema {found['schema']}, the newest")
