"""The real Claude Code with an agent that another provider answers: it works to the end, and the client never knows.

One stand-in plays Anthropic, one plays a provider of Chat Completions. Each host sees its own credential and no other.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ccproxy.agents.folders import Folders
from ccproxy.routing.recognition import Agent, asked, caller, recognise
from ccproxy.stores.contract import Record
from tests.support.chat_answers import call_chunks, chat_answer, messages_of, text_chunks
from tests.support.claude_code import run_claude
from tests.support.claude_script import FINAL_TEXT, SUBAGENT_PROMPT, of_kind
from tests.support.proxy import Proxy
from tests.support.standin import NO_TOKENS, Answer, Request, StandIn, claude_script
from tests.support.wire import FOLDER, needs_wire

pytestmark = pytest.mark.client

AGENT = "code-reviewer"
PROMPT = "You are a meticulous reviewer of code.\n\n---\n\nRun what you are told to, then report."
DEFINITION = f"---\nname: {AGENT}\ndescription: Reviews code. Use it for: reviews\ntools: Bash\nmodel: inherit\n---\n\n{PROMPT}\n"
REPORT = "The review is done: nothing to complain about."
KEY = "sk-openai-made-up"
CLIENT_KEY = "made-up-key-for-tests"
ROUTING = {"SUBAGENTS_ENABLE": "true", "SUBAGENT_MAPPINGS": f"{AGENT}:gpt-4o", "OPENAI_API_KEY": KEY}


def reviewer(request: Request) -> Answer:
    """Call one tool, then report."""
    if any(one["role"] == "tool" for one in messages_of(request)):
        return chat_answer(text_chunks("The review is done", ": nothing to complain about."))
    return chat_answer(call_chunks("Bash", {"command": "echo reviewed", "description": "Say it"}, "call_review"))


def a_home(tmp_path: Path) -> Path:
    """Make a home and project with the agent's definition."""
    folder = tmp_path / "home" / ".claude" / "agents"
    folder.mkdir(parents=True)
    (folder / f"{AGENT}.md").write_text(DEFINITION)
    return tmp_path / "home"


async def session(up: StandIn, other: StandIn, proxy: Proxy, home: Path) -> tuple[dict[str, Any], list[Record]]:
    """Run one prompt to its end; return the client's result and the stored exchanges."""
    result = await run_claude("Do the steps.", proxy.url, home)
    count = sum(request.path.startswith("/v1/") for request in up.requests) + len(other.requests)
    return result, await proxy.ended(count)


def credentials_stay_apart(up: StandIn, other: StandIn) -> None:
    """Hold that each host saw its own credential only."""
    assert up.messages
    for request in up.requests:
        assert KEY.encode() not in request.head + request.body
    for request in other.requests:
        assert request.header("authorization") == f"Bearer {KEY}"
        assert CLIENT_KEY.encode() not in request.head + request.body
        assert not [
            name for name, _ in request.headers if name.lower().startswith((b"anthropic", b"x-claude", b"x-api"))
        ]


async def test_an_agents_tool_loop_runs_to_its_end(tmp_path: Path) -> None:
    """The agent's turns go to the other provider, the main conversation stays, and all of it is on record."""
    home = a_home(tmp_path)
    script = claude_script(turns=3, subagent=AGENT)
    environ = {**ROUTING, "CLAUDE_CONFIG_DIR": str(home / ".claude")}
    async with StandIn(script) as up, StandIn(reviewer) as other:
        environ["OPENAI_BASE_URL"] = other.url
        async with Proxy(up.url, tmp_path / "proxy", environ=environ) as proxy:
            result, rows = await session(up, other, proxy, home)
    assert result["result"] == FINAL_TEXT
    assert of_kind(up.requests, "subagent") == []
    assert len(of_kind(up.requests, "main")) == 3
    assert [request.target for request in other.requests] == ["/v1/chat/completions"] * 2
    credentials_stay_apart(up, other)
    agents = [row for row in rows if row["provider"] == "openai"]
    assert [(row["agent_name"], row["routed_model"], row["state"]) for row in agents] == [
        (AGENT, "gpt-4o", "complete")
    ] * 2
    assert {(row["kind"], row["agent_sign"]) for row in agents} == {("subagent", "spawn")}
    assert {row["session_id"] for row in rows if row["session_id"]} == {result["session_id"]}
    # The tool ran: its result went to the provider under the call's id, and the report came back to the parent.
    told = messages_of(other.requests[1])
    assert [one["tool_call_id"] for one in told if one["role"] == "tool"] == ["call_review"]
    assert "reviewed" in next(one["content"] for one in told if one["role"] == "tool")
    assert PROMPT.partition("\n")[0] in told[0]["content"]
    assert any(
        one["content"] and SUBAGENT_PROMPT in json.dumps(one["content"]) for one in told if one["role"] == "user"
    )
    report = json.dumps(of_kind(up.requests, "main")[1].json()["messages"])
    assert REPORT in report
    assert proxy.reply(agents[1])["content"] == [{"type": "text", "text": REPORT}]
    assert script.total("subagent") == NO_TOKENS


async def test_the_definition_file_alone_gives_the_agent_away(tmp_path: Path) -> None:
    """What the real client sends for a custom agent leads to its file in the session's project, and to its name."""
    home = a_home(tmp_path)
    async with StandIn(claude_script(turns=2, subagent=AGENT)) as up:
        await run_claude("Do the steps.", up.url, home)
    for request in of_kind(up.requests, "subagent"):
        headers = [(name.lower(), value) for name, value in request.headers]
        said = asked("POST", b"/v1/messages", headers, request.body)
        assert said.is_subagent
        assert said.cwd == str(home)
        assert said.prompt == SUBAGENT_PROMPT
        found = recognise(caller(headers), said, [], Folders([]).definitions(said.cwd))
        assert found == Agent(AGENT, "definition")
    assert of_kind(up.requests, "subagent")


def recorded() -> list[tuple[str, bytes]]:
    """Return recorded streams of Chat Completions that say a text, by the name of their files."""
    names = (
        "pydai__test_complex_agent_run",
        "ollmetry__test_chat_async_streaming__",
        "rubyllm__",
    )
    found = []
    for path in sorted(FOLDER.glob("openai_sse/*.sse")):
        body = path.read_bytes()
        if path.name.startswith(names) and b"chat.completion.chunk" in body and b"tool_calls" not in body:
            found.append((path.name, body))
    return found[:2]


@needs_wire
async def test_recorded_streams_end_the_agents_turn(tmp_path: Path) -> None:
    """What real providers streamed is taken by the real client as the agent's report."""
    home = a_home(tmp_path)
    streams = recorded()
    assert streams
    for number, (name, body) in enumerate(streams):
        async with StandIn(claude_script(turns=2, subagent=AGENT)) as up, StandIn([chat_answer([body])]) as other:
            environ = {**ROUTING, "OPENAI_BASE_URL": other.url}
            async with Proxy(up.url, tmp_path / f"proxy{number}", environ=environ) as proxy:
                result, rows = await session(up, other, proxy, home)
        assert result["result"] == FINAL_TEXT, name
        [row] = [row for row in rows if row["provider"] == "openai"]
        assert (row["state"], row["agent_sign"]) == ("complete", "spawn"), name
        [block] = [block for block in proxy.reply(row)["content"] if block["type"] == "text"]
        handed_back = json.dumps(of_kind(up.requests, "main")[1].json()["messages"])
        for line in block["text"].splitlines():  # the client indents each of them
            assert json.dumps(line)[1:-1] in handed_back, name
