"""A value as it was found in a source, and how it becomes the value of its setting.

Words the refusal of one that makes no sense: where it stands, its key, what it must be. Refuses to know how sources are read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ccproxy.errors import ConfigError
from ccproxy.settings.declaring import Setting
from ccproxy.settings.kinds import Names
from ccproxy.settings.readers import RefusalError

SHOWN_LENGTH = 80  # a wrong value is quoted in a sentence, so it is cut to what a line of a terminal holds


@dataclass(frozen=True, slots=True)
class Found:
    """A value as it was found: its text, the source it stands in, and the folder that a relative path starts from.

    Where the source itself holds a list, or values under names, `items` are its members, and there is no text; `name` is that
    of a member which has one.
    """

    text: str = field(repr=False)
    source: str
    base: Path
    line: int | None = None
    items: tuple[Found, ...] | None = field(default=None, repr=False)
    name: str | None = None

    @property
    def where(self) -> str:
        """Name the source in short, as in `config.yaml:12`."""
        return f"{self.source}:{self.line}" if self.line else self.source

    @property
    def label(self) -> str:
        """Name the source as a sentence does, as in `config.yaml line 12`."""
        return f"{self.source} line {self.line}" if self.line else self.source


def read(row: Setting, found: Found) -> Any:
    """Return the value that what was found for a setting stands for, or raise the `ConfigError` that tells why not."""
    kind = row.kind
    if not kind.item or not kind.split:
        return _read_one(row, kind.read, found)
    items = [replace(found, text=text) for text in kind.split(found.text)] if found.items is None else found.items
    if kind.names:
        return _by_name(row, items, kind.names, kind.item)
    return tuple(_read_one(row, kind.item, item) for item in items)


def _by_name(row: Setting, items: Iterable[Found], names: Names, reader: Callable[[str], Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for item in items:
        name, text = _read_one(row, names.part, item) if item.name is None else (item.name, item.text)
        name = _read_one(row, names.read, replace(item, text=name))
        if name in values:
            raise ConfigError(f"{item.label}: {row.key} holds {quoted(name)} for the second time")
        values[name] = _read_one(row, reader, replace(item, text=text))
    return values


def _read_one(row: Setting, reader: Callable[[str], Any], found: Found) -> Any:
    try:
        value = reader(found.text)
    except RefusalError as error:
        raise ConfigError(f"{found.label}: {row.key} {error}") from None
    except ValueError:
        raise ConfigError(f"{found.label}: {row.key} must be {row.kind.what}{_instead(row, found.text)}") from None
    return found.base / value if isinstance(value, Path) else value


def _instead(row: Setting, text: str) -> str:
    """Quote the wrong value, except where it could carry a credential."""
    return "" if row.secret or re.search("[@?#]", text) else f", not {quoted(text)}"


def quoted(text: str) -> str:
    """Return a text in quotes, on one line, printable and not too long."""
    cut = text if len(text) <= SHOWN_LENGTH else text[:SHOWN_LENGTH] + "…"
    return f'"{repr(cut)[1:-1]}"'
