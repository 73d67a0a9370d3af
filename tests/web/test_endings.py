"""How exchanges end: every one exactly once, in the right state, with all that had arrived."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from pathlib import Path

import httpx
import pytest

from tests.support.proxy import Proxy, client, request
from tests.support.standin import (
    Answer,
    Gate,
    Request,
    StandIn,
    json_answer,
    stream_answer,
    text_stream,
)


async def _leave_after_head(port: int, body: bytes, wait_for: bytes = b"") -> None:
    """Send a request, read until `wait_for` has come, and close the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
    if wait_for:
        await asyncio.wait_for(reader.readuntil(wait_for), 10)
    else:
        await writer.drain()
    writer.close()
    await writer.wait_closed()


BODY = json.dumps(request()).encode()


async def test_a_client_that_leaves_mid_stream_ends_the_providers_work(tmp_path: Path) -> None:
    """When the client leaves, the upstream request is closed at once, and what had arrived is kept."""
    events = text_stream("one two three")
    gate = Gate()
    async with StandIn([stream_answer([*events[:3], gate, *events[3:]])]) as up, Proxy(up.url, tmp_path) as proxy:
        await _leave_after_head(proxy.port, BODY, wait_for=events[2])
        await up.until(lambda up: up.requests[0].outcome == "client_left")
        (row,) = await proxy.ended()
        assert row["state"] == "client_left"
        assert proxy.body(row, "response") == b"".join(events[:3])
        assert proxy.body(row, "request") == BODY
        gate.open()


async def test_a_client_that_leaves_before_the_head_ends_the_providers_work(tmp_path: Path) -> None:
    """A client that gives up while the provider still thinks is recorded as gone, and the provider is let go."""
    gate = Gate()

    def script(_: Request) -> Answer:
        return stream_answer(text_stream("late"), before=[gate])

    async with StandIn(script) as up, Proxy(up.url, tmp_path) as proxy:
        left = asyncio.create_task(_request_and_wait(proxy.port))
        await gate.reached()
        left.cancel()
        await up.until(lambda up: up.requests[0].outcome == "client_left")
        (row,) = await proxy.ended()
        assert (row["state"], row["status"]) == ("client_left", None)
        gate.open()


async def _request_and_wait(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(BODY), BODY))
        await reader.read()
    finally:
        writer.close()


async def test_a_client_that_leaves_in_the_middle_of_its_request_is_recorded(tmp_path: Path) -> None:
    """A request that never became complete goes nowhere, and its row keeps what had come."""
    async with StandIn([]) as up, Proxy(up.url, tmp_path) as proxy:
        _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b'POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{"model":')
        await writer.drain()
        await proxy.until(lambda: proxy.journal.exists() and any(proxy.journal.glob("*.journal")))
        writer.close()
        await writer.wait_closed()
        (row,) = await proxy.ended()
        assert row["state"] == "client_left"
        assert proxy.body(row, "request") == b'{"model":'
        assert not up.requests


@pytest.mark.parametrize("end", ["cut", "reset"])
@pytest.mark.parametrize("framing", ["chunked", "length"])
async def test_an_upstream_break_reaches_the_client_as_a_break(tmp_path: Path, end: str, framing: str) -> None:
    """When the provider breaks off, the client's connection breaks too, never a clean end; the partial answer is kept."""
    events = text_stream("one two three")
    gate = Gate()
    answer = stream_answer(
        [*events[:3], gate], end=end, framing=framing, length=None if framing == "chunked" else 100_000
    )  # type: ignore[arg-type]
    async with StandIn([answer]) as up, Proxy(up.url, tmp_path) as proxy, client() as http:
        got = b""
        with pytest.raises(httpx.RemoteProtocolError):
            async with http.stream("POST", f"{proxy.url}/v1/messages", json=request()) as stream:
                async for piece in stream.aiter_raw():
                    got += piece
                    if len(got) == len(b"".join(events[:3])):
                        gate.open()
        assert got == b"".join(events[:3])
        (row,) = await proxy.ended()
        assert (row["state"], row["status"], row["error_kind"]) == ("failed", 200, "broken_stream")
        assert row["error"]
        assert proxy.body(row, "response") == got


