"""What other providers streamed, through a running ccproxy, is taken by Anthropic's official SDKs for Anthropic's own.

A stand-in replays each recorded stream of Chat Completions; what OpenAI's official SDK reads from the same bytes is the measure.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anthropic
import pytest

from tests.support.both_sdks import Read, by_openai
from tests.support.chat_answers import chat_answer
from tests.support.claude_code import run_ts_streams
from tests.support.proxy import Proxy
from tests.support.standin import StandIn
from tests.support.wire import FOLDER, needs_wire

AGENT = {"x-claude-code-session-id": "s", "x-claude-code-agent-id": "a1", "x-claude-code-agent-type": "Explore"}
ROUTING = {"SUBAGENTS_ENABLE": "true", "SUBAGENT_MAPPINGS": "Explore:gpt-4o", "OPENAI_API_KEY": "sk-made-up"}


def recorded() -> list[tuple[str, bytes]]:
    """Return every recorded stream of Chat Completions that came as bytes, by the name of its file."""
    entries: list[dict[str, Any]] = json.loads((FOLDER / "index.json").read_text())
    files = sorted(entry["file"] for entry in entries if entry["kind"] == "openai_chat_sse")
    return [(file, (FOLDER / file).read_bytes()) for file in files]


def agrees(name: str, message: dict[str, Any], theirs: Read) -> None:
    """Hold that a message says what the provider said."""
    content: list[Any] = message["content"]
    assert "".join(block["text"] for block in content if block["type"] == "text") == theirs.text + theirs.refusal, name
    assert "".join(block["thinking"] for block in content if block["type"] == "thinking") == theirs.reasoning, name
    calls = [(block["id"], block["name"], block["input"]) for block in content if block["type"] == "tool_use"]
    assert calls == theirs.calls, name
    assert (message["stop_reason"] == "tool_use") == bool(theirs.calls), name
    if theirs.usage is not None:
        counted = message["usage"]["input_tokens"] + message["usage"]["cache_read_input_tokens"]
        assert counted == theirs.usage["prompt_tokens"], name


@needs_wire
async def test_the_python_sdk_takes_every_recorded_stream(tmp_path: Path) -> None:
    """Text, reasoning, calls and counts are those of the provider, stream after stream, and each row has its answer."""
    streams = recorded()
    other = StandIn([chat_answer([body]) for _, body in streams])
    async with StandIn([]) as up, other:
        environ = {**ROUTING, "OPENAI_BASE_URL": other.url}
        async with (
            Proxy(up.url, tmp_path, environ=environ) as proxy,
            anthropic.AsyncAnthropic(
                api_key="made-up", base_url=proxy.url, max_retries=0, default_headers=AGENT
            ) as client,
        ):
            for name, body in streams:
                theirs = by_openai(body)
                asked = client.messages.stream(
                    model="claude-x", max_tokens=1000, messages=[{"role": "user", "content": "?"}]
                )
                if theirs.error is not None:
                    with pytest.raises(anthropic.APIStatusError):
                        async with asked as stream:
                            await stream.get_final_message()
                    continue
                async with asked as stream:
                    message = (await stream.get_final_message()).to_dict()
                agrees(name, message, theirs)  # type: ignore[arg-type]
            rows = await proxy.ended(len(streams))
            for (name, body), row in zip(streams, rows, strict=True):
                assert proxy.body(row, "response") == body, name
                assert (row["state"], row["provider"]) == ("complete", "openai"), name


@needs_wire
@pytest.mark.client
async def test_the_typescript_sdk_takes_every_recorded_stream(tmp_path: Path) -> None:
    """The SDK of the other language reads the same."""
    streams = recorded()
    other = StandIn([chat_answer([body]) for _, body in streams])
    async with StandIn([]) as up, other:
        environ = {**ROUTING, "OPENAI_BASE_URL": other.url}
        async with Proxy(up.url, tmp_path, environ=environ) as proxy:
            told = await run_ts_streams(proxy.url, len(streams), tmp_path)
    for (name, body), answer in zip(streams, told, strict=True):
        theirs = by_openai(body)
        if theirs.error is not None:
            assert "error" in answer, name
        else:
            agrees(name, answer["message"], theirs)
