"""`ccproxy doctor`: looks at everything that can be wrong, and says of each that it is fine or what to do.

Changes nothing. Refuses to guess: a line says what was looked at.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from ccproxy import __version__
from ccproxy.cli.serving import url_of
from ccproxy.errors import ConfigError, StoreError
from ccproxy.journal import segments
from ccproxy.settings import Settings, environment, load
from ccproxy.stores.sqlite import SqliteStore

Line = tuple[bool, str, str]  # fine, what was looked at, what was found
LOW_DISK_BYTES = 1 << 30


def run(config_file: Path | None, db_path: str | None) -> int:
    """Print a line for each thing looked at; return 0 where all is fine, else 1."""
    lines = list(_lines(config_file, db_path))
    for fine, name, text in lines:
        click.echo(f"{'ok ' if fine else '!! '} {name:<9} {text}")
    return 0 if all(fine for fine, _, _ in lines) else 1


def _lines(config_file: Path | None, db_path: str | None) -> Iterator[Line]:
    yield True, "versions", f"ccproxy {__version__}, Python {platform.python_version()}, {platform.system()}"
    try:
        settings = load(cli={"storage.db_path": db_path}, environ=environment(), config_file=config_file)
    except ConfigError as error:
        yield False, "config", str(error)
        return
    yield True, "config", str(settings.config_file or "no config.yaml; defaults and environment")
    checks: list[Callable[[Settings], Iterator[Line]]] = [_store, _journal, _disk, _proxy, _client]
    for check in checks:
        yield from check(settings)


def _store(settings: Settings) -> Iterator[Line]:
    path = settings.storage.db_path
    if not path.exists():
        yield True, "store", f"{path} does not exist yet; `ccproxy serve` makes it"
        return
    try:
        with contextlib.closing(SqliteStore(path)) as store:
            stats = store.stats()
    except StoreError as error:
        yield False, "store", str(error)
        return
    total = sum(stats["exchanges"].values())
    yield True, "store", f"{path}: {total} exchanges, {stats['bytes'] / 1e6:.1f} MB, schema {stats['schema']}"
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        yield False, "store", f"others on this machine can read it (mode {mode:o}); run: chmod 600 {path}"


def _journal(settings: Settings) -> Iterator[Line]:
    folder = settings.storage.journal_dir
    found = segments.list_segments(folder)
    dead = {segment.writer for segment in found if not segments.is_alive(folder, segment.writer)}
    if not dead:
        yield (
            True,
            "journal",
            f"{folder}: {segments.total_bytes(folder)} bytes in {len(found)} segments, all of running proxies",
        )
    else:
        yield True, "journal", f"{folder}: what {len(dead)} stopped proxies left is stored at the next `ccproxy serve`"


def _disk(settings: Settings) -> Iterator[Line]:
    place = next(
        folder for folder in [settings.storage.journal_dir, *settings.storage.journal_dir.parents] if folder.exists()
    )
    free = shutil.disk_usage(place).free
    writable = os.access(place, os.W_OK)
    if not writable:
        yield False, "disk", f"{place} cannot be written; choose another storage.journal_dir"
    elif free < LOW_DISK_BYTES:
        yield False, "disk", f"only {free / 1e6:.0f} MB free at {place}; capture stops when the disk is full"
    else:
        yield True, "disk", f"{free / 1e9:.0f} GB free at {place}"


def _proxy(settings: Settings) -> Iterator[Line]:
    url = url_of(settings.server.host, settings.server.port)
    health = _health("127.0.0.1", settings.server.port)
    if health is None:
        yield True, "proxy", f"none is running at {url}; start it with `ccproxy serve`"
        return
    ingest, dropped = health["ingest"], health["dropped"]["exchanges"]
    fine = ingest["state"] in ("running", "starting") and not dropped
    text = f"{url} is {health['status']}, {health['in_flight']} in flight, ingest {ingest['state']}"
    text += f", {health['journal']['lag_bytes']} bytes behind, {dropped} exchanges dropped"
    for part in (ingest, health["journal"]):
        text += f"; {part['error']}" if "error" in part else ""
    yield fine, "proxy", text


def _health(host: str, port: int) -> dict[str, Any] | None:
    connection = http.client.HTTPConnection(host, port, timeout=2.0)
    try:
        connection.request("GET", "/livez")
        health = json.loads(connection.getresponse().read())
        return health if isinstance(health, dict) and "ingest" in health else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


def _client(settings: Settings) -> Iterator[Line]:
    binary = shutil.which("claude")
    if binary is None:
        yield True, "client", "Claude Code is not on the PATH; any other client works through ANTHROPIC_BASE_URL"
    else:
        yield True, "client", f"Claude Code {_version(binary)} at {binary}"
    yield from _base_url(settings)


def _base_url(settings: Settings) -> Iterator[Line]:
    url = url_of(settings.server.host, settings.server.port)
    here = {url, url.replace("localhost", "127.0.0.1")}
    chosen = environment().get("ANTHROPIC_BASE_URL")
    own = _user_settings().get("ANTHROPIC_BASE_URL")
    if own and own.rstrip("/") not in here:
        yield (
            False,
            "client",
            f"~/.claude/settings.json sends it to {own}, whatever the environment says; use `ccproxy run -- claude`",
        )
    elif own or (chosen and chosen.rstrip("/") in here):
        yield True, "client", f"ANTHROPIC_BASE_URL leads to {url}"
        if environment().get("ENABLE_TOOL_SEARCH") != "true":
            yield (
                False,
                "client",
                "behind a base URL it sends every MCP tool each time; run: export ENABLE_TOOL_SEARCH=true",
            )
    elif chosen:
        yield False, "client", f"ANTHROPIC_BASE_URL leads to {chosen}; run: export ANTHROPIC_BASE_URL={url}"
    else:
        yield (
            True,
            "client",
            f"not pointed here in this shell; use `ccproxy run -- claude`, or: export ANTHROPIC_BASE_URL={url}",
        )


def _user_settings() -> dict[str, Any]:
    """Return the environment that the user's own Claude Code settings ask for."""
    try:
        found = json.loads((Path.home() / ".claude" / "settings.json").read_text())
        env = found.get("env", {})
        return env if isinstance(env, dict) else {}
    except (OSError, ValueError, AttributeError):
        return {}


def _version(binary: str) -> str:
    try:
        done = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10, check=False)
        return done.stdout.split()[0] if done.stdout.split() else "of an unknown version"
    except (OSError, subprocess.TimeoutExpired):
        return "that does not start"
