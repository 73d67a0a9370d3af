"""A Messages request, said as a request of Chat Completions.

Puts together what its neighbours translate: history, tools, effort. What changes nothing in what the model does goes without a word
(`cache_control`, `service_tier`, `diagnostics`); so does `metadata`, which names the client's account and device and is nobody else's
business. Everything else that cannot be said is told as a loss. Refuses to know where the request goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from ccproxy.protocol.members import members_of
from ccproxy.protocol.openai.content import blocks_in
from ccproxy.protocol.openai.dialect import Dialect
from ccproxy.protocol.openai.effort import reasoning_effort
from ccproxy.protocol.openai.history import Turn, chat_messages, system_text, turns_in
from ccproxy.protocol.openai.ledger import Ledger
from ccproxy.protocol.openai.raw import Object, count_in, list_in, object_in, says_nothing, text_in, unsaid, value_in
from ccproxy.protocol.openai.schema import can_be_enforced
from ccproxy.protocol.openai.tools import choice, functions, sent_name

_encode = msgspec.json.Encoder().encode

_TRANSLATED = {
    "model", "messages", "system", "tools", "tool_choice", "max_tokens", "temperature", "top_p", "stop_sequences", "stream",
    "thinking", "output_config", "output_format", "context_management",
}  # fmt: skip
_WITHOUT_A_WORD = {
    "metadata", "cache_control", "service_tier", "diagnostics", "betas", "anthropic_version", "anthropic_beta", "billing_policy",
    "fallback_credit_token", "user_profile_id", "workspace_id", "tags",
}  # fmt: skip
_MOST_STOPS = 4  # "Up to 4 sequences" (OpenAI's reference, `stop`)
_SCHEMA_NAME = "answer"  # Chat Completions wants a name for the schema of an answer, and Messages has none


class UntranslatableError(ValueError):
    """A body that is no Messages request. Its message is one sentence, without the full stop."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A request of Chat Completions. `losses` says what of the Messages request it does not say, one sentence each.

    `stream` is whether the client asked for a stream.
    """

    body: bytes
    losses: tuple[str, ...]
    stream: bool


def to_chat(body: bytes, model: str, dialect: Dialect) -> ChatRequest:
    """Return a Messages request as one of Chat Completions to `model`. Raises UntranslatableError where it is none.

    What is passed on unread (tool input, schemas) keeps its bytes.
    """
    request = _members(body)
    losses = Ledger()
    turns = turns_in(request.get("messages"), losses)
    system = system_text(blocks_in(request.get("system"), "system", losses), "system", losses)
    messages = chat_messages(system, turns, dialect, losses)
    if not any(message["role"] != "system" for message in messages):
        raise UntranslatableError("the messages of the request say nothing")
    offered = functions(request.get("tools"), losses)
    chat: dict[str, Any] = {"model": model, "messages": messages}
    chat |= {"tools": offered} if offered else {}
    chat |= choice(request.get("tool_choice"), offered, dialect, losses)
    chat |= _limits(request, model, dialect, losses)
    chat |= _sampling(request, model, dialect, losses)
    chat |= _output(request, turns, bool(offered), model, dialect, losses)
    stream = bytes(request.get("stream", b"")) == b"true"
    chat |= {"stream": True} if stream else {}
    chat |= {"stream_options": {"include_usage": True}} if stream and dialect.streams_usage else {}
    _tell_unsaid(request, losses)
    return ChatRequest(_encode(chat), losses.sentences(), stream)


def tool_names(body: bytes) -> dict[str, str]:
    """Return the client's own names of the tools that a Messages request offers, by the names as sent.

    Whoever translates the answer puts them back. Empty where the body is no such request.
    """
    tools = list_in((members_of(body) or {}).get("tools")) or []
    names = [text_in(tool.get("name")) for tool in map(object_in, tools) if tool]
    return {sent_name(name): name for name in names if name}


def _members(body: bytes) -> Object:
    try:
        body.decode()
    except UnicodeDecodeError:
        raise UntranslatableError("the body is not UTF-8") from None
    members = members_of(body)
    if members is None:
        raise UntranslatableError("the body is no JSON object")
    if list_in(members.get("messages")) is None:
        raise UntranslatableError("the body has no messages")
    return dict(members)


def _limits(request: Object, model: str, dialect: Dialect, losses: Ledger) -> dict[str, Any]:
    """Return where the answer ends."""
    said: dict[str, Any] = {}
    wanted = count_in(request.get("max_tokens"))
    if wanted is not None:
        most = dialect.most_tokens
        said[dialect.tokens_field] = wanted if most is None else min(wanted, most)
        if said[dialect.tokens_field] < wanted:
            losses.add(f"max_tokens {wanted} lowered to {most}, the most that {model} writes")
    elif "max_tokens" in request:
        losses.add("max_tokens is left out: it is no number")
    stops = [stop for raw in list_in(request.get("stop_sequences")) or [] if (stop := text_in(raw))]
    if stops and not dialect.stops:
        losses.add(f"stop_sequences is left out: {model} takes none")
    elif stops:
        said["stop"] = stops[:_MOST_STOPS]
        if len(stops) > _MOST_STOPS:
            losses.add(
                f"{len(stops) - _MOST_STOPS} of {len(stops)} stop sequences are left out: Chat Completions takes {_MOST_STOPS}"
            )
    return said


def _sampling(request: Object, model: str, dialect: Dialect, losses: Ledger) -> dict[str, Any]:
    said = {}
    for name in ("temperature", "top_p"):
        value = value_in(request.get(name))
        if type(value) not in {int, float}:
            if not says_nothing(request.get(name)):
                losses.add(f"{name} is left out: it is no number")
        elif dialect.samples:
            said[name] = request[name]
        else:
            losses.add(f"{name} is left out: {model} takes none")
    return said


def _output(
    request: Object, turns: list[Turn], tools: bool, model: str, dialect: Dialect, losses: Ledger
) -> dict[str, Any]:
    """Return how hard the model shall think, and what form its answer shall have."""
    config = object_in(request.get("output_config")) or {}
    said: dict[str, Any] = {}
    # An effort in the conversation counts from there on (https://platform.claude.com/docs/en/build-with-claude/effort-per-message).
    asked = [text_in(config.get("effort")), *(turn.effort for turn in turns)]
    effort = next((one for one in reversed(asked) if one), None)
    if thought := reasoning_effort(request.get("thinking"), effort, tools, model, dialect, losses):
        said["reasoning_effort"] = thought
    form = object_in(config.get("format", request.get("output_format"))) or {}
    if object_in(form.get("schema")) is not None:
        said["response_format"] = _response_format(form, losses)
    for name in unsaid(config, {"effort", "format"}):
        losses.add(f"output_config.{name} is left out")
    return said


def _response_format(form: Object, losses: Ledger) -> dict[str, Any]:
    schema: dict[str, Any] = {"name": _SCHEMA_NAME, "schema": form["schema"]}
    if can_be_enforced(value_in(form["schema"])):
        schema["strict"] = True
    else:
        losses.add("the schema of the answer is asked for, not enforced: OpenAI enforces simpler ones only")
    return {"type": "json_schema", "json_schema": schema}


def _tell_unsaid(request: Object, losses: Ledger) -> None:
    """Tell the members of the request that Chat Completions has no place for."""
    for name in unsaid(request, _TRANSLATED | _WITHOUT_A_WORD):
        losses.add(f"{name} is left out: Chat Completions has nothing like it")
    edits = value_in((object_in(request.get("context_management")) or {}).get("edits"))
    for edit in edits if isinstance(edits, list) else []:
        kind = edit.get("type") if isinstance(edit, dict) else None
        # Thinking of other providers is left out anyway.
        if not str(kind).startswith("clear_thinking"):
            losses.add(f"context_management {kind} is left out: Chat Completions has nothing like it")
