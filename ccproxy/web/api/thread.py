"""The shapes in which sessions are given out: what a session came to, and its conversation as a thread with subagents.

Times are microseconds since 1970 (UTC), durations milliseconds. Refuses to know where the values come from.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from ccproxy.web.api.shapes import Json


class Tokens(msgspec.Struct):
    """Tokens by their four kinds. All that went in is the first three together."""

    input: Annotated[int, Meta(description="Neither read from the cache nor written to it.")] = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0


class Session(msgspec.Struct, kw_only=True):
    """A session: what it was about, and what it came to."""

    id: str
    title: Annotated[str, Meta(description="As the model named it, else how its first message begins.")]
    cwd: Annotated[str | None, Meta(description="The working directory in which it began.")]
    started_at: int
    last_activity_at: int
    exchanges: int
    turns: Annotated[int, Meta(description="Requests of the main conversation.")]
    running: Annotated[int, Meta(description="Exchanges that are still open.")]
    errors: Annotated[int, Meta(description="Exchanges that failed, or were answered with an error.")]
    agents: Annotated[int, Meta(description="Subagents.")]
    models: list[str]
    clients: list[str]
    tokens: Tokens


class Sessions(msgspec.Struct):
    """A page of sessions, the one with the newest exchange first."""

    sessions: list[Session]
    total: Annotated[int, Meta(description="How many sessions the filter lets through, on all pages.")]
    page: int
    limit: int


class Reference(msgspec.Struct, kw_only=True):
    """An exchange, as a message names it."""

    id: str
    state: str
    kind: str
    status: int | None = None
    error: str | None = None
    provider: str
    routed: Annotated[
        bool, Meta(description="Whether it went to another provider or model than the client asked for.")
    ] = False
    requested_model: str | None = None
    model: Annotated[str | None, Meta(description="The model that answered, else the one that it was routed to.")] = (
        None
    )
    stop_reason: str | None = None
    started_at: int
    ended_at: int | None = None
    first_token_ms: float | None = None
    duration_ms: float | None = None
    tokens: Tokens


class Message(msgspec.Struct, kw_only=True):
    """A message of a conversation, with the subagents that it started."""

    node: Annotated[str, Meta(description="Its place in the tree: other sessions with the same history have the same.")]
    role: str
    content: Json
    produced_by: Annotated[
        Reference | None, Meta(description="The exchange whose answer it is, where one was captured.")
    ]
    sent_with: Annotated[str | None, Meta(description="The first exchange whose request carries it.")]
    agents: list[Agent] = []


class Segment(msgspec.Struct, kw_only=True):
    """A line of messages from a root to the newest message below it. After a compaction there is a new root."""

    started_at: int
    after_compaction: bool
    messages: list[Message]
    beside: Annotated[
        list[Reference],
        Meta(
            description="Exchanges of this tree whose answer is not on the line: retries, rewinds, what failed or still runs."
        ),
    ]


class Thread(msgspec.Struct, kw_only=True):
    """A conversation of one agent, from its beginning."""

    started_at: int
    last_activity_at: int
    exchanges: int
    models: list[str]
    tokens: Tokens
    segments: list[Segment]
    agents: Annotated[list[Agent], Meta(description="Subagents of which no message tells who started them.")] = []


class Agent(Thread, kw_only=True):
    """A subagent's conversation, and the tool call that it answers."""

    agent_id: str | None
    agent_type: str | None
    agent_name: Annotated[
        str | None, Meta(description="What its definition calls it, where routing recognised it.")
    ] = None
    tool_use_id: Annotated[str | None, Meta(description="The call in the message below which it stands.")] = None
    linked_by: Annotated[str | None, Meta(description="prompt: the call's prompt is its first message; or time.")] = (
        None
    )


class Whole(msgspec.Struct, kw_only=True):
    """A session with its conversations."""

    session: Session
    thread: Annotated[Thread, Meta(description="The main conversation.")]
    other: Annotated[
        list[Reference], Meta(description="Exchanges that belong to no conversation: titles, token counts, probes.")
    ]
