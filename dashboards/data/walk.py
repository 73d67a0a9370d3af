"""A thread's messages in the order in which they came, each shown once, with what happened between them.

An exchange's messages are a path from a root of the tree to its `tip`, and below it stands the `reply`. Where the next path
leaves the one before, both are laid beside each other: so a change by the client, a rewind and a compaction are told apart, and
what is merely sent again is not shown again. Refuses to know where messages come from and how they look.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

from dashboards.reminders import only_reminders

Json = dict[str, Any]
CONTINUED = "This session is being continued from a previous conversation"  # begins what follows a compaction
UNFINISHED = ("client_left", "failed", "interrupted")


@dataclass(slots=True)
class Node:
    """A message in its place."""

    node: str
    parent: str | None
    role: str
    content: list[Json]
    _digest: str = ""

    @property
    def digest(self) -> str:
        """The same for the same message, wherever it stands."""
        self._digest = self._digest or self.role + json.dumps(self.content, sort_keys=True, default=str)
        return self._digest


def blocks_of(content: Any) -> list[Json]:
    """Return a message's content as blocks, whatever it is."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list):
        return [] if content is None else [{"type": "no content block", "value": content}]
    return [block if isinstance(block, dict) else {"type": "no content block", "value": block} for block in content]


@dataclass(slots=True)
class Step:
    """One thing in a thread. `kind`: user, assistant and system are messages; compaction, failed, running, empty, again and gone are
    exchanges; rewind, changed, anew and before are marks between them.

    `number` counts what a person would call a message. `exchange` is the one that said it, or first brought it. `about` is what
    a mark speaks of: numbers of messages, or messages that are no more.
    """

    kind: str
    exchange: Json | None = None
    node: str = ""
    blocks: list[Json] = field(default_factory=list)
    number: int | None = None
    about: Json = field(default_factory=dict)
    slim: bool = False  # nothing but reminders


