"""Which agent asks: each sign where it stands, and which of two counts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ccproxy.protocol.parts import take_apart
from ccproxy.routing.definition import Definition
from ccproxy.routing.recognition import Agent, Asked, Caller, asked, caller, first_prompt, recognise
from tests.support.wire import needs_wire, requests

REVIEWER = Definition(("code-reviewer",), "You are a careful reviewer.")
TESTER = Definition(("tester",), "You test.")
BILLING = "x-anthropic-billing-header: cc_version=2.1.330.b8b; cc_entrypoint=sdk-cli; cc_is_subagent=true;"
IDENTITY = "You are a Claude agent, built on Anthropic's Claude Agent SDK."


def body(*system: str, first: Any = "Review it", **fields: Any) -> bytes:
    """Return a request body."""
    blocks = [{"type": "text", "text": text} for text in system]
    messages = [{"role": "user", "content": first}, {"role": "assistant", "content": "I do."}]
    return json.dumps({"model": "claude-x", "system": blocks, "messages": messages, **fields}).encode()


def said(*system: str, built_in: str | None = None, prompt: str | None = "Review it") -> Asked:
    """Return what a subagent's body says."""
    return Asked(True, True, "s", "/work", system, prompt, built_in)


WHO = Caller("s", "a1", None)


def test_the_call_that_started_it_decides_first() -> None:
    """A call with the same prompt names the agent, whatever else is there."""
    block = f"{REVIEWER.prompt}\n\nNotes:"
    who = Caller("s", "a1", "Explore")
    assert recognise(who, said(block), ["tester"], [REVIEWER]) == Agent("tester", "spawn")


def test_the_definition_file_decides_where_no_call_was_seen() -> None:
    """The prompt of a file at the beginning of a block names the agent, before the hint header does."""
    who = Caller("s", "a1", "Explore")
    found = recognise(who, said(BILLING, IDENTITY, REVIEWER.prompt + "\n\nNotes:"), [], [TESTER, REVIEWER])
    assert found == Agent("code-reviewer", "definition")


@pytest.mark.parametrize("kind", ["custom", "teammate", "fork"])
def test_the_hint_header_names_built_in_agents_only(kind: str) -> None:
    """What it says of all others is no name."""
    assert recognise(Caller("s", "a1", "Explore"), said(), [], []) == Agent("Explore", "hint_header")
    assert recognise(Caller("s", "a1", kind), said(built_in="Plan"), [], []) is None


def test_known_prompts_name_the_built_in_agents_of_older_clients() -> None:
    """Without any header, the prompt of a built-in agent is a sign."""
    assert recognise(Caller(None, None, None), said(built_in="Explore"), [], []) == Agent("Explore", "system_prompt")


def test_two_agents_with_one_prompt_are_told_apart_by_the_other_signs() -> None:
    """Where two were started with the same words, the file or the header says which one asks; else the last one."""
    started = ["tester", "code-reviewer", "tester"]
    assert recognise(WHO, said(REVIEWER.prompt), started, [REVIEWER]) == Agent("code-reviewer", "definition")
    assert recognise(WHO, said(), started, []) == Agent("code-reviewer", "spawn")
    assert recognise(Caller("s", "a1", "Explore"), said(), ["Explore", "Plan"], []) == Agent("Explore", "hint_header")
    assert recognise(Caller("s", "a1", "Explore"), said(), started, []) == Agent("code-reviewer", "spawn")


def test_nothing_names_nobody() -> None:
    """An agent that nothing gives away has no name."""
    assert recognise(WHO, said("Do something else."), [], [REVIEWER]) is None


HEADERS = [
    (b"x-claude-code-session-id", b"s"),
    (b"x-claude-code-agent-id", b"a1"),
    (b"x-claude-code-agent-type", b"custom"),
]


def test_the_headers_tell_the_main_conversation() -> None:
    """A client that tells its session and no agent is the main conversation; one that tells neither may be anything."""
    assert caller(HEADERS) == Caller("s", "a1", "custom")
    assert not caller(HEADERS).is_surely_main
    assert caller(HEADERS[:1]).is_surely_main
    assert not caller([]).is_surely_main


def test_a_subagents_body_is_read() -> None:
    """Its session, its working directory, its prompts and its first message are found."""
    data = body(BILLING, IDENTITY, f"{REVIEWER.prompt}\n\n# Environment\nWorking directory: /home/ada/app\n")
    found = asked("POST", b"/v1/messages", HEADERS, data)
    assert found.is_subagent
    assert (found.session, found.cwd, found.prompt) == ("s", "/home/ada/app", "Review it")
    assert found.blocks[2].startswith(REVIEWER.prompt)


def test_a_main_conversations_body_is_none() -> None:
    """An older client without an agent's signs is the main conversation."""
    data = body(
        "You are Claude Code, Anthropic's official CLI for Claude.", "You are an interactive CLI tool that helps users"
    )
    assert not asked("POST", b"/v1/messages", [], data).is_subagent


@pytest.mark.parametrize(
    "content", ["Go", [{"type": "text", "text": "<system-reminder>"}, {"type": "text", "text": "Go"}]]
)
def test_the_prompt_is_the_last_text_of_the_first_user_message(content: Any) -> None:
    """Reminders before it, and messages of the system, are not what the agent was asked."""
    messages = [
        {"role": "system", "content": "x"},
        {"role": "user", "content": content},
        {"role": "user", "content": "y"},
    ]
    assert first_prompt(take_apart(json.dumps({"messages": messages}).encode())) == "Go"


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{", b'{"messages":[1,null,{"role":"user","content":[{}]}],"system":[1]}']
)
def test_odd_bodies_are_nobodys(data: bytes) -> None:
    """Nothing raises, and nothing is found."""
    assert asked("POST", b"/v1/messages", [], data).prompt is None


@needs_wire
def test_recorded_subagents_are_recognised_as_such() -> None:
    """Each recorded request with an agent's id is a subagent's, and none of the main conversation is."""
    seen = {True: 0, False: 0}
    for request in requests():
        if request.method == "POST" and "/v1/messages" in request.path and "count_tokens" not in request.path:
            headers = [(name.encode(), value.encode()) for name, value in request.headers]
            found = asked("POST", request.path.partition("?")[0].encode(), headers, request.body)
            expected = caller(headers).agent_id is not None
            if caller(headers).session is not None:
                assert found.is_subagent == expected, request.name
                seen[expected] += 1
            if found.is_subagent:
                assert found.prompt
    assert seen[True] > 5
    assert seen[False] > 20
