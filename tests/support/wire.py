"""The recorded wire data, where it is there.

Knows the folder beside the repository and how its streams and sessions are stored. Nothing of it is part of the project:
a checkout without it skips these tests.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "wire"
needs_wire = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"the recorded wire data is not there: {FOLDER}")
API = "https://api.anthropic.com"


@dataclass(frozen=True, slots=True)
class Request:
    """One recorded request of Claude Code. The recorder parsed the body; it is JSON again here."""

    source: str
    number: int
    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes
    response: bytes

    @property
    def name(self) -> str:
        """Where to find it."""
        return f"{self.source}#{self.number}"


def stream_files() -> list[str]:
    """Return the names of all recorded Anthropic streams, below FOLDER; one that is skipped where the folder is missing."""
    folder = FOLDER / "anthropic_sse"
    found = [*folder.glob("*.sse"), *folder.glob("vercel_chunks/*.chunks.txt")]
    return sorted(str(path.relative_to(FOLDER)) for path in found) or ["no recorded streams"]


def stream(name: str) -> bytes:
    """Return a recorded stream as bytes on the wire; streams that were stored as payloads get their framing back."""
    data = (FOLDER / name).read_bytes()
    return framed(data) if name.endswith(".chunks.txt") else data


def framed(payloads: bytes) -> bytes:
    """Return one event per line of JSON."""
    lines = [line for line in payloads.splitlines() if line.strip()]
    return b"".join(b"event: %s\ndata: %s\n\n" % (json.loads(line)["type"].encode(), line) for line in lines)


@cache
def requests() -> tuple[Request, ...]:
    """Return every recorded request of Claude Code, in the order of its file."""
    files = sorted([*FOLDER.glob("claude_code/*.jsonl"), *FOLDER.glob("claude_code_runs/*.jsonl")])
    return tuple(request for path in files for request in _requests(path))


def _requests(path: Path) -> Iterator[Request]:
    for number, line in enumerate(path.read_text().splitlines()):
        record = json.loads(line)
        request: dict[str, Any] = record.get("request", record)
        headers = request["headers"]
        pairs = headers.items() if isinstance(headers, dict) else headers
        body = request["body"]
        yield Request(
            path.name,
            number,
            request["method"],
            request.get("path") or request["url"].removeprefix(API),
            [(name.lower(), value) for name, value in pairs],
            b"" if body is None else json.dumps(body, ensure_ascii=False).encode(),
            (record.get("response") or {}).get("body_raw", "").encode(),
        )
