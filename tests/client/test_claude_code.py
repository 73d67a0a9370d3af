"""The real Claude Code through a running ccproxy: what it sends arrives once, and the store tells what the client tells.

The stand-in plays the provider. What the client's own JSON result says is the measure for what was captured.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from ccproxy.stores.contract import Record
from tests.support.claude_code import (
    CLAUDE_CODE,
    claude_command,
    client_environment,
    hint_headers_or_skip,
    run,
    run_claude,
)
from tests.support.claude_script import FINAL_TEXT, SUBAGENT_TEXT, kind_of, of_kind
from tests.support.command import silent_port
from tests.support.proxy import Proxy
from tests.support.standin import NO_TOKENS, ClaudeScript, StandIn, Usage, claude_script

pytestmark = pytest.mark.client

HINTS = {"CLAUDE_CODE_GATEWAY_HINT_HEADERS": "1"}
MAX_STORE_BYTES = 500_000  # for a session of 61 requests, which are several MB on the wire


def told_usage(result: dict[str, Any]) -> Usage:
    """Return the usage that Claude Code tells for its main conversation."""
    told = result["usage"]
    written = told["cache_creation"]
    return Usage(
        told["input_tokens"],
        told["output_tokens"],
        told["cache_read_input_tokens"],
        written["ephemeral_5m_input_tokens"],
        written["ephemeral_1h_input_tokens"],
    )


def stored_usage(rows: list[Record]) -> Usage:
    """Return the sum of what the store says was spent on these exchanges."""
    names = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens")
    return sum((Usage(*(row[name] for name in names)) for row in rows), NO_TOKENS)


def messages(rows: list[Record]) -> list[Record]:
    """Return the exchanges that asked for a message."""
    return [row for row in rows if row["path"] == "/v1/messages"]


def words(proxy: Proxy, row: Record) -> str:
    """Return what the stored answer of an exchange says last."""
    text: str = proxy.reply(row)["content"][-1]["text"]
    return text


def held_against_the_provider(up: StandIn, proxy: Proxy, rows: list[Record]) -> None:
    """Hold that the store has each request that the provider received, once, whole and byte for byte."""
    calls = [request for request in up.requests if request.path.startswith("/v1/")]
    stored = [row for row in rows if row["path"].startswith("/v1/")]
    assert len(stored) == len(calls)
    assert {row["state"] for row in stored} == {"complete"}
    assert {row["capture_note"] for row in stored} == {None}
    for row, request in zip(stored, calls, strict=True):
        assert proxy.body(row, "request") == request.body
        assert proxy.body(row, "response") == b"".join(data for _, data in request.sent)


async def session(
    up: StandIn, proxy: Proxy, home: Path, hints: bool = True, timeout: float = 60
) -> tuple[dict[str, Any], list[Record]]:
    """Run one prompt through the proxy to its end; return the client's result and the stored exchanges."""
    home.mkdir()
    result = await run_claude("Do the steps.", proxy.url, home, HINTS if hints else None, timeout=timeout)
    rows = await proxy.ended(sum(request.path.startswith("/v1/") for request in up.requests))
    return result, rows


async def test_a_session_of_21_turns(tmp_path: Path) -> None:
    """21 turns are 21 requests for the provider, and their sums, session and last words are those the client tells."""
    script = claude_script(turns=21)
    async with StandIn(script) as up, Proxy(up.url, tmp_path / "proxy") as proxy:
        result, rows = await session(up, proxy, tmp_path / "home")
        turns = [row for row in rows if row["kind"] == "main"]
        assert (len(of_kind(up.requests, "main")), len(turns), result["num_turns"]) == (21, 21, 21)
        assert len(up.messages) == len(messages(rows)) == len(script.spent)
        assert all(request.outcome == "clean" for request in up.messages)
        assert {row["session_id"] for row in messages(rows)} == {result["session_id"]}
        assert stored_usage(turns) == told_usage(result) == script.total("main")
        assert words(proxy, turns[-1]) == result["result"] == FINAL_TEXT
        assert {row["agent_id"] for row in turns} == {None}
        assert {(row["client"], row["client_version"]) for row in messages(rows)} == {
            ("claude-cli", CLAUDE_CODE.version)
        }
        held_against_the_provider(up, proxy, rows)


