"""The settings: one table, and the one pure function that fills it.

`access`, `providers` and `tree` declare each setting's key, environment name, default, kind and sentence; `loading` says in
which order the sources count, and `together` what they must be together. `config.yaml.example` and the README's table come of
the same rows. Refuses to guess: a key or value that it does not understand is a `ConfigError` that says where it stands.
Refuses to know what the settings are for.
"""

from __future__ import annotations

from ccproxy.settings.access import Auth, Dashboard, Server, ServerTimeouts
from ccproxy.settings.declaring import Setting, rows, setting
from ccproxy.settings.found import Found, read
from ccproxy.settings.loading import DEFAULT, load
from ccproxy.settings.names import nearest
from ccproxy.settings.passing import dump, parse
from ccproxy.settings.providers import Anthropic, OpenAI, Provider, Providers, missing_key, named, needs_key
from ccproxy.settings.readers import LONGEST_AGE, LONGEST_DURATION
from ccproxy.settings.targets import resolve
from ccproxy.settings.texts import example, table
from ccproxy.settings.tree import (
    BY_KEY,
    SETTINGS,
    Analysis,
    Capture,
    Claude,
    Logging,
    Settings,
    Storage,
    Subagents,
    every,
    rows_of,
    value_of,
)
from ccproxy.settings.variables import environment

__all__ = [
    "BY_KEY",
    "DEFAULT",
    "LONGEST_AGE",
    "LONGEST_DURATION",
    "SETTINGS",
    "Analysis",
    "Anthropic",
    "Auth",
    "Capture",
    "Claude",
    "Dashboard",
    "Found",
    "Logging",
    "OpenAI",
    "Provider",
    "Providers",
    "Server",
    "ServerTimeouts",
    "Setting",
    "Settings",
    "Storage",
    "Subagents",
    "dump",
    "environment",
    "every",
    "example",
    "load",
    "missing_key",
    "named",
    "nearest",
    "needs_key",
    "parse",
    "read",
    "resolve",
    "rows",
    "rows_of",
    "setting",
    "table",
    "value_of",
]
