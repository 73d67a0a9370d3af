"""The hot path, end to end: what the provider receives, what the client receives, and what is on record of it."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path

import brotli
import httpx
import pytest
import zstandard

from tests.support.proxy import Proxy, client, request
from tests.support.standin import (
    Answer,
    Gate,
    StandIn,
    encoded,
    error_answer,
    error_event,
    json_answer,
    message,
    stream_answer,
    text,
    text_stream,
)
from tests.support.standin_answers import STREAM_HEADERS

HOP_BY_HOP = {b"connection", b"keep-alive", b"te", b"trailer", b"upgrade", b"proxy-authorization", b"transfer-encoding"}


async def test_the_provider_receives_the_clients_bytes(tmp_path: Path) -> None:
    """Body, path, query and end-to-end headers go up as they came, and nothing is added to them."""
    body = b'{"model" : "claude-opus-4-8","stream":false, "big":123456789012345678901234567890,\n "messages":[] ,"x":"\\u00e9\xc3\xa9"}'
    sent = [
        (b"Host", b"somewhere.example"),
        (b"X-Api-Key", b"sk-ant-made-up"),
        (b"Authorization", b"Bearer made-up"),
        (b"Anthropic-Beta", b"one,two"),
        (b"anthropic-beta", b"three"),
        (b"Anthropic-Version", b"2099-01-01"),
        (b"User-Agent", b"tests/1"),
        (b"Accept-Encoding", b"gzip, deflate, br, zstd"),
        (b"X-Empty", b""),
        (b"Cookie", b"a=1; b=2"),
        (b"Content-Type", b"application/json"),
        (b"X-Named", b"goes no further"),
        (b"Connection", b"keep-alive, X-Named"),
        (b"Keep-Alive", b"timeout=5"),
        (b"TE", b"trailers"),
        (b"Content-Length", str(len(body)).encode()),
    ]
    async with StandIn([json_answer({"ok": True})]) as up, Proxy(up.url, tmp_path) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        lines = b"".join(b"%s: %s\r\n" % line for line in sent)
        writer.write(b"POST /v1/messages?beta=true&x=%7Ea%2Fb&y=a+b HTTP/1.1\r\n" + lines + b"\r\n" + body)
        assert b"200" in await reader.readline()
        writer.close()
        await writer.wait_closed()
        got = up.requests[0]
        assert got.target == "/v1/messages?beta=true&x=%7Ea%2Fb&y=a+b"
        assert got.body == body
        expected = sorted(
            (name.lower(), value) for name, value in sent if name.lower() not in {*HOP_BY_HOP, b"host", b"x-named"}
        )
        received = [(name.lower(), value) for name, value in got.headers]
        assert sorted(line for line in received if line[0] != b"host") == expected
        assert (b"host", f"127.0.0.1:{up.port}".encode()) in received
        (row,) = await proxy.ended()
        assert proxy.body(row, "request") == body
        assert (row["path"], row["query"]) == ("/v1/messages", "beta=true&x=%7Ea%2Fb&y=a+b")


async def test_the_version_header_is_added_only_where_there_is_none(tmp_path: Path) -> None:
    """`anthropic-version` is the client's own where it sent one, and the configured one where it did not."""
    script = [json_answer({}), json_answer({})]
    async with StandIn(script) as up, Proxy(up.url, tmp_path) as proxy, client() as http:
        await http.post(f"{proxy.url}/v1/messages", json=request(), headers={"anthropic-version": "2031-01-01"})
        await http.post(f"{proxy.url}/v1/messages", json=request())
        assert [got.header("anthropic-version") for got in up.requests] == ["2031-01-01", "2023-06-01"]


async def test_each_event_arrives_when_it_is_sent(tmp_path: Path) -> None:
    """The client has the head before the first event, and event n while the provider holds back event n+1."""
    events = text_stream("one two three")
    gates = [Gate() for _ in events]
    steps = [step for pair in zip(gates, events, strict=True) for step in pair]
    async with StandIn([stream_answer(steps)]) as up, Proxy(up.url, tmp_path) as proxy, client() as http:
        async with http.stream("POST", f"{proxy.url}/v1/messages", json=request()) as answer:
            assert answer.status_code == 200
            assert "content-length" not in answer.headers
            pieces = answer.aiter_raw()
            for gate, event in zip(gates, events, strict=True):
                gate.open()
                got = b""
                while len(got) < len(event):
                    got += await asyncio.wait_for(anext(pieces), 10)
                assert got == event


