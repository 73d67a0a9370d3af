"""The official SDKs through a running ccproxy: they build and raise exactly what they do without it.

Each call is made twice, directly and through the proxy, against the same script of the stand-in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anthropic
import pytest

from tests.support.claude_code import run_ts_sdk
from tests.support.proxy import Proxy
from tests.support.standin import (
    Answer,
    Request,
    StandIn,
    Usage,
    error_answer,
    error_event,
    json_answer,
    message,
    message_answer,
    redacted_thinking,
    stream_answer,
    stream_of,
    text,
    thinking,
    tool_use,
)

BLOCKS = [
    thinking("First I think. Then 東京."),
    redacted_thinking(),
    text("Grüße, 世界 🎉"),
    tool_use("weather", {"place": "東京", "days": [1, 2]}, "toolu_1"),
    tool_use("now", {}, "toolu_2"),
]
ASKED: dict[str, Any] = {
    "model": "claude-x",
    "max_tokens": 4096,
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "tools": [{"name": "weather", "description": "Tells the weather.", "input_schema": {"type": "object"}}],
    "messages": [{"role": "user", "content": "What is the weather in 東京?"}],
}
ERRORS = {
    400: ("invalid_request_error", anthropic.BadRequestError),
    401: ("authentication_error", anthropic.AuthenticationError),
    404: ("not_found_error", anthropic.NotFoundError),
    429: ("rate_limit_error", anthropic.RateLimitError),
    500: ("api_error", anthropic.InternalServerError),
    529: ("overloaded_error", anthropic.InternalServerError),
}

Call = Callable[[str], Awaitable[Any]]


def answer(request: Request) -> Answer:
    """Answer with every kind of block, in the form that was asked for."""
    return message_answer(request, BLOCKS, usage=Usage.numbered(1))


def plain(value: Any) -> Any:
    """Return what an SDK object says as plain values."""
    return value.model_dump(mode="json", exclude_unset=True)


def sync_client(url: str) -> anthropic.Anthropic:
    """Return the client that blocks."""
    return anthropic.Anthropic(api_key="made-up", base_url=url, max_retries=0)


async def sync_create(url: str) -> Any:
    """Ask with the blocking client, for JSON."""

    def call() -> Any:
        with sync_client(url) as client:
            built = client.messages.create(**ASKED)
            return plain(built), built._request_id

    return await asyncio.to_thread(call)


async def sync_stream(url: str) -> Any:
    """Ask with the blocking client, for a stream."""

    def call() -> Any:
        with sync_client(url) as client, client.messages.stream(**ASKED) as stream:
            events = [event.type for event in stream]
            return plain(stream.get_final_message()), events, stream.request_id

    return await asyncio.to_thread(call)


def async_client(url: str) -> anthropic.AsyncAnthropic:
    """Return the client of coroutines."""
    return anthropic.AsyncAnthropic(api_key="made-up", base_url=url, max_retries=0)


async def async_create(url: str) -> Any:
    """Ask with the client of coroutines, for JSON."""
    async with async_client(url) as client:
        built = await client.messages.create(**ASKED)
        return plain(built), built._request_id


async def async_stream(url: str) -> Any:
    """Ask with the client of coroutines, for a stream."""
    async with async_client(url) as client, client.messages.stream(**ASKED) as stream:
        events = [event.type async for event in stream]
        return plain(await stream.get_final_message()), events, stream.request_id


async def both_ways(up: StandIn, proxy: Proxy, call: Call) -> Any:
    """Make a call directly and through the proxy, hold that the results are equal, and return them."""
    direct = await call(up.url)
    through = await call(proxy.url)
    assert through == direct
    first, second = up.requests
    assert second.body == first.body
    return through


@pytest.mark.parametrize("call", [sync_create, sync_stream, async_create, async_stream])
async def test_the_python_sdk_builds_the_same_message(tmp_path: Path, call: Call) -> None:
    """Text, thinking and tool calls come to the same message, events and request id through the proxy as without it."""
    async with StandIn(answer) as up, Proxy(up.url, tmp_path) as proxy:
        await both_ways(up, proxy, call)
        (row,) = await proxy.ended()
        assert (row["state"], row["stop_reason"]) == ("complete", "tool_use")
        assert row["stream"] == ("stream" in call.__name__)
        assert [block["type"] for block in proxy.reply(row)["content"]] == [block["type"] for block in BLOCKS]
        assert proxy.body(row, "request") == up.requests[1].body
        usage = Usage.numbered(1)
        assert (row["input_tokens"], row["output_tokens"]) == (usage.input, usage.output)


async def raised(call: Call, url: str) -> Any:
    """Return what a call raises, as plain values."""
    with pytest.raises(anthropic.APIStatusError) as caught:
        await call(url)
    error = caught.value
    return type(error), error.status_code, error.request_id, error.body, str(error)


@pytest.mark.parametrize("status", ERRORS)
@pytest.mark.parametrize("call", [sync_create, async_stream])
async def test_the_python_sdk_raises_the_same_error(tmp_path: Path, call: Call, status: int) -> None:
    """An error of the provider is the same exception, with its request id and its words, through the proxy as without it."""
    kind, expected = ERRORS[status]
    script = [error_answer(status, kind, "A sentence.") for _ in range(2)]
    async with StandIn(script) as up, Proxy(up.url, tmp_path) as proxy:
        got = await both_ways(up, proxy, lambda url: raised(call, url))
        assert issubclass(got[0], expected)
        assert got[1] == status
        assert got[2]
        (row,) = await proxy.ended()
        assert (row["state"], row["status"], row["api_error"], row["request_id"]) == ("complete", status, kind, got[2])


async def test_the_python_sdk_raises_an_error_in_the_middle_of_a_stream(tmp_path: Path) -> None:
    """A provider that gives up in the middle of its answer raises the same through the proxy as without it."""
    begun = stream_of(message(BLOCKS))[:4]
    script = [stream_answer([*begun, error_event("overloaded_error", "Overloaded")]) for _ in range(2)]
    async with StandIn(script) as up, Proxy(up.url, tmp_path) as proxy:
        await both_ways(up, proxy, lambda url: raised(async_stream, url))
        (row,) = await proxy.ended()
        assert (row["state"], row["api_error"]) == ("complete", "overloaded_error")


async def broken(url: str) -> type[Exception]:
    """Return the class of what the SDK raises when its stream breaks."""
    try:
        await async_stream(url)
    except Exception as error:  # noqa: BLE001 - what it raises without the proxy is the measure
        return type(error)
    raise AssertionError("a broken stream was taken for a whole one")


async def test_the_python_sdk_notices_a_broken_stream(tmp_path: Path) -> None:
    """A connection that breaks in the middle of an answer is an error for the client, never a short answer."""
    begun = stream_of(message(BLOCKS))[:4]
    script = [stream_answer(begun, end="cut") for _ in range(2)]
    async with StandIn(script) as up, Proxy(up.url, tmp_path) as proxy:
        await both_ways(up, proxy, broken)
        (row,) = await proxy.ended()
        assert row["state"] == "failed"
        assert proxy.body(row, "response") == b"".join(begun)


async def test_the_python_sdk_counts_tokens_and_lists_models(tmp_path: Path) -> None:
    """What is no message passes as well, and is on record."""

    def script(request: Request) -> Answer:
        if request.path == "/v1/models":
            model = {"id": "claude-x", "type": "model", "display_name": "X", "created_at": "2026-01-01T00:00:00Z"}
            page = {"data": [model], "has_more": False, "first_id": "claude-x", "last_id": "claude-x"}
            return json_answer(page)
        return json_answer({"input_tokens": 7})

    async with StandIn(script) as up, Proxy(up.url, tmp_path) as proxy, async_client(proxy.url) as client:
        counted = await client.messages.count_tokens(model="claude-x", messages=ASKED["messages"])
        assert counted.input_tokens == 7
        assert [model.id async for model in client.models.list()] == ["claude-x"]
        rows = await proxy.ended(2)
        assert [row["kind"] for row in rows] == ["count_tokens", "other"]


@pytest.mark.client
@pytest.mark.parametrize("mode", ["stream", "create"])
async def test_the_typescript_sdk_builds_the_same_message(tmp_path: Path, mode: str) -> None:
    """The SDK of the other language, too, cannot tell whether the proxy is there."""
    async with StandIn(answer) as up, Proxy(up.url, tmp_path) as proxy:
        told = await both_ways(up, proxy, lambda url: run_ts_sdk(url, mode, tmp_path))
        assert [block["type"] for block in told["message"]["content"]] == [block["type"] for block in BLOCKS]
        assert bool(told["events"]) == (mode == "stream")
        (row,) = await proxy.ended()
        assert (row["state"], row["stop_reason"], bool(row["stream"])) == ("complete", "tool_use", mode == "stream")


@pytest.mark.client
@pytest.mark.parametrize("status", [400, 529])
@pytest.mark.parametrize("mode", ["stream", "create"])
async def test_the_typescript_sdk_is_told_the_same_error(tmp_path: Path, mode: str, status: int) -> None:
    """An error reaches the SDK of the other language with the status and the body of the provider."""
    script = [error_answer(status, ERRORS[status][0], "A sentence.") for _ in range(2)]
    async with StandIn(script) as up, Proxy(up.url, tmp_path) as proxy:
        told = await both_ways(up, proxy, lambda url: run_ts_sdk(url, mode, tmp_path))
        assert (told["error"]["status"], told["error"]["body"]["error"]["type"]) == (status, ERRORS[status][0])
