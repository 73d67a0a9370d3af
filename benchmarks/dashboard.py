"""What an open dashboard costs the proxy: the lag of events through `ccproxy serve` under load, without one and with one on its store.

Three conditions take turns, so that the machine's moods fall on all of them: no dashboard; one that nobody looks at; one with two tabs
open, of which one follows everything live and the other goes to another page every two seconds. The browser runs at the lowest
priority, for its work is not the dashboard's. Run it with: python benchmarks/dashboard.py [a store to begin with]
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from overhead import _cpu_s, _family, _stream, _upstream

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.support.dashboard import free_port

ROUNDS, STREAMS, EVENTS, GAP_S = 3, 8, 600, 0.01
PAGES = ("sessions", "exchanges", "tokens", "cache", "context", "latency", "tools")
VISITOR = """
import os, sys
from playwright.sync_api import sync_playwright
from tests.support.dashboard import ARGUMENTS, CHROMIUM
url, pages = sys.argv[1], sys.argv[2:]
os.nice(19)
with sync_playwright() as driver:
    browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
    live, other = (browser.new_page() for _ in range(2))
    live.goto(url + "?page=live")
    live.wait_for_selector("text=connected to")
    other.goto(url + "?page=exchanges")
    other.wait_for_selector("tr[data-href]")
    print("open", flush=True)
    while True:
        for page in pages:
            other.click(f"nav a.page[href*='page={page}']")
            other.wait_for_timeout(2000)
"""


@contextlib.asynccontextmanager
async def _running(
    *words: str, said: bytes, environ: dict[str, str]
) -> AsyncIterator[tuple[asyncio.subprocess.Process, bytes]]:
    """Run a Python program until it has said something; give it and the line."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    assert process.stdout is not None
    line = b""
    try:
        while said not in line:
            line = await process.stdout.readline()
            assert line, f"{words} ended"
        reading = asyncio.create_task(process.stdout.read())
        yield process, line
        reading.cancel()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _load(port: int) -> tuple[list[float], list[float]]:
    """Return the times to the first byte and the lags of events (ms) of streams side by side."""
    firsts: list[float] = []
    lags: list[float] = []
    await asyncio.gather(*(_stream(port, EVENTS, GAP_S, firsts, lags) for _ in range(STREAMS)))
    return firsts, sorted(lags)


async def main(start: Path | None) -> None:
    """Measure the three conditions in turns and print a line for each."""
    server = await asyncio.start_server(_upstream, "127.0.0.1", 0, limit=1 << 22)
    upstream = server.sockets[0].getsockname()[1]
    found: dict[str, list[tuple[float, float, float, float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        if start:
            shutil.copy(start, f"{folder}/requests.db")
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": folder,
            "DB_PATH": f"{folder}/requests.db",
            "PYTHONUNBUFFERED": "1",
        }
        words = (
            "-m",
            "ccproxy",
            "serve",
            "--no-dashboard",
            "--port",
            "0",
            "--upstream",
            f"http://127.0.0.1:{upstream}",
        )
        async with _running(*words, said=b"listens on", environ={**environ, "ACCESS_LOG": "false"}) as (proxy, line):
            port = int(re.findall(rb":(\d+)", line)[0])
            environ |= {"PORT": str(port), "DASHBOARD_PORT": str(free_port())}
            url = f"http://127.0.0.1:{environ['DASHBOARD_PORT']}/"
            await _load(port)
            for _ in range(ROUNDS):
                for name in ("none", "nobody looks", "two tabs"):
                    async with contextlib.AsyncExitStack() as stack:
                        pids: list[int] = []
                        if name != "none":
                            shown, _ = await stack.enter_async_context(
                                _running("-m", "dashboards", said=b"is at", environ=environ)
                            )
                            os.setpriority(os.PRIO_PROCESS, shown.pid, 10)  # as `ccproxy serve` does
                            pids.append(shown.pid)
                        if name == "two tabs":
                            await stack.enter_async_context(
                                _running("-c", VISITOR, url, *PAGES, said=b"open", environ=environ)
                            )
                        before, own = _cpu_s(pids), _cpu_s(_family(proxy.pid))
                        firsts, lags = await _load(port)
                        assert len(lags) == STREAMS * EVENTS, "events were lost"
                        work = (_cpu_s(_family(proxy.pid)) - own, _cpu_s(pids) - before)
                        found.setdefault(name, []).append(
                            (statistics.median(firsts), lags[len(lags) // 2], lags[int(len(lags) * 0.99)], *work)
                        )
    server.close()
    print(f"{STREAMS} streams of {EVENTS} events, {GAP_S * 1000:g} ms apart; medians of {ROUNDS} rounds, ms")
    for name, rounds in found.items():
        first, p50, p99, own, shown = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(
            f"dashboard: {name:<13} first byte {first:6.2f}   event lag p50 {p50:5.2f}   p99 {p99:6.2f}"
            f"   CPU of the proxy {own:5.2f} s, of the dashboard {shown:5.2f} s"
        )


if __name__ == "__main__":
    if sys.platform != "linux":
        sys.exit("the figures of CPU come from /proc, so this runs on Linux only")
    asyncio.run(main(Path(sys.argv[1]) if sys.argv[1:] else None))
