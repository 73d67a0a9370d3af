"""JSON as providers write it and as clients read it.

Knows how to read what a strict reader refuses though it can be read (half characters, broken UTF-8, control characters, NaN), and
to write text in which half a character may stand. Refuses to know what a value means.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class NotJson(ValueError):
    """Bytes that are no JSON, however they are read."""


def read(data: bytes) -> Any:
    """Return the value of a JSON text, strictly or leniently. Raises NotJson, and nothing else."""
    try:
        return strictly(data)
    except NotJson:
        return leniently(data)


def strictly(data: bytes) -> Any:
    """Return the value of a JSON text as the standard has it. Raises NotJson, and nothing else."""
    try:
        return _decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise NotJson(str(error)) from None


def leniently(data: bytes) -> Any:
    """Return the value of what can be read as a JSON text; bytes that are no UTF-8 are replaced. Raises NotJson, and nothing else."""
    try:
        return json.loads(data.decode("utf-8", "replace"), strict=False)
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from None


def written(value: Any) -> bytes:
    """Return a value as JSON; half a character is written as its escape, since its other half may follow in the next text.

    Raises NotJson for what is nested too deeply.
    """
    try:
        return _encode(value)
    except (ValueError, RecursionError):
        pass
    try:
        return json.dumps(value).encode()
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from None


def mended(text: str) -> str:
    """Return a text without half characters, which no UTF-8 can hold: two halves are joined, and one alone is replaced."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
