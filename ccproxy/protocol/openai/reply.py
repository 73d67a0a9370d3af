"""A whole answer in Chat Completions as Anthropic's message, and a whole message as the stream that says the same.

Knows that a whole answer says what a stream of one chunk says, so that both ways come to the same message. Refuses to know errors
that have a status of their own (error.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ccproxy.protocol import sse
from ccproxy.protocol.demotion import unstreamed
from ccproxy.protocol.message import build
from ccproxy.protocol.openai.chunks import DONE
from ccproxy.protocol.openai.error import by, payload
from ccproxy.protocol.openai.events import begun, ended, framed
from ccproxy.protocol.openai.json_text import NotJson, read, written
from ccproxy.protocol.openai.stream import ChatStream

Object = dict[str, Any]

# What a `message_delta` says of a message, beside its usage.
_SAID_LAST = ("stop_reason", "stop_sequence", "stop_details", "container")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a whole answer comes to: a message, or the payload of an error. `model` is the provider's own name for its model.

    `counted` as in ChatStream.
    """

    message: Object | None
    model: str | None = None
    losses: tuple[str, ...] = ()
    error: Object | None = None
    counted: bool = False


def to_message(
    body: bytes, message_id: str, model: str, names: Mapping[str, str] | None = None, provider: str = ""
) -> Reply:
    """Return the message of an answer whose status is 200. The arguments are those of ChatStream. Never raises."""
    try:
        completion = read(body)
        chunk = written(completion)
    except NotJson:
        completion = None
    if not isinstance(completion, dict):
        return Reply(None, error=payload("api_error", by(provider, "the answer is no JSON object")))
    stream = ChatStream(message_id, model, names, provider)
    events = stream.open() + stream.feed(b"data: %s\n\ndata: %s\n\n" % (chunk, DONE))
    losses = tuple(stream.losses)
    if stream.error is not None:
        return Reply(None, stream.model, losses, stream.error, stream.counted)
    built = build(sse.Decoder().feed(events)).message or {}
    return Reply(unstreamed(built), stream.model, losses, counted=stream.counted)


def as_stream(message: Object) -> bytes:
    """Return a whole message as the stream that says it, at once. Blocks that no delta says are whole from their start."""
    last = {name: message.get(name) for name in _SAID_LAST if name in message or name in _SAID_LAST[:2]}
    content, usage = message.get("content"), message.get("usage")
    out = [begun(message | dict.fromkeys(last))]
    for index, block in enumerate(content if isinstance(content, list) else []):
        opening, deltas = _told(block)
        out.append(framed({"type": "content_block_start", "index": index, "content_block": opening}))
        out += [framed({"type": "content_block_delta", "index": index, "delta": delta}) for delta in deltas]
        out.append(framed({"type": "content_block_stop", "index": index}))
    out.append(ended(last, usage if isinstance(usage, dict) else {}))
    return b"".join(out)


def _told(block: Any) -> tuple[Any, list[Object]]:
    """Return a block as it begins, and the deltas that say the rest of it."""
    deltas: list[Object] = []
    match block:
        case {"type": "text", "text": str(text)}:
            given = block.get("citations")
            cited = given if isinstance(given, list) else []
            deltas = [{"type": "citations_delta", "citation": citation} for citation in cited]
            deltas += [{"type": "text_delta", "text": text}] if text else []
            return block | {"text": ""} | ({"citations": []} if cited else {}), deltas
        case {"type": "thinking", "thinking": str(text)}:
            deltas = [{"type": "thinking_delta", "thinking": text}] if text else []
            if signature := block.get("signature"):
                deltas.append({"type": "signature_delta", "signature": signature})
            return block | {"thinking": "", "signature": ""}, deltas
        case {"type": str(kind), "input": given} if kind.endswith("tool_use"):
            if given:
                deltas = [{"type": "input_json_delta", "partial_json": written(given).decode()}]
            return block | {"input": {}}, deltas
        case _:
            return block, deltas
