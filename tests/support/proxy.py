"""A running ccproxy, for tests: the real command in processes of its own, on a loopback port that the system chose.

Knows how to start it in a home of its own, to read its store, and to end it politely or not. Refuses to know what the tests
send through it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from ccproxy.errors import StoreError
from ccproxy.stores.contract import Record
from ccproxy.stores.sqlite import SqliteStore

START_S = 30.0
PATIENCE_S = 20.0
FINAL = ("complete", "failed", "client_left", "interrupted")


def isolated_environment(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment in which nothing of the developer's own set-up counts."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        **(extra or {}),
    }


class Proxy:
    """`ccproxy serve` in front of `upstream`, with store and journal below `home`."""

    def __init__(
        self,
        upstream: str,
        home: Path,
        *arguments: str,
        environ: Mapping[str, str] | None = None,
        port: int = 0,
        db: str | None = "requests.db",
        dashboard: bool = False,
    ) -> None:
        """`db` is the store's file below `home`; None leaves it to the environment where the store is."""
        self.upstream = upstream
        self.home = home
        self.db = home / "requests.db"
        self.journal = home / "requests.journal"
        self.log = home / "proxy.log"
        self.port = port
        self._arguments = arguments if db is None else ("--db", str(home / db), *arguments)
        self._arguments = self._arguments if dashboard else ("--no-dashboard", *self._arguments)
        self._environ = isolated_environment(home, environ)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The base URL for clients."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            print(self.said())
            await self.kill()
        elif self.process is not None and self.process.poll() is None:
            await self.stop()

    async def start(self) -> None:
        """Start it and wait until it serves."""
        self.home.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable, "-m", "ccproxy", "serve", "--port", str(self.port), "--upstream", self.upstream, *self._arguments,
        ]  # fmt: skip
        before = len(self.said())
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, env=self._environ, cwd=self.home, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        await self.until(lambda: self._listening(before), START_S)

    def _listening(self, before: int) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.said()
        found = re.search(r"listens on http://\S+?:(\d+)", self.said()[before:])
        if found:
            self.port = int(found[1])
        return bool(found)

    def said(self) -> str:
        """Return all that it has written to its terminal."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to stop, wait until it has, and return its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return await asyncio.to_thread(self.process.wait, 60)

    async def kill(self) -> None:
        """Kill all of its processes at once."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        await asyncio.to_thread(self.process.wait, 60)

    def children(self, module: str) -> list[int]:
        """Return the ids of its child processes that run this module."""
        assert self.process is not None
        all_of_them = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in all_of_them if module.encode() in _command_line(pid)]

    async def until(self, predicate: Callable[[], bool], timeout: float = PATIENCE_S) -> None:
        """Wait until something is so; fail after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not predicate():
            assert time.monotonic() < deadline, f"waited {timeout:g} s in vain\n{self.said()}"
            await asyncio.sleep(0.01)

    def rows(self) -> list[Record]:
        """Return all exchanges in the store, oldest first."""
        try:
            with contextlib.closing(SqliteStore(self.db)) as store:
                return store.exchanges(limit=100_000)[::-1]
        except StoreError:
            return []

    def store(self) -> SqliteStore:
        """Open the store for reading; the caller closes it."""
        return SqliteStore(self.db)

    async def ended(self, count: int = 1, timeout: float = PATIENCE_S) -> list[Record]:
        """Wait until `count` exchanges have ended in the store, and return all rows, oldest first."""
        rows: list[Record] = []

        def enough() -> bool:
            rows[:] = self.rows()
            return sum(row["state"] in FINAL for row in rows) >= count

        await self.until(enough, timeout)
        return rows

    def body(self, row: Record, side: str) -> bytes | None:
        """Return one side's exact bytes from the store."""
        with contextlib.closing(self.store()) as store:
            return store.body(row["id"], side)

    def reply(self, row: Record) -> Any:
        """Return the answer's message from the store."""
        with contextlib.closing(self.store()) as store:
            return json.loads(store.conversation(row["reply"])[-1])

    def attempts(self, row: Record) -> list[Any]:
        """Return what was tried in vain before the answer."""
        found: list[Any] = json.loads(row["attempts"] or "[]")
        return found

    async def health(self) -> dict[str, Any]:
        """Return what `/livez` says."""
        async with httpx.AsyncClient(trust_env=False) as client:
            report: dict[str, Any] = (await client.get(f"{self.url}/livez")).json()
            return report


def _command_line(pid: str) -> bytes:
    """Return how a process was started; nothing of one that is gone meanwhile."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


@contextlib.asynccontextmanager
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A plain HTTP client that adds nothing of its own choice and never gives up first."""
    async with httpx.AsyncClient(trust_env=False, timeout=60) as plain:
        yield plain


REQUEST: dict[str, Any] = {
    "model": "claude-opus-4-8",
    "max_tokens": 100,
    "stream": True,
    "messages": [{"role": "user", "content": "say hi"}],
}


def request(*words: str, **fields: Any) -> dict[str, Any]:
    """Return a Messages request whose turns say these words, user first."""
    roles = ("user", "assistant")
    messages = [{"role": roles[i % 2], "content": word} for i, word in enumerate(words or ("say hi",))]
    return {**REQUEST, "messages": messages, **fields}
