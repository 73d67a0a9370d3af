"""The data API behind a running proxy: a process of its own, there when it is asked, and nobody's burden otherwise."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

from ccproxy.web.api.process import Watched
from tests.support.proxy import Proxy, client, request
from tests.support.standin import Gate, Request, StandIn, message_answer, stream_answer, text, text_stream

API = "ccproxy.web.api.process"


async def test_it_is_started_by_the_first_who_asks(tmp_path: Path) -> None:
    """Until somebody asks there is no such process; then there is one, and it tells what was captured."""
    async with StandIn(lambda asked: message_answer(asked, [text("hi")])) as up, client() as http:
        async with Proxy(up.url, tmp_path) as proxy:
            await http.post(f"{proxy.url}/v1/messages", json=request())
            (row,) = await proxy.ended()
            assert not proxy.children(API)
            listed = (await http.get(f"{proxy.url}/api/requests")).json()
            assert (listed["total"], listed["requests"][0]["id"]) == (1, row["id"])
            assert len(proxy.children(API)) == 1
            assert (await http.head(f"{proxy.url}/api/requests")).status_code == 200
            assert (await http.get(f"{proxy.url}/api/nothing")).json()["error"]["type"] == "not_found_error"
            assert (await http.delete(f"{proxy.url}/api/requests")).json()["deleted"] == 1
            assert (await http.get(f"{proxy.url}/api/requests")).json()["total"] == 0


async def test_one_that_dies_is_there_again(tmp_path: Path) -> None:
    """A killed process costs nobody more than a moment: the next question is answered by a new one."""
    async with StandIn([]) as up, Proxy(up.url, tmp_path) as proxy, client() as http:
        assert (await http.get(f"{proxy.url}/api/requests")).status_code == 200
        (first,) = proxy.children(API)
        os.kill(first, signal.SIGKILL)
        await proxy.until(lambda: first not in proxy.children(API))
        assert (await http.get(f"{proxy.url}/api/requests")).status_code == 200
        assert proxy.children(API) != [first]


async def test_traffic_goes_on_without_it(tmp_path: Path) -> None:
    """While the data API is stopped in its tracks, requests to the provider go through as ever."""
    async with StandIn(lambda asked: message_answer(asked, [text("hi")])) as up, client() as http:
        async with Proxy(up.url, tmp_path) as proxy:
            assert (await http.get(f"{proxy.url}/api/requests")).status_code == 200
            (process,) = proxy.children(API)
            os.kill(process, signal.SIGSTOP)
            waiting = asyncio.create_task(http.get(f"{proxy.url}/api/requests"))
            for _ in range(20):
                assert (await http.post(f"{proxy.url}/v1/messages", json=request())).status_code == 200
            assert not waiting.done()
            os.kill(process, signal.SIGCONT)
            assert (await waiting).status_code == 200


async def _events(lines: AsyncIterator[str]) -> AsyncIterator[tuple[str, Any]]:
    name = ""
    async for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


async def test_live_shows_the_streams_of_all_workers_while_they_run(tmp_path: Path) -> None:
    """Eight streams over three workers: who listens hears each word while the streams still wait for their ends."""
    gate = Gate()

    def script(asked: Request) -> Any:
        events = text_stream(asked.json()["messages"][0]["content"])
        return stream_answer([*events[:-2], gate, *events[-2:]])

    words = [f"stream number {number} says this" for number in range(8)]
    async with (
        StandIn(script) as up,
        Proxy(up.url, tmp_path, "--workers", "3") as proxy,
        httpx.AsyncClient(trust_env=False, timeout=60) as http,
    ):
        streams = [asyncio.create_task(http.post(f"{proxy.url}/v1/messages", json=request(word))) for word in words[:4]]
        await up.received(4)
        async with http.stream("GET", f"{proxy.url}/api/live") as got:
            assert got.headers["content-type"].startswith("text/event-stream")
            events = _events(got.aiter_lines())
            streams += [asyncio.create_task(http.post(f"{proxy.url}/v1/messages", json=request(w))) for w in words[4:]]
            heard: dict[str, str] = {}
            async with asyncio.timeout(30):
                while sorted(heard.values()) != words:
                    _hear(await anext(events), heard)
                gate.open()
                ended = 0
                while ended < 8:
                    ended += (await anext(events))[0] == "ended"
        await asyncio.gather(*streams)


def _hear(event: tuple[str, Any], heard: dict[str, str]) -> None:
    """Add what an event says to what was heard of each exchange."""
    name, data = event
    if name == "snapshot":
        for one in data["exchanges"]:
            heard[one["exchange"]["id"]] = "".join(block["text"] for block in one["blocks"])
    elif name == "text":
        heard[data["exchange"]] = heard.get(data["exchange"], "") + data["text"]


async def test_who_listens_does_not_keep_a_proxy_from_stopping(tmp_path: Path) -> None:
    """At a stop the live stream comes to a clean end, and nothing waits for it."""
    async with StandIn([]) as up, Proxy(up.url, tmp_path) as proxy, client() as http:
        async with http.stream("GET", f"{proxy.url}/api/live") as got:
            events = _events(got.aiter_lines())
            assert (await anext(events))[0] == "snapshot"
            stopping = asyncio.create_task(proxy.stop())
            assert [event async for event in events] == []
        assert await stopping == 0
        assert "Traceback" not in proxy.said()


async def test_it_goes_to_sleep_when_nobody_asks() -> None:
    """The process ends when nothing was asked for a while, and not while an answer runs."""
    gate = asyncio.Event()

    async def inner(*_: object) -> None:
        await gate.wait()

    watched = Watched(inner)
    running = asyncio.create_task(watched({"type": "http"}, None, None))  # type: ignore[arg-type]
    sleepy = asyncio.create_task(watched.sleepy(0.01))
    done, _ = await asyncio.wait([sleepy], timeout=0.1)
    assert not done
    gate.set()
    await running
    await asyncio.wait_for(sleepy, 5)
