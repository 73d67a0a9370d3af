"""Why an exchange did not read from the cache what was there: the first cause that holds, in the order of a prompt.

Knows what a cached prefix consists of (model, tools, system, messages, in that order) and how long it lives. Refuses to
find the exchanges (breaks.py), to know what in a part or message differs (prefix.py), and what it cost.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import polars as pl

from analysis.measures import prefix
from analysis.measures.cache import LONG_LIFE_S, SHORT_LIFE_S
from analysis.measures.tree import Frame

_CONTINUED = "This session is being continued from a previous conversation"  # begins what follows a compaction

Row = dict[str, Any]


class Verdict(NamedTuple):
    """Why an exchange did not read what it could have, and where its prompt first differs from the one before."""

    cause: str
    where: str | None = None
    position: int | None = None
    was: str | None = None
    now: str | None = None


def verdicts(turns: pl.DataFrame, messages: Frame, prompt_parts: Frame, blocks: Frame | None) -> Iterator[Verdict]:
    """Yield the verdict of each turn, in their order."""
    parts = prefix.parts(prompt_parts, turns)
    forks = prefix.forks(turns, messages)
    texts = prefix.texts(blocks, forks)
    for row, fork in zip(turns.iter_rows(named=True), forks, strict=True):
        if row["previous_exchange_id"] is None:
            yield Verdict("first_request")
        elif not row["expected_tokens"]:
            yield Verdict("below_minimum")
        else:
            yield _of_prompt(row, parts, fork, texts) or _of_time(row)


def _of_prompt(row: Row, parts: prefix.Parts, fork: prefix.Fork | None, texts: prefix.Texts) -> Verdict | None:
    """Return what of the prompt changed: the first thing, in the order in which a prompt is cached."""
    if fork and row["previous_kind"] == "compaction":
        return Verdict("compaction", *prefix.of_messages(fork, texts))
    if row["model"] != row["previous_model"]:
        return Verdict("model_changed", was=row["previous_model"], now=row["model"])
    if changed := prefix.of_parts(parts.get(row["previous_preamble"]), parts.get(row["preamble"])):
        return Verdict(f"{changed.where}_changed", *changed)
    for name in ("effort", "thinking"):
        if row[name] != row[f"previous_{name}"]:
            return Verdict("effort_changed", was=row[f"previous_{name}"], now=row[name])
    if fork is None:
        return None
    anew = fork.depth == 0 and any(text.startswith(_CONTINUED) for text in texts.get(fork.now or "", ()))
    cause = "compaction" if anew else "message_changed" if fork.longer else "rewind"
    return Verdict(cause, *prefix.of_messages(fork, texts))


def _of_time(row: Row) -> Verdict:
    """Return why a prefix that is intact was not read."""
    if row["gap_s"] > LONG_LIFE_S and row["previous_in_1h"]:
        return Verdict("ttl_expired_1h")
    if row["gap_s"] > SHORT_LIFE_S and (row["previous_in_5m"] or not row["previous_in_1h"]):
        return Verdict("ttl_expired_5m")
    return Verdict("below_minimum" if row["too_small"] else "unknown")
