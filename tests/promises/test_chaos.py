"""Nothing that happens to journal, ingest or store changes, delays or fails a request."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.proxy import Proxy, client, request
from tests.support.standin import Answer, Request, StandIn, stream_answer, text_stream

PROMPT_S = 2.0  # far above what an exchange takes, far below every timeout of store and journal


def _script(got: Request) -> Answer:
    try:
        words = str(json.loads(got.body)["messages"][0]["content"]).encode("utf-8", "replace").decode()
    except (ValueError, LookupError, TypeError, RecursionError):
        words = "what?"
    return stream_answer(text_stream(words))


async def _rounds(proxy: Proxy, up: StandIn, name: str, count: int) -> float:
    """Send requests one after the other, hold each answer against the upstream's, and return the longest time (s)."""
    slowest = 0.0
    async with client() as http:
        for number in range(count):
            before = len(up.requests)
            began = time.monotonic()
            got = await http.post(f"{proxy.url}/v1/messages", json=request(f"{name} {number}"))
            slowest = max(slowest, time.monotonic() - began)
            assert got.content == _script(up.requests[before]).body
    return slowest


async def test_a_locked_store_delays_nobody_and_loses_nothing(tmp_path: Path) -> None:
    """While another program holds the store's lock, requests go on as before, `/livez` says so, and all is stored after."""
    async with StandIn(_script) as up, Proxy(up.url, tmp_path) as proxy:
        await _rounds(proxy, up, "before", 2)
        await proxy.ended(2)
        with contextlib.closing(sqlite3.connect(proxy.db, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            slowest = await _rounds(proxy, up, "locked", 20)
            await _until_ingest(proxy, "waiting for the store")
            slowest = max(slowest, await _rounds(proxy, up, "still locked", 20))
            health = await proxy.health()
            assert health["journal"]["lag_seconds"] > 0 or health["ingest"]["error"]
            assert len(proxy.rows()) == 2
            other.execute("ROLLBACK")
        assert slowest < PROMPT_S
        rows = await proxy.ended(42)
        assert len(rows) == 42
        await _until_ingest(proxy, "running")
        assert (await proxy.health())["dropped"] == {"exchanges": 0, "bytes": 0}


async def _until_ingest(proxy: Proxy, state: str) -> None:
    deadline = time.monotonic() + 20
    while (await proxy.health())["ingest"]["state"] != state:
        assert time.monotonic() < deadline, await proxy.health()
        await asyncio.sleep(0.05)


async def test_a_killed_ingest_delays_nobody_and_loses_nothing(tmp_path: Path) -> None:
    """Ingest may die again and again: requests go on, it comes back, and each exchange is stored once."""
    async with StandIn(_script) as up, Proxy(up.url, tmp_path) as proxy:
        slowest = 0.0
        for number in range(4):
            slowest = max(slowest, await _rounds(proxy, up, f"round {number}", 10))
            for pid in proxy.children("ccproxy.ingest.process"):
                os.kill(pid, signal.SIGKILL)
        slowest = max(slowest, await _rounds(proxy, up, "last", 10))
        assert slowest < PROMPT_S
        rows = await proxy.ended(50, timeout=40)
        assert len({row["id"] for row in rows}) == len(rows) == 50


async def test_garbage_bodies_stop_nothing(tmp_path: Path) -> None:
    """Bodies that make no sense are forwarded, kept byte for byte, and the line goes on behind them."""
    garbage = [
        b"\x00\xff" * 100,
        b"{" * 100_000,
        b'{"messages":' + b"[" * 100_000,
        b'{"messages":[{"role":"user","content":"\\ud800"}]}',
        b'{"messages":[{"role":7,"content":{"a":1}}],"system":{"x":[]},"tools":[1,null],"metadata":[]}',
        b'{"model":"' + b"m" * 100_000 + b'","messages":[null,1,"x",[]],"stream":"perhaps","max_tokens":-1e400}',
        b'\xef\xbb\xbf{"messages":[]}',
        json.dumps({"messages": [], "metadata": {"user_id": "{broken"}}).encode(),
    ]
    async with StandIn(_script) as up, Proxy(up.url, tmp_path) as proxy, client() as http:
        for body in garbage:
            got = await http.post(f"{proxy.url}/v1/messages", content=body)
            assert got.status_code == 200
        await _rounds(proxy, up, "after", 1)
        assert [got.body for got in up.requests[:-1]] == garbage
        rows = await proxy.ended(len(garbage) + 1)
        assert [proxy.body(row, "request") for row in rows[:-1]] == garbage
        assert {row["state"] for row in rows} == {"complete"}


async def test_garbage_answers_stop_nothing(tmp_path: Path) -> None:
    """Answers that make no sense reach the client as they are, are kept byte for byte, and the line goes on behind them."""
    garbage = [
        b"data: {broken\n\n",
        b"event: message_start\ndata: []\n\n" * 10,
        b"data: " + b"[" * 100_000 + b"\n\n",
        b"\x00\xff\xfe no stream at all",
        b'data: {"type":"content_block_delta","index":"x","delta":{"type":"text_delta","text":7}}\n\n',
        b'data: {"type":"message_start","message":{"content":7,"usage":[]}}\n\ndata: {"type":"message_delta","usage":3}\n\n',
        b'data: {"type":"message_start","message":{"usage":{"input_tokens":1e999,"output_tokens":123456789012345678901234567890}}}\n\n',
    ]
    answers = iter(garbage)

    def script(_: Request) -> Answer:
        return stream_answer([next(answers)])

    async with StandIn(script) as up, Proxy(up.url, tmp_path) as proxy, client() as http:
        for body in garbage:
            got = await http.post(f"{proxy.url}/v1/messages", json=request())
            assert got.content == body
        rows = await proxy.ended(len(garbage))
        assert [proxy.body(row, "response") for row in rows] == garbage
        assert {row["state"] for row in rows} == {"complete"}


@contextlib.contextmanager
def _small_disk(place: Path, kilobytes: int) -> Iterator[None]:
    """Mount a disk of its own, which is soon full."""
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k,mode=700", "tmpfs", place], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip(f"cannot mount a small disk here: {made.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=True)


async def test_a_full_disk_stops_capture_and_nothing_else(tmp_path: Path) -> None:
    """With the journal's disk full, traffic is as ever; what is missing afterwards is what was counted as dropped."""
    disk = tmp_path / "disk"
    with _small_disk(disk, 256):
        environ = {"JOURNAL_DIR": str(disk / "journal")}
        async with StandIn(_script) as up, Proxy(up.url, tmp_path / "home", environ=environ) as proxy:
            await _rounds(proxy, up, "roomy", 3)
            await proxy.ended(3)
            ballast = disk / "ballast"
            with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
                while True:
                    file.write(b"x" * 1024)
            with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as file:
                while True:
                    file.write(b"x")
            filler = "word " * 2000
            slowest = await _rounds(proxy, up, f"full {filler}", 20)
            assert slowest < PROMPT_S
            await _until_dropped(proxy, 1)
            assert "No space left" in (await proxy.health())["journal"]["error"]
            await proxy.until(lambda: "capture is suspended" in proxy.said())
            ballast.unlink()
            await _rounds(proxy, up, "roomy again", 3)
            await proxy.until(lambda: "roomy again 2" in _last_words(proxy))
            await proxy.until(lambda: not [row for row in proxy.rows() if row["state"] == "open"])
            rows = proxy.rows()
            whole = [row for row in rows if not (row["capture_note"] or "").startswith("the journal")]
            await _until_dropped(proxy, 26 - len(whole))  # the count is shared between processes a moment later
            assert (await proxy.health())["dropped"]["exchanges"] == 26 - len(whole)
            assert len(rows) >= 6


async def _until_dropped(proxy: Proxy, count: int) -> None:
    deadline = time.monotonic() + 20
    while (await proxy.health())["dropped"]["exchanges"] < count:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


def _last_words(proxy: Proxy) -> str:
    rows = proxy.rows()
    body = proxy.body(rows[-1], "request") if rows else None
    return str(json.loads(body)["messages"][0]["content"]) if body else ""
