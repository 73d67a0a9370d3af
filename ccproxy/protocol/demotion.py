"""A call that asks for one message, sent as one that asks for a stream; and what its answer must be made to look like.

Knows where the top-level `stream` of a request stands, what in a built message only a stream has, and which status each type of
error has (https://docs.anthropic.com/en/api/errors). Refuses to know when this is done, and every byte beside that one value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from ccproxy.protocol.fragment import closed
from ccproxy.protocol.parts import json_value
from ccproxy.protocol.surrogates import decoded

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

_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_KEY = re.compile(rb"[\s,]*(%s)\s*:\s*" % _STRING, re.DOTALL)
_SCALAR = re.compile(rb"%s|[^\s,}\]]+" % _STRING, re.DOTALL)
_STRING_OR_BRACKET = re.compile(rb"%s|[][{}]" % _STRING, re.DOTALL)
_AFTER_VALUE = b",} \t\r\n"
_NO_STREAM = (b"false", b"null")


def ask_for_stream(body: bytes) -> bytes | None:
    """Return a Messages request that asks for one message as one that asks for a stream; all else stays, byte for byte.

    None where the body asks for a stream already, or is not understood. A key that is there twice counts by its last value,
    as it does for nearly every reader, and every one of them that asks for no stream is changed.
    """
    try:
        members = decoded(_decode_object, body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    if "stream" not in members:
        start = body.index(b"{") + 1
        return b"".join((body[:start], b'"stream":true,' if members else b'"stream":true', body[start:]))
    places = [(start, end) for key, start, end in _values(body, members) if key == "stream"]
    given = [body[start:end] for start, end in places]
    if given[-1] not in _NO_STREAM or not {*given} <= {*_NO_STREAM, b"true"}:
        return None
    return _with(b"true", body, places)


def _with(value: bytes, body: bytes, places: Sequence[tuple[int, int]]) -> bytes:
    """Return the body with `value` at each of the places."""
    pieces, done = [], 0
    for start, end in places:
        pieces += [body[done:start], value]
        done = end
    return b"".join([*pieces, body[done:]])


def _values(body: bytes, members: Mapping[str, msgspec.Raw]) -> Iterator[tuple[str, int, int]]:
    """Yield the key of each member of a JSON object, and where its value begins and ends. The body is known to be JSON."""
    place = body.index(b"{") + 1
    while found := _KEY.match(body, place):
        key = decoded(_decode_text, found[1])
        place = _end(body, found.end(), bytes(members[key]))
        yield key, found.end(), place


def _end(body: bytes, start: int, likely: bytes) -> int:
    """Return where the value that begins at `start` ends. It is `likely`, unless its key is there again or half a character."""
    end = start + len(likely)
    if body.startswith(likely, start) and body[end : end + 1] in _AFTER_VALUE:
        return end
    if body[start] not in b"[{":
        scalar = _SCALAR.match(body, start)
        assert scalar is not None
        return scalar.end()
    depth = 0
    for found in _STRING_OR_BRACKET.finditer(body, start):
        depth += (found[0] in b"[{") - (found[0] in b"]}")
        if not depth:
            return found.end()
    return len(body)


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
