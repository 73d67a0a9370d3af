"""`ccproxy config`: what is set, and by what.

Shows every setting with the source of its value, secrets by their hash; what may be short enough to be guessed from one, a
password or a header with any value, not even so. Changes nothing. Refuses to know what a setting is for.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ccproxy import auth
from ccproxy import settings as configuration
from ccproxy.cli.terminal import clean_line, echo, json_text
from ccproxy.protocol.headers import is_secret, mask
from ccproxy.settings import Setting, Settings, rows_of, value_of
from ccproxy.stores import choosing

WIDEST_VALUE = 48  # a longer value moves its source to the right, and is not cut
NOT_SET, SET = "not set", "set"  # of secrets
NONE = "none"


def show(settings: Settings, *, as_json: bool) -> None:
    """Print every setting with its value and where that came from, then what else is to be said."""
    if as_json:
        echo(json_text(_everything(settings)))
        return
    for line in _files(settings):
        echo(clean_line(line))
    echo("")
    values = {row: clean_line(_text(row, settings)) for row in rows_of(settings)}
    key_width = max(len(row.key) for row in values)
    width = min(WIDEST_VALUE, max(map(len, values.values())))
    for row, value in values.items():
        echo(f"{row.key:<{key_width}}  {value:<{width}}  {clean_line(settings.sources[row.key])}")


def example() -> None:
    """Print the text of `config.yaml.example`."""
    echo(configuration.example().removesuffix("\n"))


def check(settings: Settings) -> None:
    """Say that a proxy would start with these settings, where they are from, and what of them does nothing."""
    auth.check(auth.policy_of(settings))
    choosing.check(settings.storage)
    for line in _files(settings):
        echo(clean_line(line))
    echo("the configuration is fine")


def _files(settings: Settings) -> list[str]:
    """Say which configuration file counts, and which does not, and what in it does nothing."""
    lines = [f"read: {settings.config_file}" if settings.config_file else "no config.yaml is read"]
    if settings.passed_over:
        lines.append(f"passed over: {settings.passed_over}, which has none of ccproxy's keys")
    return lines + [f"note: {note}" for note in settings.notes]


def _text(row: Setting, settings: Settings) -> str:
    value = value_of(settings, row.key)
    text = row.kind.write(_hidden(row, value) if row.secret else value)
    return ", ".join(text.splitlines()) or (NOT_SET if row.secret else NONE)


def _hidden(row: Setting, value: Any) -> Any:
    """Return what tells two secrets apart, and none of them."""
    if isinstance(value, Mapping):
        return {name: mask(each.encode()) if is_secret(name.encode()) else SET for name, each in value.items()}
    if row.key.endswith("password"):
        return SET if value else ""
    return mask(value.encode())


def _everything(settings: Settings) -> dict[str, Any]:
    return {
        "config_file": _path(settings.config_file),
        "passed_over": _path(settings.passed_over),
        "notes": settings.notes,
        "settings": {row.key: _row(row, settings) for row in rows_of(settings)},
    }


def _path(path: object) -> str | None:
    return None if path is None else str(path)


def _row(row: Setting, settings: Settings) -> dict[str, Any]:
    value = value_of(settings, row.key)
    return {
        "value": (_hidden(row, value) or None) if row.secret else _for_json(value),
        "source": settings.sources[row.key],
        "environment": row.env or None,
    }


def _for_json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_for_json(each) for each in value]
    return str(value) if isinstance(value, Path) else value
