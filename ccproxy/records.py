"""What is on record about an exchange: first as journal frames, then as rows of the store.

Knows the shapes only. Refuses to know how they are written, read or computed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

import msgspec


class State(StrEnum):
    """How an exchange stands. Every exchange is first `open`, then exactly one of the others, once."""

    OPEN = "open"
    COMPLETE = "complete"  # the provider's answer was received and passed on to its end, whatever its status
    FAILED = "failed"  # no answer, or an answer that broke off
    CLIENT_LEFT = "client_left"  # the client closed its connection before the end
    INTERRUPTED = "interrupted"  # the proxy died under it


class FrameKind(IntEnum):
    """What a journal frame holds."""

    OPEN = 1  # an Opening
    REQUEST = 2  # a piece of the request body
    HEAD = 3  # a Heading
    CHUNK = 4  # a piece of the response body, as it arrived
    END = 5  # an Ending
    END_CUT = 6  # an Ending of an exchange of which frames had to be dropped
    SENT = 7  # a Sending, or nothing: the request is complete and on its way to the provider
    RETRY = 8  # an Attempt that another one follows
    SENT_BODY = 9  # a piece of the body that goes up, where it was translated; before its Sending


@dataclass(frozen=True, slots=True)
class Frame:
    """One append to the journal. `exchange` is the id's 16 bytes, `at` microseconds since 1970 (UTC)."""

    kind: FrameKind
    exchange: bytes
    at: int
    data: bytes


class Opening(msgspec.Struct, frozen=True):
    """What is known when a request begins. Header and query secrets are masked already.

    `plain` says that the body is recorded decoded, whatever its content encoding was on the wire.
    """

    method: str
    path: str
    query: str
    headers: list[tuple[str, str]]
    provider: str
    client_address: str | None = None
    plain: bool = False


class Sending(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a request goes up, where that is not just as it came. `demoted`: as a stream, though one message was asked for.

    `agent` is the name of the subagent that asks, where it is known, and `sign` what gave it away. A routed request has the
    `provider` and the `model` that it goes to, the `endpoint` (scheme, host and path), the protocol that is spoken there
    (`format`: anthropic or openai), what could not be said in it (`losses`), and the tools whose names had to be others there
    (`tool_names`: by the name as sent).
    """

    demoted: bool = False
    agent: str | None = None
    sign: str | None = None
    provider: str | None = None
    model: str | None = None
    endpoint: str | None = None
    format: str | None = None
    losses: tuple[str, ...] = ()
    tool_names: dict[str, str] = {}


class Attempt(msgspec.Struct, frozen=True):
    """An attempt in vain: a short word for the cause and a sentence or a status, and how long the next one waits."""

    kind: str
    error: str | None = None
    status: int | None = None
    wait_ms: float = 0.0


class Heading(msgspec.Struct, frozen=True):
    """The head of the provider's answer, secrets masked. `plain` as in Opening."""

    status: int
    headers: list[tuple[str, str]]
    plain: bool = False


class Ending(msgspec.Struct, frozen=True):
    """How an exchange ended: a final state and, where it did not go well, a sentence and a short word for the cause.

    `request_bytes` and `response_bytes` are what passed of a body that is not recorded as it passed, on purpose; else None. `note`
    says what was left out. `recorded_bytes` is what the frames of both bodies hold: with less, some are missing.
    """

    state: State
    status: int | None = None
    error: str | None = None
    error_kind: str | None = None
    request_bytes: int | None = None
    response_bytes: int | None = None
    note: str | None = None
    recorded_bytes: int | None = None


@dataclass(slots=True)
class Captured:
    """Everything the journal told about one exchange. `chunks` are (arrival in µs, bytes) of the response body."""

    id: str
    writer: str
    opened_at: int
    opening: Opening
    request: bytes = b""
    sent_at: int | None = None
    sending: Sending = field(default_factory=Sending)
    sent_body: bytes = b""  # what went up, where it was translated
    attempts: list[Attempt] = field(default_factory=list)
    head_at: int | None = None
    heading: Heading | None = None
    chunks: list[tuple[int, bytes]] = field(default_factory=list)
    ended_at: int | None = None
    ending: Ending | None = None
    cut: bool = False  # frames of it had to be dropped
    damaged: bool = False  # frames of it could not be read


@dataclass(frozen=True, slots=True)
class Part:
    """A distinct JSON part: its digest, and its text as first seen, without the marker for the cache."""

    digest: bytes
    text: bytes


@dataclass(frozen=True, slots=True)
class Block:
    """A content block of a message, for search and analysis without parsing JSON again."""

    position: int
    type: str
    text: str | None = None
    tool_name: str | None = None
    tool_use_id: str | None = None
    is_error: bool | None = None
    characters: int = 0


@dataclass(frozen=True, slots=True)
class Node:
    """A message in its place: below `parent`, or the root of a conversation (parent None, depth 0)."""

    digest: bytes
    parent: bytes | None
    role: str
    depth: int
    message: bytes  # digest of its part
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True, slots=True)
class PreamblePart:
    """A member of a preamble: a system block or a tool."""

    position: int
    kind: str  # system | tool
    name: str | None
    part: bytes


@dataclass(frozen=True, slots=True)
class Preamble:
    """A set of system blocks and tools, in order, the billing line left out."""

    digest: bytes
    parts: tuple[PreamblePart, ...]


@dataclass(frozen=True, slots=True)
class Body:
    """Raw bytes of one side. `encoding` says how `data` gives them back: raw, zstd, parts (see stores.rebuild), reply
    (zstd against the text of the answer's message), or request (zstd against the bytes of the request).

    The sides are `request` and `response`, and `sent`: what went up in the request's place, where it was translated."""

    side: str
    encoding: str
    data: bytes
    size: int  # bytes on the wire


@dataclass(frozen=True, slots=True)
class HeaderList:
    """The headers of one side: a template (a part, shared between exchanges) and the values that fill its gaps."""

    side: str
    template: bytes
    values: list[str]


@dataclass(frozen=True, slots=True)
class Timeline:
    """Each stream event of a response, as three parallel lists: arrival (µs after the previous one), kind, bytes."""

    arrivals: list[int]
    kinds: list[str]
    sizes: list[int]


@dataclass(slots=True)
class Entry:
    """One exchange, ready for the store: the row's columns, and all that hangs on it."""

    id: str
    columns: dict[str, Any]
    parts: list[Part] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    preamble: Preamble | None = None
    bodies: list[Body] = field(default_factory=list)
    headers: list[HeaderList] = field(default_factory=list)
    timeline: Timeline | None = None
    depth: int = 0  # of the answer's node: how many messages the request holds


@dataclass(frozen=True, slots=True)
class Position:
    """Up to where a writer's journal is in the store: the segment's number and the offset in it."""

    writer: str
    segment: int
    offset: int
