"""The conversations of a session, and the line of messages that each of them came to.

A request points to its last message, and each message to the one before: a tree. What a person sees of it is the line to the
newest message, from each root on: a compaction starts a new one. Refuses to know what the messages say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from ccproxy.stores.contract import Branch, Record

# Requests that Claude Code makes beside a conversation.
_NO_CONVERSATION = frozenset({"title", "rename", "count_tokens", "classifier", "probe", "auxiliary"})
_Key = tuple[str, str | bytes]
_MAIN: _Key = ("main", "")


@dataclass(slots=True)
class Line:
    """Messages from a root to the newest one below it, and the exchanges of that tree, oldest first."""

    rows: list[Record]
    nodes: list[Branch]
    after_compaction: bool = False


@dataclass(slots=True)
class Conversation:
    """What one agent said and was told. The main conversation has neither id nor type nor name."""

    agent_id: str | None = None
    agent_type: str | None = None
    agent_name: str | None = None
    parent_id: str | None = None
    rows: list[Record] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    @property
    def started_at(self) -> int:
        """When its first exchange began."""
        return int(self.rows[0]["started_at"]) if self.rows else 0


class Tree:
    """The messages of a session in their places."""

    def __init__(self, branches: Iterable[Branch]) -> None:
        self._nodes = {branch.digest: branch for branch in branches}
        self._roots: dict[bytes, bytes] = {}

    def root(self, node: bytes) -> bytes:
        """Return the root above a node."""
        passed = []
        while node not in self._roots:
            passed.append(node)
            parent = self._nodes[node].parent if node in self._nodes else None
            if parent is None:
                self._roots[node] = node
            else:
                node = parent
        root = self._roots[node]
        self._roots |= dict.fromkeys(passed, root)
        return root

    def line(self, node: bytes | None) -> list[Branch]:
        """Return the messages from the root down to a node."""
        found = []
        while node is not None and node in self._nodes:
            found.append(self._nodes[node])
            node = found[-1].parent
        return found[::-1]

    def senders(self, rows: Iterable[Record]) -> dict[bytes, str]:
        """Return the first exchange, in the order of the rows, whose request carries each message."""
        found: dict[bytes, str] = {}
        for row in rows:
            node = row["tip"]
            while node is not None and node not in found and node in self._nodes:
                found[node] = row["id"]
                node = self._nodes[node].parent
        return found


def is_of_a_conversation(row: Record) -> bool:
    """Tell whether an exchange goes on with a conversation, and is not made beside it."""
    return row["tip"] is not None and row["kind"] not in _NO_CONVERSATION


def conversations(rows: Sequence[Record], tree: Tree) -> tuple[Conversation, list[Conversation]]:
    """Return the main conversation and those of subagents, each with its lines, by their beginnings."""
    found: dict[_Key, Conversation] = {_MAIN: Conversation()}
    for row in rows:
        conversation = found.setdefault(_key(row, tree), Conversation(row["agent_id"]))
        conversation.rows.append(row)
        conversation.agent_type = conversation.agent_type or row["agent_type"]
        conversation.agent_name = conversation.agent_name or row["agent_name"]
        conversation.parent_id = conversation.parent_id or row["parent_agent_id"]
    for conversation in found.values():
        conversation.lines = _lines(conversation.rows, tree)
    main = found.pop(_MAIN)
    return main, list(found.values())


def _key(row: Record, tree: Tree) -> _Key:
    if row["agent_id"] is not None:
        return "agent", row["agent_id"]
    if row["kind"] == "subagent":  # before agents had ids, each had at least a beginning of its own
        return "root", tree.root(row["tip"])
    return _MAIN


def _lines(rows: Sequence[Record], tree: Tree) -> list[Line]:
    by_root: dict[bytes, list[Record]] = {}
    for row in rows:
        by_root.setdefault(tree.root(row["tip"]), []).append(row)
    lines = [Line(group, tree.line(group[-1]["reply"] or group[-1]["tip"])) for group in by_root.values()]
    for before, line in pairwise(lines):
        line.after_compaction = any(row["kind"] == "compaction" for row in before.rows)
    return lines
