"""How a client is pointed at the proxy, and how proxy, journal, ingest, store and DuckDB are doing.

Works without a store and without a proxy: that is an answer, too. The lines to copy never hold a secret. Refuses to know how any of it
looks.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from analysis import Configuration
from analysis.opening import way_to_the_store
from analysis.sources import SCHEMA_VERSIONS
from dashboards.data.store import Data, TroubleError
from dashboards.live import credentials

PATIENCE_S = 3.0
MOST_BYTES = 1 << 16
TOKEN = "X-CCProxy-Token: "
WAYS = {
    "wheel": "attaches the store, by the scanner that is installed with it",
    "folder": "attaches the store, by the scanner in ANALYSIS_EXTENSION_DIR",
    "installed": "attaches the store, by the scanner in ~/.duckdb",
    "download": "attaches the store, by a scanner that it fetches from its own server",
    "copy": "copies the store before it reads it, for want of a scanner",
}


class Lines(NamedTuple):
    """Lines to copy, with what they are for."""

    name: str
    title: str
    text: str


class Check(NamedTuple):
    """Something that was looked at: whether it is fine, what was found, and what to do where it is not."""

    name: str
    fine: bool
    found: str
    advice: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True)
class Store:
    """The store, as far as it can be read. `trouble` says why it cannot."""

    place: str
    way: str
    bytes: int | None = None
    schema: int | None = None
    exchanges: int | None = None
    sessions: int | None = None
    oldest: datetime | None = None
    newest: datetime | None = None
    trouble: str = ""


def variables(found: Configuration) -> dict[str, str]:
    """Return what a client needs in its environment; with auth a place where the token goes."""
    told = {
        "ANTHROPIC_BASE_URL": found.public_url,
        "ENABLE_TOOL_SEARCH": "true",
        "CLAUDE_CODE_GATEWAY_HINT_HEADERS": "1",
    }
    return told | ({"ANTHROPIC_CUSTOM_HEADERS": TOKEN} if found.auth_enabled else {})


def ways_in(found: Configuration) -> list[Lines]:
    """Return the ways to point a client at the proxy."""
    told = variables(found)
    exports = [f"export {name}={value}" for name, value in told.items() if value != TOKEN]
    exports += [f'export ANTHROPIC_CUSTOM_HEADERS="{TOKEN}$AUTH_TOKEN"'] if found.auth_enabled else []
    in_file = {name: f"{TOKEN}<the AUTH_TOKEN>" if value == TOKEN else value for name, value in told.items()}
    headers = ", default_headers={'X-CCProxy-Token': …}" if found.auth_enabled else ""
    return [
        Lines("run", "Let ccproxy start it", "ccproxy run -- claude"),
        Lines("shell", "This shell", "\n".join([*exports, "claude"])),
        Lines("file", "For good, in ~/.claude/settings.json", json.dumps({"env": in_file}, indent=2)),
        Lines(
            "sdk",
            "A program with Anthropic's SDK",
            f"client = anthropic.Anthropic(base_url={found.public_url!r}{headers})",
        ),
    ]


def health(found: Configuration) -> dict[str, Any]:
    """Return what the proxy says of itself; where it says nothing, a dictionary with `error` alone."""
    place = urlsplit(found.proxy_url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=PATIENCE_S)
    try:
        with contextlib.closing(connection):
            connection.request("GET", "/livez", headers=credentials(found))
            told = json.loads(connection.getresponse().read(MOST_BYTES))
    except (OSError, http.client.HTTPException, ValueError) as error:
        return {"error": getattr(error, "strerror", None) or str(error) or type(error).__name__}
    return told if isinstance(told, dict) and "ingest" in told else {"error": "what answers there is no ccproxy"}


def checks(found: Configuration, told: dict[str, Any]) -> list[Check]:
    """Return what there is to say of the proxy, its journal and its ingest."""
    if "error" in told:
        sentence = f"none answers at {found.proxy_url}: {told['error']}"
        return [
            Check(
                "proxy",
                False,
                sentence,
                "start it; captures that are there can be looked at without it",
                "ccproxy serve",
            )
        ]
    journal, ingest, dropped = told.get("journal", {}), told.get("ingest", {}), told.get("dropped", {})
    exchanges, flying = told.get("exchanges", 0), told.get("in_flight", 0)
    serving = Check(
        "proxy",
        told["status"] == "healthy",
        f"{told['status']} at {found.proxy_url}: {flying:,} running, {exchanges:,} since it began",
    )
    return [serving, _journal(journal, dropped), _ingest(ingest)]


def _journal(journal: dict[str, Any], dropped: dict[str, Any]) -> Check:
    behind, lost = journal.get("lag_bytes", 0), dropped.get("exchanges", 0)
    found = (
        f"{behind:,} bytes on their way to the store, {journal.get('lag_seconds', 0):g} s behind"
        if behind
        else "all of it is in the store"
    )
    if trouble := journal.get("error"):
        return Check(
            "journal",
            False,
            f"{found}; {trouble}",
            "what is wrong with its folder or disk stands there",
            "ccproxy doctor",
        )
    if lost:
        return Check(
            "journal",
            False,
            f"{found}; {lost:,} exchanges were not recorded",
            "the disk did not keep up, or was full",
            "ccproxy doctor",
        )
    return Check("journal", True, found)


def _ingest(ingest: dict[str, Any]) -> Check:
    state, stored = ingest.get("state", "unknown"), ingest.get("stored")
    found = state if stored is None else f"{state}, {stored:,} stored since it began"
    if trouble := ingest.get("error"):
        return Check("ingest", False, f"{found}; {trouble}", "captures wait in the journal meanwhile", "ccproxy doctor")
    if state in ("running", "starting", "elsewhere"):
        return Check("ingest", True, found)
    return Check(
        "ingest",
        False,
        found,
        "captures wait in the journal meanwhile",
        "ccproxy ingest" if state == "off" else "ccproxy doctor",
    )


def store(data: Data, found: Configuration) -> Store:
    """Return what there is to say of the store."""
    way, kind = WAYS[way_to_the_store(found.settings)], found.settings.storage.db_type
    query = "SELECT count(1), count(DISTINCT session_id), min(started_at), max(started_at) FROM exchanges"
    try:
        row = data.ask(query).row(0)
        place = data.capture.place
    except TroubleError as error:
        data.forget()
        return Store(found.place, way, _bytes(found), trouble=str(error))
    return Store(place, way, _bytes(found), SCHEMA_VERSIONS[kind], *row)


def _bytes(found: Configuration) -> int | None:
    """Return how large the store's files are; None where it is no file, or not there."""
    if found.settings.storage.db_type != "sqlite":
        return None
    path = Path(found.settings.storage.db_path)
    sizes = []
    for name in (path, path.with_name(path.name + "-wal")):
        with contextlib.suppress(OSError):
            sizes.append(os.stat(name).st_size)
    return sum(sizes) if sizes else None
