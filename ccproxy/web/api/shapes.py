"""The shapes in which exchanges are given out. The OpenAPI document is made from them.

Times are microseconds since 1970 (UTC), durations milliseconds. Refuses to know where the values come from.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

Json = Annotated[Any, Meta(description="Any JSON value.")]


class Problem(msgspec.Struct):
    """What went wrong: a short word, and a sentence."""

    type: str
    message: str


class Failure(msgspec.Struct, kw_only=True):
    """An error, in the Anthropic API's shape."""

    type: str
    error: Problem


class Summary(msgspec.Struct, kw_only=True):
    """An exchange without what is in it. What nobody knows is null."""

    id: Annotated[str, Meta(description="A UUIDv7: ids sort by time.")]
    state: Annotated[str, Meta(description="open, then one of complete, failed, client_left, interrupted.")]
    started_at: int
    ended_at: int | None = None
    method: str
    path: str
    query: str
    status: Annotated[int | None, Meta(description="The HTTP status of the answer.")] = None
    error: str | None = None
    error_kind: str | None = None
    api_error: Annotated[str | None, Meta(description="The provider's own error type.")] = None
    capture_note: Annotated[str | None, Meta(description="What of the record is missing, and why.")] = None
    attempts: Annotated[list[Json] | None, Meta(description="What was tried in vain before.")] = None
    demoted: bool | None = None
    provider: Annotated[
        str, Meta(description="The provider that answered, by the name that it has in the configuration.")
    ]
    kind: Annotated[
        str,
        Meta(
            description="main, subagent, title, rename, compaction, count_tokens, classifier, probe, auxiliary or other."
        ),
    ]
    kind_sign: str | None = None
    routed: Annotated[
        bool, Meta(description="Whether it went to another provider or model than the client asked for.")
    ] = False
    requested_model: str | None = None
    routed_model: Annotated[str | None, Meta(description="The model that the request went up with.")] = None
    response_model: Annotated[str | None, Meta(description="The model that the answer names.")] = None
    endpoint: Annotated[
        str | None,
        Meta(description="Scheme, host and path of another provider; null where all else that the client asks goes."),
    ] = None
    losses: Annotated[
        list[str] | None,
        Meta(description="What could not be said in the other provider's protocol, a sentence each."),
    ] = None
    stream: bool
    max_tokens: int | None = None
    effort: str | None = None
    thinking: str | None = None
    session_id: str | None = None
    agent_id: str | None = None
    parent_agent_id: str | None = None
    agent_type: str | None = None
    agent_name: Annotated[
        str | None, Meta(description="The subagent as its definition calls it, where routing recognised it.")
    ] = None
    agent_sign: Annotated[
        str | None, Meta(description="What gave it away: spawn, definition, hint_header or system_prompt.")
    ] = None
    prompt_id: str | None = None
    client: str | None = None
    client_version: str | None = None
    client_address: str | None = None
    entrypoint: str | None = None
    user_agent: str | None = None
    account_id: str | None = None
    device_id: str | None = None
    cwd: str | None = None
    retry_count: int | None = None
    tool_durations: str | None = None
    compaction: str | None = None
    request_id: str | None = None
    message_id: str | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_5m_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    web_searches: int | None = None
    head_ms: float | None = None
    first_byte_ms: float | None = None
    first_token_ms: float | None = None
    duration_ms: float | None = None
    gap_p50_ms: float | None = None
    gap_p99_ms: float | None = None
    gap_max_ms: float | None = None
    tokens_per_second: float | None = None
    events: int | None = None
    request_bytes: int
    response_bytes: int


class Listed(msgspec.Struct):
    """A page of exchanges, newest first."""

    requests: list[Summary]
    total: Annotated[int, Meta(description="How many exchanges the filter lets through, on all pages.")]
    page: int
    limit: int
    next_before: Annotated[
        str | None, Meta(description="The id to give as `before` for what follows; null at the end.")
    ]


class Content(msgspec.Struct):
    """A body, its content encoding undone."""

    bytes: Annotated[int, Meta(description="Its size on the wire.")]
    form: Annotated[str, Meta(description="How `content` holds it: json, text or base64.")]
    content: Json


class Answer(Content):
    """The answer's body, and the message that it came to."""

    message: Annotated[
        Json, Meta(description="The message, built of its stream where it was one; null where there is none.")
    ]


class Headers(msgspec.Struct):
    """The headers of both sides, secrets masked; null where none were captured."""

    request: list[tuple[str, str]] | None
    response: list[tuple[str, str]] | None


class StreamEvent(msgspec.Struct):
    """An event of a streamed answer."""

    at_ms: Annotated[float, Meta(description="When it arrived, from the start of the request.")]
    kind: str
    bytes: int


class Exchange(Summary, kw_only=True):
    """An exchange: everything that is known of it, and what was asked for with `include`."""

    writer: str
    billing_line: str | None = None
    usage: Annotated[Json, Meta(description="The provider's usage, merged from all events.")] = None
    tip: Annotated[str | None, Meta(description="The node of the request's last message.")] = None
    reply: Annotated[str | None, Meta(description="The node of the answer.")] = None
    preamble: Annotated[str | None, Meta(description="The set of system blocks and tools.")] = None
    request: Content | UnsetType | None = UNSET
    sent: Annotated[
        Content | UnsetType | None,
        Meta(description="What went up in the request's place, where it was translated for another provider."),
    ] = UNSET
    response: Answer | UnsetType | None = UNSET
    headers: Headers | UnsetType = UNSET
    timeline: Annotated[
        list[StreamEvent] | UnsetType | None, Meta(description="The stream's events: with `include=events`.")
    ] = UNSET


class Deleted(msgspec.Struct):
    """What a deletion did."""

    deleted: int
    message: str
