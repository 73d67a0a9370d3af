"""A session in which agents are answered by others, as the store has it: the columns and bodies that routing leaves, by hand.

SESSION, all of it asked of claude-opus-4-5
    main   101 starts five agents, 109 has their reports and ends; neither is routed
    a1     102 and 103, code-reviewer by the call that started it: OpenAI's gpt-4o, translated, with two losses
    a2     104, data-analyst by its definition: a model at OpenRouter, translated
    a3     105, tidier by the hint header: another model of the same provider; only the model's name changed
    a4     106 and 107, private-helper by its system prompt: a model on this machine, which no price list knows; 107 fails
    a5     108, Explore: recognised, and not routed

Exchange n begins n minutes after T0. Made past ingest's translation, which has tests of its own. Refuses to know what pages and
measures make of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ccproxy.ingest.memory import Memory
from ccproxy.records import Body, Captured, Entry, Sending
from ccproxy.stores import compression
from ccproxy.stores.contract import Store
from tests.support.entries import entry_of, exchange_id
from tests.support.handmade import agent_hint, answer, asked, assistant, call, main_hint, result, text, user

Json = dict[str, Any]
SESSION = "5e551011-0000-4000-8000-000000000009"
ASKED_FOR = "claude-opus-4-5"
OPENAI = "https://api.openai.com/v1/chat/completions"
OPENROUTER = "https://openrouter.ai/api/v1/chat/completions"
OLLAMA = "http://127.0.0.1:11434/v1/chat/completions"
LOSSES = ("top_k cannot be said: it was left out", "the tool web_search runs at Anthropic: it was left out <b>")
AGENTS = ("code-reviewer", "data-analyst", "tidier", "private-helper", "Explore")


@dataclass(frozen=True, slots=True)
class Route:
    """Where an exchange went, and what the provider called its model. `chat`: translated into Chat Completions."""

    agent: str
    sign: str
    provider: str = "anthropic"
    model: str = ASKED_FOR
    answered: str = ASKED_FOR
    endpoint: str | None = None
    losses: Sequence[str] = ()
    chat: bool = False


REVIEWER = Route("code-reviewer", "spawn", "openai", "gpt-4o", "gpt-4o-2024-08-06", OPENAI, LOSSES, chat=True)
ANALYST = Route(
    "data-analyst", "definition", "openrouter", "openai/gpt-4o", "openai/gpt-4o-2024-08-06", OPENROUTER, chat=True
)
TIDIER = Route("tidier", "hint_header", model="claude-haiku-4-5", answered="claude-haiku-4-5-20251001")
HELPER = Route("private-helper", "system_prompt", "ollama", "llama3.2", "llama3.2:latest", OLLAMA, chat=True)
EXPLORER = Route("Explore", "spawn")


@dataclass(frozen=True, slots=True)
class Exchange:
    """An exchange as the client had it, where it went, and the text of the answer."""

    captured: Captured
    route: Route | None = None
    said: str = ""
    sent: bytes = field(default=b"")
    raw: bytes = field(default=b"")


def exchanges() -> list[Exchange]:
    """Return all of them, in order."""
    prompts = [f"Work as {agent}." for agent in AGENTS]
    first = [user(text("Have it looked at"))]
    spawning = assistant(
        *(
            call("Agent", 20 + n, subagent_type=agent, prompt=prompt)
            for n, (agent, prompt) in enumerate(zip(AGENTS, prompts, strict=True))
        )
    )
    last = [*first, spawning, user(*(result(20 + n, f"Report {n}.\nagentId: a{n + 1}") for n in range(5)))]
    read = assistant(call("Read", 30, file_path="importer.py"))
    begun = [[user(text(prompt))] for prompt in prompts]
    second = [*begun[0], read, user(result(30, "x = 1"))]
    return [
        Exchange(_asked(101, first, answer(101, *spawning["content"], written=1000), *main_hint())),
        _of(102, REVIEWER, begun[0], "", answer(102, *read["content"], fresh=1000, written=0, output=200)),
        _of(103, REVIEWER, second, "It <b>is</b> fine.", read=1000, fresh=500, output=300),
        _of(104, ANALYST, begun[1], "Numbers go up.", fresh=4000, output=100),
        _of(105, TIDIER, begun[2], "Tidied.", fresh=2000, output=400),
        _of(106, HELPER, begun[3], "Helped, at home.", fresh=600, output=50),
        _of(107, HELPER, begun[3], "", [b'{"type":"error","error":{"type":"api_error","message":"no"}}'], status=500),
        _of(108, EXPLORER, begun[4], "Explored.", fresh=100, output=10),
        Exchange(_asked(109, last, answer(109, text("All is well."), read=1000, written=300), *main_hint())),
    ]  # fmt: skip


def _asked(number: int, messages: list[Json], said: list[bytes], *hints: tuple[str, str], **more: Any) -> Captured:
    return asked(number, messages, said, *hints, session=SESSION, body={"model": ASKED_FOR}, **more)


def _of(
    number: int,
    route: Route,
    messages: list[Json],
    said: str,
    events: list[bytes] | None = None,
    status: int = 200,
    **usage: int,
) -> Exchange:
    agent = f"a{AGENTS.index(route.agent) + 1}"
    more: Json = {"status": status}
    if status != 200:
        more["response_headers"] = [("content-type", "application/json")]
    hints = agent_hint(agent, "custom" if route.sign != "hint_header" else route.agent)
    found = _asked(number, messages, events or answer(number, text(said), **{"written": 0, **usage}), *hints, **more)
    if not route.chat:
        return Exchange(found, route, said)
    chat = {"model": route.model, "messages": [{"role": "user", "content": messages[0]["content"]}], "stream": True}
    failed = _encode({"error": {"message": "the model ran out of memory", "type": "server_error"}})
    return Exchange(found, route, said, _encode(chat), b"".join(_chat(route, said)) if status == 200 else failed)


def _chat(route: Route, said: str) -> Iterator[bytes]:
    """Yield the events that such a provider sends."""
    for delta in ({"role": "assistant", "content": ""}, *({"content": word} for word in said.split())):
        piece = {"object": "chat.completion.chunk", "model": route.answered, "choices": [{"index": 0, "delta": delta}]}
        yield b"data: %s\n\n" % _encode(piece)
    yield b"data: [DONE]\n\n"


def _encode(value: Json) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def entry(exchange: Exchange, memory: Memory) -> Entry:
    """Return what the store is given of an exchange."""
    found, route = entry_of(replace(exchange.captured, sending=Sending(), sent_body=b""), memory), exchange.route
    found.columns["response_model"] = found.columns.get("response_model") and ASKED_FOR
    if route is None:
        return found
    found.columns |= {
        "provider": route.provider, "routed_model": route.model, "endpoint": route.endpoint, "agent_name": route.agent,
        "response_model": found.columns["response_model"] and route.answered, "agent_sign": route.sign,
        "losses": json.dumps(route.losses) if route.losses else None,
    }  # fmt: skip
    if route.chat:
        request, _ = found.bodies
        sent = compression.patch(exchange.sent, exchange.captured.request)
        found.bodies = [request, Body("sent", "request", sent, len(exchange.sent)), _answered(found, exchange.raw)]
        found.columns["response_bytes"] = len(exchange.raw)
    return found


def _answered(found: Entry, raw: bytes) -> Body:
    """Return the provider's bytes as they are stored: against the message that they came to, where there is one."""
    if found.columns.get("reply") is None:
        return Body("response", *compression.compress(raw), len(raw))
    return Body("response", "reply", compression.patch(raw, found.parts[-1].text), len(raw))


def fill(store: Store, found: Sequence[Exchange] | None = None) -> list[Entry]:
    """Put exchanges into a store, all of them where none are named; return their entries."""
    memory = Memory(store.part)
    entries = [entry(exchange, memory) for exchange in (exchanges() if found is None else found)]
    for one in entries:
        store.write([one], [])
    return entries


def by_number() -> dict[int, Exchange]:
    """Return all of them by their numbers."""
    return dict(zip(range(101, 110), exchanges(), strict=True))


def id_of(number: int) -> str:
    """Return the id of an exchange."""
    return exchange_id(number)
