"""What ingest remembers of parts that it has seen, so that a conversation's history costs a look-up and not a parse.

A request repeats the whole conversation; all but its last messages were seen a moment ago, byte for byte. Bounded in bytes,
at `trim`. Refuses to know where parts rest: it asks `stored` for the text of those that it has forgotten.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ccproxy.protocol.parts import digest, json_value, normalised
from ccproxy.records import Part

MAX_BYTES = 48 << 20  # a long session of 1 MB a request fits many times over
MAX_NODES = 200_000

_CACHE_CONTROL = rb'"cache_control"\s*:\s*\{[^{}]*\}'
_MARK = re.compile(rb",\s*" + _CACHE_CONTROL + rb"|" + _CACHE_CONTROL + rb"\s*,\s*")


@dataclass(frozen=True, slots=True)
class Seen:
    """A part as it was seen: the record of it, with the text that stands for all its spellings, and its role or name."""

    part: Part
    role: str


class Memory:
    """Parts by the bytes in which they came, and the digests of nodes that are in the store, or on their way to it."""

    def __init__(self, stored: Callable[[bytes], bytes | None]) -> None:
        self._stored = stored
        self._seen: dict[bytes, Seen] = {}
        self._first: dict[bytes, bytes] = {}  # digest -> text
        self._bytes = 0
        self._nodes: dict[bytes, None] = {}

    def seen(self, raw: bytes, *, marked: bool = False) -> Seen:
        """Return the part that these bytes are, with the text under which the store has it or will have it.

        `marked` says that a marker for the cache in it is a passing one, and no part of that text.
        """
        found = self._seen.get(raw)
        if found is None:
            key = digest(normalised(raw))
            first = self._first.get(key) or self._stored(key) or (_unmarked(raw, key) if marked else raw)
            found = Seen(Part(key, first), _role(raw))
            self._seen[raw] = found
            self._first[key] = first
            self._bytes += len(raw) + len(first)
        return found

    def is_new(self, node: bytes) -> bool:
        """Tell whether a node was never asked about before; it is known from then on."""
        if node in self._nodes:
            return False
        self._nodes[node] = None
        return True

    def trim(self) -> None:
        """Start anew where the bounds are passed. Only right when all that was seen has reached the store."""
        if self._bytes > MAX_BYTES or len(self._nodes) > MAX_NODES:
            self.forget()

    def forget(self) -> None:
        """Start anew, as where the store may have let go of what was seen. Only right when all of it had reached the store."""
        self._seen.clear()
        self._first.clear()
        self._nodes.clear()
        self._bytes = 0

    def forget_nodes(self) -> None:
        """Take every node for new again, as after one was asked about that will never reach the store."""
        self._nodes.clear()


def _unmarked(raw: bytes, key: bytes) -> bytes:
    """Return a part as the client will spell it in its next request, when the marker for the cache has moved on."""
    if b'"cache_control"' not in raw:
        return raw
    cut = _MARK.sub(b"", raw)
    return cut if digest(normalised(cut)) == key else raw


def _role(raw: bytes) -> str:
    value = json_value(raw)
    if not isinstance(value, dict):
        return ""
    role = value.get("role", value.get("name"))
    return role if isinstance(role, str) else ""
