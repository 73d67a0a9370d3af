"""A child process of the proxy, and the pipe on which it is told what to do.

The child gets its settings as the first line on its standard input; later lines are orders (`drain`, `stop`), and the end of
the pipe means that the parent is gone. Signals are the parent's business: a terminal or a service manager sends them to all
processes at once, and an order that comes twice would mean something else. Refuses to know what the child does.
"""

from __future__ import annotations

import base64
import signal
import subprocess
import sys
from collections.abc import Sequence

import msgspec

OURS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # signals that are the parent's business


class Task(msgspec.Struct, frozen=True):
    """What a child is started with. `settings` is the settings' own JSON, base64 here; `sockets` are descriptors.

    `api` is the path of the socket on which the data API answers, `notes` the file of what the workers tell each other.
    """

    settings: str
    board: str
    workers: int
    index: int = 0
    sockets: list[int] = []
    api: str = ""
    notes: str = ""

    @classmethod
    def of(cls, settings: bytes, **other: object) -> Task:
        """Make a task around dumped settings."""
        return msgspec.convert({"settings": base64.b64encode(settings).decode(), **other}, cls)

    def settings_json(self) -> bytes:
        """Return the dumped settings."""
        return base64.b64decode(self.settings)


def start(module: str, task: Task, pass_fds: Sequence[int] = ()) -> subprocess.Popen[bytes]:
    """Start `python -m module` with its task; it shares standard output and error with us."""
    return spawn(["-m", module], msgspec.json.encode(task).decode(), pass_fds)


def spawn(words: Sequence[str], line: str, pass_fds: Sequence[int] = ()) -> subprocess.Popen[bytes]:
    """Start Python with these words, and give it its first line."""
    before = signal.pthread_sigmask(
        signal.SIG_BLOCK, OURS
    )  # a child inherits it, and takes it off when it ignores them
    try:
        child = subprocess.Popen([sys.executable, *words], stdin=subprocess.PIPE, pass_fds=tuple(pass_fds))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    order(child, line)
    return child


def order(child: subprocess.Popen[bytes], text: str) -> None:
    """Give a child an order. A child that is gone needs none."""
    assert child.stdin is not None
    try:
        child.stdin.write(text.encode() + b"\n")
        child.stdin.flush()
    except (BrokenPipeError, ValueError):
        return


def read_task() -> Task:
    """In the child: leave signals to the parent and return the task."""
    for number in OURS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, OURS)
    return msgspec.json.decode(_read_line(), type=Task)


def _read_line() -> bytes:
    """Read the first line from standard input, byte for byte: what follows belongs to whoever listens for orders."""
    line = bytearray()
    with open(0, "rb", buffering=0, closefd=False) as pipe:
        while not line.endswith(b"\n"):
            byte = pipe.read(1)
            if not byte:
                break
            line += byte
    return bytes(line)
