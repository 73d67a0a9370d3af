"""A call that asks for one message, sent as one that asks for a stream; and what its answer must be made to look like.

Knows what the top-level `stream` of a request may be, what in a built message only a stream has, and which status each type of
error has (https://docs.anthropic.com/en/api/errors). Refuses to know when this is done, and every byte beside that one value.
"""

from __future__ import annotations

from typing import Any

from ccproxy.protocol.fragment import closed
from ccproxy.protocol.members import members_of, places_of, with_value
from ccproxy.protocol.parts import json_value

Object = dict[str, Any]

ERROR_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_UNKNOWN_ERROR_STATUS = 500

_NO_STREAM = (b"false", b"null")


def ask_for_stream(body: bytes) -> bytes | None:
    """Return a Messages request that asks for one message as one that asks for a stream; all else stays, byte for byte.

    None where the body asks for a stream already, or is not understood. A key that is there twice counts by its last value,
    as it does for nearly every reader, and every one of them that asks for no stream is changed.
    """
    members = members_of(body)
    if members is None:
        return None
    if "stream" not in members:
        start = body.index(b"{") + 1
        return b"".join((body[:start], b'"stream":true,' if members else b'"stream":true', body[start:]))
    places = places_of("stream", body, members)
    given = [body[start:end] for start, end in places]
    if given[-1] not in _NO_STREAM or not {*given} <= {*_NO_STREAM, b"true"}:
        return None
    return with_value(b"true", body, places)


def unstreamed(message: Object) -> Object:
    """Return a message that was built from a stream as the one that an API sends which was asked for no stream.

    Deltas that nobody has heard of go, since a client that sent them back would be refused; of a tool input that broke off
    stays what is whole, as in the official SDK. One that is no JSON object from its first letter stays as text.
    """
    content = message.get("content")
    if not isinstance(content, list):
        return message
    return {**message, "content": [_block(block) if isinstance(block, dict) else block for block in content]}


def _block(block: Object) -> Object:
    kept = {key: value for key, value in block.items() if key != "_unknown_deltas"}
    match kept.get("input"):
        case {"_partial_json": str(text), **others} if not others and text.lstrip().startswith("{"):
            whole = closed(text)
            kept["input"] = kept["input"] if whole is None else json_value(whole.encode())
    return kept


def error_status(payload: Object) -> int:
    """Return the status that an answer has whose body is this payload of an `error` event."""
    error = payload.get("error")
    kind = error.get("type") if isinstance(error, dict) else None
    return ERROR_STATUS.get(kind, _UNKNOWN_ERROR_STATUS) if isinstance(kind, str) else _UNKNOWN_ERROR_STATUS
