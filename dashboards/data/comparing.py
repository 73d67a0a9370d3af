"""Two requests compared: what of the second is not as it was in the first. Parts are matched by what they say, marks of the cache aside.

Knows in which order a prompt is cached: tools, system, messages. Refuses to judge what a change cost; `broken` asks the measure.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any

import polars as pl

from analysis import measures
from dashboards.data.anatomy import Block, Message, Request, Tool, shown, unmarked
from dashboards.data.store import Data
from dashboards.lines import Row, counts, difference

SAME, CHANGED, ADDED, REMOVED = "same", "changed", "added", "removed"
BETAS = "anthropic-beta"


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a part. `rows` are the lines that went and came; `note` says what else is to be known."""

    name: str
    kind: str
    rows: tuple[Row, ...] = ()
    note: str = ""

    @property
    def counts(self) -> tuple[int, int]:
        """How many lines came, and how many went."""
        return counts(self.rows)


@dataclass(frozen=True, slots=True)
class Messages:
    """Where the messages part: so many are `shared` from the first on; of the others `again` say the same in the same order, some of
    the first request are gone, and some of the second are new.

    Where one took the place of another there, `blocks` is what became of its blocks, and `block` the first that differs.
    """

    shared: int
    removed: tuple[Message, ...] = ()
    added: tuple[Message, ...] = ()
    again: int = 0
    blocks: tuple[Change, ...] = ()
    block: int | None = None

    @property
    def part(self) -> bool:
        """Whether something that was there is no longer so, or no longer at its place."""
        return bool(self.removed or self.again)


@dataclass(frozen=True, slots=True)
class Comparison:
    """All differences; `problem` says where one of the two could not be read."""

    system: tuple[Change, ...] = ()
    tools: tuple[Change, ...] = ()
    tools_moved: bool = False
    messages: Messages = field(default_factory=lambda: Messages(0))
    parameters: tuple[Change, ...] = ()
    problem: str = ""


def compare(old: Request, new: Request, old_betas: str = "", new_betas: str = "") -> Comparison:
    """Return what changed from one request to another. Betas are the values of that header."""
    if old.problem or new.problem:
        return Comparison(problem=old.problem or new.problem)
    try:
        return Comparison(
            system=tuple(_blocks(old.system, new.system, "block")),
            tools=tuple(_tools(old.tools, new.tools)),
            tools_moved=_moved([tool.name for tool in old.tools], [tool.name for tool in new.tools]),
            messages=_messages(old.messages, new.messages),
            parameters=tuple(_parameters(old, new, old_betas, new_betas)),
        )
    except RecursionError:
        return Comparison(problem="one of the two is nested too deeply to be compared")


def changed(changes: Sequence[Change]) -> Counter[str]:
    """Return how many parts became what."""
    return Counter(change.kind for change in changes)


def _key(raw: Any) -> str:
    return json.dumps(unmarked(raw), sort_keys=True)


def _blocks(old: Sequence[Block], new: Sequence[Block], word: str) -> list[Change]:
    """Return what became of each block, in the order of the second."""
    before, after = [_key(block.raw) for block in old], [_key(block.raw) for block in new]
    found = []
    for tag, i, i_end, j, j_end in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        pairs = zip_longest(range(i, i_end), range(j, j_end))
        found += [
            _block(
                old[was] if was is not None else None,
                new[now] if now is not None else None,
                f"{word} {now if now is not None else was}",
                same=tag == "equal",
            )
            for was, now in pairs
        ]
    return found


def _block(was: Block | None, now: Block | None, name: str, *, same: bool) -> Change:
    if was is None and now is not None:
        return Change(name, ADDED, tuple(difference("", now.text)), now.type)
    if was is not None and now is None:
        return Change(name, REMOVED, tuple(difference(was.text, "")), was.type)
    if was is None or now is None:
        raise ValueError(name)
    moved = f"cache mark {was.cache or 'none'} → {now.cache or 'none'}" if was.cache != now.cache else ""
    if same:
        return Change(name, SAME, (), moved)
    kinds = f"{was.type} → {now.type}" if was.type != now.type else now.type
    rows = (
        difference(was.text, now.text)
        if was.text != now.text
        else difference(shown(unmarked(was.raw)), shown(unmarked(now.raw)))
    )
    return Change(name, CHANGED, tuple(rows), ", ".join(filter(None, (kinds, moved))))