@dataclass(slots=True)
class Walk:
    """The walk along the exchanges of one thread, in their order. `steps` is what it gives; `results` are the results of tools
    by the id of their call, each as its block and the exchange that brought it; `calls` says in which message a call stands, in the
    last one where it was made again."""

    nodes: Mapping[str, Node]
    steps: list[Step] = field(default_factory=list)
    results: dict[str, tuple[Json, Json]] = field(default_factory=dict)
    calls: dict[str, str] = field(default_factory=dict)
    _shown: dict[str, int] = field(default_factory=dict)  # node -> number of the message, or of the last one before it
    _end: str | None = None
    _number: int = 0
    _summarised: bool = False
    _last: Json | None = None

    def take(self, exchanges: Iterable[Json]) -> Walk:
        """Go along exchanges."""
        for exchange in exchanges:
            self._take(exchange)
        return self

    def _take(self, exchange: Json) -> None:
        tip, reply = exchange["tip"], exchange["reply"]
        if tip is not None and tip not in self.nodes:
            self.steps.append(Step("gone", exchange))
        compacting = exchange["kind"] == "compaction"
        fresh, fork = self._fresh(tip)
        if self.steps and fork != self._end and tip in self.nodes and not compacting:
            fresh = self._branch(fresh, fork, exchange)
        elif not self.steps and len(fresh) > 1 and any(self.nodes[node].role == "assistant" for node in fresh):
            self.steps.append(Step("before", exchange, about={"messages": len(fresh) - 1}))
        if compacting:
            self._messages(self._unknown(fresh[:-1], tip), exchange)
            self._compaction(fresh[-1:], exchange)
        else:
            self._messages(fresh, exchange)
            self._answer(exchange)
            self._end = reply if reply in self.nodes else tip if tip in self.nodes else self._end
            self._summarised = False
        self._last = exchange

    def _fresh(self, tip: str | None) -> tuple[list[str], str | None]:
        """Return the messages of a path that were not shown yet, from the top down, and the last one that was."""
        found, node = list[str](), tip
        while node is not None and node in self.nodes and node not in self._shown:
            found.append(node)
            node = self.nodes[node].parent
        return found[::-1], node if node in self._shown else None

    def _branch(self, fresh: list[str], fork: str | None, exchange: Json) -> list[str]:
        """Tell why a path leaves the one before, and return what of it is new."""
        old = self._left(exchange["tip"])
        if not fresh:  # the same request once more, or an older one
            if not (self._last and self._last["tip"] == exchange["tip"]):
                self._mark("rewind", exchange, to=self._shown.get(fork or "", 0), dropped=len(old))
            return fresh
        same, altered = _laid_beside([self.nodes[node] for node in old], [self.nodes[node] for node in fresh])
        compacted = self._summarised or any(_begins(self.nodes[node], CONTINUED) for node in fresh)
        altered = {} if compacted else altered
        for node, before in {**same, **altered}.items():
            self._shown[node] = self._shown.get(before, self._number)
        new = [node for node in fresh if node not in same and node not in altered]
        dropped = [node for node in old if node not in same.values() and node not in altered.values()]
        changes = [(before, node) for node, before in altered.items() if not self._goes_on(before, node)]
        if compacted or (fork is None and not same and not altered):
            self._mark("anew", exchange, compacted=compacted, dropped=len(dropped))
        elif any(not self._unfinished(node) for node in dropped) or not old:
            self._mark("rewind", exchange, to=self._shown.get(fork or "", 0), dropped=len(dropped))
        if changes:
            pairs = [(self._shown.get(before), self.nodes[before], self.nodes[node]) for before, node in changes]
            self._mark("changed", exchange, pairs=pairs)
        for node, before in altered.items():
            if self._goes_on(before, node):
                self._message(node, exchange, self.nodes[node].content[len(self.nodes[before].content) :])
        return new

    def _unknown(self, fresh: list[str], tip: str | None) -> list[str]:
        """Return what of the messages that are to be summarised was not shown: a client may send them without images, say."""
        if not fresh or tip is None:
            return fresh
        same, altered = _laid_beside(
            [self.nodes[node] for node in self._left(tip)], [self.nodes[node] for node in fresh]
        )
        for node, before in {**same, **altered}.items():
            self._shown[node] = self._shown.get(before, self._number)
        return [node for node in fresh if node not in same and node not in altered]

    def _left(self, tip: str) -> list[str]:
        """Return the messages at the end of what was shown last that are not on the path to `tip`, from the top down."""
        path, at = set[str](), self.nodes.get(tip)
        while at is not None:
            path.add(at.node)
            at = self.nodes.get(at.parent or "")
        found, end = list[str](), self._end
        while end is not None and end in self.nodes and end not in path:
            found.append(end)
            end = self.nodes[end].parent
        return found[::-1]

    def _goes_on(self, before: str, node: str) -> bool:
        old, new = self.nodes[before], self.nodes[node]
        return new.role != "assistant" and new.content[: len(old.content)] == old.content

    def _unfinished(self, node: str) -> bool:
        """Tell whether a message is the answer of an exchange that did not come to its end, which the client drops."""
        return any(
            step.node == node and step.kind == "assistant" and (step.exchange or {}).get("state") in UNFINISHED
            for step in reversed(self.steps)
        )

    def _mark(self, kind: str, exchange: Json, **about: Any) -> None:
        self.steps.append(Step(kind, exchange, about=about))

    def _messages(self, fresh: Sequence[str], exchange: Json) -> None:
        for node in fresh:
            self._message(node, exchange, self.nodes[node].content)

    def _message(self, node: str, exchange: Json, blocks: list[Json], *, said: bool = False) -> None:
        """Add a message; results of tools go to their calls, and what is left is shown."""
        role = self.nodes[node].role
        left = []
        for block in blocks:
            kind, use = str(block.get("type")), block.get("tool_use_id")
            if kind.endswith("tool_result") and isinstance(use, str) and use in self.calls:
                self.results.setdefault(use, (block, exchange))
                continue
            if kind.endswith("tool_use") and isinstance(block.get("id"), str):
                self.calls[block["id"]] = node
            left.append(block)
        kind = role if role in ("user", "assistant") else "system"
        slim = kind == "user" and bool(left) and only_reminders(left)
        if left or said:
            if kind != "system" and not slim:
                self._number += 1
            number = None if kind == "system" or slim else self._number
            self.steps.append(Step(kind, exchange, node, left, number, slim=slim))
        self._shown[node] = self._number

    def _answer(self, exchange: Json) -> None:
        reply = exchange["reply"]
        if reply is None or reply not in self.nodes:
            wrong = exchange["went_wrong"] or exchange["state"] in UNFINISHED
            kind = "running" if exchange["state"] == "open" else "failed" if wrong else "gone" if reply else "empty"
            self.steps.append(Step(kind, exchange))
        elif reply in self._shown:
            self.steps.append(Step("again", exchange, reply, about={"number": self._shown[reply]}))
        else:
            self._message(reply, exchange, self.nodes[reply].content, said=True)

    def _compaction(self, asked: Sequence[str], exchange: Json) -> None:
        reply = self.nodes.get(exchange["reply"] or "")
        for node in asked:
            self._shown[node] = self._number
        question = [block for node in asked for block in self.nodes[node].content]
        about = {"asked": question, "summary": reply.content if reply else []}
        self.steps.append(Step("compaction", exchange, about=about))
        self._summarised = self._summarised or reply is not None


def _begins(node: Node, words: str) -> bool:
    return any(str(block.get("text", "")).startswith(words) for block in node.content)


def _laid_beside(old: Sequence[Node], new: Sequence[Node]) -> tuple[dict[str, str], dict[str, str]]:
    """Return which new messages are the same as old ones, and which stand for old ones that they are not equal to.

    At the end of a path only an answer, or a message that goes on, stands for the old one: anything else a person said anew.
    """
    same, altered = dict[str, str](), dict[str, str]()
    codes = SequenceMatcher(
        None, [node.digest for node in old], [node.digest for node in new], autojunk=False
    ).get_opcodes()
    for place, (tag, i, i_end, j, j_end) in enumerate(codes):
        pairs = zip(old[i:i_end], new[j:j_end], strict=False)
        if tag == "equal":
            same |= {after.node: before.node for before, after in pairs}
        elif tag == "replace":
            last = place == len(codes) - 1
            for number, (before, after) in enumerate(pairs):
                continues = after.content[: len(before.content)] == before.content
                fits = before.role == after.role
                if fits and (not last or (number == 0 and (after.role == "assistant" or continues))):
                    altered[after.node] = before.node
    return same, altered
