"""Demotion through a running proxy: a stream goes up in the place of a message, and the client never knows."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.proxy import Proxy, client, request
from tests.support.standin import (
    Request,
    StandIn,
    encoded,
    error_event,
    message,
    message_answer,
    stream_answer,
    stream_of,
    text,
    text_stream,
    thinking,
    tool_use,
)

DEMOTE = {"ANTHROPIC_DEMOTE_NONSTREAMING": "true"}
BLOCKS = [thinking("hm"), text("one two"), tool_use("Bash", {"command": "ls"}), tool_use("Read", {})]


async def test_a_stream_goes_up_and_one_message_comes_back(tmp_path: Path) -> None:
    """Of the request only `stream` changes; the answer is what the API would have sent; the row says what happened."""
    body = (
        b'{ "model":"claude-x", "big":123456789012345678901234567890,\n "messages":[{"role":"user","content":"x"}],'
        b' "stream" : false, "z":1.0 }'
    )
    finished = message(BLOCKS)
    async with StandIn(lambda _: stream_answer(stream_of(finished))) as up, client() as http:
        async with Proxy(up.url, tmp_path, environ=DEMOTE) as proxy:
            got = await http.post(f"{proxy.url}/v1/messages", content=body)
            assert got.headers["content-type"] == "application/json"
            assert got.json() == finished
            assert up.requests[0].body == body.replace(b"false", b"true")
            (row,) = await proxy.ended()
            assert (row["state"], row["stream"], row["demoted"], row["status"]) == ("complete", 0, 1, 200)
            assert proxy.body(row, "request") == body
            assert proxy.body(row, "response") == b"".join(stream_of(finished))
            assert proxy.reply(row)["content"] == finished["content"]


async def test_an_encoded_stream_comes_back_as_plain_json(tmp_path: Path) -> None:
    """Whatever the provider compressed with, the client gets JSON with the right length."""
    finished = message(BLOCKS)
    async with StandIn(lambda _: encoded(stream_answer(stream_of(finished)), "gzip")) as up, client() as http:
        async with Proxy(up.url, tmp_path, environ=DEMOTE) as proxy:
            got = await http.post(f"{proxy.url}/v1/messages", json=request(stream=False))
            assert "content-encoding" not in got.headers
            assert got.json() == finished


async def test_an_error_in_the_stream_becomes_an_error(tmp_path: Path) -> None:
    """An `error` event gives its status and body; a stream that breaks off gives 502, and both are on record."""
    events = text_stream("one two three")

    def script(asked: Request) -> object:
        broken = b"break" in asked.body
        return stream_answer(events[:3] if broken else [*events[:3], error_event("overloaded_error", "busy")])

    async with StandIn(script) as up, Proxy(up.url, tmp_path, environ=DEMOTE) as proxy, client() as http:  # type: ignore[arg-type]
        busy = await http.post(f"{proxy.url}/v1/messages", json=request(stream=False))
        assert (busy.status_code, busy.json()["error"]["type"]) == (529, "overloaded_error")
        cut = await http.post(f"{proxy.url}/v1/messages", json=request("break", stream=False))
        assert (cut.status_code, cut.json()["type"]) == (502, "error")
        first, second = await proxy.ended(2)
        assert (first["state"], first["status"], first["api_error"]) == ("complete", 529, "overloaded_error")
        await proxy.until(lambda: "/v1/messages 529" in proxy.said())
        assert (second["state"], second["error_kind"]) == ("failed", "broken_stream")
        assert proxy.body(second, "response") == b"".join(events[:3])


async def test_who_asks_for_a_stream_gets_it_as_ever(tmp_path: Path) -> None:
    """With demotion on, streams, other paths and what cannot be understood go up and come back as they are."""
    async with StandIn(lambda asked: message_answer(asked, BLOCKS)) as up, client() as http:
        async with Proxy(up.url, tmp_path, environ=DEMOTE) as proxy:
            sent = json.dumps(request()).encode()
            got = await http.post(f"{proxy.url}/v1/messages", content=sent)
            assert got.headers["content-type"].startswith("text/event-stream")
            counted = b'{"model":"claude-x","messages":[]}'
            await http.post(f"{proxy.url}/v1/messages/count_tokens", content=counted)
            assert [one.body for one in up.requests] == [sent, counted]


async def test_demotion_is_off_by_default(tmp_path: Path) -> None:
    """Without the setting a request for one message goes up byte for byte."""
    async with StandIn(lambda asked: message_answer(asked, BLOCKS)) as up, client() as http:
        async with Proxy(up.url, tmp_path) as proxy:
            sent = json.dumps(request(stream=False)).encode()
            assert (await http.post(f"{proxy.url}/v1/messages", content=sent)).json()["content"] == BLOCKS
            assert up.requests[0].body == sent
            assert (await proxy.ended())[0]["demoted"] == 0
