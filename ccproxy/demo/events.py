"""A message as the events of its stream, in the spelling of the API.

Each event comes with the tokens that were made before it could be sent, so that a pace can be given to it. Knows the API's small
habits: spaces before the last brace, a ping behind the first block's start. Refuses to know time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ccproxy.demo.chance import Chance
from ccproxy.demo.counting import CHARACTERS_PER_TOKEN
from ccproxy.demo.replies import Block

PING = b'event: ping\ndata: {"type": "ping"}\n\n'
TOKENS_PER_EVENT = 6.0
HIDDEN_PER_EVENT = 60.0  # a summary of thoughts comes in so small pieces that there is never a long silence between two
HIDDEN_BLOCK = {"type": "thinking", "thinking": "", "signature": ""}


@dataclass(frozen=True, slots=True)
class Timed:
    """An event, and how many tokens were made since the one before it."""

    data: bytes
    tokens: float = 0.0


def event(name: str, data: dict[str, Any], padding: int = 0) -> bytes:
    """Return one server-sent event."""
    written = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    return f"event: {name}\ndata: {written[:-1]}{' ' * padding}}}\n\n".encode()


def error_event(error: str, sentence: str, request_id: str) -> bytes:
    """Return an error that comes in the middle of a stream."""
    body = {"type": "error", "error": {"type": error, "message": sentence}, "request_id": request_id}
    return event("error", body, 6)


def stream(message: dict[str, Any], hidden: int, chance: Chance) -> list[Timed]:
    """Return the events that amount to a message, in which `hidden` tokens are thought and not shown."""
    return [
        Timed(PING if name == "ping" else event(name, data, int(chance.between(0, 15))), count)
        for name, data, count in _events(message, hidden, chance)
    ]


def _events(message: dict[str, Any], hidden: int, chance: Chance) -> Iterator[tuple[str, dict[str, Any], float]]:
    blocks: Sequence[Block] = message["content"]
    opened = {**message, "content": [], "stop_reason": None, "usage": {**message["usage"], "output_tokens": 1}}
    opened["usage"].pop("output_tokens_details", None)
    yield "message_start", {"type": "message_start", "message": opened}, 0.0
    for index, block in enumerate(blocks):
        started, deltas = _parts(block, hidden, chance)
        yield "content_block_start", {"type": "content_block_start", "index": index, "content_block": started}, 0.0
        if index == 0:
            yield "ping", {}, 0.0
        for delta, count in deltas:
            yield "content_block_delta", {"type": "content_block_delta", "index": index, "delta": delta}, count
        yield "content_block_stop", {"type": "content_block_stop", "index": index}, 0.0
    stop = {"stop_reason": message["stop_reason"], "stop_sequence": message["stop_sequence"]}
    spent = {name: count for name, count in message["usage"].items() if name not in ("cache_creation", "service_tier")}
    yield "message_delta", {"type": "message_delta", "delta": stop, "usage": spent}, 1.0
    yield "message_stop", {"type": "message_stop"}, 0.0


def _parts(block: Block, hidden: int, chance: Chance) -> tuple[Block, list[tuple[dict[str, Any], float]]]:
    """Return a block as it starts, and the deltas that complete it, each with its tokens.

    What is thought and not shown lies between the pieces of the summary, or in silence before the signature.
    """
    match block["type"]:
        case "text":
            return {**block, "text": ""}, [
                ({"type": "text_delta", "text": p}, n) for p, n in _cut(block["text"], chance)
            ]
        case "thinking":
            steps = max(1.0, hidden / HIDDEN_PER_EVENT)
            pieces = list(_cut(block["thinking"], chance, len(block["thinking"]) / CHARACTERS_PER_TOKEN / steps))
            share = hidden / len(pieces) if pieces else 0.0
            deltas = [({"type": "thinking_delta", "thinking": piece}, count + share) for piece, count in pieces]
            signed = {"type": "signature_delta", "signature": block["signature"]}
            return HIDDEN_BLOCK, [*deltas, (signed, 1.0 if pieces else float(hidden))]
        case _:
            written = json.dumps(block["input"], ensure_ascii=False) if block["input"] else ""
            pieces = [("", 1.0), *_cut(written, chance)]
            return {**block, "input": {}}, [({"type": "input_json_delta", "partial_json": p}, n) for p, n in pieces]


def _cut(words: str, chance: Chance, most: float = TOKENS_PER_EVENT) -> Iterator[tuple[str, float]]:
    """Yield a text in pieces of a few tokens, `most` at most or so, the first ones shorter, as a stream begins."""
    most = min(most, TOKENS_PER_EVENT)
    at, size = 0, min(most, 2.0)
    while at < len(words):
        length = max(3, round(chance.about(size, 0.4) * CHARACTERS_PER_TOKEN))
        yield words[at : at + length], length / CHARACTERS_PER_TOKEN
        at += length
        size = min(most, size + 1.5)