async def test_an_unreachable_provider_is_a_502_with_the_cause(tmp_path: Path) -> None:
    """Where nobody listens, the client gets 502 in the API's shape, with a sentence that names the cause."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        async with Proxy(f"http://127.0.0.1:{port}", tmp_path) as proxy, client() as http:
            got = await http.post(f"{proxy.url}/v1/messages", json=request())
            assert got.status_code == 502
            error = got.json()["error"]
            assert error["type"] == "api_error"
            assert f"cannot connect to 127.0.0.1:{port}: Connection refused" in error["message"]
            (row,) = await proxy.ended()
            assert (row["state"], row["status"], row["error_kind"]) == ("failed", 502, "connect")
            assert row["error"] in error["message"]
            assert proxy.body(row, "request") == got.request.content


@pytest.mark.parametrize("end", ["cut", "reset"])
async def test_a_provider_that_hangs_up_without_an_answer_is_a_502(tmp_path: Path, end: str) -> None:
    """A connection that is closed before the head gives 502, and the sentence says that no answer came."""
    async with StandIn(lambda _: Answer(status=0, end=end)) as up, Proxy(up.url, tmp_path) as proxy:  # type: ignore[arg-type]
        async with client() as http:
            got = await http.post(f"{proxy.url}/v1/messages", json=request())
        assert got.status_code == 502
        assert "without an answer" in got.json()["error"]["message"]
        (row,) = await proxy.ended()
        assert (row["state"], row["error_kind"]) == ("failed", "no_answer")


@pytest.mark.parametrize("method", ["POST", "PUT", "GET", "DELETE"])
async def test_a_request_is_never_sent_twice(tmp_path: Path, method: str) -> None:
    """A kept connection that dies under a request ends that request; the provider never sees it again."""

    def script(_: Request) -> Answer:
        return json_answer({}) if len(up.requests) == 1 else Answer(status=0, end="cut")

    async with StandIn(script) as up, Proxy(up.url, tmp_path) as proxy, client() as http:
        assert (await http.request(method, f"{proxy.url}/v1/files/1")).status_code == 200
        assert (await http.request(method, f"{proxy.url}/v1/files/1")).status_code == 502
        assert len(up.requests) == 2


async def test_an_answer_that_is_not_http_is_a_502(tmp_path: Path) -> None:
    """Bytes that are no HTTP answer are the provider's fault, and the sentence says so."""
    script = lambda _: Answer(status=0, before=[b"BLAH\r\n\r\n"], end="cut")  # noqa: E731
    async with StandIn(script) as up, Proxy(up.url, tmp_path) as proxy, client() as http:
        got = await http.post(f"{proxy.url}/v1/messages", json=request())
        assert got.status_code == 502
        assert "not HTTP" in got.json()["error"]["message"]
        (row,) = await proxy.ended()
        assert (row["state"], row["error_kind"]) == ("failed", "bad_answer")


async def test_the_password_of_a_proxy_is_told_to_nobody(tmp_path: Path) -> None:
    """When the environment's proxy refuses, neither the client nor the record learns its password."""
    async with StandIn(lambda _: Answer(status=407, framing="length")) as gateway:
        environ = {"HTTPS_PROXY": gateway.url.replace("://", "://user:hunter2@")}
        async with Proxy("https://api.example.test", tmp_path, environ=environ) as proxy, client() as http:
            got = await http.post(f"{proxy.url}/v1/messages", json=request())
            assert got.status_code == 502
            assert "407" in got.json()["error"]["message"]
            (row,) = await proxy.ended()
            assert row["error_kind"] == "proxy"
            await proxy.stop()
            written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
            assert b"hunter2" not in got.content + written


async def test_a_proxy_that_is_not_http_is_named(tmp_path: Path) -> None:
    """A SOCKS proxy in the environment is a clear error, not a mystery."""
    environ = {"ALL_PROXY": "socks5://127.0.0.1:1080"}
    async with Proxy("http://api.example.test", tmp_path, environ=environ) as proxy, client() as http:
        got = await http.post(f"{proxy.url}/v1/messages", json=request())
        assert got.status_code == 502
        assert "socks5://127.0.0.1:1080" in got.json()["error"]["message"]


