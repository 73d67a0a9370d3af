"""Where the prompt cache broke: exchanges that did not read what the one before them in their thread had left there.

Knows what a cached prefix consists of (model, tools, system, messages, in that order), how long it lives, and how short
a prompt is not cached at all. Time comes from `started_at` alone. Refuses to know prices, and what is inside a part.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

import polars as pl

from analysis.dictionary import MOMENT, REAL, TEXT, WHOLE
from analysis.measures.cache import LONG_LIFE_S, SHORT_LIFE_S, all_input, answered
from analysis.measures.context import Frame, Tree
from analysis.measures.cost import Prices, cost

# A read that is this much short is no break: the seam between cached and new text may be counted otherwise.
TOLERANCE, TOLERANCE_TOKENS = 0.005, 20
# The shortest prompt that is cached, in tokens, by what the model's name contains; the first that fits holds. Source:
# "Cache limitations" on Anthropic's page on prompt caching, October 2026.
MINIMUM_TOKENS = (
    ("opus-4-[56]|haiku-4-5", 4096),
    ("opus-4-7|mythos-preview|haiku-3|3-5-haiku|3-haiku", 2048),
    ("opus-5|sonnet-5-5|haiku-5|fable|mythos", 512),
)
OTHER_MINIMUM_TOKENS = 1024
SHOWN_CHARACTERS, SHOWN_BEFORE = 200, 40  # of a text, from a little before the place where it differs

_CONTINUED = "This session is being continued from a previous conversation"  # begins what follows a compaction
_SCHEMA = {
    "exchange_id": TEXT, "previous_exchange_id": TEXT, "session_id": TEXT, "thread_id": TEXT, "started_at": MOMENT,
    "model": TEXT, "gap_s": REAL, "expected_tokens": WHOLE, "cache_read_tokens": WHOLE, "lost_tokens": WHOLE,
    "lost_usd": REAL, "cause": TEXT, "where": TEXT, "position": WHOLE, "was": TEXT, "now": TEXT,
}  # fmt: skip
_OF_PREVIOUS = (
    "exchange_id", "started_at", "model", "effort", "thinking", "kind", "tip", "preamble", "context", "left", "in_5m",
    "in_1h",
)  # fmt: skip

Row = dict[str, Any]
_Pair = tuple[str | None, str | None]
_Texts = dict[str, list[str]]  # of blocks, by node


class Verdict(NamedTuple):
    """Why an exchange did not read what it could have, and where its prompt first differs from the one before."""

    cause: str
    where: str | None = None
    position: int | None = None
    was: str | None = None
    now: str | None = None


class _Part(NamedTuple):
    """A system block or tool, as far as it is shown."""

    kind: str
    name: str | None
    digest: str
    json: str | None


_Parts = dict[str | None, list[_Part]]  # by preamble


class _Fork(NamedTuple):
    """Where a request's messages leave those of the one before: from this depth on, with these two messages."""

    depth: int
    was: str
    now: str | None
    longer: bool


def breaks(
    exchanges: Frame, messages: Frame, prompt_parts: Frame, blocks: Frame | None = None, *, prices: Prices = None
) -> pl.LazyFrame:
    """Return one row per exchange of a thread that read less than the one before had left in the cache, by thread and time.

    In: exchanges, messages, prompt_parts, blocks (the last two with bodies where `was` and `now` shall show texts), and
    `prices` as `cost` takes them. Out: exchange_id, previous_exchange_id (the last one of the thread that was answered),
    session_id, thread_id, started_at, model, gap_s (seconds between their starts), expected_tokens (what the previous
    one read and wrote), cache_read_tokens, lost_tokens (what of the expected ones it sent and did not read; after a
    compaction or a rewind new text is among them), lost_usd (USD that these cost beyond the price of reading them; null
    without a price), cause, where (tools, system, message), position (that of prompt_parts, or the message's depth), was
    and now (names of tools, a model, or a text from a little before it differs; else digests).

    Causes, the first that fits: first_request and below_minimum, where there was nothing to read (lost_tokens 0);
    compaction, right after a summary; model_changed; tools_changed; system_changed; effort_changed (or thinking, which
    spoils the same); of messages compaction (by the words it begins with), rewind (they are not more than before) and
    message_changed; of an intact prefix ttl_expired_1h and ttl_expired_5m, by what the thread wrote; below_minimum;
    unknown. A read short by up to TOLERANCE of it, or TOLERANCE_TOKENS, is no break, nor is a first request that read.
    """
    turns = _short(_turns(exchanges)).collect()
    verdicts = pl.DataFrame(
        list(_verdicts(turns, messages, prompt_parts, blocks)),
        schema={name: _SCHEMA[name] for name in Verdict._fields},
        orient="row",
    )
    found = turns.hstack(verdicts)
    return found.hstack([_lost_usd(found, prices)]).lazy().select(*_SCHEMA)


