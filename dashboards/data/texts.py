"""Texts of single blocks, looked up message by message: by index, however much was said in all.

Views have the same texts, but asking them reads all of them. Refuses to know what a text is wanted for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import polars as pl

from dashboards.data.store import TROUBLES, Data, TroubleError

SCHEMA = {"node": pl.String, "position": pl.Int64, "type": pl.String, "tool_use_id": pl.String, "text": pl.String}


def blocks(data: Data, nodes: Iterable[str]) -> pl.DataFrame:
    """Return the blocks of messages: node, position, type, tool_use_id (of a call), and text: of a call its input as JSON, null for
    images. Raises TroubleError where the captures cannot be read."""
    rows = []
    try:
        for node in nodes:
            content = data.capture.message(node).get("content")
            parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
            rows += [(node, place, *said(part)) for place, part in enumerate(parts)]
    except TROUBLES as error:
        raise TroubleError(str(error)) from None
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def said(block: Any) -> tuple[str, str | None, str | None]:
    """Return the type of a block, the call that it makes, and its text."""
    if not isinstance(block, dict):
        return "other", None, _text(block)
    kind, call = str(block.get("type", "other")), block.get("id")
    for name in ("text", "thinking"):
        if isinstance(block.get(name), str):
            return kind, None, block[name]
    if "input" in block:
        return kind, call if isinstance(call, str) else None, _text(block["input"])
    content = block.get("content")
    if isinstance(content, list):
        return (
            kind,
            None,
            "\n".join(_text(part.get("text", part) if isinstance(part, dict) else part) for part in content),
        )
    return kind, None, _text(content) if content is not None else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def with_inputs(data: Data, calls: pl.DataFrame) -> pl.DataFrame:
    """Return calls, each with its node and tool_use_id, with their `input`, as JSON."""
    made = blocks(data, calls["node"].drop_nulls().unique(maintain_order=True)).drop_nulls("tool_use_id")
    made = made.unique(["node", "tool_use_id"], keep="first").select("node", "tool_use_id", input="text")
    return calls.join(made, on=["node", "tool_use_id"], how="left", maintain_order="left")
