"""The one pure function that fills the settings of all sources, and which source counts.

Command line, environment, `.env`, `config.yaml`, default: the first that says something. Refuses to know what stands in a
source, and what the settings are for.

Many programs have a `config.yaml`, and `ccproxy run` starts in anybody's project. So one that lies in the working folder
and has none of our top-level keys is taken for another program's: it is passed over, and `Settings.passed_over` tells so.
With at least one of our keys it is ours, and all of it must be right; so must a file that was named with `--config`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_type_hints

import platformdirs

from ccproxy.errors import ConfigError
from ccproxy.settings import together
from ccproxy.settings.declaring import Setting
from ccproxy.settings.documents import from_file
from ccproxy.settings.found import Found, read
from ccproxy.settings.names import OUR_KEY
from ccproxy.settings.providers import Provider, owner
from ccproxy.settings.tree import BY_KEY, Settings, every, row_of
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
    of_file, given = _of_file(path, cwd) if path else {}, from_command_line(cli or {}, cwd)
    others = list(filter(None, dict.fromkeys(map(owner, [*of_file, *given]))))
    rows = every(others)
    of_dotenv = from_dotenv(cwd / ".env", cwd, rows) if dotenv else {}
    of_environ = from_variables(environment() if environ is None else environ, "environment", cwd, rows)
    found = of_file | of_dotenv | of_environ | given
    if not _read(BY_KEY[together.ENABLE], found, cwd):
        found = of_file | _ours(of_dotenv) | _ours(of_environ) | given
    values = _values(rows, found, cwd, data_home) | {"config_file": path, "passed_over": passed_over, "notes": ()}
    values["sources"] = {row.key: found[row.key].where if row.key in found else DEFAULT for row in rows}
    settings: Settings = _build(Settings, _with_providers(values, others))
    together.check(settings, found)
    return replace(settings, notes=together.notes(settings, found))


def _with_providers(values: Mapping[str, Any], others: Iterable[str]) -> dict[str, Any]:
    """Add to the values of all settings the names of the providers, and those of the user's own."""
    named = {**values, **{f"providers.{name}.name": name for name in ("openai", *others)}}
    return {**named, "providers.others": {name: _build(Provider, named, f"providers.{name}.") for name in others}}


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
        if row := row_of(key):
            read(row, value)
    return found


def _values(rows: Iterable[Setting], found: Mapping[str, Found], cwd: Path, data_home: Path | None) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for row in rows:
        if row.derive and row.key not in found:
            values[row.key] = row.derive(data_home or platformdirs.user_data_path("ccproxy"), values)
        else:
            values[row.key] = _read(row, found, cwd)
    return values


def _read(row: Setting, found: Mapping[str, Found], cwd: Path) -> Any:
    return read(row, found.get(row.key) or Found(row.default, DEFAULT, cwd))


def _ours(found: Mapping[str, Found]) -> dict[str, Found]:
    """Leave out what makes no sense for OpenAI. Its variables are in many shells and mean others, so while no subagent is
    routed they refuse nothing.
    """
    return {
        key: value
        for key, value in found.items()
        if not key.startswith("providers.openai.") or _makes_sense(key, value)
    }


def _makes_sense(key: str, found: Found) -> bool:
    try:
        read(BY_KEY[key], found)
    except ConfigError:
        return False
    return True


def _build(tree: Any, values: Mapping[str, Any], prefix: str = "") -> Any:
    hints = get_type_hints(tree)
    names = [item.name for item in fields(tree)]
    return tree(
        **{
            name: values[prefix + name] if prefix + name in values else _build(hints[name], values, f"{prefix}{name}.")
            for name in names
        }
    )
