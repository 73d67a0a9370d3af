"""What translation costs: one stream of Chat Completions through a routing proxy, beside one of Messages that only passes.

Run it with `python benchmarks/translation.py`. Everything listens on loopback; each fragment carries the moment at which it was
sent, so the receiver knows its lag. The last lines are the translation alone, without a proxy around it.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import statistics
import sys
import tempfile
import time
from typing import Any

from ccproxy.protocol.openai.dialect import dialect_of
from ccproxy.protocol.openai.request import to_chat
from ccproxy.protocol.openai.stream import ChatStream

EVENTS, GAP_S, STREAMS = 200, 0.005, 8
SENTENCE = "what it does. " * 220
TOOLS = [{"name": f"Tool{n}", "description": SENTENCE, "input_schema": {"type": "object"}} for n in range(24)]
TURNS = 12  # of a tool loop that lies behind
STAMP = re.compile(rb"@(\d+)@")
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
AGENT = b"x-claude-code-session-id: s\r\nx-claude-code-agent-id: a\r\nx-claude-code-agent-type: Explore\r\n"
MAIN = b"x-claude-code-session-id: s\r\n"


def body(turns: int) -> bytes:
    """Return a request of an agent that has called so many tools."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Look around."}]
    for turn in range(turns):
        call = {"type": "tool_use", "id": f"call_{turn}", "name": "Tool1", "input": {"path": f"/src/{turn}.py"}}
        result = {"type": "tool_result", "tool_use_id": f"call_{turn}", "content": "a line of a file\n" * 60}
        messages += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    system = [{"type": "text", "text": "You are an agent. " * 200}]
    request = {"model": "claude-opus-4-8", "max_tokens": 100, "stream": True, "system": system, "tools": TOOLS}
    return json.dumps({**request, "messages": messages}).encode()


def chat_chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    """Return a chunk of Chat Completions."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    frame = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o", "choices": [choice]}
    return b"data: " + json.dumps(frame).encode() + b"\n\n"


def message_event(kind: str, **members: Any) -> bytes:
    """Return an event of Messages."""
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), json.dumps({"type": kind, **members}).encode())


def said(chat: bool) -> bytes:
    """Return a fragment that carries the time."""
    text = f"@{time.monotonic_ns()}@ some words"
    if chat:
        return chat_chunk({"content": text})
    return message_event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


def frame(data: bytes) -> bytes:
    """Return a chunk of HTTP."""
    return b"%x\r\n%s\r\n" % (len(data), data)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Play both providers, by the path that is asked for."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = re.search(rb"(?i)content-length: *(\d+)", head)
            await reader.readexactly(int(length[1]) if length else 0)
            chat = b"/chat/completions" in head
            usage = {"input_tokens": 9, "output_tokens": 1}
            message = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": usage}
            start = message_event("message_start", message=message)
            start += message_event("content_block_start", index=0, content_block={"type": "text", "text": ""})
            writer.write(HEAD + frame(chat_chunk({"role": "assistant", "content": ""}) if chat else start))
            for _ in range(EVENTS):
                await asyncio.sleep(GAP_S)
                writer.write(frame(said(chat)))
            end = chat_chunk({}, "stop") + b"data: [DONE]\n\n" if chat else message_event("message_stop")
            writer.write(frame(end) + b"0\r\n\r\n")
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def stream(port: int, headers: bytes, request: bytes, firsts: list[float], lags: list[float]) -> None:
    """Send one request; add the time to its first event and the lag of each fragment (ms)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    began = time.monotonic_ns()
    lines = b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\nx-api-key: k\r\n%scontent-length: %d\r\n\r\n"
    writer.write(lines % (headers, len(request)) + request)
    tail, first = b"", True
    while not tail.endswith(b"0\r\n\r\n"):
        data = await reader.read(1 << 16)
        now = time.monotonic_ns()
        assert data, "the stream broke off"
        tail += data
        if first and b"event: message_start" in tail:
            firsts.append((now - began) / 1e6)
            first = False
        last = 0
        for match in STAMP.finditer(tail):
            lags.append((now - int(match[1])) / 1e6)
            last = match.end()
        tail = tail[last:]
    writer.close()


async def measure(name: str, port: int, headers: bytes) -> None:
    """Print the figures of one kind of stream."""
    firsts: list[float] = []
    lags: list[float] = []
    request = body(TURNS)
    await stream(port, headers, request, [], [])
    for _ in range(STREAMS):
        await stream(port, headers, request, firsts, lags)
    lags.sort()
    print(
        f"{name:<22} first event {statistics.median(firsts):6.2f} ms   lag p50 {lags[len(lags) // 2]:5.2f} ms,"
        f" p99 {lags[int(len(lags) * 0.99)]:5.2f} ms   ({len(request) >> 10} KB, {len(lags)} fragments)"
    )


def alone() -> None:
    """Print what the translation itself takes."""
    chunks = [chat_chunk({"content": "some words"}) for _ in range(20_000)]
    translated = ChatStream("msg_1", "claude-opus-4-8")
    translated.open()
    began = time.perf_counter()
    for chunk in chunks:
        translated.feed(chunk)
    print(f"a chunk of text        {(time.perf_counter() - began) / len(chunks) * 1e6:6.1f} µs")
    dialect = dialect_of("api.openai.com", "gpt-4o")
    for turns in (0, TURNS, 800):
        request = body(turns)
        best = min(_timed(request, dialect) for _ in range(5))
        print(f"a request of {len(request) >> 10:>5} KB  {best * 1e3:6.2f} ms")


def _timed(request: bytes, dialect: Any) -> float:
    began = time.perf_counter()
    to_chat(request, "gpt-4o", dialect)
    return time.perf_counter() - began


async def main() -> None:
    """Measure both ways, then the translation alone."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=1 << 24)
    place = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "ccproxy", "serve", "--no-dashboard", "--port", "0", "--upstream", place]
        environ = {
            **{"PATH": os.environ["PATH"], "HOME": folder, "DB_PATH": f"{folder}/requests.db"},
            **{"SUBAGENTS_ENABLE": "true", "SUBAGENT_MAPPINGS": "Explore:gpt-4o"},
            **{"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": place},
        }
        proxy = await asyncio.create_subprocess_exec(*command, cwd=folder, env=environ, stderr=asyncio.subprocess.PIPE)
        assert proxy.stderr is not None
        try:
            await proxy.stderr.readuntil(b"listens on http://localhost:")
            port = int(await proxy.stderr.readline())
            silence = asyncio.create_task(proxy.stderr.read())
            for _ in range(2):
                await measure("passed on", port, MAIN)
                await measure("translated", port, AGENT)
            silence.cancel()
        finally:
            proxy.terminate()
            await proxy.wait()
    server.close()
    alone()


if __name__ == "__main__":
    asyncio.run(main())
