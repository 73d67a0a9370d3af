"""`ccproxy doctor`: looks at everything that can be wrong, and says of each that it is fine or what to do.

Changes nothing. Refuses to guess: a line says what was looked at.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import platform
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from ccproxy import __version__, auth
from ccproxy.agents.folders import undefined
from ccproxy.cli import keeper, launch, showing
from ccproxy.cli.places import url_of
from ccproxy.cli.terminal import clean_line, count, echo
from ccproxy.errors import ConfigError, StoreError
from ccproxy.journal import segments
from ccproxy.routing.targets import targets_of
from ccproxy.settings import Settings, environment, load, missing_key, named
from ccproxy.stores import choosing

Line = tuple[bool, str, str]  # fine, what was looked at, what was found
LOW_DISK_BYTES = 1 << 30


def run(config_file: Path | None, options: Mapping[str, object]) -> int:
    """Print a line for each thing looked at; return 0 where all is fine, else 1."""
    lines = list(_lines(config_file, options))
    for fine, name, text in lines:
        echo(f"{'ok' if fine else '!!'}  {name:<9}  {clean_line(text)}", **({} if fine else {"fg": "red"}))
    return 0 if all(fine for fine, _, _ in lines) else 1


def _lines(config_file: Path | None, options: Mapping[str, object]) -> Iterator[Line]:
    yield True, "versions", f"ccproxy {__version__}, Python {platform.python_version()}, {platform.system()}"
    try:
        settings = load(cli=options, environ=environment(), config_file=config_file)
    except ConfigError as error:
        yield False, "config", str(error)
        return
    yield True, "config", str(settings.config_file or "no config.yaml; defaults and environment")
    if settings.passed_over:
        yield True, "config", f"{settings.passed_over} has none of ccproxy's keys and is passed over"
    for note in settings.notes:
        yield True, "config", note
    try:
        auth.check(auth.policy_of(settings))
    except ConfigError as error:
        yield False, "access", str(error)
    checks: list[Callable[[Settings], Iterator[Line]]] = [
        _store, _journal, _disk, _proxy, _analysis, _dashboard, _client, _base_url, _forward, _routing,
    ]  # fmt: skip
    for check in checks:
        yield from check(settings)


def _store(settings: Settings) -> Iterator[Line]:
    path = settings.storage.db_path
    is_file = settings.storage.db_type != choosing.POSTGRES
    if is_file and not os.path.exists(path):
        yield True, "store", f"{path} does not exist yet; `ccproxy serve` makes it"
        return
    try:
        with contextlib.closing(choosing.open_store(settings.storage)) as store:
            stats = store.stats()
    except (StoreError, ConfigError) as error:
        yield False, "store", str(error)
        return
    total, size = sum(stats["exchanges"].values()), stats["bytes"] / 1e6
    yield True, "store", f"{stats['place']}: {count(total, 'exchange')}, {size:.1f} MB, schema {stats['schema']}"
    if is_file:
        yield from _mode(path)


def _mode(path: Path) -> Iterator[Line]:
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        yield False, "store", f"others on this machine can read it (mode {mode:o}); run: chmod 600 {path}"


def _journal(settings: Settings) -> Iterator[Line]:
    folder = settings.storage.journal_dir
    found = segments.list_segments(folder)
    dead = {segment.writer for segment in found if not segments.is_alive(folder, segment.writer)}
    if dead:
        left = count(len(dead), "stopped worker")
        yield True, "journal", f"{folder}: what {left} left is stored at the next `ccproxy serve`"
    else:
        size = f"{segments.total_bytes(folder) / 1e6:.1f} MB on its way to the store" if found else "empty"
        yield True, "journal", f"{folder}: {size}"


def _disk(settings: Settings) -> Iterator[Line]:
    folder = settings.storage.journal_dir
    place = next(place for place in [folder, *folder.parents] if os.path.exists(place))
    free = shutil.disk_usage(place).free
    if not os.access(place, os.W_OK | os.X_OK):
        yield False, "disk", f"{place} cannot be written; choose another storage.journal_dir"
    elif free < LOW_DISK_BYTES:
        yield False, "disk", f"only {free / 1e6:.0f} MB free at {place}; capture stops when the disk is full"
    else:
        yield True, "disk", f"{free / 1e9:.0f} GB free at {place}"


def _proxy(settings: Settings) -> Iterator[Line]:
    url = _url(settings)
    health = keeper.health(keeper.LOOPBACK, settings.server.port)
    if health is None:
        yield True, "proxy", f"none is running at {url}; start it with `ccproxy serve`"
        return
    ingest, dropped = health["ingest"], health["dropped"]["exchanges"]
    fine = ingest["state"] in ("running", "starting") and not dropped
    text = f"{url} is {health['status']}, {health['in_flight']} in flight, ingest {ingest['state']}"
    text += f", {count(health['journal']['lag_bytes'], 'byte')} behind, {count(dropped, 'exchange')} dropped"
    for part in (ingest, health["journal"]):
        text += f"; {part['error']}" if "error" in part else ""
    yield fine, "proxy", text


def _url(settings: Settings) -> str:
    return url_of(settings.server.host, settings.server.port)


def _analysis(settings: Settings) -> Iterator[Line]:
    """Tell by which way DuckDB comes to the store."""
    try:
        from analysis.opening import way_to_the_store  # noqa: PLC0415 (it is an extra, and takes a while)
    except ImportError as error:
        yield True, "analysis", f"not installed ({error.name}); pip install 'ccproxy[analysis]' brings it"
        return
    way = way_to_the_store(settings)
    text = {
        "wheel": "DuckDB attaches the store, by the scanner that is installed with it",
        "folder": f"DuckDB attaches the store, by the scanner in {settings.analysis.extension_dir}",
        "installed": "DuckDB attaches the store, by the scanner in ~/.duckdb",
        "download": "DuckDB will fetch its scanner when it is first asked, as ANALYSIS_ALLOW_DOWNLOAD lets it",
        "copy": "DuckDB has no scanner here and copies the store first, which takes longer; pip install 'ccproxy[analysis]'",
    }[way]
    kind = "postgresql" if settings.storage.db_type == choosing.POSTGRES else "sqlite"
    yield way != "copy" or importlib.util.find_spec(f"adbc_driver_{kind}") is not None, "analysis", text


def _dashboard(settings: Settings) -> Iterator[Line]:
    url = url_of(auth.dashboard_host(auth.policy_of(settings)), settings.dashboard.port)
    if not showing.is_installed():
        yield True, "dashboard", showing.MISSING
        return
    found = showing.answering(settings) if settings.dashboard.port else showing.Answer(there=False, ours=False)
    starts = "`ccproxy serve`" if settings.dashboard.enabled else "`ccproxy dashboard`"
    if found.ours:
        yield True, "dashboard", f"it is at {url}"
    elif found.there:
        yield (
            False,
            "dashboard",
            f"another program has port {settings.dashboard.port}; choose another with DASHBOARD_PORT",
        )
    else:
        yield (
            True,
            "dashboard",
            f"none is running; {starts} starts it" + (f" at {url}" if settings.dashboard.port else ""),
        )


def _client(_settings: Settings) -> Iterator[Line]:
    binary = shutil.which("claude")
    if binary is None:
        yield True, "client", "Claude Code is not on the PATH; any other client works through ANTHROPIC_BASE_URL"
    else:
        yield True, "client", f"Claude Code {_version(binary)} at {binary}"


def _base_url(settings: Settings) -> Iterator[Line]:
    """Tell where Claude Code would go that is started here and now: its settings files beat the environment."""
    url = _url(settings)
    file, own = _client_settings()
    told = {**environment(), **own}
    chosen = str(told.get("ANTHROPIC_BASE_URL") or "")
    leads_here = chosen.rstrip("/") in {url, url.replace("localhost", keeper.LOOPBACK)}
    if not chosen:
        text = f"not pointed here in this shell; use `ccproxy run -- claude`, or: export ANTHROPIC_BASE_URL={url}"
        yield True, "client", text
    elif leads_here:
        yield True, "client", f"ANTHROPIC_BASE_URL leads to {url}"
        if told.get("ENABLE_TOOL_SEARCH") != "true":
            text = "behind a base URL it sends every MCP tool each time; run: export ENABLE_TOOL_SEARCH=true"
            yield False, "client", text
    elif "ANTHROPIC_BASE_URL" in own:
        text = f"{file} sends it to {chosen}, whatever the environment says; use `ccproxy run -- claude`"
        yield False, "client", text
    else:
        yield False, "client", f"ANTHROPIC_BASE_URL leads to {chosen}; run: export ANTHROPIC_BASE_URL={url}"


def _forward(settings: Settings) -> Iterator[Line]:
    """Tell whether a forward proxy stands between Claude Code and this machine."""
    environ = {**environment(), **_client_settings()[1]}
    url = str(environ.get("ANTHROPIC_BASE_URL") or "")
    url = url if urlsplit(url).hostname in ("localhost", keeper.LOOPBACK) else _url(settings)
    if launch.is_intercepted(environ, url):
        exports = launch.exports(url, environ)
        wanted = " ".join(f"{name}={shlex.quote(exports[name])}" for name in ("NO_PROXY", "no_proxy"))
        text = f"the forward proxy of this shell is asked even for this machine, and Claude Code hangs; run: export {wanted}"
        yield False, "client", text


def _client_settings() -> tuple[Path | None, dict[str, str]]:
    """Return the environment that Claude Code's settings files ask for, and the file that counts most of those that do."""
    told = environment()
    user = Path(told.get("CLAUDE_CONFIG_DIR") or Path.home() / ".claude")
    merged: dict[str, str] = {}
    last = None
    for file in (user / "settings.json", Path(".claude/settings.json"), Path(".claude/settings.local.json")):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            env = json.loads(file.read_text("utf-8")).get("env")
            if isinstance(env, dict):
                last = file if "ANTHROPIC_BASE_URL" in env else last
                merged |= {str(name): str(value) for name, value in env.items()}
    return last, merged


def _version(binary: str) -> str:
    try:
        done = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10, check=False)
        return clean_line(done.stdout.split()[0]) if done.stdout.split() else "of an unknown version"
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return "that does not start"


def _routing(settings: Settings) -> Iterator[Line]:
    targets = targets_of(settings)
    providers = named(settings.providers)
    for agent, target in targets.items():
        what = f"{agent} is answered by {target.model} at {target.provider}"
        if key := missing_key(providers[target.provider]):
            yield False, "routing", f"{what}, and there is no key for it: {key}"
        else:
            yield True, "routing", what
    for sentence in undefined(settings, targets):
        yield True, "routing", sentence
