"""A client's side of a request: one that stops reading is given up."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from tests.support.proxy import Proxy, client, request
from tests.support.standin import Gate, StandIn, json_answer, stream_answer, text_stream


async def test_a_client_that_takes_nothing_is_given_up(tmp_path: Path) -> None:
    """A piece of an answer waits for `server.timeouts.write`; then the exchange ends, and the provider is let go."""
    gate = Gate()
    flood = [b"data: " + b"x" * 65_000 + b"\n\n"] * 400
    extra = {"WRITE_TIMEOUT": "200ms"}
    async with StandIn([stream_answer([*flood, gate])]) as up, Proxy(up.url, tmp_path, environ=extra) as proxy:
        _, writer = await asyncio.open_connection("127.0.0.1", proxy.port, limit=1024)
        body = json.dumps(request()).encode()
        writer.write(
            b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        (row,) = await proxy.ended()
        assert row["state"] == "client_left"
        assert "took nothing of its answer for 0.2 s (server.timeouts.write)" in row["error"]
        await up.settled()
        gate.open()
        writer.close()


async def test_a_slow_provider_is_not_the_clients_fault(tmp_path: Path) -> None:
    """A stream in which nothing comes for longer than the write timeout goes on: nobody waits to be read."""
    gate = Gate()
    events = text_stream("one two three")
    extra = {"WRITE_TIMEOUT": "50ms"}
    answer = stream_answer([*events[:2], gate, *events[2:]])
    async with StandIn([answer]) as up, Proxy(up.url, tmp_path, environ=extra) as proxy, client() as http:
        async with http.stream("POST", f"{proxy.url}/v1/messages", json=request()) as got:
            await asyncio.sleep(0.5)  # ten times what a client may take to read
            gate.open()
            assert await got.aread() == answer.body
        assert (await proxy.ended())[0]["state"] == "complete"


async def test_logs_can_be_json(tmp_path: Path) -> None:
    """With LOG_FORMAT=json every line that is logged is an object; the access line has its figures as members."""
    async with StandIn(lambda _: json_answer({})) as up, client() as http:
        async with Proxy(up.url, tmp_path, environ={"LOG_FORMAT": "json"}) as proxy:
            await http.post(f"{proxy.url}/v1/messages?token=geheim", json=request(stream=False))
            await http.get(f"{proxy.url}/nothing")
            await proxy.stop()
        lines = [json.loads(line) for line in proxy.said().splitlines() if line.startswith("{")]
        access = {line["path"]: line for line in lines if line["logger"] == "ccproxy.access"}
        assert access["/v1/messages"]["status"] == 200
        assert access["/v1/messages"]["duration_ms"] > 0
        assert access["/nothing"]["status"] == 404
        assert "geheim" not in proxy.said()
