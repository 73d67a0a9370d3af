"""The words of a delta, or of a whole message: text, reasoning and refusals, in whichever members a provider puts them.

Knows the members of OpenAI, DeepSeek, vLLM, OpenRouter and Mistral. Refuses to know tool calls and in which order words are told
with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ccproxy.protocol.openai.blocks import REASONING, REASONING_CONTENT, TEXT
from ccproxy.protocol.openai.losses import Losses, named

Object = dict[str, Any]

REFUSAL = "refusal"  # the kind of words in which the model refuses; they are told as text

_KNOWN = {
    "role", "content", "refusal", "reasoning_content", "reasoning", "reasoning_details", "tool_calls", "function_call",
}  # fmt: skip


def words(delta: Object, losses: Losses) -> Iterator[tuple[str, str]]:
    """Yield the kind and the text of each piece, reasoning first. What is neither words nor a call is noted as lost, by name."""
    yield from _reasoning(delta, losses)
    yield from _content(delta.get("content"), losses)
    if refusal := _text(delta, "refusal", losses):
        yield REFUSAL, refusal
    for member in sorted(delta.keys() - _KNOWN):
        if says_something(delta[member]):
            losses.note(f"the member {named(member)} of the answer was left out")


def says_something(value: Any) -> bool:
    """Return whether a member has any content: zero, nothing and an object full of nothing have none."""
    return any(value.values()) if isinstance(value, dict) else bool(value)


def _text(delta: Object, member: str, losses: Losses) -> str:
    value = delta.get(member)
    if isinstance(value, str):
        return value
    if says_something(value):
        losses.note(f"the member {named(member)} of the answer was left out: it is no text")
    return ""


def _reasoning(delta: Object, losses: Losses) -> Iterator[tuple[str, str]]:
    """Yield what was thought. Who sends it in two members says the same in both."""
    first, second = _text(delta, "reasoning_content", losses), _text(delta, "reasoning", losses)
    details = _details(delta.get("reasoning_details"), losses)
    if first:
        yield REASONING_CONTENT, first
        if second and second != first:
            losses.note("the member 'reasoning' of the answer was left out: 'reasoning_content' said something else")
    elif second or details:
        yield REASONING, second or details


def _details(details: Any, losses: Losses) -> str:
    """Return the text in OpenRouter's `reasoning_details`; what only the provider can read has no place in a thinking block."""
    texts = []
    for detail in details if isinstance(details, list) else [details] if details else []:
        if not isinstance(detail, dict):
            losses.note("a part of 'reasoning_details' was left out")
            continue
        texts += [text for text in (detail.get("text"), detail.get("summary")) if isinstance(text, str)]
        for member in ("data", "signature"):
            if detail.get(member):
                losses.note(f"the member {named(member)} of 'reasoning_details' was left out")
    return "".join(texts)


def _content(content: Any, losses: Losses) -> Iterator[tuple[str, str]]:
    """Yield the content: text, or a list of parts, as Mistral sends it."""
    if isinstance(content, str):
        if content:
            yield TEXT, content
    elif isinstance(content, list):
        for part in content:
            yield from _part(part, losses)
    elif says_something(content):
        losses.note("content that is neither text nor a list was left out")


def _part(part: Any, losses: Losses) -> Iterator[tuple[str, str]]:
    match part:
        case {"type": "text", "text": str(text)} | str(text):
            if text:
                yield TEXT, text
        case {"type": "thinking", "thinking": thinking}:
            if text := _thought(thinking, losses):
                yield REASONING, text
        case {"type": "refusal", "refusal": str(text)}:
            if text:
                yield REFUSAL, text
        case {"type": kind}:
            losses.note(f"a part of the content of type {named(kind)} was left out")
        case _:
            losses.note("a part of the content was left out: it has no type")


def _thought(thinking: Any, losses: Losses) -> str:
    """Return the text of a part that was thought: a text, or text parts."""
    if isinstance(thinking, str):
        return thinking
    texts = []
    for part in thinking if isinstance(thinking, list) else [thinking]:
        match part:
            case {"text": str(text)} | str(text):
                texts.append(text)
            case _:
                losses.note("a part of the thinking was left out: it is no text")
    return "".join(texts)
