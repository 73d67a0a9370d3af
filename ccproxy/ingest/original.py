"""Captures of the proxy that ccproxy took its idea from, as exchanges of ours.

Knows the one table of its `requests.db`: JSON texts of headers, request and response (github.com/seifghazi/claude-code-proxy,
`storage_sqlite.go`). Its records say less than ours: no times within a stream, and a request that was parsed and written anew.
Refuses to touch that table.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from ccproxy.ingest.memory import Memory
from ccproxy.ingest.request import request_entry
from ccproxy.ingest.response import add_response
from ccproxy.protocol import headers
from ccproxy.protocol.parts import json_value
from ccproxy.records import Captured, Ending, Heading, Opening, State
from ccproxy.stores.sqlite import SqliteStore

WRITER = "original"
STEP = 100  # rows in one transaction


def take_over(store: SqliteStore) -> int:
    """Make exchanges of the rows that were not taken over yet, and return how many there were. The rows stay as they are."""
    memory, taken = Memory(store.part), 0
    while rows := store.original_rows(STEP):
        entries = []
        for row in rows:
            captured = captured_of(row)
            entry = request_entry(captured, memory)
            add_response(entry, captured, memory)
            entries.append(entry)
        store.write(entries, [])
        memory.trim()
        store.original_taken(rows[-1]["number"])
        taken += len(rows)
    return taken


def captured_of(row: Mapping[str, Any]) -> Captured:
    """Return what a row of the original's `requests` table tells about an exchange."""
    at = _microseconds(row["timestamp"])
    opening = Opening(
        method=str(row["method"]),
        path=str(row["endpoint"]),
        query="",
        headers=_headers(json_value(_bytes(row["headers"]))),
        provider="anthropic",
    )
    captured = Captured(_id(str(row["id"]), at), WRITER, at, opening, request=_bytes(row["body"]), sent_at=at)
    response = json_value(_bytes(row["response"]))
    if not isinstance(response, dict):
        captured.ended_at = at
        captured.ending = Ending(State.INTERRUPTED, error="the proxy that recorded this kept no answer")
        return captured
    duration = response.get("responseTime")
    captured.ended_at = at + (int(duration * 1000) if isinstance(duration, int | float) else 0)
    status = response.get("statusCode")
    captured.head_at = captured.ended_at
    captured.heading = Heading(status if isinstance(status, int) else 0, _headers(response.get("headers")))
    captured.chunks = [(captured.ended_at, body)] if (body := _body(response)) else []
    captured.ending = Ending(State.COMPLETE, captured.heading.status)
    return captured


def _id(original: str, at: int) -> str:
    """Return a UUIDv7 made of the original's id and time, so that the same row always gets the same one."""
    noise = int.from_bytes(hashlib.sha256(original.encode()).digest()[:10])
    value = (at // 1000) << 80 | 0x7 << 76 | (noise >> 68 & 0xFFF) << 64 | 0b10 << 62 | noise & (1 << 62) - 1
    return str(uuid.UUID(int=value))


def _microseconds(text: Any) -> int:
    try:
        return int(datetime.fromisoformat(str(text)).timestamp() * 1_000_000)
    except ValueError:
        return 0


def _headers(found: Any) -> list[tuple[str, str]]:
    """Return the header list of a JSON object of names and lists of values, with the secrets that it left in clear masked."""
    if not isinstance(found, dict):
        return []
    listed = [
        (name.lower(), str(value))
        for name, values in found.items()
        for value in (values if isinstance(values, list) else [values])
    ]
    masked = headers.masked([(name.encode(), value.encode()) for name, value in listed])
    return [old if old[1].startswith("sha256:") else new for old, new in zip(listed, masked, strict=True)]


def _body(response: Mapping[str, Any]) -> bytes:
    """Return the answer's bytes: the lines of the stream as its client got them, or the body."""
    chunks = response.get("streamingChunks")
    if isinstance(chunks, list) and chunks:
        return b"".join(f"{chunk}\n\n".encode() for chunk in chunks)
    body = response.get("body")
    if body is not None:
        return _json(body)
    return _bytes(response.get("bodyText"))


def _json(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else msgspec.json.encode(value)


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value or "").encode()
