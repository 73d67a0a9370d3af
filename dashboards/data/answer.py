"""What an answer's bytes say: the events of a stream, each with its data, and the usage that it reports.

Refuses to know when anything arrived.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

Json = dict[str, Any]


class Event(NamedTuple):
    """An event as it was sent."""

    name: str
    data: str


def events(plain: bytes) -> list[Event]:
    """Return the events of a stream; nothing of a body that is none."""
    text = plain.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    found = []
    for chunk in text.split("\n\n"):
        name, lines = "", []
        for line in chunk.split("\n"):
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                name = value
            elif field == "data":
                lines.append(value)
        if lines:
            found.append(Event(name, "\n".join(lines)))
    return found


def usage(plain: bytes) -> Json:
    """Return the usage that an answer reports: of a stream what came last; nothing where it reports none."""
    if plain.lstrip()[:1] == b"{":
        return _usage(_object(plain.decode("utf-8", "replace")))
    found: Json = {}
    for event in events(plain):
        if '"usage"' in event.data:
            said = _object(event.data)
            found |= _usage(said.get("message")) | _usage(said)
    return found


def _usage(value: Any) -> Json:
    found = value.get("usage") if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _object(text: str) -> Json:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
