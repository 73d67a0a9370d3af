"""What filled the context window: each request's content by category.

A request holds its preamble and the messages from its `tip` up to the root of the tree. Content is weighed by its
characters, and the weights of a request are scaled so that they come to exactly the tokens that the API counted. Refuses
to count tokens itself, and to know prices.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterator
from itertools import chain
from typing import Any

import polars as pl

from analysis.measures.tree import Frame, Tree
from analysis.measures.weighing import CATEGORIES, answered_requests, weighed_pieces, weighed_preambles

_CONTEXT = ("exchange_id", "session_id", "thread_id", "started_at", "category", "name", "characters", "tokens")
_Weights = dict[Any, list[tuple[int, int]]]  # pairs of kind and weight, by place or preamble


def context(exchanges: Frame, messages: Frame, blocks: Frame, prompt_parts: Frame) -> pl.LazyFrame:
    """Return one row per answered exchange, category and name, by time: what filled the window.

    In: exchanges, messages, prompt_parts, and blocks, best with bodies. Out: exchange_id, session_id, thread_id,
    started_at, category, name, characters, and tokens, which over an exchange sum to its context_tokens.

    Categories: system; tools (built in); mcp_tools (name: the server); memory (CLAUDE.md and its kin, inside a
    reminder); reminder (other <system-reminder> blocks, messages of role system); user; assistant; thinking; tool_call
    and tool_result (name: the tool); image; other (documents, kinds nobody has heard of, content that is not known).
    Without the column `text` of blocks, memory and reminders count as user. Characters of system and tools are bytes of
    their JSON. An image has 0 characters and weighs IMAGE_WEIGHT; one inside a tool's result is not seen.
    """
    requests = answered_requests(exchanges)
    tree = Tree.of(messages, requests["session_id"], requests["tip"])
    held = weighed_pieces(blocks, tree).filter(pl.col("weight") > 0)
    given = weighed_preambles(prompt_parts, requests["preamble"])
    kinds = _kinds(held, given)
    known = kinds.head(-1)
    rows = _rows(requests, tree, _by("place", held, known), _by("preamble", given, known), unknown=len(known))
    weight = pl.col("weight")
    return (
        rows.lazy()
        .sort("request", "kind")
        .with_columns(share=weight / weight.sum().over("request"))
        .join(requests.lazy(), on="request", how="left", maintain_order="left")
        .join(kinds.lazy(), on="kind", how="left", maintain_order="left")
        .select(
            *_CONTEXT[:6],
            pl.when("written").then(weight).otherwise(0).alias("characters"),
            (pl.col("share") * pl.col("context_tokens")).alias("tokens"),
        )
    )


def _kinds(*weighed: pl.DataFrame) -> pl.DataFrame:
    """Return the pairs of category and name that occur, numbered; the last one stands for content that is not known."""
    known = pl.concat(frame.select("category", "name") for frame in weighed).unique()
    known = known.sort(pl.col("category").cast(pl.Enum(CATEGORIES)), "name").with_columns(
        written=pl.col("category") != "image"
    )
    unknown = pl.DataFrame({"category": ["other"], "name": [None], "written": [False]}, schema=known.schema)
    return known.vstack(unknown).with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("kind"))


def _by(key: str, weighed: pl.DataFrame, kinds: pl.DataFrame) -> _Weights:
    """Return pairs of kind and weight by a key of the frame."""
    found: _Weights = defaultdict(list)
    for owner, kind, weight in (
        weighed.join(kinds, on=("category", "name"), nulls_equal=True).select(key, "kind", "weight").iter_rows()
    ):
        found[owner].append((kind, weight))
    return found


def _rows(requests: pl.DataFrame, tree: Tree, held: _Weights, given: _Weights, unknown: int) -> pl.DataFrame:
    """Return what each request holds: request, kind, weight; of which nothing is known, `unknown` with weight 1."""
    ending = defaultdict(list)
    for request, place, preamble in zip(
        requests["request"], tree.places(requests["tip"]), requests["preamble"], strict=True
    ):
        ending[place].append((request, preamble))
    found = {"request": array("q"), "kind": array("q"), "weight": array("q")}
    for place, sums in chain([(-1, {})], _sums(tree, held)):
        for request, preamble in ending.get(place, ()):
            for kind, weight in [*sums.items(), *given.get(preamble, ())] or [(unknown, 1)]:
                found["request"].append(request)
                found["kind"].append(kind)
                found["weight"].append(weight)
    return pl.DataFrame(found, schema=dict.fromkeys(found, pl.Int64))


def _sums(tree: Tree, held: _Weights) -> Iterator[tuple[int, dict[int, int]]]:
    """Yield each message with what the path to it weighs by kind; good until the next step.

    A sum is handed on from a message to the last of those below it, and copied only where paths part.
    """
    below = [0] * len(tree.parents)
    for parent in tree.parents:
        if parent >= 0:
            below[parent] += 1
    left, kept = below.copy(), dict[int, dict[int, int]]()
    for place, parent in enumerate(tree.parents):
        sums: dict[int, int] = {}
        if parent >= 0:
            left[parent] -= 1
            sums = kept[parent].copy() if left[parent] else kept.pop(parent)
        for kind, weight in held.get(place, ()):
            sums[kind] = sums.get(kind, 0) + weight
        yield place, sums
        if below[place]:
            kept[place] = sums
