r"""Half characters in JSON: `"\ud83d"` without its other half.

JavaScript writes them where a text was cut in the middle of a character; they are valid JSON, and no text in UTF-8. Knows how
to put the replacement character in their place. Refuses to touch anything else.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

T = TypeVar("T")

# An escape as a whole, so that the second backslash of an escaped one never begins another.
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)


def without_halves(raw: bytes) -> bytes:
    """Return JSON text in which each half character is U+FFFD."""
    return _ESCAPE.sub(lambda match: rb"\ufffd" if match[1] else match[0], raw)


def decoded(decode: Callable[[bytes], T], raw: bytes) -> T:
    """Decode JSON; where the strict decoder refuses it, once more without half characters. Raises as the decoder does."""
    try:
        return decode(raw)
    except msgspec.DecodeError:
        if rb"\ud" not in raw.lower():
            raise
        return decode(without_halves(raw))