async def test_status_headers_and_bytes_come_down_as_they_came(tmp_path: Path) -> None:
    """The client receives the provider's status, header lines and bytes; nothing is added, nothing is reworded."""
    odd = b': comment\r\nid: 7\r\nretry: 10\r\nevent:ping\r\ndata:{"type": "ping"   }\r\n\r\ndata: [odd\r\n\r\n'
    headers = [("retry-after", "7"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("anthropic-ratelimit-x", "0")]
    async with (
        StandIn([stream_answer([odd[:5], odd[5:]], headers=headers)]) as up,
        Proxy(up.url, tmp_path) as proxy,
        client() as http,
        http.stream("POST", f"{proxy.url}/v1/messages", json=request()) as answer,
    ):
        assert b"".join([piece async for piece in answer.aiter_raw()]) == odd
        expected = {name.lower() for name, _ in (*STREAM_HEADERS, *headers)} | {"transfer-encoding"}
        assert {name.decode().lower() for name, _ in answer.headers.raw} == expected
        assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]


@pytest.mark.parametrize("status", [200, 201, 204, 400, 401, 404, 413, 429, 500, 503, 529])
async def test_every_status_and_error_body_reaches_the_client(tmp_path: Path, status: int) -> None:
    """An HTTP error of the provider is an answer: status, body and content type go through, also for stream requests."""
    answer = error_answer(status, "some_error", "a sentence", headers=[("x-should-retry", "false")])
    async with StandIn([answer]) as up, Proxy(up.url, tmp_path) as proxy, client() as http:
        got = await http.post(f"{proxy.url}/v1/messages", json=request())
        assert got.status_code == status
        assert got.headers["x-should-retry"] == "false"
        assert got.content == (b"" if status == 204 else answer.body)
        (row,) = await proxy.ended()
        assert (row["state"], row["status"]) == ("complete", status)
        assert row["api_error"] == (None if status == 204 else "some_error")
        assert proxy.body(row, "response") == (None if status == 204 else answer.body)


async def test_a_json_answer_to_a_stream_request_passes(tmp_path: Path) -> None:
    """A provider may answer a stream request with JSON, and the client gets that."""
    whole = message([text("hello")])
    async with StandIn([json_answer(whole)]) as up, Proxy(up.url, tmp_path) as proxy, client() as http:
        got = await http.post(f"{proxy.url}/v1/messages", json=request())
        assert got.json() == whole
        (row,) = await proxy.ended()
        assert row["stop_reason"] == whole["stop_reason"]
        assert row["output_tokens"] == whole["usage"]["output_tokens"]


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
async def test_encoded_answers_stay_encoded_and_are_read_for_the_record(tmp_path: Path, coding: str) -> None:
    """An encoded body reaches the client still so encoded, each piece when it comes, and is decoded for the record only."""
    plain = stream_answer(text_stream("compressed words"))
    answer = encoded(plain, coding)  # type: ignore[arg-type]
    async with StandIn([answer]) as up, Proxy(up.url, tmp_path) as proxy, client() as http:
        async with http.stream("POST", f"{proxy.url}/v1/messages", json=request()) as got:
            assert got.headers["content-encoding"] == coding
            raw = b"".join([piece async for piece in got.aiter_raw()])
        assert raw == answer.body
        (row,) = await proxy.ended()
        assert proxy.reply(row)["content"] == [{"type": "text", "text": "compressed words"}]
        assert proxy.body(row, "response") == raw


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
async def test_encoded_requests_pass_and_are_read_for_the_record(tmp_path: Path, coding: str) -> None:
    """A compressed request body goes up as it is, and is decoded for the record."""
    plain = json.dumps(request("squeezed words")).encode()
    squeeze = {"gzip": gzip.compress, "br": brotli.compress, "zstd": zstandard.ZstdCompressor().compress}[coding]
    body = squeeze(plain)
    async with StandIn([json_answer({})]) as up, Proxy(up.url, tmp_path) as proxy, client() as http:
        await http.post(f"{proxy.url}/v1/messages", content=body, headers={"content-encoding": coding})
        assert up.requests[0].body == body
        assert up.requests[0].header("content-encoding") == coding
        (row,) = await proxy.ended()
        assert row["requested_model"] == "claude-opus-4-8"
        assert proxy.body(row, "request") == body


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/messages/count_tokens?beta=true"),
        ("GET", "/v1/models?limit=1000"),
        ("POST", "/v1/messages/batches"),
        ("DELETE", "/v1/files/file_1"),
        ("PUT", "/v1/anything/at%20all"),
        ("PATCH", "/v1/anything"),
        ("OPTIONS", "/v1/messages"),
        ("HEAD", "/v1/models"),
    ],
)
async def test_all_methods_and_paths_below_v1_pass_and_are_recorded(tmp_path: Path, method: str, path: str) -> None:
    """Every call below /v1 is passed through and recorded as an exchange."""
    async with StandIn([json_answer({"input_tokens": 3})]) as up, Proxy(up.url, tmp_path) as proxy, client() as http:
        got = await http.request(method, f"{proxy.url}{path}", content=b"{}" if method in ("POST", "PUT") else None)
        assert got.status_code == 200
        assert (up.requests[0].method, up.requests[0].target) == (method, path)
        assert got.content == (b"" if method == "HEAD" else b'{"input_tokens": 3}')
        (row,) = await proxy.ended()
        assert (row["method"], row["path"]) == (method, path.partition("?")[0])
        assert row["kind"] == ("count_tokens" if "count_tokens" in path else "probe" if method == "HEAD" else "other")