def _turns(exchanges: Frame) -> pl.LazyFrame:
    """Return the answered exchanges of threads, by thread and time, each with what matters of the one before it."""
    long = pl.col("cache_write_1h_tokens").fill_null(0)
    written = pl.max_horizontal(
        pl.col("cache_write_tokens").fill_null(0), pl.col("cache_write_5m_tokens").fill_null(0) + long
    )
    columns = ("session_id", "thread_id", "provider", *_OF_PREVIOUS[:8], "cache_read_tokens", "input_tokens")
    return (
        exchanges.lazy()
        .filter(answered() & pl.col("thread_id").is_not_null())
        .with_columns(pl.col("cache_read_tokens", "input_tokens").fill_null(0), all_input().alias("context"))
        .select(*columns, "context", (written - long).alias("short"), long.alias("long"))
        .sort("thread_id", "started_at", "exchange_id")
        .with_columns(
            (pl.col("cache_read_tokens") + pl.col("short") + pl.col("long")).alias("left"),
            (pl.col("cache_read_tokens") == 0).cum_sum().over("thread_id").alias("start"),
        )
        # Which times to live are in the cached prefix: of all that was written since it was last begun anew.
        .with_columns(
            (pl.col(name) > 0).cast(pl.Int8).cum_max().over("thread_id", "start").alias(alias)
            for name, alias in (("short", "in_5m"), ("long", "in_1h"))
        )
        .with_columns(pl.col(_OF_PREVIOUS).shift(1).over("thread_id").name.prefix("previous_"))
    )


def _short(turns: pl.LazyFrame) -> pl.LazyFrame:
    """Return the turns that read less than was there, or could not read at all."""
    read, left = pl.col("cache_read_tokens"), pl.col("previous_left").fill_null(0)
    first = pl.col("previous_exchange_id").is_null()
    nothing = (read == 0) & (left == 0) & (first | (pl.col("previous_context") < _minimum("previous_model")))
    lost = pl.min_horizontal(left, "context") - read
    return turns.filter(
        nothing | (left - read > pl.max_horizontal(left * TOLERANCE, pl.lit(TOLERANCE_TOKENS)))
    ).with_columns(
        gap_s=(pl.col("started_at") - pl.col("previous_started_at")).dt.total_microseconds() / 1_000_000,
        expected_tokens=left,
        lost_tokens=pl.max_horizontal(lost, pl.lit(0)),
        too_small=pl.col("context") < _minimum("model"),
    )


def _minimum(model: str) -> pl.Expr:
    found: pl.Expr = pl.lit(OTHER_MINIMUM_TOKENS)
    for pattern, tokens in reversed(MINIMUM_TOKENS):
        found = pl.when(pl.col(model).str.contains(pattern).fill_null(False)).then(tokens).otherwise(found)
    return found


def _lost_usd(found: pl.DataFrame, prices: Prices) -> pl.Series:
    """Return what an exchange cost more than if it had read the lost tokens. These stand before all else that it did not
    read: so they are the first of what it wrote for an hour, then for 5 minutes, then of its plain input."""
    lost = pl.col("lost_tokens")
    from_long = pl.min_horizontal(lost, "long")
    from_short = pl.min_horizontal(lost - from_long, "short")
    fair = found.with_columns(
        pl.col("cache_read_tokens") + lost,
        pl.col("input_tokens") - (lost - from_long - from_short),
        pl.col("short") - from_short,
        pl.col("long") - from_long,
    )
    return (_input_usd(found, prices) - _input_usd(fair, prices)).alias("lost_usd")


def _input_usd(turns: pl.DataFrame, prices: Prices) -> pl.Series:
    counts = turns.select(
        "provider", "model", "started_at", "input_tokens", "cache_read_tokens",
        (pl.col("short") + pl.col("long")).alias("cache_write_tokens"),
        pl.col("short").alias("cache_write_5m_tokens"),
        pl.col("long").alias("cache_write_1h_tokens"),
        pl.lit(0).alias("output_tokens"),
        pl.lit(0).alias("web_searches"),
    )  # fmt: skip
    return cost(counts, prices).select("cost_usd").collect().to_series()


def _verdicts(turns: pl.DataFrame, messages: Frame, prompt_parts: Frame, blocks: Frame | None) -> Iterator[Verdict]:
    """Yield the verdict of each turn, in their order."""
    parts = _parts(prompt_parts, turns)
    forks = _forks(turns, messages)
    texts = _texts(blocks, forks)
    for row, fork in zip(turns.iter_rows(named=True), forks, strict=True):
        if row["previous_exchange_id"] is None:
            yield Verdict("first_request")
        elif not row["expected_tokens"]:
            yield Verdict("below_minimum")
        else:
            yield _of_prompt(row, parts, fork, texts) or _of_time(row)


