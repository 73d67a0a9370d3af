"""The history of prompts: each distinct set of system blocks and tools, when it was in use, and what changed in it.

A set is told from another by what its parts say, never by their names or its size. Refuses to know why a set changed, and
what it cost that the cache could not be used again (breaks.py).
"""

from __future__ import annotations

import difflib
import json
from typing import Any

import polars as pl

NO_NAME = "(no name)"  # an MCP toolset, for one, has none

_TEXTS = pl.List(pl.String())
_MCP_SERVER = r"^mcp__(.+?)__"


def prompts(exchanges: pl.LazyFrame | pl.DataFrame, prompt_parts: pl.LazyFrame | pl.DataFrame) -> pl.LazyFrame:
    """Return one row per set of system blocks and tools that exchanges had, in the order of their first use.

    Columns: `preamble`; first_at and last_at (starts of exchanges), exchanges, sessions, client_versions (oldest first),
    kinds; system_blocks and tools (counts), tool_names (as they stood), system_bytes, tools_bytes, mcp_servers (sorted).

    `previous` is the set that came into use before it, for the same kind and agent type (those of its first exchange) and
    of the same shape: with or without system blocks, with or without tools. What differs from it: added_tools,
    removed_tools and changed_tools (names, sorted), changed_system (numbers of system blocks, the first is 0, those that
    only one of the two has among them). All four are null for the first set of its line.
    """
    parts = _numbered(prompt_parts.lazy())
    used = _used(exchanges.lazy()).join(_contents(parts), on="preamble", how="left")
    empty = pl.lit([], dtype=_TEXTS)
    used = used.with_columns(
        pl.col("system_blocks", "tools", "system_bytes", "tools_bytes").fill_null(0),
        pl.col("tool_names", "mcp_servers", "client_versions").fill_null(empty),
    )
    line = ["first_kind", "first_agent_type", pl.col("system_blocks") > 0, pl.col("tools") > 0]
    used = used.sort("first_at", "preamble").with_columns(previous=pl.col("preamble").shift(1).over(line)).cache()
    found = used.join(_changes(used, parts), on="preamble", how="left", maintain_order="left")
    known = pl.col("previous").is_not_null()
    return found.select(
        "preamble", "first_at", "last_at", "exchanges", "sessions", "client_versions", "kinds",
        "system_blocks", "tools", "tool_names", "system_bytes", "tools_bytes", "mcp_servers", "previous",
        *(pl.when(known).then(pl.col(f"{name}_tools").fill_null(empty)) for name in ("added", "removed", "changed")),
        pl.when(known).then(pl.col("changed_system").fill_null(pl.lit([], dtype=pl.List(pl.Int64)))),
    )  # fmt: skip


def difference(prompt_parts: pl.LazyFrame | pl.DataFrame, was: str, now: str) -> str:
    """Return a unified diff of what two sets say, readable: texts of system blocks; of tools name, description and schema.

    Needs the column `json` of prompt_parts. Empty where they say the same. Raises ValueError for a set that has no parts.
    """
    return "\n".join(
        difflib.unified_diff(_readable(prompt_parts, was), _readable(prompt_parts, now), was, now, lineterm="")
    )


def _used(exchanges: pl.LazyFrame) -> pl.LazyFrame:
    """Return when and by whom each set was used."""
    columns = ["preamble", "started_at", "session_id", "client_version", "kind", "agent_type"]
    # Cached, here and below, so that the store is read once however many parts of the plan need it.
    rows = exchanges.select(columns).filter(pl.col("preamble").is_not_null()).cache()
    first = pl.col("started_at").arg_min()
    sums = rows.group_by("preamble").agg(
        pl.col("started_at").min().alias("first_at"),
        pl.col("started_at").max().alias("last_at"),
        pl.len().cast(pl.Int64).alias("exchanges"),
        pl.col("session_id").drop_nulls().n_unique().cast(pl.Int64).alias("sessions"),
        pl.col("kind").unique().sort().alias("kinds"),
        pl.col("kind").get(first).alias("first_kind"),
        pl.col("agent_type").get(first).alias("first_agent_type"),
    )
    versions = rows.select("preamble", "client_version").drop_nulls().unique()
    # Numbers of the same width sort as numbers do: 2.1.9 before 2.1.10.
    numbers = pl.col("client_version").str.extract_all(r"\d+").list.eval(pl.element().str.zfill(9)).list.join(".")
    sorts = versions.sort(numbers, "client_version").group_by("preamble", maintain_order=True)
    return sums.join(sorts.agg(client_versions="client_version"), on="preamble", how="left")


