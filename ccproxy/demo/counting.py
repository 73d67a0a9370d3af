"""How many tokens the stand-in for the provider takes a piece of JSON for.

A rule of thumb in place of a tokenizer: so many characters make a token, and an image counts by its size. The same rule for
what goes in and what comes out. Refuses to know prices.
"""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

CHARACTERS_PER_TOKEN = 3.6
PIXELS_PER_TOKEN = 750
_PNG_SIZE = struct.Struct(">II")  # behind the signature, the length and the name of a PNG's first chunk
_PNG_SIZE_AT = 16
_OVERHEAD = 12  # characters' worth of what stands around a block


def tokens(characters: float) -> int:
    """Return the tokens that so many characters make."""
    return round(characters / CHARACTERS_PER_TOKEN)


def weight(part: Any) -> float:
    """Return what a tool, a system block or a content block weighs, in characters."""
    if not isinstance(part, dict):
        return len(part) + _OVERHEAD if isinstance(part, str) else len(json.dumps(part))
    match part.get("type"):
        case "text":
            return len(part["text"]) + _OVERHEAD
        case "thinking":
            return len(part["thinking"]) + _OVERHEAD
        case "tool_use":
            return len(part["name"]) + len(json.dumps(part["input"], ensure_ascii=False)) + 2 * _OVERHEAD
        case "tool_result":
            content = part.get("content", "")
            return sum(map(weight, [content] if isinstance(content, str) else content)) + _OVERHEAD
        case "image":
            return _pixels(part["source"]["data"]) / PIXELS_PER_TOKEN * CHARACTERS_PER_TOKEN
        case _:
            return len(json.dumps(part, ensure_ascii=False))


def _pixels(data: str) -> int:
    width, height = _PNG_SIZE.unpack_from(base64.b64decode(data[:64]), _PNG_SIZE_AT)
    return int(width) * int(height)
