"""The one pure function that fills the settings of all sources, and which source counts.

Command line, environment, `.env`, `config.yaml`, default: the first that says something. Refuses to know what stands in a
source, and what the settings are for.

Many programs have a `config.yaml`, and `ccproxy run` starts in anybody's project. So one that lies in the working folder
and has none of our top-level keys is taken for another program's: it is passed over, and `Settings.passed_over` tells so.
With at least one of our keys it is ours, and all of it must be right; so must a file that was named with `--config`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import platformdirs

from ccproxy.settings import inherited
from ccproxy.settings.declaring import Setting
from ccproxy.settings.documents import from_file
from ccproxy.settings.found import Found, read
from ccproxy.settings.names import OUR_KEY
from ccproxy.settings.tree import BY_KEY, SETTINGS, Settings
from ccproxy.settings.variables import environment, from_command_line, from_dotenv, from_variables

DEFAULT = "default"


def load(
    *,
    cli: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    dotenv: bool = True,
    config_file: Path | None = None,
    cwd: Path | None = None,
    config_home: Path | None = None,
    data_home: Path | None = None,
) -> Settings:
    """Build the settings of the command line (key to value), the environment, `.env`, `config.yaml` and the defaults.

    An empty or missing value counts as not set, in every source. A value in the configuration file must be right even
    where another source overrides it. Without `config_file`, `config.yaml` is looked for in `cwd`, where another
    program's is passed over, then in `config_home`. `.env` is looked for in `cwd`, unless `dotenv` says not to. The folders
    default to the process's own and the user's. Raises `ConfigError`.
    """
    cwd = (cwd or Path.cwd()).absolute()
    path, passed_over = _config_path(config_file, cwd, config_home)
    found = _of_file(path, cwd) if path else {}
    found |= from_dotenv(cwd / ".env", cwd) if dotenv else {}
    found |= from_variables(environment() if environ is None else environ, "environment", cwd)
    found |= from_command_line(cli or {}, cwd)
    told = {"config_file": path, "passed_over": passed_over, "notes": inherited.notes(found)}
    sources = {key: found[key].where if key in found else DEFAULT for key in BY_KEY}
    settings: Settings = _build(Settings, _values(found, data_home) | told | {"sources": sources})
    return settings


def _config_path(config_file: Path | None, cwd: Path, config_home: Path | None) -> tuple[Path | None, Path | None]:
    """Return the file to read, and the one in the working folder that was passed over."""
    if config_file:
        return cwd / config_file.expanduser(), None
    here, of_user = cwd / "config.yaml", (config_home or platformdirs.user_config_path("ccproxy")) / "config.yaml"
    if os.path.isfile(here) and _has_our_keys(here):
        return here, None
    return of_user if os.path.isfile(of_user) else None, here if os.path.isfile(here) else None


def _has_our_keys(path: Path) -> bool:
    """Tell whether a line begins with one of our top-level keys, be it YAML or not. A file that cannot be read may be ours."""
    try:
        return OUR_KEY.search(path.read_bytes().decode("utf-8-sig", "replace")) is not None
    except OSError:
        return True


def _of_file(path: Path, cwd: Path) -> dict[str, Found]:
    found = from_file(path, str(path.relative_to(cwd) if path.is_relative_to(cwd) else path))
    for key, value in found.items():
        if key in BY_KEY:
            read(BY_KEY[key], value)
    return found


def _values(found: Mapping[str, Found], data_home: Path | None) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for row in SETTINGS:
        values[row.key] = read(row, found[row.key]) if row.key in found else _default(row, data_home, values)
    return values


def _default(row: Setting, data_home: Path | None, values: Mapping[str, Any]) -> Any:
    if row.derive:
        return row.derive(data_home or platformdirs.user_data_path("ccproxy"), values)
    return row.kind.read(row.default)


def _build(tree: Any, values: Mapping[str, Any], prefix: str = "") -> Any:
    hints = get_type_hints(tree)
    names = [item.name for item in fields(tree)]
    return tree(
        **{
            name: values[prefix + name] if prefix + name in values else _build(hints[name], values, f"{prefix}{name}.")
            for name in names
        }
    )
