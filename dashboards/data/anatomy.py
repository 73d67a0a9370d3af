"""What a request says, taken from its exact bytes: system blocks, tools, messages with their blocks, and everything else.

Survives bytes that are no request: then `problem` says why. Nothing is cut here. Refuses to know where bytes come from, and how
anything looks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_APART = ("system", "tools", "messages")
_TEXTS = {"text": "text", "thinking": "thinking"}
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Block:
    """A content block: its type, what it says as text, how many characters that are, and what it is called: of a tool its name.

    `cache` is how long the prompt up to here is cached: 5m, 1h, or nothing. `raw` is the block as it was sent.
    """

    type: str
    text: str
    characters: int
    name: str = ""
    cache: str = ""
    is_error: bool = False
    raw: Any = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Message:
    """A message: its place, who says it, and its blocks."""

    place: int
    role: str
    blocks: tuple[Block, ...]

    @property
    def characters(self) -> int:
        """How many characters its blocks have."""
        return sum(block.characters for block in self.blocks)

    @property
    def cache(self) -> str:
        """How long the prompt up to one of its blocks is cached."""
        return next((block.cache for block in self.blocks if block.cache), "")


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool: its name, what the model is told of it, and its input's schema as JSON. `rest` is whatever else it says."""

    name: str
    description: str
    schema: str
    rest: str
    cache: str
    characters: int
    raw: Any = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Request:
    """A request, taken apart. `parameters` are all other members; `problem` is empty where the bytes could be read."""

    system: tuple[Block, ...] = ()
    tools: tuple[Tool, ...] = ()
    messages: tuple[Message, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""


def read(raw: bytes) -> Request:
    """Take a request apart."""
    if not raw:
        return Request(problem="the request has no body")
    try:
        return _taken_apart(json.loads(raw))
    except ValueError as error:
        return Request(problem=f"the request is no JSON: {error}")
    except RecursionError:
        return Request(problem="the request is nested too deeply to be taken apart")


def _taken_apart(found: Any) -> Request:
    if not isinstance(found, dict):
        return Request(problem="the request is JSON, but no object")
    return Request(
        system=blocks(found.get("system")),
        tools=tuple(_tool(tool) for tool in _list(found.get("tools"))),
        messages=tuple(message(item, place) for place, item in enumerate(_list(found.get("messages")))),
        parameters={name: value for name, value in found.items() if name not in _APART},
    )


def message(value: Any, place: int = 0) -> Message:
    """Take a message apart."""
    if not isinstance(value, dict):
        return Message(place, "", blocks([value]))
    return Message(place, _text(value.get("role")), blocks(value.get("content")))


def blocks(content: Any) -> tuple[Block, ...]:
    """Take content apart; a text counts as one block."""
    if content is None:
        return ()
    if isinstance(content, str):
        return (Block("text", content, len(content), raw={"type": "text", "text": content}),)
    return tuple(_block(item) for item in _list(content))


def _block(item: Any) -> Block:
    if isinstance(item, str):
        return Block("text", item, len(item), raw={"type": "text", "text": item})
    if not isinstance(item, dict):
        return Block("unknown", shown(item), len(shown(item)), raw=item)
    kind = _text(item.get("type")) or "unknown"
    text = said(item)
    return Block(kind, text, len(text), _name(item), cache_of(item), item.get("is_error") is True, item)


def said(item: Json) -> str:
    """Return what a block says, as text; of a call its input, of a result what came; of pictures and files, that there is one."""
    kind = item.get("type")
    if isinstance(text := item.get(_TEXTS.get(str(kind), "text")), str):
        return text
    if kind in ("tool_use", "server_tool_use", "mcp_tool_use"):
        return shown(item.get("input"))
    if kind in ("image", "document"):
        return _source(item, str(kind))
    content = item.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list) and content:
        return "\n".join(said(part) if isinstance(part, dict) else shown(part) for part in content)
    return shown({name: value for name, value in item.items() if name not in ("type", "cache_control")})


def _source(item: Json, kind: str) -> str:
    source = item.get("source")
    if not isinstance(source, dict):
        return f"[{kind}]"
    data = source.get("data")
    if source.get("type") == "text" and isinstance(data, str):
        return data
    size = f", {len(data) * 3 // 4:,} bytes" if isinstance(data, str) else ""
    where = _text(source.get("url")) or _text(source.get("file_id"))
    return f"[{kind} {_text(source.get('media_type')) or where}{size}]"


def _name(item: Json) -> str:
    if item.get("type") == "tool_result":
        return _text(item.get("tool_use_id"))
    return _text(item.get("name")) or _text(item.get("title"))


def cache_of(item: Json) -> str:
    """Return how long the prompt up to a part is cached; nothing where the part does not mark it."""
    mark = item.get("cache_control")
    return (_text(mark.get("ttl")) or "5m") if isinstance(mark, dict) else ""


def _tool(item: Any) -> Tool:
    if not isinstance(item, dict):
        return Tool("", "", "", shown(item), "", len(shown(item)), item)
    known = ("name", "description", "input_schema", "cache_control")
    rest = {name: value for name, value in item.items() if name not in known}
    schema = shown(item["input_schema"]) if "input_schema" in item else ""
    name = _text(item.get("name")) or _text(item.get("mcp_server_name")) or _text(item.get("type"))
    size = len(json.dumps(item, ensure_ascii=False))
    return Tool(name, _text(item.get("description")), schema, shown(rest) if rest else "", cache_of(item), size, item)


def shown(value: Any) -> str:
    """Return a value as readable JSON, a text as it is."""
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def unmarked(value: Any) -> Any:
    """Return a value without the marks of the cache, which move from request to request while nothing else changes."""
    if isinstance(value, dict):
        return {name: unmarked(inner) for name, inner in value.items() if name != "cache_control"}
    return [unmarked(inner) for inner in value] if isinstance(value, list) else value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
