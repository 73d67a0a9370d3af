"""What the official SDK makes of a stream.

Knows how to feed its own accumulation. Refuses to know what ccproxy makes of the same events.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from anthropic._models import construct_type
from anthropic.lib.streaming._beta_messages import accumulate_event
from anthropic.types.beta import BetaRawMessageStreamEvent

from ccproxy.protocol.sse import Comment, Event

# Streams with several message_starts are left out: the SDK runs the messages into each other.
# So is one whose tool input lacks its first brace, of which the SDK keeps one word and ccproxy the text.
_NOT_FOR_THE_SDK = (
    "spliced-message-start",
    "sequential-messages",
    "programmatic-tool",
    "tool-search-deferred",
    "empty-first-delta",
)
_FAILS = ("completions_streaming", "can_use_tool__01_e8b45c")  # not a message at all; an error alone


def comparable(name: str) -> bool:
    """Return whether the SDK and ccproxy should make the same of a recorded stream."""
    return not any(word in name for word in (*_NOT_FOR_THE_SDK, *_FAILS))


def by_the_sdk(stream: Iterable[Event | Comment]) -> dict[str, Any]:
    """Build the message of a stream as the SDK's own stream helper does: pings and comments are passed over."""
    snapshot, buffers = None, {}
    for event in stream:
        if isinstance(event, Event) and event.name != "ping":
            parsed = construct_type(type_=BetaRawMessageStreamEvent, value=json.loads(event.data))
            snapshot = accumulate_event(
                event=parsed,
                current_snapshot=snapshot,
                json_bufs=buffers,
                request_headers={},  # type: ignore[arg-type]
            )
    return snapshot.to_dict(mode="json")


def without_nulls(value: Any) -> Any:
    """Drop members that are null: the SDK's models add one for each field they know, and null says nothing."""
    if isinstance(value, dict):
        return {key: without_nulls(member) for key, member in value.items() if member is not None}
    return [without_nulls(member) for member in value] if isinstance(value, list) else value
