"""What stands in the environment, in `.env` and on the command line.

The one place that reads the environment. An empty or missing value counts as not set. Refuses to know which source counts
more, and what a text means.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import dotenv

from ccproxy.errors import ConfigError
from ccproxy.settings.declaring import Setting
from ccproxy.settings.found import Found
from ccproxy.settings.names import is_key, unknown

COMMAND_LINE = "command line"


def environment() -> Mapping[str, str]:
    """Return a snapshot of the process's environment. The one place that reads it."""
    return dict(os.environ)  # noqa: TID251 - this is that one place


def from_variables(
    variables: Mapping[str, str], source: str, cwd: Path, settings: Iterable[Setting]
) -> dict[str, Found]:
    """Return what variables say of these settings, by key."""
    # A former name comes before the present one: of those that say something, the last counts.
    names = [(row.key, name) for row in settings for name in (row.older_env, row.env)]
    texts = [(key, name, variables.get(name, "").strip()) for key, name in names]
    return {key: Found(text, f"{source} {name}", cwd) for key, name, text in texts if text}


def from_dotenv(path: Path, cwd: Path, settings: Iterable[Setting]) -> dict[str, Found]:
    """Return what a `.env` file says of these settings, literally, by key. There may be none."""
    try:
        values = dotenv.dotenv_values(path, interpolate=False)  # interpolation would read the process's environment
    except UnicodeDecodeError:
        raise ConfigError(f"{path.name}: this is not UTF-8 text") from None
    except OSError as error:
        raise ConfigError(f"{path.name} cannot be read: {error.strerror}") from error
    return from_variables({name: value or "" for name, value in values.items()}, path.name, cwd, settings)


def from_command_line(cli: Mapping[str, object], cwd: Path) -> dict[str, Found]:
    """Return what options say, by key."""
    for key in cli:
        if not is_key(key):
            raise ConfigError(f"{COMMAND_LINE}: {unknown(key)}")
    found = {key: _of_argument(value, cwd) for key, value in cli.items()}
    return {key: value for key, value in found.items() if value.text or value.items}


def _of_argument(value: object, cwd: Path) -> Found:
    """Take one value, or one for each time that an option was given."""
    if not isinstance(value, list | tuple):
        return Found("" if value is None else str(value).strip(), COMMAND_LINE, cwd)
    members = [_of_argument(one, cwd) for one in value]
    return Found("", COMMAND_LINE, cwd, items=tuple(member for member in members if member.text))
