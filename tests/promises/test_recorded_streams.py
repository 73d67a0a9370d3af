"""Recorded streams of the real API, replayed through the running proxy."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from ccproxy.protocol import sse
from ccproxy.protocol.message import build
from tests.support import wire
from tests.support.proxy import Proxy, client, request
from tests.support.standin import Answer, Request, StandIn, stream_answer


@wire.needs_wire
async def test_every_recorded_stream_passes_unchanged_and_is_understood(tmp_path: Path) -> None:
    """The client's bytes equal the upstream's, and the stored message equals the one that the protocol layer builds."""
    names = wire.stream_files()
    assert len(names) > 100
    bodies = {name: wire.stream(name) for name in names}

    def script(got: Request) -> Answer:
        body = bodies[got.header("x-recording") or ""]
        cut = max(1, len(body) // 7)
        return stream_answer([body[at : at + cut] for at in range(0, len(body), cut)])

    async with StandIn(script) as up, Proxy(up.url, tmp_path) as proxy, client() as http:
        limit = asyncio.Semaphore(8)

        async def replay(name: str) -> None:
            async with limit:
                got = await http.post(f"{proxy.url}/v1/messages", json=request(name), headers={"x-recording": name})
                assert got.content == bodies[name], name

        await asyncio.gather(*(replay(name) for name in names))
        rows = await proxy.ended(len(names), timeout=60)
        store = proxy.store()
        compared = 0
        for row in rows:
            headers = dict(store.headers(row["id"], "request") or [])
            name = headers["x-recording"]
            assert row["state"] == "complete"
            assert store.body(row["id"], "response") == bodies[name]
            decoder = sse.Decoder()
            built = build(
                event for event in [*decoder.feed(bodies[name]), *decoder.close()] if isinstance(event, sse.Event)
            )
            if built.message and built.message.get("content"):
                stored = json.loads(store.conversation(row["reply"])[-1])
                assert stored == {"role": "assistant", "content": built.message["content"]}, name
                assert json.loads(row["usage"]) == built.message["usage"], name
                assert row["stop_reason"] == built.message["stop_reason"]
                compared += 1
        store.close()
        assert compared > 90
