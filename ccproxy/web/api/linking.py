"""Who started a subagent: the tool call in the parent's conversation that it answers.

Its first message is the call's prompt; where no call has that prompt, the last free call before it began will have been it.
Refuses to guess further than to the message during which it began.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

SPAWNING_TOOLS = frozenset({"Task", "Agent"})


@dataclass(slots=True)
class Call:
    """A call of a tool that starts agents; `place` is the number of its message, `at` when that was asked for."""

    place: int
    at: int | None
    tool_use_id: str
    prompt: str
    taken: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """Where a subagent belongs: the message, and the call in it where one is known."""

    place: int | None = None
    tool_use_id: str | None = None
    by: str | None = None


def calls(place: int, at: int | None, content: Any) -> Iterator[Call]:
    """Yield the calls in a message's content that start agents."""
    for block in content if isinstance(content, list) else ():
        if not isinstance(block, dict) or block.get("type") != "tool_use" or block.get("name") not in SPAWNING_TOOLS:
            continue
        given = block.get("input")
        prompt = given.get("prompt") if isinstance(given, dict) else None
        yield Call(place, at, str(block.get("id")), prompt.strip() if isinstance(prompt, str) else "")


def texts(content: Any) -> list[str]:
    """Return the texts of a message's content."""
    if isinstance(content, str):
        return [content.strip()]
    blocks = content if isinstance(content, list) else []
    found = [block.get("text") for block in blocks if isinstance(block, dict) and block.get("type") == "text"]
    return [text.strip() for text in found if isinstance(text, str)]


def link(first_texts: Sequence[str], began: int, among: Sequence[Call], moments: Sequence[int | None]) -> Link:
    """Return where a subagent belongs that began then; `moments` are those of the parent's messages."""
    free = [call for call in among if not call.taken and (call.at is None or call.at <= began)]
    same = [call for call in free if call.prompt and call.prompt in first_texts]
    within = [call for call in free if call.prompt and any(call.prompt in text for text in first_texts)]
    for found, by in ((same[:1], "prompt"), (within[:1], "prompt"), (free[-1:], "time")):
        for call in found:
            call.taken = True
            return Link(call.place, call.tool_use_id, by)
    earlier = [place for place, at in enumerate(moments) if at is not None and at <= began]
    return Link(earlier[-1], None, "time") if earlier else Link()
