"""The stand-in for the API holds what it promises: to plain sockets, to the official SDK, and to the real Claude Code.

No proxy here. What fails in this file is the test harness: no other end-to-end test is to be believed until it passes.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import pytest

from tests.support.claude_code import hint_headers_or_skip, run_claude, run_ts_sdk
from tests.support.claude_script import FINAL_TEXT, SUBAGENT_PROMPT, SUBAGENT_TEXT
from tests.support.standin import (
    Answer,
    Gate,
    StandIn,
    StandInThread,
    Usage,
    claude_script,
    encoded,
    error_answer,
    json_answer,
    message,
    message_answer,
    of_kind,
    stream_answer,
    stream_of,
    text,
    text_stream,
    thinking,
    tool_use,
)

BLOCKS = [
    thinking("First I think."),
    text("Grüße, 世界"),
    tool_use("Bash", {"command": "echo 'hi'"}),
    tool_use("Now", {}),
]


async def test_a_request_is_noted_as_it_came() -> None:
    """Method, target, header lines in their case and order, and body bytes are exactly those that were sent."""
    async with StandIn([Answer(204)]) as up:
        reader, writer = await asyncio.open_connection("127.0.0.1", up.port)
        head = (
            b"POST /v1/messages?beta=true&x=%2F HTTP/1.1\r\nHoSt: a\r\nx-B: 1\r\nX-b:  2 \r\nContent-Length: 3\r\n\r\n"
        )
        writer.write(head + b"\x00{}")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 204 No Content\r\n\r\n"
        writer.close()
        await writer.wait_closed()
    (request,) = up.requests
    assert (request.method, request.target, request.body, request.head) == (
        "POST",
        "/v1/messages?beta=true&x=%2F",
        b"\x00{}",
        head,
    )
    assert request.headers == [(b"HoSt", b"a"), (b"x-B", b"1"), (b"X-b", b"2"), (b"Content-Length", b"3")]
    assert request.header("X-B") == "1"


async def test_a_chunked_request_is_put_together() -> None:
    """A body that comes in chunks is noted without its framing, and the connection serves the next request."""

    async def body() -> AsyncIterator[bytes]:
        yield b"ab"
        yield b"c" * 70_000

    async with StandIn([Answer(200, chunks=[b"1"]), Answer(200, chunks=[b"2"])]) as up, httpx.AsyncClient() as client:
        first = await client.post(up.url, content=body())
        second = await client.get(up.url + "/v1/models")
    assert (first.content, second.content) == (b"1", b"2")
    assert [len(request.body) for request in up.requests] == [70_002, 0]
    assert up.connections == 1


async def test_chunks_come_when_the_gate_opens() -> None:
    """What stands before a gate reaches the client while the gate is shut."""
    gate = Gate()
    async with StandIn([stream_answer([b"one", gate, b"two"])]) as up, httpx.AsyncClient() as client:
        async with client.stream("POST", up.url) as response:
            chunks = response.aiter_raw()
            assert await anext(chunks) == b"one"
            await gate.reached()
            gate.open()
            assert await anext(chunks) == b"two"
    assert [data for _, data in up.requests[0].sent] == [b"one", b"two"]
    assert up.requests[0].outcome == "clean"


@pytest.mark.parametrize("framing", ["chunked", "length"])
@pytest.mark.parametrize("end", ["cut", "reset"])
async def test_an_impolite_end_is_an_error_for_the_client(end: str, framing: str) -> None:
    """A body that is cut short, or reset, is not mistaken for a whole one."""
    gate = Gate()
    answer = Answer(200, chunks=[b"some", gate], end=end, framing=framing, length=100)  # type: ignore[arg-type]
    async with StandIn([answer]) as up, httpx.AsyncClient() as client:
        async with client.stream("GET", up.url) as response:
            chunks = response.aiter_raw()
            assert await anext(chunks) == b"some"
            gate.open()
            with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
                await anext(chunks)
    assert up.requests[0].outcome == end


async def test_no_answer_at_all() -> None:
    """The stand-in can hang up before it has said a word."""
    async with StandIn([Answer(0, end="reset")]) as up, httpx.AsyncClient() as client:
        with pytest.raises(httpx.NetworkError):
            await client.post(up.url)


async def test_a_client_that_leaves_is_noticed() -> None:
    """When the client hangs up in the middle, the outcome says so at once."""
    async with StandIn([stream_answer([b"one"], end="hang")]) as up, httpx.AsyncClient() as client:
        async with client.stream("POST", up.url) as response:
            assert await anext(response.aiter_raw()) == b"one"
        await up.settled()
        assert up.requests[0].outcome == "client_left"


async def test_closing_ends_what_hangs() -> None:
    """A stand-in that is closed leaves no connection behind."""
    async with StandIn([stream_answer([b"one"], end="hang")]) as up:
        reader, writer = await asyncio.open_connection("127.0.0.1", up.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await reader.readuntil(b"one\r\n")
    assert up.requests[0].outcome == "stopped"
    assert up.open_connections == 0
    writer.close()


async def test_a_script_that_fails_fails_the_test() -> None:
    """An error in a script is raised at the end and not lost in a 500."""
    with pytest.raises(AssertionError, match="used up"):
        async with StandIn([]) as up, httpx.AsyncClient() as client:
            assert (await client.get(up.url)).status_code == 500


def test_a_thread_serves_a_test_that_blocks() -> None:
    """In a thread of its own the stand-in answers a client that blocks its caller."""
    with StandInThread([json_answer({"ok": True})]) as up:
        with urllib.request.urlopen(up.url + "/v1/models", timeout=10) as response:
            assert response.read() == b'{"ok": true}'
        up.wait_received(1)
    assert up.requests[0].target == "/v1/models"


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
async def test_a_body_may_be_compressed(coding: str) -> None:
    """Each coding that Claude Code accepts gives back the stream, and gives the first event before the last is made."""
    chunks = text_stream("hello")
    gate = Gate()
    answer = encoded(stream_answer([*chunks[:-1], gate, chunks[-1]]), coding)  # type: ignore[arg-type]
    async with StandIn([answer]) as up, httpx.AsyncClient() as client:
        async with client.stream("POST", up.url) as response:
            received = response.aiter_bytes()
            data = await anext(received)
            gate.open()
            async for more in received:
                data += more
    assert data == b"".join(chunks)


async def test_gzip_needs_no_help() -> None:
    """The compressed bytes are a complete gzip file."""
    answer = encoded(stream_answer([b"one", b"two"]), "gzip")
    assert gzip.decompress(answer.body) == b"onetwo"


@pytest.mark.parametrize("stream", [True, False])
async def test_the_official_sdk_understands_a_message(stream: bool) -> None:
    """The SDK builds from the stream, and from the JSON form, exactly the message that was meant."""
    usage = Usage.numbered(1)
    async with StandIn(lambda request: message_answer(request, BLOCKS, usage=usage)) as up:
        async with anthropic.AsyncAnthropic(api_key="made-up", base_url=up.url) as client:
            asked = {"model": "claude-x", "max_tokens": 99, "messages": [{"role": "user", "content": "hi"}]}
            if stream:
                async with client.messages.stream(**asked) as events:
                    built = await events.get_final_message()
            else:
                built = await client.messages.create(**asked)
    got = built.model_dump(mode="json", exclude_unset=True)
    wanted = message(BLOCKS, usage=usage, model="claude-x")
    del wanted["usage"]
    assert {name: got[name] for name in wanted} == wanted
    assert (built.usage.input_tokens, built.usage.output_tokens) == (usage.input, usage.output)
    assert built.usage.cache_creation_input_tokens == usage.cache_write


async def test_the_official_sdk_understands_an_error() -> None:
    """An error has the status and the type of the API."""
    async with StandIn([error_answer(529, "overloaded_error", "Overloaded")]) as up:
        async with anthropic.AsyncAnthropic(api_key="made-up", base_url=up.url, max_retries=0) as client:
            with pytest.raises(anthropic.APIStatusError) as raised:
                await client.messages.create(model="m", max_tokens=1, messages=[{"role": "user", "content": "hi"}])
    assert raised.value.status_code == 529
    assert raised.value.body["error"]["type"] == "overloaded_error"  # type: ignore[index,call-overload]


def test_a_stream_is_the_same_each_time() -> None:
    """The same message gives the same bytes, so that a test can compare."""
    assert stream_of(message(BLOCKS)) == stream_of(message(BLOCKS))


def usage_of(result: dict[str, Any]) -> Usage:
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


@pytest.mark.client
async def test_claude_code_works_through_a_session(tmp_path: Path) -> None:
    """In a session of 21 turns the real client makes 21 requests, each once, and tells the usage it was given."""
    script = claude_script(turns=21)
    async with StandIn(script) as up:
        result = await run_claude("Do the steps.", up.url, tmp_path)
    turns = of_kind(up.requests, "main")
    assert (len(turns), result["num_turns"], result["result"]) == (21, 21, FINAL_TEXT)
    assert len({request.body for request in turns}) == 21
    assert {request.header("x-claude-code-session-id") for request in turns} == {result["session_id"]}
    assert all(request.json()["stream"] is True and request.outcome == "clean" for request in up.messages)
    assert usage_of(result) == script.total("main")


@pytest.mark.client
async def test_claude_code_runs_a_subagent(tmp_path: Path) -> None:
    """The requests of a subagent, and only they, carry its agent id, which the parent is told with its answer."""
    script = claude_script(turns=3, subagent="general-purpose")
    async with StandIn(script) as up:
        result = await run_claude("Do the steps.", up.url, tmp_path)
    main, agents = of_kind(up.requests, "main"), of_kind(up.requests, "subagent")
    assert (len(main), len(agents), result["num_turns"], result["result"]) == (3, 2, 3, FINAL_TEXT)
    assert usage_of(result) == script.total("main")
    (agent_id,) = {request.header("x-claude-code-agent-id") for request in agents}
    assert {request.header("x-claude-code-session-id") for request in up.messages} == {result["session_id"]}
    assert SUBAGENT_PROMPT in json.dumps(agents[0].json()["messages"][0])
    told = json.dumps(main[1].json()["messages"])
    assert SUBAGENT_TEXT in told
    assert f"agentId: {agent_id}" in told


@pytest.mark.client
async def test_claude_code_says_what_a_request_is(tmp_path: Path) -> None:
    """With the hint headers asked for, the client names the class of each request as the script does."""
    hint_headers_or_skip()
    script = claude_script(turns=2, subagent="general-purpose")
    hints = {"CLAUDE_CODE_GATEWAY_HINT_HEADERS": "1"}
    async with StandIn(script) as up:
        await run_claude("Do the steps.", up.url, tmp_path, hints)
    named = [request.header("x-claude-code-request-class") for request in up.messages]
    assert named == [kind for kind, _ in script.spent] == ["main", "subagent", "subagent", "main"]


@pytest.mark.client
@pytest.mark.parametrize("mode", ["stream", "create"])
async def test_the_typescript_sdk_understands_a_message(tmp_path: Path, mode: str) -> None:
    """The SDK of the other language builds the same message, from the stream and from the JSON form."""
    usage = Usage.numbered(1)
    async with StandIn(lambda request: message_answer(request, BLOCKS, usage=usage)) as up:
        told = await run_ts_sdk(up.url, mode, tmp_path)
    (request,) = up.messages
    assert bool(request.json().get("stream")) == (mode == "stream") == bool(told["events"])
    wanted = message(BLOCKS, usage=usage, model=request.json()["model"])
    wanted["usage"] = {name: told["message"]["usage"][name] for name in wanted["usage"]}
    assert {name: told["message"][name] for name in wanted} == wanted
    assert told["message"]["usage"]["output_tokens"] == usage.output


@pytest.mark.client
async def test_the_typescript_sdk_understands_an_error(tmp_path: Path) -> None:
    """An error reaches the SDK of the other language with the status and the body of the API."""
    async with StandIn([error_answer(529, "overloaded_error", "Overloaded")]) as up:
        told = await run_ts_sdk(up.url, "stream", tmp_path)
    assert told["error"]["status"] == 529
    assert told["error"]["body"]["error"]["type"] == "overloaded_error"
