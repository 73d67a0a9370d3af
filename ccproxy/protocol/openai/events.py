"""The events of Anthropic's stream that begin and end a message, as bytes.

Knows their framing and their members. Refuses to know what stands between them (blocks.py).
"""

from __future__ import annotations

from typing import Any

from ccproxy.protocol.openai.json_text import written
from ccproxy.protocol.openai.usage import to_usage

Object = dict[str, Any]


def framed(payload: Object) -> bytes:
    """Return one event with its payload, whose `type` is its name."""
    return b"event: %s\ndata: %s\n\n" % (str(payload["type"]).encode(), written(payload))


def begun(message: Object) -> bytes:
    """Return the `message_start` of a message: what of it is known before its first token."""
    start = message | {"content": [], "stop_reason": None, "stop_sequence": None}
    return framed({"type": "message_start", "message": start})


def empty_message(message_id: str, model: str) -> Object:
    """Return a message before its first token. Its usage is whole, since some clients read every member of it."""
    return {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": to_usage(None) | {"service_tier": "standard"},
    }


def ended(delta: Object, usage: Object) -> bytes:
    """Return the `message_delta` and the `message_stop` of a message."""
    return framed({"type": "message_delta", "delta": delta, "usage": usage}) + framed({"type": "message_stop"})
