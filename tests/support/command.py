"""The command line in processes of its own: with pipes, and with a terminal.

Knows how to start `ccproxy` so that nothing of the developer's set-up counts, and how to wait for it. Refuses to know what
a test wants to see.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.proxy import isolated_environment

PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended."""

    code: int
    out: bytes
    err: str


async def ccproxy(*arguments: str, home: Path, environ: Mapping[str, str] | None = None) -> Done:
    """Run a command to its end."""
    async with started(*arguments, home=home, environ=environ) as process:
        out, err = await asyncio.wait_for(process.communicate(), PATIENCE_S)
        assert process.returncode is not None
        return Done(process.returncode, out, err.decode())


@contextlib.asynccontextmanager
async def started(
    *arguments: str, home: Path, environ: Mapping[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a command in a session of its own; whatever is left of that at the end is killed."""
    home.mkdir(parents=True, exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "ccproxy", *arguments),
        env=isolated_environment(home, environ),
        cwd=home,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()


async def line(stream: asyncio.StreamReader | None) -> str:
    """Wait for one line of output."""
    assert stream is not None
    return (await asyncio.wait_for(stream.readline(), PATIENCE_S)).decode()


async def on_a_terminal(*arguments: str, home: Path, environ: Mapping[str, str] | None = None) -> bytes:
    """Run a command whose standard output and error are a terminal, and return all that it writes there."""
    ours, its = pty.openpty()
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "ccproxy", *arguments),
            env=isolated_environment(home, environ),
            cwd=home,
            stdin=its,
            stdout=its,
            stderr=its,
            start_new_session=True,
        )
    finally:
        os.close(its)
    try:
        written = await asyncio.wait_for(asyncio.to_thread(_all_of, ours), PATIENCE_S)
        await process.wait()
    finally:
        os.close(ours)
    return written


def _all_of(terminal: int) -> bytes:
    written = b""
    with contextlib.suppress(OSError):  # how Linux says that nobody holds the other side any more
        while piece := os.read(terminal, 1 << 16):
            written += piece
    return written


@contextlib.contextmanager
def silent_port() -> Iterator[int]:
    """Give a port on which nobody listens, and nobody else can."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def children(pid: int) -> list[int]:
    """Return the ids of a process's children, whichever of its threads started them."""
    found = ""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            found += (task / "children").read_text()
    return [int(child) for child in found.split()]