async def test_the_prefix_of_the_base_url_is_kept(tmp_path: Path) -> None:
    """A base URL with a path puts that path before every request's own."""
    async with StandIn([json_answer({})]) as up, Proxy(f"{up.url}/gateway/eu", tmp_path) as proxy, client() as http:
        await http.post(f"{proxy.url}/v1/messages?beta=true", json=request())
        assert up.requests[0].target == "/gateway/eu/v1/messages?beta=true"


@pytest.mark.parametrize(
    "path", ["/v1/messages/", "/v1", "/v2/messages", "/v1x/messages", "/messages", "//v1/messages"]
)
async def test_what_is_not_the_api_is_not_forwarded(tmp_path: Path, path: str) -> None:
    """Paths that only look like the API are answered here, with 404 in the API's shape."""
    async with StandIn([]) as up, Proxy(up.url, tmp_path) as proxy, client() as http:
        got = await http.post(httpx.URL(proxy.url).copy_with(raw_path=path.encode()), json=request())
        assert got.status_code == 404
        assert got.json()["type"] == "error"
        assert got.json()["error"]["type"] == "not_found_error"
        assert not up.requests


async def test_chat_completions_point_to_messages(tmp_path: Path) -> None:
    """An OpenAI client learns where it should go."""
    async with StandIn([]) as up, Proxy(up.url, tmp_path) as proxy, client() as http:
        got = await http.post(f"{proxy.url}/v1/chat/completions", json={})
        assert got.status_code == 400
        assert got.json()["error"]["type"] == "invalid_request_error"
        assert "/v1/messages" in got.json()["error"]["message"]
        (row,) = await proxy.ended()
        assert (row["state"], row["error_kind"]) == ("failed", "refused")


@pytest.mark.parametrize(
    "body", [b"", b"garbage \xff\xfe", b"[1,2", b'{"model":5,"messages":"x","system":7,"tools":{}}']
)
async def test_a_body_that_means_nothing_to_us_passes_and_is_kept(tmp_path: Path, body: bytes) -> None:
    """What the proxy cannot interpret is forwarded all the same, and recorded byte for byte with the reason."""
    async with StandIn([error_answer(400, "invalid_request_error", "no")]) as up, Proxy(up.url, tmp_path) as proxy:
        async with client() as http:
            got = await http.post(f"{proxy.url}/v1/messages", content=body)
        assert got.status_code == 400
        assert up.requests[0].body == body
        (row,) = await proxy.ended()
        assert (proxy.body(row, "request") or b"") == body
        assert row["state"] == "complete"


async def test_a_chunked_upload_is_forwarded_whole(tmp_path: Path) -> None:
    """A body whose length the client did not tell arrives complete, with a length."""
    pieces = [b'{"model":"m",', b'"messages":[', b"]}"]

    async def upload() -> object:
        for piece in pieces:
            yield piece

    async with StandIn([json_answer({})]) as up, Proxy(up.url, tmp_path) as proxy, client() as http:
        await http.post(f"{proxy.url}/v1/messages", content=upload())  # type: ignore[arg-type]
        assert up.requests[0].body == b"".join(pieces)
        assert up.requests[0].header("content-length") == str(len(b"".join(pieces)))


async def test_a_body_of_100_mb_passes(tmp_path: Path) -> None:
    """No limit below 100 MB stands in the way of a large request or a large answer."""
    large = b'{"model":"m","messages":[],"filler":"' + b"x" * 100_000_000 + b'"}'
    script = [Answer(headers=[("content-type", "application/json")], chunks=[large], framing="length")]
    async with StandIn(script) as up, Proxy(up.url, tmp_path) as proxy, client() as http:
        got = await http.post(f"{proxy.url}/v1/messages", content=large)
        assert up.requests[0].body == large
        assert got.content == large
        (row,) = await proxy.ended(timeout=60)
        assert row["request_bytes"] == row["response_bytes"] == len(large)
        assert proxy.body(row, "request") == large


