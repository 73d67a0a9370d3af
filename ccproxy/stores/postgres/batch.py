"""What a batch of entries comes to, each thing once: what is shared by its digest, what is not by its exchange.

Sorted, so that all who write take the same things in the same order. Refuses to know SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from ccproxy.records import Body, Entry, HeaderList, Node, Part, Preamble, State, Timeline

Shared = TypeVar("Shared", Part, Node, Preamble)


class Batch:
    """Entries, put together. Of an exchange that comes more than once the first that has ended counts."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.parts: dict[bytes, Part] = _by_digest(part for entry in entries for part in entry.parts)
        self.nodes: dict[bytes, Node] = _by_digest(node for entry in entries for node in entry.nodes)
        self.brought = {
            node.digest: entry.id for entry in reversed(entries) for node in entry.nodes
        }  # by which exchange
        self.preambles: dict[bytes, Preamble] = _by_digest(
            entry.preamble for entry in entries if entry.preamble is not None
        )
        self.entries: dict[str, Entry] = {}
        self.bodies: dict[tuple[str, str], Body] = {}
        self.headers: dict[tuple[str, str], HeaderList] = {}
        self.timelines: dict[str, Timeline] = {}
        for entry in sorted(entries, key=lambda entry: entry.id):
            self._take(entry)

    def _take(self, entry: Entry) -> None:
        before = self.entries.get(entry.id)
        if before is None or before.columns.get("state") == State.OPEN:
            self.entries[entry.id] = entry
        for body in entry.bodies:
            self.bodies.setdefault((entry.id, body.side), body)
        for headers in entry.headers:
            self.headers.setdefault((entry.id, headers.side), headers)
        if entry.timeline is not None:
            self.timelines.setdefault(entry.id, entry.timeline)

    def built_on(self) -> set[bytes]:
        """Return the nodes that must be in the store when this is."""
        ends = {entry.columns.get(name) for entry in self.entries.values() for name in ("tip", "reply")}
        parents = {node.parent for node in self.nodes.values()}
        return {digest for digest in ends | parents if digest is not None}


def _by_digest(things: Iterable[Shared]) -> dict[bytes, Shared]:
    found: dict[bytes, Shared] = {}
    for thing in things:
        found.setdefault(thing.digest, thing)
    return dict(sorted(found.items()))
