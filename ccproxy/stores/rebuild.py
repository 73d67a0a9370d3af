"""How a request's body is kept as a patch against its parts, and given back byte for byte.

The reference is the parts' texts as the store has them, in one fixed order: billing line, tools, system blocks, messages,
joined by commas as JSON lists are. Writing and reading use this one function, so they cannot differ. Refuses to know SQL.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


def reference(
    billing_line: str | None, tools: Iterable[bytes], system: Iterable[bytes], messages: Iterable[bytes]
) -> bytes:
    """Return the bytes against which a request body is patched."""
    billing = [billing_line.encode()] if billing_line else []
    return b",".join([*billing, *tools, *system, *messages])


def fill(template: bytes, values: list[str]) -> list[tuple[str, str]]:
    """Return the header list that a template and its values stand for."""
    remaining = iter(values)
    names_and_values = msgspec.json.decode(template, type=list[tuple[str, str | None]])
    return [(name, next(remaining) if value is None else value) for name, value in names_and_values]


def dump(value: object) -> str:
    """Return a value as compact JSON text."""
    return msgspec.json.encode(value).decode()


def load(text: str) -> list[str]:
    """Return the list of texts that a piece of JSON holds."""
    return msgspec.json.decode(text, type=list[str])