async def test_a_body_above_the_configured_limit_is_refused(tmp_path: Path) -> None:
    """`server.max_body` answers 413 in the API's shape and says which setting it was."""
    async with StandIn([]) as up, Proxy(up.url, tmp_path, environ={"MAX_BODY": "1KB"}) as proxy, client() as http:
        got = await http.post(f"{proxy.url}/v1/messages", content=b"x" * 5000)
        assert got.status_code == 413
        assert got.json()["error"]["type"] == "request_too_large"
        assert "server.max_body" in got.json()["error"]["message"]
        assert not up.requests


@pytest.mark.parametrize("megabytes", [1, 10])
async def test_a_long_event_line_passes(tmp_path: Path, megabytes: int) -> None:
    """An event line of 1 MiB, and one of 10 MiB, reach the client intact and are understood for the record."""
    words = "w" * (3 * megabytes << 20)  # in three events
    events = text_stream(words)
    async with StandIn([stream_answer([b"".join(events)])]) as up, Proxy(up.url, tmp_path) as proxy, client() as http:
        got = await http.post(f"{proxy.url}/v1/messages", json=request())
        assert got.content == b"".join(events)
        (row,) = await proxy.ended()
        assert proxy.reply(row)["content"][0]["text"] == words


async def test_an_overload_inside_a_200_is_passed_and_named(tmp_path: Path) -> None:
    """A 200 whose only event is an error reaches the client as it is, and its row says what it was."""
    event = error_event("overloaded_error", "Overloaded")
    async with StandIn([stream_answer([event])]) as up, Proxy(up.url, tmp_path) as proxy, client() as http:
        got = await http.post(f"{proxy.url}/v1/messages", json=request())
        assert (got.status_code, got.content) == (200, event)
        (row,) = await proxy.ended()
        assert (row["state"], row["api_error"], row["error"]) == ("complete", "overloaded_error", "Overloaded")


async def test_no_cookie_of_one_exchange_reaches_the_next(tmp_path: Path) -> None:
    """What a provider sets as a cookie goes to that client only, never into another request."""
    script = [json_answer({}, headers=[("set-cookie", "session=secret; Path=/")]), json_answer({})]
    async with StandIn(script) as up, Proxy(up.url, tmp_path) as proxy:
        for _ in range(2):
            async with client() as http:
                await http.post(f"{proxy.url}/v1/messages", json=request())
        assert up.requests[1].header("cookie") is None


async def test_redirects_are_the_clients_business(tmp_path: Path) -> None:
    """A redirect is passed on, not followed."""
    script = [Answer(status=307, headers=[("location", "http://127.0.0.1:1/else")], framing="length")]
    async with StandIn(script) as up, Proxy(up.url, tmp_path) as proxy, client() as http:
        got = await http.post(f"{proxy.url}/v1/messages", json=request())
        assert (got.status_code, got.headers["location"]) == (307, "http://127.0.0.1:1/else")
        assert len(up.requests) == 1


async def test_connections_to_the_provider_are_reused(tmp_path: Path) -> None:
    """Requests in a row go over one connection."""
    script = [stream_answer(text_stream("hi")) for _ in range(3)]
    async with StandIn(script) as up, Proxy(up.url, tmp_path) as proxy, client() as http:
        for _ in range(3):
            await http.post(f"{proxy.url}/v1/messages", json=request())
        assert up.connections == 1


async def test_the_environments_proxy_is_used(tmp_path: Path) -> None:
    """HTTP_PROXY (HTTPS_PROXY for https) leads outgoing calls through it, and NO_PROXY exempts from it."""
    async with StandIn([json_answer({})]) as gateway, client() as http:
        environ = {"HTTP_PROXY": gateway.url}
        async with Proxy("http://api.example.test", tmp_path / "a", environ=environ) as proxy:
            await http.post(f"{proxy.url}/v1/messages", json=request())
            assert gateway.requests[0].target == "http://api.example.test/v1/messages"
        async with StandIn([json_answer({})]) as up:
            exempted = {"HTTP_PROXY": "http://127.0.0.1:1", "NO_PROXY": "127.0.0.1"}
            async with Proxy(up.url, tmp_path / "b", environ=exempted) as proxy:
                await http.post(f"{proxy.url}/v1/messages", json=request())
                assert len(up.requests) == 1
