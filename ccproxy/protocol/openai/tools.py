"""The tools of a request, said as functions, and which of them must be called.

Knows that names may be longer at Anthropic, and which tools only Anthropic has. Refuses to know how a call is answered.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from ccproxy.protocol.openai.dialect import Dialect
from ccproxy.protocol.openai.ledger import Ledger
from ccproxy.protocol.openai.raw import Object, object_in, objects_in, says_nothing, text_in, unsaid, value_in
from ccproxy.protocol.openai.schema import can_be_enforced, parameters

Function = dict[str, Any]

# "Must be a-z, A-Z, 0-9, or contain underscores and dashes, with a maximum length of 64" (OpenAI's reference, `function.name`).
_MOST_LETTERS = 64
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_OTHER_LETTER = re.compile(r"[^a-zA-Z0-9_-]")
_DIGEST_BYTES = 5  # ten letters: no accidental collision among the tools of a request

_HARMLESS = {
    "type",
    "name",
    "description",
    "input_schema",
    "strict",
    "defer_loading",
    "cache_control",
    "eager_input_streaming",
}
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def sent_name(name: str) -> str:
    """Return the name under which a tool is sent: its own, or one that OpenAI takes, always the same for the same name."""
    if _NAME.fullmatch(name):
        return name
    digest = hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=_DIGEST_BYTES).hexdigest()
    return f"{_OTHER_LETTER.sub('_', name)[: _MOST_LETTERS - len(digest) - 1]}_{digest}"


def functions(tools: msgspec.Raw | None, losses: Ledger) -> list[Function]:
    """Return the request's member `tools` as functions; those that are not the client's own are told as losses."""
    entries = objects_in(tools)
    if entries is None and not says_nothing(tools):
        losses.add("tools is left out: it is no list")
    found = []
    for number, tool in enumerate(entries or []):
        name = text_in(tool.get("name")) if tool else None
        kind = text_in(tool.get("type")) if tool else None
        if tool is None or (kind in {None, "custom"} and not name):
            losses.count("a tool without a name is left out", f"tools[{number}]")
        elif kind in {None, "custom"}:
            found.append(_function(tool, name or "", losses))
        else:
            losses.add(
                f"tool {name or text_in(tool.get('mcp_server_name')) or ''} ({kind}) is left out: only Anthropic has it"
            )
    return found


def _function(tool: Object, name: str, losses: Ledger) -> Function:
    function: Function = {"name": sent_name(name)}
    if description := text_in(tool.get("description")):
        function["description"] = description
    function["parameters"] = parameters(tool.get("input_schema"))
    if not says_nothing(tool.get("strict")):
        if can_be_enforced(value_in(tool.get("input_schema"))):
            function["strict"] = True
        else:
            losses.add(f"strict of tool {name} is left out: its schema is none that OpenAI enforces")
    if not says_nothing(tool.get("defer_loading")):
        losses.add("tools with defer_loading are offered from the start")
    for member in unsaid(tool, _HARMLESS):
        losses.add(f"the member {member} of tool {name} is left out")
    return {"type": "function", "function": function}


def choice(raw: msgspec.Raw | None, offered: Sequence[Function], dialect: Dialect, losses: Ledger) -> dict[str, Any]:
    """Return the members of a chat request that say which tools are called. `offered` are the functions of the request."""
    asked = object_in(raw)
    if asked is None:
        return {}
    kind, name = text_in(asked.get("type")) or "", text_in(asked.get("name")) or ""
    if not offered:
        if kind in {"any", "tool"}:
            losses.add(f"tool_choice {kind} is left out: no tool is left to call")
        return {}
    said: dict[str, Any] = {}
    if kind in _CHOICES:
        said["tool_choice"] = _CHOICES[kind]
    elif kind == "tool" and sent_name(name) in {function["function"]["name"] for function in offered}:
        said["tool_choice"] = {"type": "function", "function": {"name": sent_name(name)}}
    else:
        losses.add(f"tool_choice {kind} {name}".rstrip() + " is left out: it names no tool of the request")
    if not says_nothing(asked.get("disable_parallel_tool_use")):
        if dialect.parallel:
            said["parallel_tool_calls"] = False
        else:
            losses.add("disable_parallel_tool_use is left out: the model does not take parallel_tool_calls")
    return said
