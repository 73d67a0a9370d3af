"""A small capture whose every figure can be worked out by hand: three sessions, agents, tools, a title, errors.

SESSION
    main    1 asks, 2 has the result of Bash and starts two agents, 8 has their reports and ends; 10 is refused with an error;
            12 summarises
    a1      3 and 4: Read, then a report that the result names by its agent id
    a2      5: a report; its call is known by the prompt alone; it starts a3
    a3      6: below a2, by the header of its parent
    beside  7 names the session, 9 counts tokens
OTHER, a session without hints
    main    11 says hello and leaves; 13 is all that is odd: NASTY text, an image, the second try, a search on the server, a call of
            an MCP tool and one of an agent; 14 fails; 16 has the result of the MCP tool, and is still running
    agent   15 has no id: it is known by its first message, which is the prompt of the call in 13
NEXT, a session of the next day
    main    2000 is answered with nothing

Exchange n begins n minutes after T0; its request takes 1 ms, its head 100 ms, and then an event every 10 ms. An answer of blocks
has a start and two ends beside three events a block; the first piece of content is the third event.
"""

from __future__ import annotations

from typing import Any

from ccproxy.records import Attempt, Captured, Ending, State
from tests.support.entries import captured, event, exchange_id

Json = dict[str, Any]
SESSION, OTHER, NEXT = (f"5e551011-0000-4000-8000-{number:012}" for number in (1, 2, 3))
MODEL = "claude-opus-5-5"
BILLING = {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.330.abc; cc_entrypoint=cli;"}
SYSTEM = [BILLING, {"type": "text", "text": "You are Claude Code. Working directory: /home/me/importer"}]
TOOLS = [
    {"name": name, "description": f"{name} it", "input_schema": {"type": "object"}}
    for name in ("Bash", "Read", "Agent")
]
PROMPT = "Read the importer and report."
NESTED = "Look once more."
ALONE = "Work alone."
SUMMARY = "Your task is to create a detailed summary of the conversation."
NASTY = "naïve NUL\0 half\ud83d 👩‍👩‍👧 'quoted' \x1b[31m <b>&amp;"
SHOWN = NASTY.replace("\ud83d", "\ufffd")  # half a character is no text in UTF-8
MCP = "mcp__git_hub__find"
SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "flaky"}}
FOUND = {
    "type": "web_search_tool_result",
    "tool_use_id": "srvtoolu_1",
    "content": [{"type": "text", "text": "nothing"}],
}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}


def text(words: str) -> Json:
    """Return a text block."""
    return {"type": "text", "text": words}