def _numbered(parts: pl.LazyFrame) -> pl.LazyFrame:
    """Return the parts in order, each with its `place` among those of its set that are called the same.

    System blocks have no name, so theirs is which of them it is.
    """
    name = pl.when(pl.col("kind") == "tool").then(pl.col("name").fill_null(NO_NAME))
    parts = parts.select("preamble", "position", "kind", name.alias("name"), "part", "bytes")
    place = pl.int_range(pl.len(), dtype=pl.Int64).over("preamble", "kind", "name")
    return parts.sort("preamble", "position").with_columns(place=place).cache()


def _contents(parts: pl.LazyFrame) -> pl.LazyFrame:
    """Return how many parts each set has, how large they are, and what its tools are called."""
    tool, system = pl.col("kind") == "tool", pl.col("kind") == "system"
    names = pl.col("name").filter(tool)
    return parts.group_by("preamble").agg(
        system.sum().cast(pl.Int64).alias("system_blocks"),
        tool.sum().cast(pl.Int64).alias("tools"),
        names.alias("tool_names"),
        pl.col("bytes").filter(system).sum().alias("system_bytes"),
        pl.col("bytes").filter(tool).sum().alias("tools_bytes"),
        names.str.extract(_MCP_SERVER).drop_nulls().unique().sort().alias("mcp_servers"),
    )


def _changes(used: pl.LazyFrame, parts: pl.LazyFrame) -> pl.LazyFrame:
    """Return what differs between each set and the one before it, where anything does."""
    same = ["kind", "name", "place"]
    named = parts.select("preamble", *same, "part")
    steps = used.select("preamble", "previous").filter(pl.col("previous").is_not_null())
    now = steps.select("preamble").join(named, on="preamble")
    was = steps.join(named, left_on="previous", right_on="preamble").drop("previous")
    both = now.join(was, on=["preamble", *same], how="full", coalesce=True, nulls_equal=True)
    here, before = pl.col("part"), pl.col("part_right")
    tool, differs = pl.col("kind") == "tool", here.ne_missing(before)
    names = pl.col("name").filter
    return both.group_by("preamble").agg(
        names(tool & before.is_null()).unique().sort().alias("added_tools"),
        names(tool & here.is_null()).unique().sort().alias("removed_tools"),
        names(tool & (here != before)).unique().sort().alias("changed_tools"),
        pl.col("place").filter(~tool & differs).sort().alias("changed_system"),
    )


def _readable(prompt_parts: pl.LazyFrame | pl.DataFrame, preamble: str) -> list[str]:
    """Return a set as lines: the system blocks first, as the model is told of them, and each part under a heading."""
    columns = ["kind", "name", "json"]
    rows = (
        prompt_parts.lazy()
        .filter(pl.col("preamble") == preamble)
        .sort("position")
        .select(columns)
        .fill_null("")
        .collect()
        .rows()
    )
    if not rows:
        raise ValueError(f'there is no prompt "{preamble}"')
    lines = []
    for number, text in enumerate(text for kind, _, text in rows if kind == "system"):
        lines += [f"## system {number}", "", *_part_lines(text, "text", {"type"}), ""]
    for name, text in ((name, text) for kind, name, text in rows if kind == "tool"):
        lines += [f"## tool {name or NO_NAME}", "", *_part_lines(text, "description", {"name"}), ""]
    return lines


def _part_lines(text: str, prose: str, known: set[str]) -> list[str]:
    """Return a part as lines: its member `prose` as it reads, and whatever else it says, but for `known`, as JSON."""
    try:
        part = json.loads(text)
    except ValueError:
        return text.splitlines()
    if isinstance(part, str):
        return part.splitlines()
    if not isinstance(part, dict):
        return _json_lines(part)
    written = part.get(prose)
    lines = written.splitlines() if isinstance(written, str) else []
    said = {"cache_control", *known, *([prose] if isinstance(written, str) else [])}
    rest = {key: value for key, value in part.items() if key not in said}
    return [*lines, *([""] if lines and rest else []), *(_json_lines(rest) if rest else [])]


def _json_lines(value: Any) -> list[str]:
    # Sorted, since the order of keys makes no difference to what a part is.
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True).splitlines()
