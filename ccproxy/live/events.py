"""What the live view tells: the shapes of its events, and of an exchange in the snapshot.

Every event but `snapshot` and `lagging` names its exchange. Times are microseconds since 1970 (UTC), durations milliseconds.
Knows shapes only. Refuses to know bytes, files and listeners.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from ccproxy.protocol.usage import Tokens


class LiveExchange(msgspec.Struct, frozen=True):
    """Event `exchange`: an exchange has begun. It comes again, with all that the request says, once that is `complete`."""

    id: str
    started_at: int
    method: str
    path: str
    complete: bool = False
    model: str | None = None
    session_id: str | None = None
    agent_id: str | None = None
    parent_agent_id: str | None = None
    agent_type: str | None = None
    kind: str | None = None
    stream: bool | None = None
    agent_name: str | None = None
    provider: str | None = None  # of a routed exchange, and the model that it was routed to
    routed_model: str | None = None


class Retry(msgspec.Struct, frozen=True):
    """Event `retry`: an attempt was in vain, and another one follows in `wait_ms`."""

    exchange: str
    kind: str
    error: str | None
    status: int | None
    wait_ms: float


class Head(msgspec.Struct, frozen=True):
    """Event `head`: the answer has begun."""

    exchange: str
    status: int


class LiveMessage(msgspec.Struct, frozen=True):
    """Event `message`: the answer turned out to be a message. A second one in the same answer takes the first one's place."""

    exchange: str
    message_id: str | None
    model: str | None


class Block(msgspec.Struct, frozen=True):
    """Event `block`: a content block has started, got something that is neither text nor input, or stopped.

    `phase` is start, delta or stop. `data` is the block, or the delta, as it came: of text, thinking and tool calls only what
    the pieces do not say.
    """

    exchange: str
    index: int
    phase: str
    type: str
    tool_name: str | None = None
    tool_use_id: str | None = None
    data: msgspec.Raw | None = None


class Piece(msgspec.Struct, frozen=True):
    """Events `text`, `thinking` and `tool_input`: a piece of a block. The pieces of `tool_input` join to JSON."""

    exchange: str
    index: int
    text: str


class Other(msgspec.Struct, frozen=True):
    """Event `other`: something that this version does not know, as it came (text, where it was not JSON)."""

    exchange: str
    kind: str
    data: msgspec.Raw


class LiveUsage(msgspec.Struct, frozen=True):
    """Event `usage`: the tokens so far."""

    exchange: str
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None


class Stop(msgspec.Struct, frozen=True):
    """Event `stop_reason`: why the model stopped."""

    exchange: str
    stop_reason: str
    stop_sequence: str | None = None


class LiveError(msgspec.Struct, frozen=True):
    """Event `api_error`: the provider's error, in an answer of its own or in the middle of a stream."""

    exchange: str
    type: str | None
    message: str | None


class Ended(msgspec.Struct, frozen=True):
    """Event `ended`. `state` is null where the end itself was not seen: the store knows it. `note` says what was not recorded."""

    exchange: str
    state: str | None
    status: int | None = None
    error: str | None = None
    error_kind: str | None = None
    note: str | None = None
    duration_ms: float | None = None
    stop_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None


class SaidBlock(msgspec.Struct, frozen=True):
    """A content block as far as it has come. `cut` is how many characters are missing at the beginning of `text`."""

    index: int
    type: str
    text: str
    tool_name: str | None = None
    tool_use_id: str | None = None
    data: msgspec.Raw | None = None
    stopped: bool = False
    cut: int = 0


class RunningExchange(msgspec.Struct, frozen=True):
    """An exchange that runs, in the snapshot."""

    exchange: LiveExchange
    attempts: int = 1
    status: int | None = None
    message: LiveMessage | None = None
    blocks: list[SaidBlock] = []
    usage: LiveUsage | None = None
    stop_reason: str | None = None
    api_error: LiveError | None = None


class LiveSnapshot(msgspec.Struct, frozen=True):
    """Event `snapshot`: all that runs, with what it has said so far. The first event, and the first one after `lagging`."""

    exchanges: list[RunningExchange]


class Lagging(msgspec.Struct, frozen=True):
    """Event `lagging`: this listener was too slow, and events are missing; a snapshot follows."""


class Event(NamedTuple):
    """An event: its name, and one of the structures above."""

    name: str
    data: msgspec.Struct


def usage_of(exchange: str, counted: Tokens) -> LiveUsage:
    """Return the counts that the live view shows."""
    return LiveUsage(exchange, counted.input, counted.output, counted.cache_read, counted.cache_write)
