"""The content blocks of a message, as rows for search and analysis.

Knows where the text of each kind of block stands. A kind that nobody has heard of keeps its JSON as text. Refuses to judge.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ccproxy.records import Block

_TEXT_KEYS = {"text": "text", "thinking": "thinking"}
_encode = msgspec.json.Encoder().encode
OPAQUE = "data"  # base64 of images and documents: nothing to search, and it would swell the index


def blocks_of(message: Any) -> tuple[Block, ...]:
    """Return the blocks of a decoded message; a string content counts as one text block."""
    content = message.get("content") if isinstance(message, dict) else message
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if not isinstance(content, list):
        return ()
    return tuple(_block(position, item) for position, item in enumerate(content))


def _block(position: int, item: Any) -> Block:
    if not isinstance(item, dict):
        plain = _json(item)
        return Block(position, "other", plain, characters=len(plain))
    kind = _string(item.get("type")) or "other"
    text = _text(item, kind)
    is_error = item.get("is_error")
    return Block(
        position=position,
        type=kind,
        text=text,
        tool_name=_string(item.get("name")),
        tool_use_id=_string(item.get("tool_use_id")) or (_string(item.get("id")) if "input" in item else None),
        is_error=is_error if isinstance(is_error, bool) else None,
        characters=len(text or ""),
    )


def _text(item: dict[str, Any], kind: str) -> str | None:
    if kind in _TEXT_KEYS and isinstance(item.get(_TEXT_KEYS[kind]), str):
        return str(item[_TEXT_KEYS[kind]])
    if "input" in item:
        return _json(item["input"])
    if "content" in item:
        return "\n".join(_texts(item["content"]))
    if kind in ("image", "document", "redacted_thinking"):
        return None
    return _json({key: value for key, value in item.items() if key not in ("type", "cache_control")})


def _texts(content: Any) -> Iterator[str]:
    """Yield the texts of a tool's result, however deep they stand."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for entry in content:
            yield from _texts(entry)
    elif isinstance(content, dict):
        if isinstance(content.get("text"), str):
            yield content["text"]
        elif "content" in content:
            yield from _texts(content["content"])
        elif content.get("type") not in ("image", "document"):
            yield _json({key: value for key, value in content.items() if key != OPAQUE})


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _json(value: Any) -> str:
    return _encode(value).decode("utf-8", "replace")
