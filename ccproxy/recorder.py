"""Puts an exchange on record, frame by frame.

Turns what happens to one exchange into journal frames: masks secrets, stamps times, and lets each exchange end exactly once.
Refuses to know files and sockets; the clock, the ids and the place where frames go are arguments.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from ccproxy.protocol import headers
from ccproxy.records import Attempt, Ending, FrameKind, Heading, Opening, Sending, State
from ccproxy.wire import Header, RequestHead, ResponseHead

Append = Callable[[int, bytes, int, bytes], None]  # kind, exchange id, microseconds since 1970, data

_encode = msgspec.json.Encoder().encode
_OPEN, _REQUEST, _HEAD = int(FrameKind.OPEN), int(FrameKind.REQUEST), int(FrameKind.HEAD)
_CHUNK, _END, _SENT, _RETRY = int(FrameKind.CHUNK), int(FrameKind.END), int(FrameKind.SENT), int(FrameKind.RETRY)


@dataclass(frozen=True, slots=True)
class Limits:
    """What is not to be recorded. `paths` are the shell-style patterns of those that are."""

    paths: tuple[str, ...] = ("*",)


NO_LIMITS = Limits()


class Recording:
    """One exchange on its way to the record. None of its methods waits or raises because of the record."""

    __slots__ = ("_append", "_clock", "ended", "id", "status")

    def __init__(self, append: Append, clock: Callable[[], int], exchange_id: bytes) -> None:
        self._append = append
        self._clock = clock
        self.id = exchange_id
        self.status: int | None = None
        self.ended: State | None = None

    def __repr__(self) -> str:
        return f"<Recording {self.id.hex()} {self.ended or State.OPEN}>"

    def open(self, head: RequestHead, provider: str, client_address: str | None) -> None:
        """Record that a request has begun."""
        opening = Opening(
            method=head.method,
            path=head.path.decode("latin-1"),
            query=headers.mask_query(head.query),
            headers=headers.masked(head.headers),
            provider=provider,
            client_address=client_address,
        )
        self._append(_OPEN, self.id, self._clock(), _encode(opening))

    def request(self, body: bytes) -> None:
        """Record a piece of the request body."""
        if body:
            self._append(_REQUEST, self.id, self._clock(), body)

    def sent(self, sending: Sending | None = None) -> None:
        """Record that the request is complete and goes to the provider, and how, where that is not just as it came."""
        self._append(_SENT, self.id, self._clock(), b"" if sending is None else _encode(sending))

    def retry(self, attempt: Attempt) -> None:
        """Record an attempt in vain, which another one follows."""
        self._append(_RETRY, self.id, self._clock(), _encode(attempt))

    def head(self, head: ResponseHead) -> None:
        """Record the head of the answer."""
        self.status = head.status
        self._append(_HEAD, self.id, self._clock(), _encode(Heading(head.status, headers.masked(head.headers))))

    def chunk(self, data: bytes) -> None:
        """Record a piece of the answer's body, arrived now."""
        self._append(_CHUNK, self.id, self._clock(), data)

    def end(self, state: State, *, error: str | None = None, error_kind: str | None = None) -> None:
        """Conclude the exchange. Only the first call counts."""
        if self.ended is None:
            self.ended = state
            ending = Ending(state=state, status=self.status, error=error, error_kind=error_kind)
            self._append(_END, self.id, self._clock(), _encode(ending))

    def answered_here(self, status: int, header_list: Sequence[Header], body: bytes) -> None:
        """Record an answer that the proxy itself gives."""
        self.head(ResponseHead(status, list(header_list)))
        if body:
            self.chunk(body)


class Recorder:
    """Starts recordings. `append` is the journal's; `clock` gives microseconds since 1970; `new_id` the 16 bytes of a UUIDv7."""

    def __init__(
        self, append: Append, clock: Callable[[], int], new_id: Callable[[], bytes], limits: Limits = NO_LIMITS
    ) -> None:
        self._append = append
        self._clock = clock
        self._new_id = new_id
        self._recorded = re.compile("|".join(fnmatch.translate(pattern) for pattern in limits.paths) or "(?!)").match

    def start(self, path: bytes = b"") -> Recording:
        """Return the recording of a new exchange, with an id of its own; nothing is written of a path that is not recorded."""
        append = self._append if self._recorded(path.decode("latin-1")) else _nowhere
        return Recording(append, self._clock, self._new_id())


def _nowhere(_kind: int, _exchange: bytes, _at: int, _data: bytes) -> None:
    """Take a frame that is not to be written."""
