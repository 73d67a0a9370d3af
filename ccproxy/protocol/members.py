"""The top-level members of a JSON object, found in its bytes, so that one value can change while every other byte stays.

Refuses to write JSON anew, and to know what a member means. A key that is there twice counts by its last value for nearly every
reader, so all of its places are given.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from ccproxy.protocol.surrogates import decoded

Members = Mapping[str, msgspec.Raw]

_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_KEY = re.compile(rb"[\s,]*(%s)\s*:\s*" % _STRING, re.DOTALL)
_SCALAR = re.compile(rb"%s|[^\s,}\]]+" % _STRING, re.DOTALL)
_STRING_OR_BRACKET = re.compile(rb"%s|[][{}]" % _STRING, re.DOTALL)
_AFTER_VALUE = b",} \t\r\n"


def members_of(body: bytes) -> Members | None:
    """Return the members of an object by their keys, the last of equal ones; None where the body is no JSON object."""
    try:
        return decoded(_decode_object, body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def places_of(key: str, body: bytes, members: Members) -> list[tuple[int, int]]:
    """Return where the values of a key begin and end. `members` are those of the body."""
    return [(start, end) for name, start, end in _values(body, members) if name == key]


def with_value(value: bytes, body: bytes, places: Sequence[tuple[int, int]]) -> bytes:
    """Return the body with `value` at each of the places."""
    pieces, done = [], 0
    for start, end in places:
        pieces += [body[done:start], value]
        done = end
    return b"".join([*pieces, body[done:]])


def with_model(body: bytes, model: str) -> bytes | None:
    """Return a request for another model; all else stays, byte for byte. None where the body names none."""
    members = members_of(body)
    if members is None or "model" not in members:
        return None
    return with_value(_encode(model), body, places_of("model", body, members))


def _values(body: bytes, members: Members) -> Iterator[tuple[str, int, int]]:
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
