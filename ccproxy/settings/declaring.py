"""How a setting is declared: as a field of a frozen dataclass, with all that is known of it beside it.

Refuses to know which settings there are, and where their values come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_type_hints

from ccproxy.settings.kinds import Kind

OF_SECTION = "<NAME>"  # in an environment name, for the name of the section in which the setting stands


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table. `default` is written as a user would write it, and read by the same reader.

    Where the default depends on other things, `derive` makes it of (the user's data folder, the values so far), `shown`
    tells it in words, and `default` is only what the example file shows. `older_env` is a variable's former name: it
    counts where the present one says nothing.
    """

    key: str
    env: str
    default: str
    kind: Kind
    help: str
    secret: bool = False
    derive: Callable[[Path, Mapping[str, Any]], Any] | None = None
    shown: str = ""
    older_env: str = ""


def setting(
    default: str,
    kind: Kind,
    env: str,
    help: str,  # noqa: A002 - the word that command lines and argument parsers use for this
    *,
    secret: bool = False,
    derive: Callable[[Path, Mapping[str, Any]], Any] | None = None,
    shown: str = "",
    older_env: str = "",
) -> Any:
    """Declare a dataclass field to be a setting. A secret never shows in a repr, nor in an error."""
    row = Setting("", env, default, kind, help, secret, derive, shown, older_env)
    return field(metadata={"setting": row}, repr=not secret)


def again(tree: type, name: str, env: str) -> Any:
    """Declare a dataclass field to be the same setting as another dataclass's, read from a variable of its own."""
    [row] = [item.metadata["setting"] for item in fields(tree) if item.name == name]
    return field(metadata={"setting": replace(row, env=env)}, repr=not row.secret)


def variable(name: str) -> str:
    """Return how a section's name is written in the name of an environment variable."""
    return name.upper().replace("-", "_")


def rows(tree: type, prefix: str = "") -> Iterator[Setting]:
    """Yield the settings that a tree of dataclasses declares, in its order, under their full keys."""
    hints = get_type_hints(tree)
    section = variable(prefix.removesuffix(".").rpartition(".")[2])
    for item in fields(tree):
        key = prefix + item.name
        if "setting" in item.metadata:
            row = item.metadata["setting"]
            yield replace(row, key=key, env=row.env.replace(OF_SECTION, section))
        elif is_dataclass(hints[item.name]):
            yield from rows(hints[item.name], f"{key}.")
