"""Server-sent events, from bytes as they come.

However the bytes are cut, the events are the same. Knows what the live view sends: a name and one line of JSON. What is no such
event is passed over, and so is one that is too large. Refuses to know what events mean.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

MAX_EVENT_BYTES = (
    64 << 20
)  # a snapshot has what all running exchanges have said, of each of them a million characters at most
END = b"\n\n"


class Event(NamedTuple):
    """One event."""

    name: str
    data: dict[str, Any]


class Events:
    """Takes bytes, gives events."""

    def __init__(self, limit: int = MAX_EVENT_BYTES) -> None:
        self._rest = bytearray()
        self._limit = limit
        self._too_large = False

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes and return the events that they complete."""
        searched = max(0, len(self._rest) - len(END) + 1)
        self._rest += data
        found, start = [], 0
        while (end := self._rest.find(END, max(start, searched))) >= 0:
            if not self._too_large:
                found.append(bytes(self._rest[start:end]))
            self._too_large, start = False, end + len(END)
        del self._rest[:start]
        if len(self._rest) > self._limit:
            self._too_large = True
        if self._too_large:
            del self._rest[: -len(END) + 1]
        return [event for block in found if (event := _event(block)) is not None]


def _event(block: bytes) -> Event | None:
    name = data = None
    for line in block.split(b"\n"):
        field, _, value = line.partition(b": ")
        if field == b"event":
            name = value
        elif field == b"data":
            data = value
    if name is None or data is None:
        return None
    try:
        found = json.loads(data)
    except ValueError:
        return None
    return Event(name.decode("utf-8", "replace"), found) if isinstance(found, dict) else None