async def test_an_early_answer_to_a_large_upload_arrives_whole(tmp_path: Path) -> None:
    """A provider may answer before the upload is complete, and the client gets all of that answer."""
    body = b"x" * (8 << 20)

    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 429 Too Many Requests\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await writer.drain()
        await reader.readexactly(len(body))
        writer.write(b"5\r\nworld\r\n0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(early, "127.0.0.1", 0)
    async with server, Proxy(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", tmp_path) as proxy:
        async with client() as http:
            got = await asyncio.wait_for(http.post(f"{proxy.url}/v1/messages", content=body), 20)
        assert (got.status_code, got.content) == (429, b"helloworld")
        (row,) = await proxy.ended()
        assert (row["state"], row["status"]) == ("complete", 429)


async def test_a_provider_that_sends_no_head_is_a_504(tmp_path: Path) -> None:
    """The wait for the head is bounded by a setting, and the error names it."""
    gate = Gate()
    environ = {"ANTHROPIC_RESPONSE_HEADER_TIMEOUT": "200ms", "ANTHROPIC_CONNECT_TIMEOUT": "200ms"}
    script = lambda _: json_answer({}, before=[gate])  # noqa: E731
    async with StandIn(script) as up, Proxy(up.url, tmp_path, environ=environ) as proxy, client() as http:
        got = await http.post(f"{proxy.url}/v1/messages", json=request())
        assert got.status_code == 504
        assert got.json()["error"]["type"] == "timeout_error"
        assert "response_header_timeout" in got.json()["error"]["message"]
        (row,) = await proxy.ended()
        assert (row["state"], row["error_kind"]) == ("failed", "response_header_timeout")
        gate.open()


async def test_the_head_timeout_does_not_limit_the_body(tmp_path: Path) -> None:
    """A stream that lasts longer than the timeouts for connection and head goes on."""
    events = text_stream("slow but alive")
    gate = Gate()
    environ = {"ANTHROPIC_RESPONSE_HEADER_TIMEOUT": "100ms", "ANTHROPIC_CONNECT_TIMEOUT": "100ms"}
    answer = stream_answer([events[0], gate, *events[1:]])
    async with StandIn([answer]) as up, Proxy(up.url, tmp_path, environ=environ) as proxy, client() as http:
        async with http.stream("POST", f"{proxy.url}/v1/messages", json=request()) as got:
            pieces = got.aiter_raw()
            first = await anext(pieces)
            await asyncio.sleep(0.5)  # time itself is what this is about
            gate.open()
            assert first + b"".join([piece async for piece in pieces]) == answer.body


async def test_a_silent_stream_is_ended_by_the_documented_setting_only(tmp_path: Path) -> None:
    """`providers.anthropic.idle_timeout` ends a silent stream as a break, and the row names it."""
    events = text_stream("then silence")
    gate = Gate()
    script = lambda _: stream_answer([*events[:2], gate])  # noqa: E731
    async with StandIn(script) as up, Proxy(up.url, tmp_path, environ={"ANTHROPIC_IDLE_TIMEOUT": "150ms"}) as proxy:
        with pytest.raises(httpx.RemoteProtocolError):
            async with client() as http:
                await http.post(f"{proxy.url}/v1/messages", json=request())
        (row,) = await proxy.ended()
        assert (row["state"], row["error_kind"]) == ("failed", "idle_timeout")
        assert "idle_timeout" in row["error"]
        gate.open()


async def test_a_request_that_stops_arriving_is_a_408(tmp_path: Path) -> None:
    """A client that stalls in the middle of its request is told so after `server.timeouts.read`."""
    async with StandIn([]) as up, Proxy(up.url, tmp_path, environ={"READ_TIMEOUT": "150ms"}) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b'POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{"model":')
        assert b" 408 " in await asyncio.wait_for(reader.readline(), 10)
        writer.close()
        await writer.wait_closed()
        (row,) = await proxy.ended()
        assert (row["state"], row["status"]) == ("failed", 408)


async def test_a_running_stream_shows_as_open_and_is_counted(tmp_path: Path) -> None:
    """While a stream runs its row is open, with model and kind; `/livez` counts it, and its end closes the row."""
    events = text_stream("one two three")
    gate = Gate()
    async with StandIn([stream_answer([*events[:2], gate, *events[2:]])]) as up, Proxy(up.url, tmp_path) as proxy:
        async with client() as http, http.stream("POST", f"{proxy.url}/v1/messages", json=request()) as got:
            await proxy.until(lambda: [row["state"] for row in proxy.rows()] == ["open"])
            (row,) = proxy.rows()
            assert row["requested_model"] == "claude-opus-4-8"
            assert (await proxy.health())["in_flight"] == 1
            gate.open()
            await got.aread()
        (row,) = await proxy.ended()
        assert row["state"] == "complete"
        assert (await proxy.health())["in_flight"] == 0


async def test_a_stream_is_interrupted_when_its_worker_dies(tmp_path: Path) -> None:
    """When a worker dies, its running exchange becomes interrupted with what had arrived, and a new worker serves."""
    events = text_stream("one two three")
    gate = Gate()

    def script(got: Request) -> Answer:
        return stream_answer([*events[:3], gate]) if got.json()["stream"] else json_answer({"ok": True})

    async with StandIn(script) as up, Proxy(up.url, tmp_path) as proxy, client() as http:
        with pytest.raises(httpx.HTTPError):
            async with http.stream("POST", f"{proxy.url}/v1/messages", json=request()) as got:
                pieces = got.aiter_raw()
                seen = b""
                while len(seen) < len(b"".join(events[:3])):
                    seen += await anext(pieces)
                await proxy.until(lambda: [row["state"] for row in proxy.rows()] == ["open"])
                (worker,) = proxy.children("ccproxy.web.worker")
                await asyncio.sleep(0.3)  # what arrived longer ago than 250 ms must be there
                os.kill(worker, signal.SIGKILL)
                await anext(pieces)
        gate.open()
        again = await http.post(f"{proxy.url}/v1/messages", json=request(stream=False))
        assert again.json() == {"ok": True}
        first, second = await proxy.ended(2)
        assert (first["state"], second["state"]) == ("interrupted", "complete")
        assert proxy.body(first, "response") == b"".join(events[:3])
