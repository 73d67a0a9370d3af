"""The settings: one table, and the one pure function that fills it.

`access` and `tree` declare each setting's key, environment name, default, kind and sentence; `loading` says in which order
the sources count. `config.yaml.example` and the README's table come of the same rows. Refuses to guess: a key or value that
it does not understand is a `ConfigError` that says where it stands. Refuses to know what the settings are for.
"""

from __future__ import annotations

from ccproxy.settings.access import Auth, Dashboard, Server, ServerTimeouts
from ccproxy.settings.declaring import Setting, rows, setting
from ccproxy.settings.found import Found, read
from ccproxy.settings.loading import DEFAULT, load
from ccproxy.settings.names import nearest
from ccproxy.settings.passing import dump, parse
from ccproxy.settings.readers import LONGEST_AGE, LONGEST_DURATION
from ccproxy.settings.texts import example, table
from ccproxy.settings.tree import (
    BY_KEY,
    SETTINGS,
    Analysis,
    Anthropic,
    Capture,
    Claude,
    Logging,
    Providers,
    Settings,
    Storage,
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
    "Providers",
    "Server",
    "ServerTimeouts",
    "Setting",
    "Settings",
    "Storage",
    "dump",
    "environment",
    "example",
    "load",
    "nearest",
    "parse",
    "read",
    "rows",
    "setting",
    "table",
]
