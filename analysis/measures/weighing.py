"""What content weighs: requests with their tokens, and the pieces of messages and preambles by category, in characters.

A block is of one category, but for the user's text, of which reminders and memory are told apart. Refuses to count tokens,
and to know which request holds what.
"""

from __future__ import annotations

import polars as pl

from analysis.measures.cache import all_input, answered
from analysis.measures.tree import Frame, Tree, among

CATEGORIES = (
    "system", "tools", "mcp_tools", "memory", "reminder", "user", "assistant", "thinking", "tool_call", "tool_result", "image",
    "other",
)  # fmt: skip
# An image has no characters. Anthropic's page on vision: about width x height / 750 tokens, and what would come to more
# than about 1,600 is scaled down. Screenshots do, so each image counts as that, at 4 characters of English a token.
IMAGE_WEIGHT = 1600 * 4

_REMINDER = r"(?s)<system-reminder>.*?(?:</system-reminder>|\z)"
# Inside a reminder: what the client tells of CLAUDE.md and its kin, up to the next thing that it tells.
_MEMORY = (
    r"(?s)((?:# claudeMd\s|Codebase and user instructions are shown below|Contents of [^\n]*\.md\b[^\n]*:\n).*?)"
    r"(?:\n# ?(?:currentDate|gitStatus|userEmail|important-instruction-reminders)\n"
    r"|\n\s*IMPORTANT: this context may or may not|</system-reminder>|\z)"
)


def answered_requests(exchanges: Frame, *more: pl.Expr) -> pl.DataFrame:
    """Return the requests that were answered, numbered by time, with all their input in tokens."""
    columns = ("exchange_id", "session_id", "thread_id", "started_at", "tip", "preamble")
    return (
        exchanges.lazy()
        .filter(answered())
        .select(*columns, all_input().alias("context_tokens"), *more)
        .sort("started_at", "exchange_id")
        .with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("request"))
        .collect()
    )


def weighed_preambles(prompt_parts: Frame, preambles: pl.Series) -> pl.DataFrame:
    """Return what preambles weigh: preamble, category, name, weight."""
    server = pl.col("name").str.extract("^mcp__(.+?)__")
    tools = pl.when(server.is_not_null()).then(pl.lit("mcp_tools")).otherwise(pl.lit("tools"))
    return (
        prompt_parts.lazy()
        .filter(among("preamble", preambles.drop_nulls().unique()))
        .select(
            "preamble",
            pl.when(pl.col("kind") == "system").then(pl.lit("system")).otherwise(tools).alias("category"),
            pl.when(pl.col("kind") != "system").then(server).alias("name"),
            pl.col("bytes").fill_null(0).alias("weight"),
        )
        .group_by("preamble", "category", "name")
        .agg(pl.col("weight").sum())
        .collect()
    )


def weighed_pieces(blocks: Frame, tree: Tree) -> pl.DataFrame:
    """Return what messages weigh, in pieces of one category, parents first: place, node, session_id, position,
    tool_use_id, category, name, weight."""
    source = blocks.lazy().filter(among("node", tree.nodes["node"]))
    rows = (
        source.select(
            "node",
            "position",
            "tool_use_id",
            "tool_name",
            _category(),
            pl.col("characters").fill_null(0),
            *_told(source),
        )
        .collect()
        .join(tree.nodes, on="node")
    )
    rows = _named(rows)
    told, remembered, image = pl.col("told"), pl.col("remembered"), pl.col("category") == "image"
    whole = rows.with_columns(weight=pl.when(image).then(IMAGE_WEIGHT).otherwise(pl.col("characters") - told))
    parts = [whole]
    for category, part in (("reminder", told - remembered), ("memory", remembered)):
        parts.append(rows.filter(part > 0).with_columns(category=pl.lit(category), weight=part))
    wanted = ("place", "node", "session_id", "position", "tool_use_id", "category", "name")
    kept = [part.select(*wanted, pl.col("weight").cast(pl.Int64)) for part in parts]
    return pl.concat(kept).sort("place", "position", maintain_order=True)


def _category() -> pl.Expr:
    """Return the category of a block as a whole."""
    kind, role = pl.col("type"), pl.col("role")
    rules = (
        (role == "system", "reminder"),
        (kind.str.ends_with("tool_use"), "tool_call"),
        (kind.str.ends_with("tool_result"), "tool_result"),
        (kind.is_in(["thinking", "redacted_thinking"]), "thinking"),
        (kind == "image", "image"),
        ((kind == "text") & (role == "assistant"), "assistant"),
        (kind == "text", "user"),
    )
    found: pl.Expr = pl.lit("other")
    for rule, category in reversed(rules):
        found = pl.when(rule).then(pl.lit(category)).otherwise(found)
    return found.alias("category")


def _told(blocks: pl.LazyFrame) -> tuple[pl.Expr, pl.Expr]:
    """Return how many characters of a block of the user's are reminders, and how many of these are memory."""
    if "text" not in blocks.collect_schema():
        return pl.lit(0).alias("told"), pl.lit(0).alias("remembered")
    reminders = pl.when(_category() == "user").then(pl.col("text").str.extract_all(_REMINDER))
    memory = pl.element().str.extract(_MEMORY, 1)
    told, remembered = (reminders.list.eval(part.str.len_chars()).list.sum() for part in (pl.element(), memory))
    return told.fill_null(0).cast(pl.Int64).alias("told"), remembered.fill_null(0).cast(pl.Int64).alias("remembered")


def _named(rows: pl.DataFrame) -> pl.DataFrame:
    """Return blocks with `name`: the tool of a call, and of a result the tool of its call, first of that just before it."""
    calls = rows.filter(pl.col("category") == "tool_call").select("tool_use_id", "tool_name", parent="node")
    before = calls.unique(("parent", "tool_use_id")).rename({"tool_name": "before"})
    anywhere = calls.unique("tool_use_id", keep="first", maintain_order=True).select(
        "tool_use_id", anywhere="tool_name"
    )
    kind, result = pl.col("category"), pl.coalesce("before", "anywhere")
    return (
        rows.join(before, on=("parent", "tool_use_id"), how="left")
        .join(anywhere, on="tool_use_id", how="left")
        .with_columns(
            name=pl.when(kind == "tool_call").then(pl.col("tool_name")).when(kind == "tool_result").then(result)
        )
    )
