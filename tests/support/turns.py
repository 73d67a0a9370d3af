"""Turns of a thread with what each read of the cache and wrote, for breaks of it that are induced by hand.

A conversation of main: m0 asks, m1 answers, m2 has a result. Beside it branches: a rewind to m2, and one where m0 differs.
"""

from __future__ import annotations

import random
from typing import Any

import polars as pl

from analysis.measures.breaks import breaks
from tests.support.frames import at, frame

SONNET, HAIKU = "claude-sonnet-4-5", "claude-haiku-4-5"
COLUMNS = [
    "exchange_id", "previous_exchange_id", "session_id", "thread_id", "started_at", "model", "gap_s", "expected_tokens",
    "cache_read_tokens", "lost_tokens", "lost_usd", "cause", "where", "position", "was", "now",
]  # fmt: skip
PATHS = {
    "m0": None,
    "m1": "m0",
    "m2": "m1",
    "m3": "m2",
    "m4": "m3",
    "r2": "m1",
    "x0": None,
    "x1": "x0",
    "x2": "x1",
    "x3": "x2",
}
TOOLS = {
    "bash": ("tool", "Bash"),
    "bash2": ("tool", "Bash"),
    "read": ("tool", "Read"),
    "system": ("system", None),
    "system2": ("system", None),
}
PREAMBLES = {
    "p": ("bash", "system"), "more": ("bash", "read", "system"), "other": ("bash2", "system"), "told": ("bash", "system2"),
    "both": ("read", "system2"),
}  # fmt: skip


def turn(name: str, seconds: float, read: int, short: int, tip: str | None = "m0", **columns: Any) -> dict[str, Any]:
    """Return an exchange of a thread: what it read of the cache, what it wrote for 5 minutes, its last message."""
    row = {
        "exchange_id": name, "session_id": "s", "thread_id": "s/main", "kind": "main", "started_at": at(seconds),
        "provider": "anthropic", "model": SONNET, "effort": "high", "thinking": "adaptive", "tip": tip, "preamble": "p",
        "input_tokens": 10, "cache_read_tokens": read, "cache_write_5m_tokens": short, "cache_write_1h_tokens": 0, **columns,
    }  # fmt: skip
    written = row["cache_write_5m_tokens"] + row["cache_write_1h_tokens"]
    return {
        "cache_write_tokens": written,
        "context_tokens": row["input_tokens"] + row["cache_read_tokens"] + written,
        **row,
    }


def messages(session: str | None = "s") -> pl.LazyFrame:
    """Return the tree of PATHS."""
    depth: dict[str | None, int] = {None: -1}
    for node, parent in PATHS.items():
        depth[node] = depth[parent] + 1
    rows = [
        {"node": node, "parent": parent, "depth": depth[node], "session_id": session} for node, parent in PATHS.items()
    ]
    return frame("messages", *random.sample(rows, len(rows)))


def parts(**texts: str) -> pl.LazyFrame:
    """Return PREAMBLES; with `texts`, the bodies of these parts."""
    rows = [
        {"preamble": preamble, "position": position, "kind": TOOLS[part][0], "name": TOOLS[part][1], "part": part}
        | ({"json": texts.get(part, "{}")} if texts else {})
        for preamble, members in PREAMBLES.items()
        for position, part in enumerate(members)
    ]
    return frame("prompt_parts", *random.sample(rows, len(rows)), bodies=bool(texts))


def found(*rows: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    """Return the breaks of some exchanges, which come in any order."""
    exchanges = frame("exchanges", *random.sample(rows, len(rows)))
    return breaks(exchanges, more.pop("messages", messages()), more.pop("parts", parts()), **more).collect().to_dicts()


def second(*rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the one break after the first request."""
    first, only = found(*rows, **more)
    assert first["cause"] == "first_request"
    return only


def said(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return what a break says of its cause."""
    return tuple(row[name] for name in ("cause", "where", "position", "was", "now"))
