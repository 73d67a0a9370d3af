"""Where two prompts part: the first tool, system block or message that differs, with what it said and what it says now.

Goes by the order in which a prompt is cached: tools, system, messages. Refuses to know what was cached of it, and why
anything changed.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

import polars as pl

from analysis.dictionary import TEXT
from analysis.measures.tree import Frame, Tree

SHOWN_CHARACTERS, SHOWN_BEFORE = 200, 40  # of a text, from a little before the place where it differs


class Part(NamedTuple):
    """A system block or tool, as far as it is shown."""

    kind: str
    name: str | None
    digest: str
    json: str | None


class Fork(NamedTuple):
    """Where a request's messages leave those of the one before: from this depth on, with these two messages."""

    depth: int
    was: str
    now: str | None
    longer: bool


class Difference(NamedTuple):
    """Where a prompt first differs from the one before: in tools, system or message, at which of them, and how."""

    where: str
    position: int
    was: str | None
    now: str | None


Pair = tuple[str | None, str | None]  # what was, and what is now
Parts = dict[str | None, list[Part]]  # by preamble
Texts = dict[str, list[str]]  # of blocks, by node


def parts(prompt_parts: Frame, turns: pl.DataFrame) -> Parts:
    """Return the parts of the preambles that changed, in order; none of a request without any."""
    changed = turns.filter(pl.col("preamble").ne_missing(pl.col("previous_preamble")))
    wanted = pl.concat([changed["preamble"], changed["previous_preamble"]]).drop_nulls().unique()
    source = prompt_parts.lazy()
    shown = pl.col("json") if "json" in source.collect_schema() else pl.lit(None, TEXT)
    rows = source.filter(pl.col("preamble").is_in(wanted.implode())).select(
        "preamble", "position", "kind", "name", "part", shown
    )
    found: Parts = defaultdict(list, {None: []})
    for preamble, _, *part in rows.collect().sort("preamble", "position").iter_rows():
        found[preamble].append(Part(*part))
    return found


def of_parts(old: list[Part] | None, new: list[Part] | None) -> Difference | None:
    """Return the first difference between two preambles: of their tools, else of their system blocks."""
    if old is None or new is None:
        return None  # no longer in the store
    for kind, where in (("tool", "tools"), ("system", "system")):
        pairs = zip_longest(*([part for part in parts if part.kind == kind] for parts in (old, new)))
        before = 0 if kind == "tool" else sum(part.kind == "tool" for part in new)
        for position, (was, now) in enumerate(pairs, start=before):
            if was is None or now is None or was.digest != now.digest:
                return Difference(where, position, *_shown_parts(was, now))
    return None


def forks(turns: pl.DataFrame, messages: Frame) -> list[Fork | None]:
    """Return for each turn where its messages leave those of the one before; None where they go on from there."""
    judged = turns.filter(pl.col("expected_tokens") > 0)
    tree = Tree.of(messages, judged["session_id"], pl.concat([judged["previous_tip"], judged["tip"]]))
    return [
        _fork(tree, *pair) for pair in zip(*(tree.places(turns[name]) for name in ("previous_tip", "tip")), strict=True)
    ]


def texts(blocks: Frame | None, forks: Sequence[Fork | None]) -> Texts:
    """Return the texts of the blocks of the messages at which paths part; none without bodies."""
    if blocks is None or "text" not in blocks.lazy().collect_schema():
        return {}
    wanted = (
        pl.Series([node for fork in forks if fork for node in (fork.was, fork.now)], dtype=TEXT).drop_nulls().unique()
    )
    rows = (
        blocks.lazy()
        .filter(pl.col("node").is_in(wanted.implode()))
        .select("node", "position", "type", "text")
        .collect()
    )
    found: Texts = defaultdict(list)
    for node, _, kind, text in rows.sort("node", "position").iter_rows():
        found[node].append(text if text is not None else f"[{kind}]")
    return found


def of_messages(fork: Fork, texts: Texts) -> Difference:
    """Return how the two messages differ at which paths part: their first texts that do, else the messages themselves."""
    shown: Pair = fork.was, fork.now
    for was, now in zip_longest(texts.get(fork.was, ()), texts.get(fork.now or "", ())):
        if was != now:
            shown = _excerpts(was, now)
            break
    return Difference("message", fork.depth, *shown)


def _shown_parts(was: Part | None, now: Part | None) -> Pair:
    old, new = was.name if was else None, now.name if now else None
    if old != new:
        return old, new
    if (was and was.json) or (now and now.json):
        return _excerpts(*(_text(part.json) if part and part.json else None for part in (was, now)))
    return old or (was and was.digest), new or (now and now.digest)


def _text(raw: str) -> str:
    """Return the text of a system block, else the part as it is."""
    try:
        value = json.loads(raw)
    except ValueError:
        return raw
    text = value.get("text") if isinstance(value, dict) else value
    return text if isinstance(text, str) else raw


def _fork(tree: Tree, previous: int, current: int) -> Fork | None:
    if previous < 0 or current < 0:
        return None
    shared = tree.fork(previous, current)
    if shared == previous:
        return None
    depth = tree.depths[shared] + 1 if shared >= 0 else 0
    was, now = tree.above(previous, depth), tree.above(current, depth)
    nodes, longer = tree.nodes["node"], tree.depths[current] > tree.depths[previous]
    return Fork(depth, nodes[was], nodes[now] if now != shared else None, longer)


def _excerpts(was: str | None, now: str | None) -> Pair:
    """Return what of two texts differs, from a little before on; of one alone, its beginning."""
    start = 0
    if was is not None and now is not None:
        apart = (place for place, pair in enumerate(zip(was, now, strict=False)) if pair[0] != pair[1])
        start = max(0, next(apart, min(len(was), len(now))) - SHOWN_BEFORE)
    old, new = (text and ("…" if start else "") + text[start : start + SHOWN_CHARACTERS] for text in (was, now))
    return old, new
