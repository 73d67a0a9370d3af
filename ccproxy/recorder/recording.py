"""One exchange on its way to the record: what happens to it, as journal frames.

Masks secrets, stamps times, and lets each exchange end exactly once. Refuses to know files and sockets; the clock, the id and the
place where frames go are arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from ccproxy.protocol import headers
from ccproxy.records import Attempt, Ending, FrameKind, Heading, Opening, Sending, State
from ccproxy.wire import Header, RequestHead, ResponseHead

Append = Callable[[int, bytes, int, bytes], None]  # kind, exchange id, microseconds since 1970, data

_encode = msgspec.json.Encoder().encode
REQUEST, CHUNK = int(FrameKind.REQUEST), int(FrameKind.CHUNK)
SENT_BODY = int(FrameKind.SENT_BODY)
_OPEN, _SENT, _RETRY = int(FrameKind.OPEN), int(FrameKind.SENT), int(FrameKind.RETRY)
_HEAD, _END = int(FrameKind.HEAD), int(FrameKind.END)


class Recording:
    """One exchange on its way to the record. None of its methods waits or raises because of the record."""

    __slots__ = ("_append", "_clock", "_recorded", "_secret_headers", "ended", "id", "status")

    def __init__(
        self,
        append: Append,
        clock: Callable[[], int],
        exchange_id: bytes,
        secret_headers: frozenset[bytes] = frozenset(),
    ) -> None:
        self._append = append
        self._clock = clock
        self._secret_headers = secret_headers
        self._recorded = 0  # bytes of bodies that were given to the journal
        self.id = exchange_id
        self.status: int | None = None
        self.ended: State | None = None

    def __repr__(self) -> str:
        return f"<Recording {self.id.hex()} {self.ended or State.OPEN}>"

    def open(self, head: RequestHead, provider: str, client_address: str | None) -> None:
        """Record that a request has begun."""
        self._append(_OPEN, self.id, self._clock(), _encode(self._opening(head, provider, client_address)))

    def request(self, body: bytes) -> None:
        """Record a piece of the request body."""
        if body:
            self._recorded += len(body)
            self._append(REQUEST, self.id, self._clock(), body)

    def sent_body(self, body: bytes) -> None:
        """Record the body that goes up in the place of the client's, translated into another protocol."""
        self._recorded += len(body)
        self._append(SENT_BODY, self.id, self._clock(), body)

    def sent(self, sending: Sending | None = None) -> None:
        """Record that the request is complete and goes to the provider, and how, where that is not just as it came."""
        self._append(_SENT, self.id, self._clock(), b"" if sending is None else _encode(sending))

    def retry(self, attempt: Attempt) -> None:
        """Record an attempt in vain, which another one follows."""
        self._append(_RETRY, self.id, self._clock(), _encode(attempt))

    def head(self, head: ResponseHead) -> None:
        """Record the head of the answer."""
        self.status = head.status
        self._append(_HEAD, self.id, self._clock(), _encode(self._heading(head)))

    def chunk(self, data: bytes) -> None:
        """Record a piece of the answer's body, arrived now."""
        self._recorded += len(data)
        self._append(CHUNK, self.id, self._clock(), data)

    def end(self, state: State, *, error: str | None = None, error_kind: str | None = None) -> None:
        """Conclude the exchange. Only the first call counts."""
        if self.ended is None:
            self.ended = state
            self._append(_END, self.id, self._clock(), _encode(self._ending(state, error, error_kind)))

    def answered_here(self, status: int, header_list: Sequence[Header], body: bytes) -> None:
        """Record an answer that the proxy itself gives."""
        self.head(ResponseHead(status, list(header_list)))
        if body:
            self.chunk(body)

    def _opening(self, head: RequestHead, provider: str, client_address: str | None) -> Opening:
        return Opening(
            method=head.method,
            path=head.path.decode("latin-1"),
            query=headers.mask_query(head.query),
            headers=headers.masked(head.headers, self._secret_headers),
            provider=provider,
            client_address=client_address,
        )

    def _heading(self, head: ResponseHead) -> Heading:
        return Heading(head.status, headers.masked(head.headers, self._secret_headers))

    def _ending(self, state: State, error: str | None, error_kind: str | None) -> Ending:
        return Ending(
            state=state, status=self.status, error=error, error_kind=error_kind, recorded_bytes=self._recorded
        )