def _tools(old: Sequence[Tool], new: Sequence[Tool]) -> list[Change]:
    """Return what became of each tool: those that stayed and came in the order of the second, then those that went."""
    before, after = _named(old), _named(new)
    found = []
    for name, tool in after.items():
        was = before.get(name)
        if was is None:
            found.append(Change(name, ADDED, tuple(difference("", _told(tool)))))
        elif _key(was.raw) == _key(tool.raw):
            mark = f"cache mark {was.cache or 'none'} → {tool.cache or 'none'}" if was.cache != tool.cache else ""
            found.append(Change(name, SAME, (), mark))
        else:
            found.append(Change(name, CHANGED, tuple(difference(_told(was), _told(tool)))))
    gone = (name for name in before if name not in after)
    return [*found, *(Change(name, REMOVED, tuple(difference(_told(before[name]), ""))) for name in gone)]


def _named(tools: Sequence[Tool]) -> dict[str, Tool]:
    """Return tools by name; a second one of the same name gets a number."""
    found: dict[str, Tool] = {}
    for tool in tools:
        name, number = tool.name or "(no name)", 2
        while name in found:
            name, number = f"{tool.name or '(no name)'} #{number}", number + 1
        found[name] = tool
    return found


def _told(tool: Tool) -> str:
    """Return a tool as lines: description, schema, and the rest."""
    return "\n".join(filter(None, (tool.description, tool.schema, tool.rest)))


def _moved(old: Sequence[str], new: Sequence[str]) -> bool:
    return [name for name in old if name in set(new)] != [name for name in new if name in set(old)]


def _messages(old: Sequence[Message], new: Sequence[Message]) -> Messages:
    before, after = [_whole(item) for item in old], [_whole(item) for item in new]
    shared = next((place for place, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]), None)
    if shared is None:
        shared = min(len(old), len(new))
    codes = SequenceMatcher(None, before[shared:], after[shared:], autojunk=False).get_opcodes()
    changed = [code for code in codes if code[0] != "equal"]
    found = Messages(
        shared,
        tuple(item for _, i, i_end, _, _ in changed for item in old[shared + i : shared + i_end]),
        tuple(item for _, _, _, j, j_end in changed for item in new[shared + j : shared + j_end]),
        sum(i_end - i for tag, i, i_end, _, _ in codes if tag == "equal"),
    )
    if not codes or codes[0][0] != "replace":
        return found
    was, now = old[shared].blocks, new[shared].blocks
    pairs = zip_longest(map(_raw_key, was), map(_raw_key, now))
    block = next((place for place, pair in enumerate(pairs) if pair[0] != pair[1]), None)
    return replace(found, blocks=tuple(_blocks(was, now, "block")), block=block)


def _raw_key(block: Block) -> str:
    return _key(block.raw)


def _whole(message: Message) -> tuple[str, ...]:
    return message.role, *(_key(block.raw) for block in message.blocks)


def _parameters(old: Request, new: Request, old_betas: str, new_betas: str) -> list[Change]:
    before = {name: shown(value) for name, value in old.parameters.items()} | _betas(old_betas)
    after = {name: shown(value) for name, value in new.parameters.items()} | _betas(new_betas)
    found = []
    for name in sorted({*before, *after}):
        was, now = before.get(name), after.get(name)
        kind = SAME if was == now else ADDED if was is None else REMOVED if now is None else CHANGED
        found.append(Change(name, kind, tuple(difference(was or "", now or "")) if kind != SAME else ()))
    return found


def _betas(value: str) -> dict[str, str]:
    names = [name.strip() for name in value.split(",") if name.strip()]
    return {BETAS: "\n".join(names)} if names else {}


def broken(data: Data, row: dict[str, Any]) -> dict[str, Any] | None:
    """Return the cache break of an exchange, as the measure has it; None where the cache did not break there."""
    if row["thread_id"] is None:
        return None
    capture = data.capture
    thread = data.ask(
        "SELECT * FROM exchanges WHERE thread_id = $thread AND exchange_id <= $id",
        {"thread": row["thread_id"], "id": row["exchange_id"]},
    )
    found = data.collect(
        measures.breaks(thread, capture.messages(), capture.prompt_parts(), prices=capture.prices).filter(
            pl.col("exchange_id") == row["exchange_id"]
        )
    )
    return found.row(0, named=True) if found.height else None
