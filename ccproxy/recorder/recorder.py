"""Starts a recording for each exchange: a whole one, one with limits, or one that writes nothing.

Knows what is not to be recorded. Refuses to know where that is said.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from dataclasses import dataclass

from ccproxy.recorder.limited import LimitedRecording, NewDecoder, RedactedRecording
from ccproxy.recorder.recording import Append, Recording
from ccproxy.redaction.text import Redaction


@dataclass(frozen=True, slots=True)
class Limits:
    """What is not to be recorded.

    `paths` are the shell-style patterns of those that are; `max_body` the most bytes of a body (0: all); `redact` regular
    expressions for what is masked; `secret_headers` names, in lower case, whose values are secrets beside those that are known.
    """

    paths: tuple[str, ...] = ("*",)
    max_body: int = 0
    redact: tuple[str, ...] = ()
    secret_headers: frozenset[bytes] = frozenset()


NO_LIMITS = Limits()


class Recorder:
    """Starts recordings. `append` is the journal's; `clock` gives microseconds since 1970; `new_id` the 16 bytes of a UUIDv7.

    `decoder` undoes a content encoding, so that what is packed can be searched; redaction needs it.
    """

    def __init__(
        self,
        append: Append,
        clock: Callable[[], int],
        new_id: Callable[[], bytes],
        limits: Limits = NO_LIMITS,
        decoder: NewDecoder | None = None,
    ) -> None:
        if limits.redact and decoder is None:
            raise ValueError("redaction needs a decoder, or it could not search a packed body")
        self._append = append
        self._clock = clock
        self._new_id = new_id
        self._limits = limits
        self._decoder = decoder
        self._redaction = Redaction(limits.redact) if limits.redact else None
        self._recorded = re.compile("|".join(fnmatch.translate(pattern) for pattern in limits.paths) or "(?!)").match

    def start(self, path: bytes = b"") -> Recording:
        """Return the recording of a new exchange, with an id of its own; nothing is written of a path that is not recorded."""
        limits, exchange = self._limits, self._new_id()
        if not self._recorded(path.decode("latin-1")):
            return Recording(_nowhere, self._clock, exchange)
        if not limits.max_body and self._redaction is None:
            return Recording(self._append, self._clock, exchange, limits.secret_headers)
        if self._redaction is None or self._decoder is None:
            return LimitedRecording(self._append, self._clock, exchange, limits.secret_headers, limits.max_body)
        return RedactedRecording(
            self._append, self._clock, exchange, limits.secret_headers, limits.max_body, self._redaction, self._decoder
        )


def _nowhere(_kind: int, _exchange: bytes, _at: int, _data: bytes) -> None:
    """Take a frame that is not to be written."""