def call(name: str, number: int, **given: Any) -> Json:
    """Return a tool call."""
    return {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": given}


def result(number: int, words: str, **more: Any) -> Json:
    """Return the result of a tool call."""
    return {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": words, **more}


def user(*blocks: Json) -> Json:
    """Return a message of the user."""
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Json) -> Json:
    """Return a message of the model, as the client sends it back."""
    return {"role": "assistant", "content": list(blocks)}


def answer(
    number: int,
    *blocks: Json,
    written: int = 100,
    read: int = 0,
    fresh: int = 10,
    output: int = 20,
    hour: int = 0,
    searches: int = 0,
    stop: str | None = None,
) -> list[bytes]:
    """Return the events of an answer with this usage; `hour` of what is written is for an hour, `stop` is what it stopped at."""
    usage = {
        "input_tokens": fresh, "output_tokens": 1, "cache_read_input_tokens": read, "cache_creation_input_tokens": written,
        "cache_creation": {"ephemeral_5m_input_tokens": written - hour, "ephemeral_1h_input_tokens": hour},
        **({"server_tool_use": {"web_search_requests": searches}} if searches else {}),
    }  # fmt: skip
    start = {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [],
        "usage": usage,
    }
    events = [event("message_start", message=start)]
    for index, block in enumerate(blocks):
        opened, delta = _opened(block)
        events.append(event("content_block_start", index=index, content_block=opened))
        events.append(event("content_block_delta", index=index, delta=delta) if delta else event("ping"))
        events.append(event("content_block_stop", index=index))
    reason = "tool_use" if any(block["type"] == "tool_use" for block in blocks) else "end_turn"
    ending = {"stop_reason": "stop_sequence" if stop else reason, "stop_sequence": stop}
    events.append(event("message_delta", delta=ending, usage={"output_tokens": output}))
    return [*events, event("message_stop")]


def _opened(block: Json) -> tuple[Json, Json | None]:
    """Return a block as it is opened, and the delta that fills it."""
    if block["type"] == "text":
        return {**block, "text": ""}, {"type": "text_delta", "text": block["text"]}
    if "input" in block:
        return {**block, "input": {}}, {"type": "input_json_delta", "partial_json": _json(block["input"])}
    return block, None


def _json(value: Json) -> str:
    return "{" + ",".join(f'"{name}":"{given}"' for name, given in value.items()) + "}"


def asked(
    number: int,
    messages: list[Json],
    said: list[bytes] | None,
    *hints: tuple[str, str],
    session: str = SESSION,
    **more: Any,
) -> Captured:
    """Return an exchange of Claude Code."""
    body = {"model": MODEL, "max_tokens": 32000, "system": SYSTEM, "tools": TOOLS, "messages": messages, "stream": True}
    headers = [
        ("content-type", "application/json"), ("user-agent", "claude-cli/2.1.330 (external, cli)"),
        ("x-claude-code-session-id", session), *hints,
    ]  # fmt: skip
    return captured(number, body | more.pop("body", {}), said, query="beta=true", request_headers=headers, **more)


def main_hint(**more: str) -> list[tuple[str, str]]:
    """Return the hints of the main conversation."""
    return [
        ("x-claude-code-request-class", "main"),
        *((f"x-claude-code-{name.replace('_', '-')}", value) for name, value in more.items()),
    ]


def agent_hint(agent: str, kind: str, parent: str | None = None) -> list[tuple[str, str]]:
    """Return the hints of a subagent."""
    above = [("x-claude-code-parent-agent-id", parent)] if parent else []
    return [
        ("x-claude-code-request-class", "subagent"),
        ("x-claude-code-agent-id", agent),
        ("x-claude-code-agent-type", kind),
        *above,
    ]


def exchanges() -> list[Captured]:
    """Return all of them, in order."""
    return [*_session(), *_other(), asked(2000, [user(text("Good morning"))], answer(2000, written=0), session=NEXT)]


def _session() -> list[Captured]:
    first = [user(text("<system-reminder>\nBe brief.\n</system-reminder>"), text("Fix the flaky importer test"))]
    bash = assistant(text("I look."), call("Bash", 1, command="pytest -x"))
    second = [*first, bash, user(result(1, "1 failed", is_error=True))]
    agents = assistant(
        call("Agent", 2, subagent_type="Explore", prompt=PROMPT),
        call("Agent", 3, subagent_type="reviewer", prompt="Review it."),
    )
    last = [*second, agents, user(result(2, "All read.\nagentId: a1"), result(3, "Fine."))]
    read = assistant(call("Read", 4, file_path="importer.py"))
    nested = assistant(call("Agent", 5, subagent_type="Explore", prompt=NESTED))
    explore, review = agent_hint("a1", "Explore"), agent_hint("a2", "custom")
    return [
        asked(1, first, answer(1, *bash["content"], written=1000), *main_hint()),
        asked(2, second, answer(2, *agents["content"], read=1000, written=200), *main_hint(prev_tool_durations="Bash=742")),
        asked(3, [user(text(PROMPT))], answer(3, *read["content"], written=500), *explore),
        asked(4, [user(text(PROMPT)), read, user(result(4, "x = 1"))], answer(4, text("All read."), read=500, written=50), *explore),
        asked(5, [user(text("Review it."))], answer(5, *nested["content"], written=400), *review),
        asked(6, [user(text(NESTED))], answer(6, text("Seen."), written=300, hour=300), *agent_hint("a3", "Explore", "a2")),
        asked(
            7, [user(text("Fix the flaky importer test"))], answer(7, text('{"title": "Flaky importer test"}'), written=0),
            ("x-claude-code-request-class", "auxiliary"),
            body={"tools": [], "output_config": {"format": {"type": "json_schema", "schema": {"properties": {"title": {}}}}},
                  "system": [text("You are naming a coding session.")]},
        ),
        asked(8, last, answer(8, text("Mended."), read=1200, written=300), *main_hint(prev_tool_durations="Agent=120000")),
        captured(9, {"model": MODEL, "messages": first}, [b'{"input_tokens": 77}'], path="/v1/messages/count_tokens",
                 request_headers=[("content-type", "application/json"), ("x-claude-code-session-id", SESSION)],
                 response_headers=[("content-type", "application/json")]),
        asked(10, last, [b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'], *main_hint(), status=529,
              response_headers=[("content-type", "application/json")]),
        asked(12, [*last, assistant(text("Mended.")), user(text(SUMMARY))], answer(12, text("It was flaky."), read=1500, written=0),
              *main_hint(compaction="auto")),
    ]  # fmt: skip


def _other() -> list[Captured]:
    hello = [user(text("Hello there"))]
    odd = [*hello, assistant(text("Hi.")), user(text(NASTY), IMAGE)]
    calls = [SEARCH, FOUND, call(MCP, 6, words="flaky"), call("Agent", 7, prompt=ALONE)]
    second_try = [("x-stainless-retry-count", "1"), ("x-claude-code-prompt-id", "prompt-1")]
    strange: Json = {
        "output_config": {"effort": "high"}, "thinking": {"type": "adaptive"},
        "metadata": {"user_id": '{"device_id": "device-1", "account_uuid": "account-1", "session_id": "s"}'},
    }  # fmt: skip
    tried = asked(
        13,
        odd,
        answer(13, *calls, fresh=60, written=0, searches=2, stop="###"),
        *second_try,
        session=OTHER,
        body=strange,
    )
    tried.attempts = [Attempt("connect", "Connection refused", wait_ms=500.0)]
    tried.damaged = True
    failed = asked(14, hello, None, session=OTHER)
    failed.ended_at = failed.opened_at + 5_000_000
    failed.ending = Ending(State.FAILED, error="the provider cannot be reached", error_kind="connect")
    return [
        asked(11, hello, answer(11, text("Hi."), written=0, fresh=50), session=OTHER, state=State.CLIENT_LEFT),
        tried,
        failed,
        asked(15, [user(text(ALONE))], answer(15, text("Done."), written=0), ("x-claude-code-request-class", "subagent"), session=OTHER),
        asked(
            16, [*odd, assistant(*calls), user(result(6, "found"))], None,
            ("x-claude-code-prev-tool-durations", f"{MCP}=12.5;Agent=7"), session=OTHER,
        ),
    ]  # fmt: skip


def ids(*numbers: int) -> list[str]:
    """Return exchange ids."""
    return [exchange_id(number) for number in numbers]
