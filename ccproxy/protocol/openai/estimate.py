"""How many tokens a Messages request has, estimated without a tokenizer.

For a client that wants to know how full the context is while another provider answers, whose tokenizer nobody here has. Refuses to
be exact.
"""

from __future__ import annotations

import base64
import math
from typing import Any

import msgspec

from ccproxy.protocol.parts import json_value

_encode = msgspec.json.Encoder().encode

_BYTES_PER_TOKEN = 3.6  # of prose, code and tool results in UTF-8
_BYTES_PER_TOOL_TOKEN = 4.1  # of tool definitions: long descriptions, much JSON
_PER_REQUEST = 7
_PER_MESSAGE = 4
_FOR_TOOLS = 340  # the prompt with which tools are introduced: 313 to 346 for Claude 4 (Anthropic's page on tool use)
_LARGEST_IMAGE = 1600  # Anthropic scales larger ones down to about 1.15 megapixels
_PIXELS_PER_TOKEN = 750  # https://docs.claude.com/en/docs/build-with-claude/vision: width * height / 750
_PER_PAGE = 2000  # of a PDF: 1,500 to 3,000, says https://docs.claude.com/en/docs/build-with-claude/pdf-support
_BYTES_PER_PAGE = 50_000
_BASE64 = 4 / 3

_PNG_HEADER = 24  # signature, chunk length and type, width, height
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_NO_TEXT = {
    "type",
    "id",
    "tool_use_id",
    "cache_control",
    "signature",
    "thinking",
    "encrypted_content",
    "role",
    "media_type",
}


def estimate_tokens(body: bytes) -> int:
    """Return about how many input tokens a request to `/v1/messages` or its `count_tokens` has; 0 where it is none.

    The rule: 3.6 bytes of text and 4.1 bytes of tool definitions to a token, some for each message, for the request and for tools, an
    image by its size, a PDF by its length. The figures are a fit to what the API itself counted for recorded requests: within 2 % for
    those of Claude Code with its tools (12,000 to 25,000 tokens, Claude Sonnet 4), within 35 % for plain ones of 100 to 7,000 tokens, and
    up to 40 % too few where a small tool comes alone with Claude 4.5. Not seen is what thinking, citations, a schema for the answer and
    tools on Anthropic's servers add, and that the tokenizer since Claude Opus 4.7 counts up to 1.5 times as many.
    """
    request = json_value(body)
    if not isinstance(request, dict):
        return 0
    try:
        return math.ceil(_tokens(request))
    except RecursionError:
        return math.ceil(len(body) / _BYTES_PER_TOKEN)


def _tokens(request: dict[str, Any]) -> float:
    messages, tools = request.get("messages"), request.get("tools")
    count = _PER_REQUEST + _content(request.get("system"))
    for message in messages if isinstance(messages, list) else []:
        count += _PER_MESSAGE + (_content(message.get("content")) if isinstance(message, dict) else 0)
    if isinstance(tools, list) and tools:
        count += _FOR_TOOLS + sum(len(_encode(tool)) for tool in tools) / _BYTES_PER_TOOL_TOKEN
    return count


def _content(value: Any) -> float:
    """Return about how many tokens a content has, at any depth."""
    if isinstance(value, str):
        return len(value.encode("utf-8", "replace")) / _BYTES_PER_TOKEN
    if isinstance(value, list):
        return sum(map(_content, value))
    if not isinstance(value, dict):
        return 0
    match value.get("type"):
        case "image":
            return _image(value.get("source"))
        case "tool_use":
            return _content(value.get("name")) + len(_encode(value.get("input"))) / _BYTES_PER_TOKEN
        case "base64":
            return _pdf(value.get("data"))
    return sum(_content(inner) for name, inner in value.items() if name not in _NO_TEXT)


def _image(source: Any) -> float:
    """Return how many tokens an image is, the most that one may be where its size is not seen at once."""
    data = source.get("data") if isinstance(source, dict) else None
    try:
        start = base64.b64decode(data[: _PNG_HEADER * 4 // 3]) if isinstance(data, str) else b""
    except ValueError:
        start = b""
    if len(start) < _PNG_HEADER or not start.startswith(_PNG_SIGNATURE):
        return _LARGEST_IMAGE
    pixels = int.from_bytes(start[16:20]) * int.from_bytes(start[20:24])
    return min(pixels / _PIXELS_PER_TOKEN, _LARGEST_IMAGE)


def _pdf(data: Any) -> float:
    size = len(data) / _BASE64 if isinstance(data, str) else 0
    return _PER_PAGE * math.ceil(size / _BYTES_PER_PAGE)
