"""The blocks of a message's content, said as content parts of Chat Completions.

Knows text, images, documents, search results, and what tools on Anthropic's servers did. Texts and pictures go over whole; what the
other protocol has no part for is said as a text where it has one, and told as a loss where it has none. Refuses to know who speaks,
and how tool calls and their results are paired.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from ccproxy.protocol.openai.ledger import Ledger
from ccproxy.protocol.openai.raw import Object, is_text, object_in, objects_in, says_nothing, text_in, unsaid, value_in

Part = dict[str, Any]

BETWEEN = "\n\n"  # between two blocks that become one text

_HARMLESS = frozenset({"type", "cache_control"})
_MEMBERS = {
    "text": _HARMLESS | {"text"},
    "image": _HARMLESS | {"source"},
    "document": _HARMLESS | {"source", "title", "context"},
    "search_result": _HARMLESS | {"source", "title", "content"},
    "tool_reference": _HARMLESS | {"tool_name"},
    "tool_use": _HARMLESS | {"id", "name", "input", "caller", "toolset_name"},
    "tool_result": _HARMLESS | {"tool_use_id", "content", "is_error", "toolset_name"},
    "server_tool_use": _HARMLESS | {"id", "name", "input", "caller"},
    "compaction": _HARMLESS | {"content", "encrypted_content", "signature"},
    "mcp_tool_use": _HARMLESS | {"id", "name", "input", "server_name"},
}
_RESULT_MEMBERS = _HARMLESS | {"tool_use_id", "content", "is_error", "caller"}  # of each tool on Anthropic's servers
_PDF = "application/pdf"

# Where the results of Anthropic's server tools have something to read, and how deep it may lie.
_READABLE = (
    "title", "url", "text", "stdout", "stderr", "error_code", "tool_name", "data", "source", "content", "tool_references",
)  # fmt: skip
_DEEPEST = 8


class Block(NamedTuple):
    """One block of a content: its type, an empty text where it has none, and its members."""

    kind: str
    members: Object

    def text(self, name: str) -> str | None:
        """Return a member that is a text, None where there is none."""
        return text_in(self.members.get(name))

    def raw(self, name: str) -> msgspec.Raw | None:
        """Return a member as it came, None where there is none."""
        return self.members.get(name)

    def tell_unsaid(self, where: str, losses: Ledger) -> None:
        """Tell the members that the translation does not know."""
        known = _MEMBERS.get(self.kind, _RESULT_MEMBERS)
        for name in () if self.members.keys() <= known else unsaid(self.members, known):
            losses.count(f"the member {name} of a {self.kind} block is left out", where)


def blocks_in(content: msgspec.Raw | None, where: str, losses: Ledger) -> list[Block]:
    """Return the blocks of a content; a plain text is one block."""
    if content is None or is_text(content):
        return [] if content is None else [Block("text", {"text": content})]
    entries = objects_in(content)
    if entries is None:
        if not says_nothing(content):
            losses.count("content that is neither a text nor a list is left out", where)
        return []
    if None in entries:
        losses.count("an entry of the content that is no block is left out", where)
    return [Block(text_in(entry.get("type")) or "", entry) for entry in entries if entry is not None]


def text_part(text: str) -> Part:
    """Return a text as a content part."""
    return {"type": "text", "text": text}


def parts_of(blocks: Iterable[Block], where: str, losses: Ledger) -> list[Part]:
    """Return what a user or a tool says, as content parts, in its order."""
    parts: list[Part] = []
    for block in blocks:
        match block.kind:
            case "text":
                parts += [text_part(text)] if (text := block.text("text")) else []
            case "image":
                parts.append(_image(block, where, losses))
            case "document":
                parts += _document(block, where, losses)
            case "search_result":
                parts.append(_search_result(block, where, losses))
            case "tool_reference":
                parts.append(text_part(f"The tool {block.text('tool_name')} is there to be called."))
            case _:
                tell_unknown(block.kind, where, losses)
                continue
        block.tell_unsaid(where, losses)
    return parts


def tell_unknown(kind: str, where: str, losses: Ledger) -> None:
    """Tell that a block is left out, by its type."""
    losses.count(f"a block of type {kind} is left out" if kind else "a block without a type is left out", where)


def joined(parts: Sequence[Part]) -> str | list[Part]:
    """Return the content of a message: one text where all parts are texts, which every server takes; else the parts."""
    if all(part["type"] == "text" for part in parts):
        return BETWEEN.join(part["text"] for part in parts)
    return list(parts)


def _image(block: Block, where: str, losses: Ledger) -> Part:
    source = object_in(block.raw("source")) or {}
    url = _address(source)
    if not url:
        losses.count("an image that does not come with the request is left out", where)
        return text_part("[An image that could not be passed on]")
    return {"type": "image_url", "image_url": {"url": url}}


def _address(source: Object) -> str | None:
    """Return where to find what the source stands for: its URL, or one that holds its data."""
    media, data = text_in(source.get("media_type")), text_in(source.get("data"))
    match text_in(source.get("type")):
        case "base64" if media and data:
            return f"data:{media};base64,{data}"
        case "url":
            return text_in(source.get("url"))
    return None


def _document(block: Block, where: str, losses: Ledger) -> list[Part]:
    source = object_in(block.raw("source")) or {}
    title, context = block.text("title"), block.text("context")
    heading = [text_part(BETWEEN.join(text for text in (title, context) if text))] if title or context else []
    match text_in(source.get("type")):
        case "text":
            return [*heading, text_part(text_in(source.get("data")) or "")]
        case "content":
            return [*heading, *parts_of(blocks_in(source.get("content"), where, losses), where, losses)]
        case "base64" if text_in(source.get("media_type")) == _PDF and (address := _address(source)):
            return [*heading, {"type": "file", "file": {"filename": _file_name(title), "file_data": address}}]
        case "url":
            losses.count("a document is named by its address only, since Chat Completions fetches none", where)
            return [*heading, text_part(f"[A document that could not be passed on: {text_in(source.get('url'))}]")]
    losses.count("a document that does not come with the request is left out", where)
    return [*heading, text_part("[A document that could not be passed on]")]


def _file_name(title: str | None) -> str:
    """Return the name of a PDF file, without which the API refuses it."""
    name = title or "document"
    return name if name.lower().endswith(".pdf") else f"{name}.pdf"


def _search_result(block: Block, where: str, losses: Ledger) -> Part:
    lines = [block.text("title"), block.text("source")]
    parts = parts_of(blocks_in(block.raw("content"), where, losses), where, losses)
    texts = [part["text"] for part in parts if part["type"] == "text"]
    return text_part(BETWEEN.join(["\n".join(line for line in lines if line), *texts]))


def served(block: Block) -> str | None:
    """Return in words what a tool on Anthropic's servers was asked or said, None where there are none or it is no such block."""
    if block.kind in {"server_tool_use", "mcp_tool_use"}:
        server = block.text("server_name")
        of_server = f" of {server}" if server else ""
        return f"[{block.text('name')}{of_server} was called with {as_text(block.raw('input'))}]"
    if block.kind.endswith("_tool_result") or block.kind == "compaction":
        said = "\n".join(_readable(value_in(block.raw("content")), _DEEPEST))
        if not said or block.kind == "compaction":
            return said or None
        return f"[It answered: {said}]" if says_nothing(block.raw("is_error")) else f"[It failed: {said}]"
    return None


def as_text(raw: msgspec.Raw | None) -> str:
    """Return JSON as the text it is written in, an empty object where there is none."""
    return "{}" if raw is None or bytes(raw) == b"null" else bytes(raw).decode("utf-8", "replace")


def _readable(value: Any, deepest: int) -> list[str]:
    """Return the texts in the result of a server tool, without what is base64 or encrypted."""
    if isinstance(value, str):
        return [value] if value else []
    if not deepest:
        return []
    if isinstance(value, list):
        return [text for entry in value for text in _readable(entry, deepest - 1)]
    if isinstance(value, dict) and value.get("type") != "base64":
        return [text for name in _READABLE if name in value for text in _readable(value[name], deepest - 1)]
    return []
