"""Kill -9 at any moment loses nothing that was complete, and of what was running only the last quarter of a second."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.support.proxy import Proxy, client, request
from tests.support.standin import Answer, Delay, Request, StandIn, json_answer, stream_answer, text_stream

KILLS = 20
CLIENTS = 6
TOLERANCE_S = 0.25


@dataclass(slots=True)
class Seen:
    """What one client saw of one exchange: the pieces of its answer with their times, and whether it ended cleanly."""

    body: bytes
    pieces: list[tuple[float, bytes]] = field(default_factory=list)
    complete: bool = False


def _script(got: Request) -> Answer:
    words = json.loads(got.body)["messages"][0]["content"]
    if words.endswith("json"):
        return json_answer({"type": "message", "role": "assistant", "content": [{"type": "text", "text": words}]})
    events = text_stream(words)
    steps: list[bytes | Delay] = []
    for event in events:
        steps += [event, Delay(0.02)]
    return stream_answer(steps)


async def _load(proxy: Proxy, http: httpx.AsyncClient, name: str, seen: dict[str, Seen]) -> None:
    """Send one request after the other until the proxy is gone."""
    number = 0
    while True:
        words = f"{name}-{number}" + ("-json" if number % 3 == 0 else "")
        number += 1
        body = json.dumps(request(words)).encode()
        seen[words] = Seen(body)
        try:
            async with http.stream("POST", f"{proxy.url}/v1/messages", content=body) as answer:
                async for piece in answer.aiter_raw():
                    seen[words].pieces.append((time.monotonic(), piece))
            seen[words].complete = True
        except httpx.HTTPError:
            return


async def test_twenty_kills_under_load_lose_nothing(tmp_path: Path) -> None:
    """After each kill and restart every completed exchange is stored once, and running ones are interrupted, nearly whole."""
    dice = random.Random(20)
    expected: dict[str, tuple[Seen, float]] = {}
    async with StandIn(_script) as up:
        proxy = Proxy(up.url, tmp_path)
        for life in range(KILLS):
            await proxy.start()
            seen: dict[str, Seen] = {}
            async with client() as http:
                load = [asyncio.create_task(_load(proxy, http, f"{life}-{n}", seen)) for n in range(CLIENTS)]
                await asyncio.sleep(dice.uniform(0.05, 0.6))
                killed = time.monotonic()
                await proxy.kill()
                await asyncio.gather(*load)
            expected |= {words: (one, killed) for words, one in seen.items()}
        await proxy.start()
        await proxy.until(lambda: not [row for row in proxy.rows() if row["state"] == "open"])
        await proxy.until(lambda: not _unread(proxy))
        await proxy.stop()

    complete = sum(one.complete for one, _ in expected.values())
    assert complete > KILLS * CLIENTS
    with contextlib.closing(proxy.store()) as store:
        found: dict[str, str] = {}
        for row in proxy.rows():
            body = store.body(row["id"], "request") or b""
            assert row["state"] in ("complete", "interrupted", "failed"), row
            if not body:  # its request was on the way when the proxy died
                continue
            words = json.loads(body)["messages"][0]["content"]
            assert words not in found, "an exchange is stored twice"
            found[words] = row["state"]
            one, killed = expected[words]
            assert body == one.body
            stored = store.body(row["id"], "response") or b""
            received = b"".join(piece for _, piece in one.pieces)
            old_enough = b"".join(piece for at, piece in one.pieces if at < killed - TOLERANCE_S)
            if one.complete:
                assert (row["state"], stored) == ("complete", received), words
            else:
                assert stored.startswith(old_enough), words
        missing = [words for words, (one, _) in expected.items() if one.complete and words not in found]
        assert not missing


def _unread(proxy: Proxy) -> list[Path]:
    return list(proxy.journal.glob("*.journal"))
