"""All settings, as one frozen tree: what ccproxy does with captures, and what `access` and `providers` declare.

Each with its environment name, default, kind and sentence. Refuses to know what they are for, and where values come from.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

from ccproxy.settings.access import Auth, Dashboard, Server
from ccproxy.settings.declaring import Setting, rows, setting
from ccproxy.settings.kinds import (
    AGE,
    AGENTS,
    ANY_PATH,
    EXPRESSIONS,
    FORMAT,
    LEVEL,
    PASSWORD,
    PATH,
    PATHS,
    PATTERNS,
    SIZE,
    STORE_TYPE,
    SWITCH,
)
from ccproxy.settings.providers import Providers, own, owner, siblings


@dataclass(frozen=True, slots=True, kw_only=True)
class Subagents:
    """Which subagents of Claude Code another model answers."""

    enable: bool = setting(
        "false",
        SWITCH,
        "SUBAGENTS_ENABLE",
        "Whether the subagents under `mappings` are answered by the models named there.",
    )
    mappings: Mapping[str, str] = setting(
        "",
        AGENTS,
        "SUBAGENT_MAPPINGS",
        "Subagents by name, each with its model (`code-reviewer: gpt-4o`) or with `provider:model`; as a text"
        " `code-reviewer:gpt-4o, plugin:tester=openai:o3`.",
    )
    folders: tuple[Path, ...] = setting(
        ".claude/agents",
        PATHS,
        "SUBAGENT_FOLDERS",
        "Folders with the definitions of agents, beside `.claude/agents` of the project that a session works in; a relative one starts"
        " where ccproxy does, or at `config.yaml`.",
    )


def _default_db_path(data_home: Path, _values: Mapping[str, Any]) -> Path:
    return data_home / "requests.db"


def _default_journal_dir(_data_home: Path, values: Mapping[str, Any]) -> Path:
    store: Path = values["storage.db_path"]
    return store.parent / f"{store.stem}.journal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """Where captures are kept, and for how long."""

    db_type: str = setting(
        "sqlite",
        STORE_TYPE,
        "DB_TYPE",
        "The kind of the store: `sqlite`, a file, or `postgres`, a database that a team shares.",
    )
    database_url: str = setting(
        "",
        PASSWORD,
        "DATABASE_URL",
        "The PostgreSQL database, as in `postgresql://user:password@host/name`; only with `postgres`.",
        secret=True,
    )
    db_path: Path = setting(  # noqa: RUF009 - declares a field, as dataclasses.field does
        "~/.local/share/ccproxy/requests.db",
        PATH,
        "DB_PATH",
        "The SQLite store: a file, made where there is none.",
        derive=_default_db_path,
        shown="`requests.db` in the user's data folder",
    )
    journal_dir: Path = setting(  # noqa: RUF009 - likewise
        "~/.local/share/ccproxy/requests.journal",
        PATH,
        "JOURNAL_DIR",
        "The folder for captures on their way to the store; it needs a local disk.",
        derive=_default_journal_dir,
        shown="beside the store, named after it: `requests.journal`",
    )
    ingest: bool = setting(
        "true",
        SWITCH,
        "INGEST",
        "Whether `ccproxy serve` brings captures into the store by itself; if not, `ccproxy ingest` beside it does.",
    )
    max_age: float = setting(
        "0",
        AGE,
        "STORAGE_MAX_AGE",
        "How old captures may become before they are deleted; 0 means that they are kept for ever.",
    )
    max_size: int = setting(
        "0",
        SIZE,
        "STORAGE_MAX_SIZE",
        "How large the store may become before the oldest captures are deleted; 0 means that there is no limit.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """What is recorded of the traffic. None of it changes the traffic."""

    max_body: int = setting(
        "0",
        SIZE,
        "CAPTURE_MAX_BODY",
        "How much of a body is recorded, while all of it is passed on; 0 means that there is no limit.",
    )
    paths: tuple[str, ...] = setting(
        "/v1/*",
        PATTERNS,
        "CAPTURE_PATHS",
        "Shell-style patterns of the paths that are recorded; all others are only passed on.",
    )
    redact: tuple[str, ...] = setting(
        "",
        EXPRESSIONS,
        "CAPTURE_REDACT",
        "Regular expressions for what is masked before it is recorded; the environment holds one, `config.yaml` may hold a list.",
    )
    raw_responses: bool = setting(
        "true",
        SWITCH,
        "CAPTURE_RAW_RESPONSES",
        "Whether the exact bytes of an answer are kept beside the message that they came to.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Logging:
    """What ccproxy tells about itself."""

    access: bool = setting("true", SWITCH, "ACCESS_LOG", "Whether each request is one line in the log.")
    level: str = setting(
        "info", LEVEL, "LOG_LEVEL", "The least important messages that are logged: debug, info, warning or error."
    )
    format: str = setting("text", FORMAT, "LOG_FORMAT", "How a line of the log is written: text or json.")


def _default_claude_dir(_data_home: Path, _values: Mapping[str, Any]) -> Path:
    return Path(os.path.expanduser("~/.claude"))  # unlike Path.expanduser, it takes a machine without a home as it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Claude:
    """What ccproxy knows of Claude Code on this machine."""

    config_dir: Path = setting(  # noqa: RUF009 - declares a field, as dataclasses.field does
        "~/.claude",
        PATH,
        "CLAUDE_CONFIG_DIR",
        "The folder in which Claude Code keeps its transcripts.",
        derive=_default_claude_dir,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """How captures are analysed. The proxy itself reads none of it."""

    extension_dir: Path | None = setting(  # noqa: RUF009 - declares a field, as dataclasses.field does
        "",
        ANY_PATH,
        "ANALYSIS_EXTENSION_DIR",
        "A folder with DuckDB's scanners for SQLite and PostgreSQL, for where their wheels are not installed.",
    )
    allow_download: bool = setting(
        "false",
        SWITCH,
        "ANALYSIS_ALLOW_DOWNLOAD",
        "Whether DuckDB may fetch a scanner from its own server where none is found.",
    )
    prices: Path | None = setting(  # noqa: RUF009 - the same
        "",
        ANY_PATH,
        "ANALYSIS_PRICES",
        "A JSON file with prices of your own, which go before those of genai-prices.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, for each key the source its value came from, and the file that was read or passed over.

    `notes` are sentences about what was set and does nothing.
    """

    server: Server
    auth: Auth
    dashboard: Dashboard
    providers: Providers
    subagents: Subagents
    storage: Storage
    capture: Capture
    logging: Logging
    claude: Claude
    analysis: Analysis
    sources: Mapping[str, str]
    config_file: Path | None
    passed_over: Path | None
    notes: tuple[str, ...]


SETTINGS: tuple[Setting, ...] = tuple(rows(Settings))
BY_KEY = {row.key: row for row in SETTINGS}


def every(others: Iterable[str]) -> tuple[Setting, ...]:
    """Return all settings that there are with providers of these names: the static ones, and theirs after those of the built in."""
    after = max(at for at, row in enumerate(SETTINGS) if row.key.startswith("providers.")) + 1
    return (*SETTINGS[:after], *(row for name in others for row in own(name)), *SETTINGS[after:])


def row_of(key: str) -> Setting | None:
    """Return the setting of this key, if there is one."""
    return BY_KEY.get(key) or next((row for row in siblings(key) if row.key == key), None)


def rows_of(settings: Settings) -> tuple[Setting, ...]:
    """Return all settings that these have, in order."""
    return every(settings.providers.others)


def value_of(settings: Settings, key: str) -> Any:
    """Return the value of the setting of this key. There must be one."""
    name = owner(key)
    return getattr(settings.providers.others[name], key.rpartition(".")[2]) if name else attrgetter(key)(settings)
