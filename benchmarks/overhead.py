"""What the proxy costs: the same streams straight from a stand-in, and through `ccproxy serve` with capture on.

Run it with `make bench`. Everything listens on loopback. Each event carries the moment at which it was sent, so the receiver
knows its lag. Figures compare within one run only; the machine's noise is in all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from ccproxy.stores.sqlite import SqliteStore

EVENTS, GAP_S, STREAMS = 100, 0.005, 5
BURST, BURST_EVENTS, CLIENTS = 320, 50, 16
BODY = json.dumps({
    "model": "claude-opus-4-8",
    "max_tokens": 100,
    "stream": True,
    "tools": [{"name": f"Tool{n}", "description": "what it does. " * 220, "input_schema": {"type": "object"}} for n in range(24)],
    "messages": [{"role": "user", "content": "say hi"}],
}).encode()  # fmt: skip
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
STAMP = re.compile(rb"@(\d+)@")


def _event(data: str) -> bytes:
    payload = f"event: {json.loads(data)['type']}\ndata: {data}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(payload), payload)


START = _event(
    '{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"claude-opus-4-8",'
    '"content":[],"usage":{"input_tokens":9,"output_tokens":1}}}'
) + _event('{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}')
END = _event('{"type":"message_stop"}') + b"0\r\n\r\n"


def _delta() -> bytes:
    text = f"@{time.monotonic_ns()}@ some words"
    return _event(
        json.dumps({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})
    )


async def _upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each request with as many events as its x-events header says, as far apart as x-gap says."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            fields = dict(re.findall(rb"(?i)\r\n([a-z-]+): *([^\r]*)", head))
            fields = {name.lower(): value for name, value in fields.items()}
            await reader.readexactly(int(fields.get(b"content-length", b"0")))
            writer.write(HEAD + START)
            for _ in range(int(fields[b"x-events"])):
                if gap := float(fields[b"x-gap"]):
                    await asyncio.sleep(gap)
                writer.write(_delta())
            writer.write(END)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def _stream(port: int, events: int, gap: float, firsts: list[float], lags: list[float]) -> None:
    """Send one request; add its time to the first byte and the lag of each event (ms)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    began = time.monotonic_ns()
    writer.write(
        b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-events: %d\r\nx-gap: %f\r\ncontent-length: %d\r\n\r\n%s"
        % (events, gap, len(BODY), BODY)
    )
    tail, first = b"", True
    while not tail.endswith(b"0\r\n\r\n"):
        data = await reader.read(1 << 16)
        now = time.monotonic_ns()
        assert data, "the stream broke off"
        if first:
            firsts.append((now - began) / 1e6)
            first = False
        tail += data
        last = 0
        for match in STAMP.finditer(tail):
            lags.append((now - int(match[1])) / 1e6)
            last = match.end()
        tail = tail[last:]
    writer.close()


def _cpu_s(pids: Sequence[int]) -> float:
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    return [pid, *(int(child) for child in children.read_text().split())] if children.exists() else []


async def _measure(name: str, port: int, pids: Sequence[int]) -> None:
    firsts: list[float] = []
    lags: list[float] = []
    await _stream(port, 5, 0, [], [])
    for _ in range(STREAMS):
        await _stream(port, EVENTS, GAP_S, firsts, lags)
    before, began = _cpu_s(pids), time.monotonic()
    turns = asyncio.Semaphore(CLIENTS)

    async def one() -> None:
        async with turns:
            await _stream(port, BURST_EVENTS, 0, [], [])

    await asyncio.gather(*(one() for _ in range(BURST)))
    elapsed = time.monotonic() - began
    await asyncio.sleep(1)  # ingest has its share
    lags.sort()
    print(
        f"{name:<8} first byte {statistics.median(firsts):6.2f} ms   event lag p50 {lags[len(lags) // 2]:5.2f} ms,"
        f" p99 {lags[int(len(lags) * 0.99)]:5.2f} ms   {BURST / elapsed:5.0f} streams/s"
        f"   {(_cpu_s(pids) - before) * 1000 / BURST:5.2f} ms CPU per stream"
    )


async def _delay_of_rows(port: int, db: str) -> None:
    """Print how long after its last byte an exchange is complete in the store."""
    delays: list[float] = []
    with contextlib.closing(SqliteStore(Path(db))) as store:
        for _ in range(30):
            before = {row["id"] for row in store.exchanges(limit=5)}
            await _stream(port, 5, GAP_S, [], [])
            ended = time.monotonic()
            while not [r for r in store.exchanges(limit=1) if r["id"] not in before and r["state"] == "complete"]:
                await asyncio.sleep(0.005)
            delays.append((time.monotonic() - ended) * 1000)
    delays.sort()
    print(
        f"{'':<8} row complete in the store after {delays[len(delays) // 2]:.0f} ms (p50), {delays[-1]:.0f} ms (longest)"
    )


async def main() -> None:
    """Measure both ways and print a line for each."""
    server = await asyncio.start_server(_upstream, "127.0.0.1", 0, limit=1 << 22)
    upstream = server.sockets[0].getsockname()[1]
    await _measure("direct", upstream, [])
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "ccproxy",
            "serve",
            "--no-dashboard",
            "--port",
            "0",
            "--db",
            f"{folder}/requests.db",
        ]
        command += ["--upstream", f"http://127.0.0.1:{upstream}"]
        environ = {"PATH": os.environ["PATH"], "HOME": folder}
        proxy = await asyncio.create_subprocess_exec(*command, cwd=folder, env=environ, stderr=asyncio.subprocess.PIPE)
        assert proxy.stderr is not None
        try:
            found = re.search(
                rb"localhost:(\d+)",
                await proxy.stderr.readuntil(b"listens on http://localhost:") + await proxy.stderr.readline(),
            )
            assert found
            silence = asyncio.create_task(proxy.stderr.read())
            await _measure("ccproxy", int(found[1]), _family(proxy.pid))
            await _delay_of_rows(int(found[1]), f"{folder}/requests.db")
            silence.cancel()
        finally:
            proxy.terminate()
            await proxy.wait()
    server.close()


if __name__ == "__main__":
    if sys.platform != "linux":
        sys.exit("the figures of CPU come from /proc, so this runs on Linux only")
    asyncio.run(main())
