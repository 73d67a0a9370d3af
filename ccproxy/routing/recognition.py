"""Which subagent asks: what a request says of it, and which sign decides.

Knows the signs and their order: the call that started the agent, the agent's definition file, the hint header's agent type, the
prompts of the built-in agents. Refuses to look for any of them: they come as arguments.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from ccproxy.protocol.anatomy import read_anatomy
from ccproxy.protocol.parts import RequestParts, json_value, take_apart
from ccproxy.routing.definition import Definition, defined
from ccproxy.wire import Header

SPAWN, DEFINITION, HINT, PROMPT = "spawn", "definition", "hint_header", "system_prompt"
_SESSION, _AGENT, _TYPE = b"x-claude-code-session-id", b"x-claude-code-agent-id", b"x-claude-code-agent-type"
_NO_NAMES = frozenset({"custom", "teammate", "fork"})  # what the hint header calls agents whose names it does not tell


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent that was recognised: its name, and the sign that decided."""

    name: str
    sign: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, by the headers. A client that tells a session there would tell an agent's id as well."""

    session: str | None
    agent_id: str | None
    agent_type: str | None

    @property
    def is_surely_main(self) -> bool:
        """Whether this is no subagent, without a look at the body."""
        return self.session is not None and self.agent_id is None


@dataclass(frozen=True, slots=True)
class Asked:
    """What the body of a request says: its session, its working directory, its prompts and its first message.

    `is_conversation` tells a subagent's own turns from what else is asked under its id.
    """

    is_subagent: bool
    is_conversation: bool
    session: str | None
    cwd: str | None
    blocks: tuple[str, ...]
    prompt: str | None
    built_in: str | None


def caller(headers: Sequence[Header]) -> Caller:
    """Return who asks, by the request's headers."""
    given = {name.lower(): value.decode("latin-1") for name, value in reversed(headers) if value}
    return Caller(given.get(_SESSION), given.get(_AGENT), given.get(_TYPE))


def asked(method: str, path: bytes, headers: Sequence[Header], body: bytes) -> Asked:
    """Return what a request says of who asks. `body` is decoded."""
    parts = take_apart(body)
    shown = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in headers]
    said = read_anatomy(method, path.decode("latin-1"), shown, parts)
    blocks = tuple(_text(json_value(block)) for block in parts.system)
    return Asked(
        said.is_subagent,
        said.kind == "subagent",
        said.session_id,
        said.cwd,
        blocks,
        first_prompt(parts),
        said.agent_type,
    )


def first_prompt(parts: RequestParts) -> str | None:
    """Return the last text of the first message of the user, which is what an agent was started with."""
    for raw in parts.messages:
        message = json_value(raw)
        if isinstance(message, dict) and message.get("role") == "user":
            content = message.get("content")
            texts = [content] if isinstance(content, str) else [_text(block) for block in _blocks(content)]
            return next((text for text in reversed(texts) if text), None)
    return None


def recognise(who: Caller, said: Asked, started: Collection[str], definitions: Sequence[Definition]) -> Agent | None:
    """Return which agent asks.

    `started` are the names under which agents were started with this request's prompt in its session; where there are several,
    the other signs say which of them it is, else the last one counts. Of equal `definitions` the first counts.
    """
    names = list(dict.fromkeys(started))
    if len(names) == 1:
        return Agent(names[0], SPAWN)
    found = _by_file(said, definitions, names) or _by_type(who, said)
    if found and (not names or found.name in names):
        return found
    return Agent(names[-1], SPAWN) if names else None


def _by_file(said: Asked, definitions: Sequence[Definition], among: Sequence[str]) -> Agent | None:
    known = [one for one in definitions if not among or set(one.names) & set(among)]
    found = defined(said.blocks, known)
    if found is None:
        return None
    return Agent(next((name for name in found.names if name in among), found.names[0]), DEFINITION)


def _by_type(who: Caller, said: Asked) -> Agent | None:
    if who.agent_type and who.agent_type not in _NO_NAMES:
        return Agent(who.agent_type, HINT)
    return Agent(said.built_in, PROMPT) if said.built_in and not who.agent_type else None


def _text(block: Any) -> str:
    text = block.get("text") if isinstance(block, dict) else block
    return text if isinstance(text, str) else ""


def _blocks(content: Any) -> list[Any]:
    return content if isinstance(content, list) else []
