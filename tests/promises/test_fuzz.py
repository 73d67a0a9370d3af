"""Nonsense of every kind: nothing of it makes the proxy fail, and nothing that went up is missing on record."""

from __future__ import annotations

import asyncio
import json
import random
import zlib
from collections.abc import Sequence
from pathlib import Path

from tests.support.proxy import Proxy
from tests.support.standin import StandIn, json_answer

INPUTS = 10_000
CONNECTIONS = 16
METHODS = ["POST", "POST", "POST", "GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "X-ODD"]
PATHS = [
    "/v1/messages", "/v1/messages", "/v1/messages/count_tokens", "/v1/models", "/v1/messages/", "/v1/chat/completions",
    "/v1/", "/v1//x", "/v1/%00", "/v1/%ff%fe", "/v1/../v1/x", "/v1/a%2Fb", "/v1/'\"<>", "/v1/\xe4\xf6", "/v1/" + "a" * 3000,
    "/", "/health", "/livez", "/api/hello", "/nothing", "/V1/messages", "//v1/messages", "/v1", "/%76%31/messages",
]  # fmt: skip
NAMES = [
    "x-api-key", "authorization", "cookie", "anthropic-beta", "anthropic-version", "x-claude-code-session-id", "user-agent",
    "content-type", "content-encoding", "accept-encoding", "connection", "te", "expect", "x-forwarded-for", "x-ccproxy-token",
    "origin", "x-stainless-retry-count", "traceparent", "x-" + "n" * 300, "!#$%&'*+-.^_`|~", "range", "if-none-match",
]  # fmt: skip
SCRAPS = [
    b"null", b"true", b"[]", b"{}", b'{"', b'"\\ud800"', b"\xff\xfe", b"\x00", b"1e999", b"-0", b"9" * 40, b'{"stream":"yes"}',
    b'{"model":{"a":1},"messages":"x","system":7,"tools":{}}', b'{"messages":[{"role":3,"content":null},4,[],"x"]}',
    b'{"model":"claude","stream":true,"messages":[{"role":"user","content":[{"type":"text"}]}],"metadata":{"user_id":[]}}',
    b'{"a":1,"a":2,"messages":[{}]}', b"[" * 3000, b'{"messages":' + b"[" * 900 + b"]" * 900 + b"}", "{\"é\":\"\u2028\"}".encode(),
]  # fmt: skip


def _value(dice: random.Random) -> bytes:
    choices: Sequence[bytes] = (
        b"", b"gzip", b"br, zstd, x", b"close", b"keep-alive, x-api-key", b"Bearer sk-ant-api03-x", b"100-continue", b"\xe4\xff",
        b"a=b; c=d", b"{}", b"9" * 30, b"-1", b"\t \t", b"v" * dice.randrange(2000), b'"', b"%s%d{}",
    )  # fmt: skip
    return dice.choice(choices)


def _body(dice: random.Random) -> bytes:
    scrap = dice.choice(SCRAPS)
    kind = dice.randrange(5)
    if kind == 0:
        return b""
    if kind == 1:
        return dice.randbytes(dice.randrange(400))
    if kind == 2:
        whole = json.dumps({"model": "claude-x", "messages": [{"role": "user", "content": "x" * dice.randrange(3000)}]})
        cut = bytearray(whole.encode()[: dice.randrange(1, len(whole))])
        cut[dice.randrange(len(cut))] = dice.randrange(256)
        return bytes(cut)
    return zlib.compress(scrap) if kind == 3 else scrap


def _request(number: int, dice: random.Random) -> bytes:
    """Return one request, that a server may well call malformed, with its number in the query."""
    method, path, body = dice.choice(METHODS), dice.choice(PATHS), _body(dice)
    query = dice.choice(["", "&beta=true", "&a=%00%ff", "&;=&&", "&key=sk-ant-secret", "&x=" + "y" * 500, "&?"])
    lines = [f"{method} {path}?n={number}{query} HTTP/1.1".encode("latin-1"), b"Host: localhost"]
    lines += [dice.choice(NAMES).encode() + b": " + _value(dice) for _ in range(dice.randrange(8))]
    if dice.random() < 0.2:
        lines.append(b"Transfer-Encoding: chunked")
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:7], body[7:]) if piece) + b"0\r\n\r\n"
    else:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


async def _ask(port: int, raw: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(raw)
        head = b"HTTP/1.1 100"
        while head.startswith(b"HTTP/1.1 100"):
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
        return head
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        return repr(error).encode()
    finally:
        writer.close()


async def test_ten_thousand_odd_requests(tmp_path: Path) -> None:
    """No answer is a 5xx, none is missing, and each request that reached the provider is an exchange on record."""
    dice = random.Random(20251122)
    inputs = [_request(number, dice) for number in range(INPUTS)]
    answers: dict[int, bytes] = {}

    async with StandIn(lambda _: json_answer({"ok": True})) as up, Proxy(up.url, tmp_path) as proxy:

        async def work(numbers: Sequence[int]) -> None:
            for number in numbers:
                answers[number] = await _ask(proxy.port, inputs[number])

        await asyncio.gather(*(work(range(start, INPUTS, CONNECTIONS)) for start in range(CONNECTIONS)))
        failed = {n: answer for n, answer in answers.items() if not answer.startswith((b"HTTP/1.1 2", b"HTTP/1.1 4"))}
        assert not failed, [(inputs[n][:300], answer[:200]) for n, answer in list(failed.items())[:5]]
        await proxy.stop()
        recorded = {row["query"].partition("&")[0] for row in proxy.rows()}
        went_up = {request.target.partition("?")[2].partition("&")[0] for request in up.requests}
        assert len(went_up) > INPUTS / 4
        assert went_up <= recorded
        assert {row["state"] for row in proxy.rows()} <= {"complete", "failed", "client_left"}
        assert "Traceback" not in proxy.said()
        assert "ccproxy itself failed" not in proxy.said()
