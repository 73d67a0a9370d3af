"""A conversation told by hand whose every character is counted, and requests that hold it, for measures of the context.

u0 asks, a1 calls Bash and Read, u2 has their results, a3 answers, u4 asks again; x2 has another result after a1. Its preamble
weighs 200 characters.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import polars as pl

from analysis.measures.context import context
from tests.support.frames import at, frame


def block(
    node: str, position: int, kind: str, characters: int | None, role: str | None = "user", **columns: Any
) -> dict[str, Any]:
    """Return a content block."""
    return {"node": node, "position": position, "role": role, "type": kind, "characters": characters, **columns}


BLOCKS = [
    block("u0", 0, "text", 100),
    block("a1", 0, "thinking", 40, "assistant"), block("a1", 1, "text", 60, "assistant"),
    block("a1", 2, "tool_use", 20, "assistant", tool_name="Bash", tool_use_id="t1"),
    block("a1", 3, "tool_use", 30, "assistant", tool_name="Read", tool_use_id="t2"),
    block("u2", 0, "tool_result", 400, tool_use_id="t1"), block("u2", 1, "tool_result", 150, tool_use_id="t2"),
    block("a3", 0, "text", 90, "assistant"),
    block("u4", 0, "text", 10),
    block("x2", 0, "tool_result", 250, tool_use_id="t1"),
]  # fmt: skip
PATHS = {"u0": None, "a1": "u0", "u2": "a1", "a3": "u2", "u4": "a3", "x2": "a1"}
PARTS = [
    {"preamble": "p", "position": 0, "kind": "tool", "name": "Bash", "part": "t0", "bytes": 50},
    {"preamble": "p", "position": 1, "kind": "tool", "name": "mcp__git__log", "part": "t1", "bytes": 20},
    {"preamble": "p", "position": 2, "kind": "tool", "name": "mcp__git__show_all", "part": "t2", "bytes": 10},
    {"preamble": "p", "position": 3, "kind": "system", "name": None, "part": "s0", "bytes": 120},
    {"preamble": "unused", "position": 0, "kind": "system", "name": None, "part": "s0", "bytes": 999},
]


def mixed(grain: str, rows: list[dict[str, Any]], *, bodies: bool = False) -> pl.LazyFrame:
    """Return a frame of rows in any order."""
    return frame(grain, *random.sample(rows, len(rows)), bodies=bodies)


def tree(paths: dict[str, str | None], **sessions: str) -> pl.LazyFrame:
    """Return messages, of session s but for the nodes that `sessions` names."""
    depth: dict[str | None, int] = {None: -1}
    for node, parent in paths.items():
        depth[node] = depth[parent] + 1
    return mixed(
        "messages",
        [
            {"node": node, "parent": parent, "depth": depth[node], "session_id": sessions.get(node, "s")}
            for node, parent in paths.items()
        ],
    )


def request(
    name: str, tokens: int | None, tip: str | None, preamble: str | None = "p", **columns: Any
) -> dict[str, Any]:
    """Return an exchange that took so many tokens of plain input; it begins as many seconds after noon as its name says."""
    return {
        "exchange_id": name, "session_id": "s", "thread_id": "s/main", "kind": "main", "started_at": at(int(name)), "provider": "anthropic",
        "model": "m", "input_tokens": tokens, "context_tokens": tokens, "tip": tip, "preamble": preamble, **columns,
    }  # fmt: skip


def held(*requests: dict[str, Any], **more: Any) -> dict[str, dict[tuple[Any, ...], tuple[int, float]]]:
    """Return by exchange, then by category and name, the characters and tokens."""
    frames = (
        more.get("messages", tree(PATHS)),
        more.get("blocks", mixed("blocks", BLOCKS)),
        mixed("prompt_parts", PARTS),
    )
    found: dict[str, dict[tuple[Any, ...], tuple[int, float]]] = {}
    for row in context(mixed("exchanges", list(requests)), *frames).collect().to_dicts():
        found.setdefault(row["exchange_id"], {})[row["category"], row["name"]] = (row["characters"], row["tokens"])
    return found


def prices(folder: Path) -> Path:
    """Return a file with prices: of m, 10 USD a million tokens."""
    path = folder / "prices.json"
    path.write_text(json.dumps([{"model": "m", "input": 10, "output": 50, "cache_read": 1, "cache_write_5m": 12}]))
    return path
