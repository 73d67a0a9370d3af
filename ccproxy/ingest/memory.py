"""What ingest remembers of parts that it has seen, so that a conversation's history costs a look-up and not a parse.

A request repeats the whole conversation; all but its last messages were seen a moment ago, byte for byte. Bounded in bytes.
Refuses to know where parts rest: it asks `stored` for the text of those that it has forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ccproxy.protocol.parts import digest, json_value, normalised
from ccproxy.records import Part

MAX_BYTES = 48 << 20  # a long session of 1 MB a request fits many times over
MAX_NODES = 200_000


@dataclass(frozen=True, slots=True)
class Seen:
    """A part as it was seen: the record of it, whose text is the first spelling, and its role or name."""

    part: Part
    role: str


class Memory:
    """Parts by the bytes in which they came, and the digests of nodes whose blocks are stored."""

    def __init__(self, stored: Callable[[bytes], bytes | None]) -> None:
        self._stored = stored
        self._seen: dict[bytes, Seen] = {}
        self._first: dict[bytes, bytes] = {}  # digest -> text as first seen
        self._bytes = 0
        self._nodes: dict[bytes, None] = {}

    def seen(self, raw: bytes) -> Seen:
        """Return the part that these bytes are, with the text under which it was first seen."""
        found = self._seen.get(raw)
        if found is None:
            key = digest(normalised(raw))
            first = self.first(key) or raw
            found = Seen(Part(key, first), _role(raw))
            self._seen[raw] = found
            self._first[key] = first
            self._bytes += len(raw) + len(first)
            if self._bytes > MAX_BYTES:
                self.forget()
                self._seen[raw], self._first[key] = found, first
        return found

    def first(self, key: bytes) -> bytes | None:
        """Return the text under which a part was first seen, or None where it never was."""
        return self._first.get(key) or self._stored(key)

    def is_new(self, node: bytes) -> bool:
        """Tell whether a node was never asked about before; it is known from then on."""
        if node in self._nodes:
            return False
        if len(self._nodes) >= MAX_NODES:
            self._nodes.clear()
        self._nodes[node] = None
        return True

    def forget(self) -> None:
        """Start anew, as after an entry that never reached the store, or when the bound is reached."""
        self._seen.clear()
        self._first.clear()
        self._nodes.clear()
        self._bytes = 0


def _role(raw: bytes) -> str:
    value = json_value(raw)
    if not isinstance(value, dict):
        return ""
    role = value.get("role", value.get("name"))
    return role if isinstance(role, str) else ""