def _of_prompt(row: Row, parts: _Parts, fork: _Fork | None, texts: _Texts) -> Verdict | None:
    """Return what of the prompt changed: the first thing, in the order in which a prompt is cached."""
    if fork and row["previous_kind"] == "compaction":
        return _of_messages("compaction", fork, texts)
    if row["model"] != row["previous_model"]:
        return Verdict("model_changed", was=row["previous_model"], now=row["model"])
    if changed := _of_parts(parts.get(row["previous_preamble"]), parts.get(row["preamble"])):
        return changed
    for name in ("effort", "thinking"):
        if row[name] != row[f"previous_{name}"]:
            return Verdict("effort_changed", was=row[f"previous_{name}"], now=row[name])
    if fork is None:
        return None
    anew = fork.depth == 0 and any(text.startswith(_CONTINUED) for text in texts.get(fork.now or "", ()))
    return _of_messages("compaction" if anew else "message_changed" if fork.longer else "rewind", fork, texts)


def _of_time(row: Row) -> Verdict:
    """Return why a prefix that is intact was not read."""
    if row["gap_s"] > LONG_LIFE_S and row["previous_in_1h"]:
        return Verdict("ttl_expired_1h")
    if row["gap_s"] > SHORT_LIFE_S and (row["previous_in_5m"] or not row["previous_in_1h"]):
        return Verdict("ttl_expired_5m")
    return Verdict("below_minimum" if row["too_small"] else "unknown")


def _parts(prompt_parts: Frame, turns: pl.DataFrame) -> _Parts:
    """Return the parts of the preambles that changed, in order; none of a request without any."""
    changed = turns.filter(pl.col("preamble").ne_missing(pl.col("previous_preamble")))
    wanted = pl.concat([changed["preamble"], changed["previous_preamble"]]).drop_nulls().unique()
    source = prompt_parts.lazy()
    shown = pl.col("json") if "json" in source.collect_schema() else pl.lit(None, TEXT)
    rows = source.filter(pl.col("preamble").is_in(wanted.implode())).select(
        "preamble", "position", "kind", "name", "part", shown
    )
    found: _Parts = defaultdict(list, {None: []})
    for preamble, _, *part in rows.collect().sort("preamble", "position").iter_rows():
        found[preamble].append(_Part(*part))
    return found


def _of_parts(old: list[_Part] | None, new: list[_Part] | None) -> Verdict | None:
    """Return the first difference between two preambles: of their tools, else of their system blocks."""
    if old is None or new is None:
        return None  # no longer in the store
    for kind, where in (("tool", "tools"), ("system", "system")):
        pairs = zip_longest(*([part for part in parts if part.kind == kind] for parts in (old, new)))
        before = 0 if kind == "tool" else sum(part.kind == "tool" for part in new)
        for position, (was, now) in enumerate(pairs, start=before):
            if was is None or now is None or was.digest != now.digest:
                return Verdict(f"{where}_changed", where, position, *_shown_parts(was, now))
    return None


def _shown_parts(was: _Part | None, now: _Part | None) -> _Pair:
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


def _forks(turns: pl.DataFrame, messages: Frame) -> list[_Fork | None]:
    """Return for each turn where its messages leave those of the one before; None where they go on from there."""
    judged = turns.filter(pl.col("expected_tokens") > 0)
    tree = Tree.of(messages, judged["session_id"], pl.concat([judged["previous_tip"], judged["tip"]]))
    return [
        _fork(tree, *pair) for pair in zip(*(tree.places(turns[name]) for name in ("previous_tip", "tip")), strict=True)
    ]


def _fork(tree: Tree, previous: int, current: int) -> _Fork | None:
    if previous < 0 or current < 0:
        return None
    shared = tree.fork(previous, current)
    if shared == previous:
        return None
    depth = tree.depths[shared] + 1 if shared >= 0 else 0
    was, now = tree.above(previous, depth), tree.above(current, depth)
    nodes, longer = tree.nodes["node"], tree.depths[current] > tree.depths[previous]
    return _Fork(depth, nodes[was], nodes[now] if now != shared else None, longer)


def _texts(blocks: Frame | None, forks: Sequence[_Fork | None]) -> _Texts:
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
    found: _Texts = defaultdict(list)
    for node, _, kind, text in rows.sort("node", "position").iter_rows():
        found[node].append(text if text is not None else f"[{kind}]")
    return found


def _of_messages(cause: str, fork: _Fork, texts: _Texts) -> Verdict:
    shown: _Pair = fork.was, fork.now
    for was, now in zip_longest(texts.get(fork.was, ()), texts.get(fork.now or "", ())):
        if was != now:
            shown = _excerpts(was, now)
            break
    return Verdict(cause, "message", fork.depth, *shown)


def _excerpts(was: str | None, now: str | None) -> _Pair:
    """Return what of two texts differs, from a little before on; of one alone, its beginning."""
    start = 0
    if was is not None and now is not None:
        apart = (place for place, pair in enumerate(zip(was, now, strict=False)) if pair[0] != pair[1])
        start = max(0, next(apart, min(len(was), len(now))) - SHOWN_BEFORE)
    old, new = (text and ("…" if start else "") + text[start : start + SHOWN_CHARACTERS] for text in (was, now))
    return old, new
