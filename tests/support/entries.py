"""Exchanges as the journal gives them: single ones by hand, and a long session such as Claude Code makes.

Knows how a session grows: a large preamble, a marker for the cache that moves to the last message, contents that are a
string once and a list the next time, answers that come back as history. All text is made up from a seed. Refuses to know
what ingest and store make of it.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ccproxy.ingest.memory import Memory
from ccproxy.ingest.request import request_entry
from ccproxy.ingest.response import add_response
from ccproxy.records import Captured, Ending, Entry, Heading, Opening, State
from ccproxy.stores.contract import Store

T0 = 1_760_000_000_000_000  # a moment, in microseconds
Json = dict[str, Any]
JSON_HEADERS = (("content-type", "application/json"),)
STREAM_HEADERS = (("content-type", "text/event-stream; charset=utf-8"), ("request-id", "req_011"))
CACHE = {"cache_control": {"type": "ephemeral"}}


def exchange_id(number: int) -> str:
    """Return the id of the exchange of that number; ids sort as numbers do."""
    return str(uuid.UUID(int=number << 80 | 0x7 << 76 | 0b10 << 62))


def event(kind: str, **members: Any) -> bytes:
    """Return one event of a stream, as bytes on the wire."""
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), json.dumps({"type": kind, **members}).encode())


def stream(content: Sequence[Json], *, message_id: str = "msg_01", pieces: int = 3) -> list[bytes]:
    """Return the events that say `content`, each block's text in `pieces` deltas."""
    usage = {"input_tokens": 11, "output_tokens": 1, "cache_read_input_tokens": 700, "cache_creation_input_tokens": 40}
    start = {"id": message_id, "type": "message", "role": "assistant", "model": "claude-test-1", "content": []}
    events = [event("message_start", message={**start, "stop_reason": None, "stop_sequence": None, "usage": usage})]
    for index, block in enumerate(content):
        events += _block_events(index, block, pieces)
    stop = "tool_use" if any(block["type"] == "tool_use" for block in content) else "end_turn"
    ending = {"stop_reason": stop, "stop_sequence": None}
    events.append(event("message_delta", delta=ending, usage={"output_tokens": 90}))
    return [*events, event("message_stop")]


