"""Transcripts such as Claude Code writes them, made up.

Knows the lines of a session and where its files stand. Refuses to know who reads them.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Json = dict[str, Any]
PROJECT = "-home-me-work"
CWD = "/home/me/work"
_numbers = itertools.count(1)


def uuid() -> str:
    """Return a name that no other line has."""
    return f"00000000-0000-4000-8000-{next(_numbers):012x}"


def line(kind: str, **members: Any) -> Json:
    """Return a line with the members that most lines have; None leaves one out."""
    common = {
        "parentUuid": None, "isSidechain": False, "userType": "external", "cwd": CWD, "sessionId": "s1", "version": "2.1.330",
        "gitBranch": "main", "type": kind, "uuid": uuid(), "timestamp": "2026-01-02T03:04:05.678Z",
    }  # fmt: skip
    return {key: value for key, value in {**common, **members}.items() if value is not None or key == "parentUuid"}


def user(content: Any, **members: Any) -> Json:
    """Return what a user said."""
    return line("user", message={"role": "user", "content": content}, **members)


def assistant(content: list[Json], message_id: str, **members: Any) -> Json:
    """Return a piece of an answer."""
    message = {"id": message_id, "type": "message", "role": "assistant", "model": "claude-test-1", "content": content}
    return line("assistant", message=message, **{"requestId": f"req_{message_id}", **members})


def text(said: str) -> Json:
    """Return a text block."""
    return {"type": "text", "text": said}


def written(lines: Iterable[Json | bytes]) -> bytes:
    """Return lines as they stand in a file; bytes go in as they are."""
    return b"".join(one if isinstance(one, bytes) else json.dumps(one).encode() + b"\n" for one in lines)


def put(root: Path, name: str, lines: Iterable[Json | bytes], *, project: str = PROJECT) -> Path:
    """Write a transcript into the folder of projects; `name` may lead into folders below the project's."""
    path = root / project / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(written(lines))
    return path


def talk(*said: str, **members: Any) -> list[Json]:
    """Return a conversation in which each text is answered."""
    lines: list[Json] = []
    for one in said:
        lines += [user(one, **members), assistant([text(f"You said {one}.")], uuid(), **members)]
    return lines
