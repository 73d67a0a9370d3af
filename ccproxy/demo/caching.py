"""The provider's prompt cache, played by its published rules on the bytes of each request.

A request's tools, system blocks and messages are one line of blocks; an entry is a prefix of that line that ended at a
`cache_control` mark. A request reads the longest prefix that is known and alive, and writes what lies between that and its last
mark, for 5 minutes or an hour, from when its answer begins. Refuses to know what the blocks say.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from ccproxy.demo.counting import tokens, weight
from ccproxy.demo.week import SECOND
from ccproxy.protocol.anatomy import BILLING_NAME

SMALLEST = 1024  # tokens; a shorter prefix is not cached
LOOKED_BACK = 20  # blocks before a mark
FRAMING = 3  # tokens behind the last block, which no cache knows
LIVES = {"5m": 300 * SECOND, "1h": 3600 * SECOND}


@dataclass(frozen=True, slots=True)
class Counted:
    """The input of one request, in tokens."""

    input: int
    read: int = 0
    written_5m: int = 0
    written_1h: int = 0

    @property
    def written(self) -> int:
        """What was put into the cache."""
        return self.written_5m + self.written_1h

    @property
    def total(self) -> int:
        """All of it."""
        return self.input + self.read + self.written


@dataclass(frozen=True, slots=True)
class _Place:
    """A block's end in the line: the key of the prefix up to here, its tokens, and the mark on the block."""

    key: bytes
    tokens: int
    life: str | None


@dataclass(slots=True)
class _Entry:
    born: int
    life: str
    expires: int


@dataclass(frozen=True, slots=True)
class Taken:
    """A request as the cache sees it: its count, and the places at which it writes."""

    counted: Counted
    writes: tuple[_Place, ...]


@dataclass(slots=True)
class PromptCache:
    """All entries."""

    _entries: dict[bytes, _Entry] = field(default_factory=dict)

    def take(self, request: dict[str, Any], at: int) -> Taken:
        """Count a request that came `at` a moment; what it reads lives on."""
        places = _places(request)
        marked = [index for index, place in enumerate(places) if place.life and place.tokens >= SMALLEST]
        hit = self._hit(places, marked, at)
        for index in marked:
            entry = self._entries.get(places[index].key)
            if index <= hit and entry is not None:
                entry.expires = at + LIVES[entry.life]
        return Taken(_counted(places, marked, hit), tuple(places[index] for index in marked if index > hit))

    def keep(self, taken: Taken, at: int) -> None:
        """Remember what a request writes; the answer to it begins now."""
        for place in taken.writes:
            life = place.life or "5m"
            self._entries[place.key] = _Entry(at, life, at + LIVES[life])

    def count(self, request: dict[str, Any]) -> int:
        """Count a request's input, whatever the cache holds."""
        places = _places(request)
        return places[-1].tokens + FRAMING if places else 0

    def _hit(self, places: list[_Place], marked: list[int], at: int) -> int:
        """Return the index of the last block that is read from the cache, or -1."""
        for mark in reversed(marked):
            for index in range(mark, max(-1, mark - LOOKED_BACK - 1), -1):
                entry = self._entries.get(places[index].key)
                if entry is not None and entry.born <= at < entry.expires:
                    entry.expires = at + LIVES[entry.life]
                    return index
        return -1


def _counted(places: list[_Place], marked: list[int], hit: int) -> Counted:
    total = places[-1].tokens if places else 0
    read = before = places[hit].tokens if hit >= 0 else 0
    written = {"5m": 0, "1h": 0}
    for index in marked:
        if index > hit:
            written[places[index].life or "5m"] += places[index].tokens - before
            before = places[index].tokens
    return Counted(total - before + FRAMING, read, written["5m"], written["1h"])


def _places(request: dict[str, Any]) -> list[_Place]:
    places: list[_Place] = []
    key, characters = hashlib.blake2b(request["model"].encode(), digest_size=16).digest(), 0.0
    for part in _line(request):
        mark = part.get("cache_control")
        plain = {name: value for name, value in part.items() if name != "cache_control"}
        key = hashlib.blake2b(key + json.dumps(plain, sort_keys=True).encode(), digest_size=16).digest()
        characters += 0 if "params" in plain else weight(plain)
        places.append(_Place(key, tokens(characters), mark.get("ttl", "5m") if mark else None))
    return places


def _line(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the request's blocks in the order in which they are cached; the billing line is none of the provider's prompt."""
    found: list[dict[str, Any]] = [*request.get("tools", [])]
    found += [block for block in request.get("system", []) if not block["text"].startswith(BILLING_NAME)]
    # A change of these spoils what is cached of the messages, and nothing before them.
    found.append({"params": [request.get("thinking"), request.get("output_config", {}).get("effort")]})
    for message in request["messages"]:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        found += [{"role": message["role"], **block} for block in blocks]
    return found