@pytest.mark.parametrize("hints", [True, False], ids=["hints", "no hints"])
async def test_a_session_with_a_subagent(tmp_path: Path, hints: bool) -> None:
    """The exchanges of a subagent, and only they, carry its agent id, and each exchange says by what sign it is known."""
    if hints:
        hint_headers_or_skip()
    script = claude_script(turns=3, subagent="general-purpose")
    async with StandIn(script) as up, Proxy(up.url, tmp_path / "proxy") as proxy:
        result, rows = await session(up, proxy, tmp_path / "home", hints)
        kinds = [(row["kind"], row["kind_sign"]) for row in messages(rows)]
        signs = ("hint_header", "hint_header") if hints else ("system_prompt", "agent_id")
        main, agent = ("main", signs[0]), ("subagent", signs[1])
        assert kinds == [main, agent, agent, main, main]
        assert [kind for kind, _ in kinds] == [kind_of(request) for request in up.messages]
        agents = [row for row in rows if row["kind"] == "subagent"]
        turns = [row for row in rows if row["kind"] == "main"]
        (agent_id,) = {request.header("x-claude-code-agent-id") for request in of_kind(up.requests, "subagent")}
        assert {row["agent_id"] for row in agents} == {agent_id}
        assert {row["agent_type"] for row in agents} == {"general-purpose"}
        assert {row["agent_id"] for row in turns} == {None}
        assert {row["session_id"] for row in messages(rows)} == {result["session_id"]}
        assert stored_usage(turns) == told_usage(result) == script.total("main")
        assert stored_usage(agents) == script.total("subagent")
        assert (words(proxy, turns[-1]), words(proxy, agents[-1])) == (FINAL_TEXT, SUBAGENT_TEXT)
        held_against_the_provider(up, proxy, rows)


async def test_a_session_that_ccproxy_starts(tmp_path: Path) -> None:
    """`ccproxy run -- claude` captures a session whatever the user's settings say, with hints, and ends as the client does."""
    home = tmp_path / "home"
    (home / ".claude").mkdir(parents=True)
    dead = {"env": {"ANTHROPIC_BASE_URL": "http://127.0.0.1:1"}}
    (home / ".claude" / "settings.json").write_text(json.dumps(dead))
    own = {"env": {**dead["env"], "ANTHROPIC_CUSTOM_HEADERS": "x-own: kept"}}
    (home / "own.json").write_text(json.dumps(own))
    command = claude_command("Do the steps.")
    (home / "claude").symlink_to(command[0])
    command[:1] = [sys.executable, "-m", "ccproxy", "run", "--", str(home / "claude"), "--settings", "own.json"]
    with silent_port() as port:
        async with StandIn(claude_script(turns=3)) as up:
            environ = {"PORT": str(port), "DB_PATH": str(home / "requests.db"), "ANTHROPIC_FORWARD_URL": up.url}
            output = await run(command, client_environment(None, home, environ), home, timeout=60)
    result = json.loads(output)
    rows = messages(Proxy("", home).rows())
    assert (result["result"], len(up.messages), len(rows)) == (FINAL_TEXT, 3, 3)
    assert {(row["state"], row["session_id"]) for row in rows} == {("complete", result["session_id"])}
    assert {request.header("x-own") for request in up.messages} == {"kept"}
    assert stored_usage(rows) == told_usage(result)


async def test_a_long_session_takes_little_room(tmp_path: Path) -> None:
    """61 requests, megabytes on the wire, take at most half a megabyte of store, with each byte of both sides at hand."""
    script: ClaudeScript = claude_script(turns=61)
    async with StandIn(script) as up, Proxy(up.url, tmp_path / "proxy") as proxy:
        _, rows = await session(up, proxy, tmp_path / "home", timeout=120)
        assert len(of_kind(up.requests, "main")) == sum(row["kind"] == "main" for row in rows) == 61
        assert await proxy.stop() == 0
        held_against_the_provider(up, proxy, rows)
    sent = sum(row["request_bytes"] + row["response_bytes"] for row in rows)
    stored = sum(path.stat().st_size for path in (proxy.db, proxy.home / "requests.db-wal") if path.exists())
    sys.stdout.write(f"{len(rows)} exchanges, {sent / 1e6:.2f} MB on the wire, {stored / 1e3:.0f} KB in the store\n")
    assert stored <= MAX_STORE_BYTES


async def test_a_locked_proxy_is_opened_by_a_custom_header(tmp_path: Path) -> None:
    """With auth on and no bypass, Claude Code works by `ANTHROPIC_CUSTOM_HEADERS`; the token goes no further, its own key does."""
    locked = {"AUTH_ENABLED": "true", "AUTH_TOKEN": "let-me-in", "AUTH_ALLOW_LOCALHOST_BYPASS": "false"}
    async with (
        StandIn(claude_script(turns=2)) as up,
        Proxy(up.url, tmp_path / "proxy", environ=locked) as proxy,
    ):
        (tmp_path / "home").mkdir()
        shown = {"ANTHROPIC_CUSTOM_HEADERS": "X-CCProxy-Token: let-me-in"}
        result = await run_claude("Do the steps.", proxy.url, tmp_path / "home", shown)
        assert result["result"] == FINAL_TEXT
        assert up.messages
        for asked in up.messages:
            assert asked.header("x-ccproxy-token") is None
            assert asked.header("x-api-key") or asked.header("authorization")
    for file in (tmp_path / "proxy").rglob("*"):
        assert not file.is_file() or b"let-me-in" not in file.read_bytes(), file
