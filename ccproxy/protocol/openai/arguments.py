"""The arguments of one tool call, which come in pieces of a JSON text.

Knows which of a piece may be passed on at once, where the JSON object ends, and what stands for arguments that are no object.
Refuses to know whose arguments they are.
"""

from __future__ import annotations

import re
from typing import Any

from ccproxy.protocol.openai.json_text import NotJson, read, written
from ccproxy.protocol.parts import json_value

# The member under which a tool is given what is no object: its own check of the input will tell the model.
WHOLE = "_arguments"

_REST_OF_STRING = re.compile(r'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_SIGN = re.compile(r'["{}\[\]]')


class Arguments:
    """What has come of one call's arguments. `complete` says that the object is closed; `said` is what was passed on.

    Arguments without any text, and the `{}` that some providers send before the real ones, say nothing yet.
    """

    __slots__ = ("_depth", "_escaped", "_held", "_inside", "complete", "said")

    def __init__(self) -> None:
        self.complete = False
        self.said: list[str] = []
        self._held: list[str] = []
        self._depth = 0
        self._inside = False
        self._escaped = False

    @property
    def open(self) -> bool:
        """Whether the object has begun and is not closed."""
        return bool(self.said) and not self.complete

    @property
    def begun(self) -> bool:
        """Whether anything was said that counts."""
        return bool(self.said or self._held)

    def take(self, piece: str) -> tuple[str, str]:
        """Take the next piece. Returns what of it may be passed on, and what stands behind the object's end."""
        if self.complete or not piece:
            return "", piece
        if self._held:
            self._held.append(piece)
            return "", ""
        return self._pass_on(piece if self.said else piece.lstrip().removeprefix("{}").lstrip())

    def _pass_on(self, piece: str) -> tuple[str, str]:
        if not piece:
            return "", ""
        if not self.said and piece[0] != "{":
            self._held.append(piece)
            return "", ""
        end = self._end_in(piece)
        self.said.append(piece[:end])
        return self.said[-1], piece[end:] if self.complete else ""

    def rest(self) -> tuple[str, bool]:
        """Return what was held back, as an object, and whether it is the one that was meant.

        Nothing where nothing was held back, or null; the object where it was written as JSON twice.
        """
        text, self._held = "".join(self._held), []
        try:
            value = read(text.encode("utf-8", "replace")) if text else None
            whole = written({WHOLE: value})
        except NotJson:
            value, whole = text, written({WHOLE: text})
        if value is None:
            return "", True
        twice = isinstance(value, str) and isinstance(json_value(value.encode("utf-8", "replace")), dict)
        self.said.append(value.strip() if twice else whole.decode())
        self.complete = True
        return self.said[-1], twice

    def _end_in(self, piece: str) -> int:
        """Return where the object ends in this piece; its length where it does not."""
        place = 0
        if self._escaped:
            self._escaped, place = False, 1
        while place < len(piece):
            if self._inside:
                rest = _REST_OF_STRING.match(piece, place)
                assert rest is not None
                place = rest.end() + 1
                if place <= len(piece):
                    # The quote that closes the string, or a backslash whose other half comes with the next piece.
                    self._inside = self._escaped = piece[place - 1] == "\\"
            elif sign := _SIGN.search(piece, place):
                place = sign.end()
                self._inside = sign[0] == '"'
                self._depth += (sign[0] in "{[") - (sign[0] in "]}")
                if not self._depth:
                    self.complete = True
                    return place
            else:
                break
        return len(piece)


def as_text(arguments: Any) -> str:
    """Return the arguments of a fragment as JSON text; some providers send the object itself."""
    if isinstance(arguments, str):
        return arguments
    if arguments is None:
        return ""
    try:
        return written(arguments).decode()
    except NotJson:
        return "nested too deeply"  # no object, so that the tool is not called without its arguments
