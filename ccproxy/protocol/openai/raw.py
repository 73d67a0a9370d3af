"""JSON that is taken apart one level at a time, so that what is passed on unread keeps its bytes.

Nothing here raises: what is not of the kind that was asked for is None. Refuses to know what a member means.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Any

import msgspec

from ccproxy.protocol.parts import json_value

Object = dict[str, msgspec.Raw]

_decode_object = msgspec.json.Decoder(Object).decode
_decode_objects = msgspec.json.Decoder(list[Object]).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_count = msgspec.json.Decoder(int).decode

_QUOTE = ord('"')

# Values that say nothing: whoever drops them loses nothing.
_NOTHING = {b"null", b"false", b"[]", b"{}", b'""', b'{"enabled":false}', b'{"enabled": false}'}


def object_in(raw: msgspec.Raw | None) -> Object | None:
    """Return the members of an object, None where there is none."""
    try:
        return None if raw is None else _decode_object(raw)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def list_in(raw: msgspec.Raw | None) -> list[msgspec.Raw] | None:
    """Return the entries of a list, None where there is none."""
    try:
        return None if raw is None else _decode_list(raw)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def objects_in(raw: msgspec.Raw | None) -> list[Object | None] | None:
    """Return the entries of a list of objects, None for each that is none; None where there is no list."""
    try:
        return None if raw is None else [*_decode_objects(raw)]
    except (msgspec.DecodeError, ValueError, RecursionError):
        entries = list_in(raw)
        return None if entries is None else [object_in(entry) for entry in entries]


def is_text(raw: msgspec.Raw) -> bool:
    """Return whether a value is a text."""
    return memoryview(raw)[0] == _QUOTE


def text_in(raw: msgspec.Raw | None) -> str | None:
    """Return a text, None where there is none."""
    try:
        return None if raw is None else _decode_text(raw)
    except (msgspec.DecodeError, ValueError):
        return None


def count_in(raw: msgspec.Raw | None) -> int | None:
    """Return an integer, None where there is none."""
    try:
        return None if raw is None else _decode_count(raw)
    except (msgspec.DecodeError, ValueError):
        return None


def value_in(raw: msgspec.Raw | None) -> Any:
    """Return the decoded value, None where there is none or where it is too large a number."""
    return None if raw is None else json_value(bytes(raw))


def unsaid(members: Object, known: Set[str]) -> list[str]:
    """Return the names of the members that are not known and say something, in their order."""
    return [name for name in members if name not in known and not says_nothing(members[name])]


def says_nothing(raw: msgspec.Raw | None) -> bool:
    """Return whether a value is missing, null, false or empty."""
    return raw is None or bytes(raw) in _NOTHING