def _block_events(index: int, block: Json, pieces: int) -> Iterator[bytes]:
    if block["type"] == "tool_use":
        opened, text = {**block, "input": {}}, json.dumps(block["input"])
        delta = {"type": "input_json_delta", "partial_json": ""}
    else:
        opened, text = {**block, "text": ""}, block["text"]
        delta = {"type": "text_delta", "text": ""}
    key = "partial_json" if "partial_json" in delta else "text"
    yield event("content_block_start", index=index, content_block=opened)
    step = max(1, -(-len(text) // pieces))
    for place in range(0, len(text), step):
        yield event("content_block_delta", index=index, delta={**delta, key: text[place : place + step]})
    yield event("content_block_stop", index=index)


def captured(
    number: int = 1,
    request: bytes | Json = b"",
    answer: Sequence[bytes] | None = None,
    *,
    method: str = "POST",
    path: str = "/v1/messages",
    query: str = "",
    request_headers: Sequence[tuple[str, str]] = JSON_HEADERS,
    response_headers: Sequence[tuple[str, str]] = STREAM_HEADERS,
    status: int = 200,
    state: State = State.COMPLETE,
    writer: str = "w",
) -> Captured:
    """Return an exchange as assembled: request at 0 ms, head at 100 ms, then a piece of the answer every 10 ms."""
    opened = T0 + number * 60_000_000
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    opening = Opening(method, path, query, list(request_headers), "anthropic", "127.0.0.1")
    found = Captured(exchange_id(number), writer, opened, opening, body, opened + 1000)
    if answer is not None:
        found.head_at, found.heading = opened + 100_000, Heading(status, list(response_headers))
        found.chunks = [(opened + 110_000 + 10_000 * index, data) for index, data in enumerate(answer)]
        found.ended_at = opened + 110_000 + 10_000 * len(answer)
        found.ending = Ending(state, status)
    return found


def entry_of(exchange: Captured, memory: Memory) -> Entry:
    """Return what ingest makes of an exchange."""
    entry = request_entry(exchange, memory)
    if exchange.ending is not None:
        add_response(entry, exchange, memory)
    return entry


def fill(store: Store, exchanges: Sequence[Captured]) -> list[Entry]:
    """Put exchanges into a store, each in a transaction of its own, and return their entries."""
    memory, entries = Memory(store.part), []
    for exchange in exchanges:
        entries.append(entry_of(exchange, memory))
        store.write(entries[-1:], [])
    return entries


@dataclass(slots=True)
class Session:
    """A conversation that grows by one tool call a turn; `exchanges()` gives its turns."""

    seed: int = 1
    turn_bytes: int = 1200
    tools: int = 24
    preamble_bytes: int = 75_000
    _words: list[str] = field(default_factory=list)
    _random: random.Random = field(default_factory=random.Random)

    def exchanges(self, turns: int) -> Iterator[Captured]:
        """Yield the session's exchanges, first to last."""
        self._random.seed(self.seed)
        letters = "etaoinshrdlucmfwypvbgk"
        self._words = ["".join(self._random.choices(letters, k=self._random.randint(2, 11))) for _ in range(3000)]
        head = self._preamble()
        messages: list[Json] = [{"role": "user", "content": self._text(600)}]
        for turn in range(turns):
            body = json.dumps({**head, "messages": _as_sent(messages)}, separators=(",", ":"), ensure_ascii=False)
            answer = self._answer(turn)
            yield captured(
                turn + 1,
                body.encode(),
                stream(answer, message_id=f"msg_{turn:04}", pieces=12),
                query="beta=true",
                request_headers=_request_headers(self.seed, len(body)),
                response_headers=_response_headers(turn),
            )
            result = {
                "type": "tool_result",
                "tool_use_id": answer[-1]["id"],
                "content": self._text(self.turn_bytes // 2),
            }
            messages += [{"role": "assistant", "content": answer}, {"role": "user", "content": [result]}]

    def _preamble(self) -> Json:
        size = self.preamble_bytes // (self.tools + 6)
        tools = [
            {
                "name": f"Tool{number}",
                "description": self._text(size),
                "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}},
            }
            for number in range(self.tools)
        ]
        billing = "x-anthropic-billing-header: cc_version=2.1.300.abc; cc_entrypoint=cli; cch=00000;"
        system = [
            {"type": "text", "text": billing},
            {"type": "text", "text": "You are Claude Code, Anthropic's official CLI for Claude.", **CACHE},
            {"type": "text", "text": self._text(size * 6), **CACHE},
        ]
        user = json.dumps({"device_id": "0" * 64, "account_uuid": "", "session_id": f"session-{self.seed}"})
        return {
            "model": "claude-test-1", "system": system, "tools": tools, "metadata": {"user_id": user},
            "max_tokens": 32000, "stream": True,
        }  # fmt: skip

    def _answer(self, turn: int) -> list[Json]:
        said = {"type": "text", "text": self._text(self.turn_bytes // 6)}
        given = {"command": self._text(self.turn_bytes // 4), "description": self._text(40)}
        return [said, {"type": "tool_use", "id": f"toolu_{self.seed}_{turn:05}", "name": "Tool3", "input": given}]

    def _text(self, size: int) -> str:
        found: list[str] = []
        length = 0
        while length < size:  # often the first words of the list, seldom the last, as in any language
            found.append(self._words[int(len(self._words) * self._random.random() ** 3)])
            length += len(found[-1]) + 1
        return " ".join(found)


def _as_sent(messages: Sequence[Json]) -> list[Json]:
    """Return the history as the client sends it: the marker on the last message, single texts as strings before it."""
    last = messages[-1]["content"]
    blocks = [{"type": "text", "text": last}] if isinstance(last, str) else last
    marked = [*blocks[:-1], {**blocks[-1], **CACHE}]
    return [*messages[:-1], {**messages[-1], "content": marked}]


def _request_headers(seed: int, size: int) -> list[tuple[str, str]]:
    return [
        ("host", "localhost:3001"), ("content-type", "application/json"), ("anthropic-version", "2023-06-01"),
        ("user-agent", "claude-cli/2.1.300 (external, cli)"), ("authorization", "sha256:0123456789ab"),
        ("x-claude-code-session-id", f"session-{seed}"), ("content-length", str(size)),
    ]  # fmt: skip


def _response_headers(turn: int) -> list[tuple[str, str]]:
    return [
        ("content-type", "text/event-stream; charset=utf-8"), ("request-id", f"req_{turn:06}"), ("server", "cloudflare"),
        ("date", f"Mon, 01 Jan 2024 00:{turn // 60 % 60:02}:{turn % 60:02} GMT"), ("cf-ray", f"8{turn:015x}-FRA"),
    ]  # fmt: skip
