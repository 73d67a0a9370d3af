"""Exchanges of which not all is recorded: bodies up to a size, and nothing that matches a pattern.

Knows what to leave out, and says on the record that it did. What is to be searched is held back until it can be: a request until
it is complete, a stream until a block of it is, any other answer until its end. Refuses to touch the traffic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from ccproxy.protocol import headers
from ccproxy.recorder.recording import CHUNK, REQUEST, SENT_BODY, Append, Recording
from ccproxy.records import Ending, Heading, Opening, Sending, State
from ccproxy.redaction.stream import HeldBody, HeldStream, Timed
from ccproxy.redaction.text import Redaction
from ccproxy.wire import RequestHead, ResponseHead


class Decoder(Protocol):
    """Undoes the content encodings of one body. `problem` says why it cannot, `encoded` whether there is anything to undo."""

    problem: str | None
    encoded: bool

    def feed(self, data: bytes) -> bytes:
        """Return what this piece decodes to; nothing after a problem."""


NewDecoder = Callable[[str | None], Decoder]


@dataclass(slots=True)
class _Side:
    """A body, request or response: the bytes that passed, those to be recorded, and those that were, up to the limit."""

    name: str
    limit: int
    passed: int = 0
    whole: int = 0
    recorded: int = 0
    problem: str | None = None

    def kept(self, data: bytes) -> bytes:
        """Return what of the next piece is recorded."""
        kept = data[: max(0, self.limit - self.recorded)] if self.limit else data
        self.whole += len(data)
        self.recorded += len(kept)
        return kept

    @property
    def size(self) -> int | None:
        """How many bytes passed, where the record does not tell."""
        return self.passed if self.passed != self.recorded else None

    @property
    def note(self) -> str | None:
        """What is to be said about the record."""
        if self.problem or self.recorded == self.whole:
            return self.problem
        return f"the {self.name} is recorded up to {self.recorded} of {self.whole} bytes (capture.max_body)"


class LimitedRecording(Recording):
    """An exchange whose bodies are recorded up to a size, and counted to their ends. A size of 0 is no limit."""

    __slots__ = ("_request", "_response", "_sent_body")

    def __init__(
        self,
        append: Append,
        clock: Callable[[], int],
        exchange_id: bytes,
        secret_headers: frozenset[bytes],
        max_body: int,
    ) -> None:
        super().__init__(append, clock, exchange_id, secret_headers)
        self._request = _Side("request", max_body)
        self._response = _Side("response", max_body)
        self._sent_body = _Side("translated request", max_body)

    def request(self, body: bytes) -> None:
        """Record a piece of the request body, as far as the limit lets it."""
        self._request.passed += len(body)
        if kept := self._request.kept(body):
            self._recorded += len(kept)
            self._append(REQUEST, self.id, self._clock(), kept)

    def sent_body(self, body: bytes) -> None:
        """Record the translated body, as far as the limit lets it."""
        super().sent_body(self._sent_body.kept(body))

    def chunk(self, data: bytes) -> None:
        """Record a piece of the answer's body, arrived now, as far as the limit lets it."""
        self._response.passed += len(data)
        if kept := self._response.kept(data):
            self._recorded += len(kept)
            self._append(CHUNK, self.id, self._clock(), kept)

    def _ending(self, state: State, error: str | None, error_kind: str | None) -> Ending:
        ending = super()._ending(state, error, error_kind)
        notes = [side.note for side in (self._request, self._sent_body, self._response) if side.note]
        return msgspec.structs.replace(
            ending, request_bytes=self._request.size, response_bytes=self._response.size, note="; ".join(notes) or None
        )


class RedactedRecording(LimitedRecording):
    """An exchange in which whatever matches a pattern is masked before it is written; bodies are recorded decoded.

    What breaks off in the middle of a match is no match. What cannot be searched is not recorded.
    """

    __slots__ = ("_at", "_decoder", "_encoding", "_held", "_new_decoder", "_pieces", "_redaction")

    def __init__(
        self,
        append: Append,
        clock: Callable[[], int],
        exchange_id: bytes,
        secret_headers: frozenset[bytes],
        max_body: int,
        redaction: Redaction,
        new_decoder: NewDecoder,
    ) -> None:
        super().__init__(append, clock, exchange_id, secret_headers, max_body)
        self._redaction = redaction
        self._new_decoder = new_decoder
        self._encoding: str | None = None
        self._pieces: list[bytes] = []
        self._at = 0
        self._decoder = new_decoder(None)
        self._held: HeldStream | HeldBody = HeldBody(redaction)

    def open(self, head: RequestHead, provider: str, client_address: str | None) -> None:
        """Record that a request has begun."""
        self._encoding = headers.header(head.headers, "content-encoding")
        super().open(head, provider, client_address)

    def request(self, body: bytes) -> None:
        """Hold a piece of the request body back."""
        if body:
            self._request.passed += len(body)
            self._pieces.append(body)
            self._at = self._clock()

    def sent_body(self, body: bytes) -> None:
        """Record the request, and the translated body, searched as that was."""
        self._release_request()
        decoder = self._new_decoder(None)
        self._search(
            self._sent_body, SENT_BODY, decoder, lambda: [(self._clock(), self._redaction.body(decoder.feed(body)))]
        )

    def sent(self, sending: Sending | None = None) -> None:
        """Record the request, and that it goes to the provider."""
        self._release_request()
        super().sent(sending)

    def head(self, head: ResponseHead) -> None:
        """Record the head of the answer, and what of the request is still held back."""
        self._release_request()
        self._decoder = self._new_decoder(headers.header(head.headers, "content-encoding"))
        kind = headers.header(head.headers, "content-type") or ""
        self._held = (HeldStream if "event-stream" in kind.lower() else HeldBody)(self._redaction)
        super().head(head)

    def chunk(self, data: bytes) -> None:
        """Record what a piece of the answer's body, arrived now, completes."""
        self._response.passed += len(data)
        at = self._clock()
        self._search(self._response, CHUNK, self._decoder, lambda: self._held.feed(at, self._decoder.feed(data)))

    def end(self, state: State, *, error: str | None = None, error_kind: str | None = None) -> None:
        """Record what is still held back, and conclude the exchange. Only the first call counts."""
        if self.ended is None:
            self._release_request()
            self._search(self._response, CHUNK, self._decoder, lambda: self._held.close())
        super().end(state, error=error, error_kind=error_kind)

    def _release_request(self) -> None:
        if self._pieces:
            raw, self._pieces = b"".join(self._pieces), []
            decoder = self._new_decoder(self._encoding)
            self._search(self._request, REQUEST, decoder, lambda: [(self._at, self._redaction.body(decoder.feed(raw)))])

    def _search(self, side: _Side, kind: int, decoder: Decoder, search: Callable[[], list[Timed]]) -> None:
        """Record what a search gives; where it cannot be made, say so and record no more of this side."""
        if side.problem:
            return
        try:
            found, problem = search(), decoder.problem
        except Exception as error:  # noqa: BLE001 (what cannot be searched is not recorded, and traffic goes on)
            found, problem = [], repr(error)
        if problem:
            extent = f"only {side.recorded} bytes of " if side.recorded else "nothing of "
            side.problem = (
                f"{extent}the {side.name} is recorded, since it cannot be searched (capture.redact): {problem}"
            )
            return
        for at, data in found:
            kept = side.kept(data)
            if kept or not data:
                self._recorded += len(kept)
                self._append(kind, self.id, at, kept)

    def _opening(self, head: RequestHead, provider: str, client_address: str | None) -> Opening:
        opening = super()._opening(head, provider, client_address)
        query, shown = self._redaction.text(opening.query), self._masked(opening.headers)
        return msgspec.structs.replace(opening, query=query, headers=shown, plain=True)

    def _heading(self, head: ResponseHead) -> Heading:
        heading = super()._heading(head)
        return msgspec.structs.replace(heading, headers=self._masked(heading.headers), plain=True)

    def _masked(self, shown: list[tuple[str, str]]) -> list[tuple[str, str]]:
        return [(name, self._redaction.text(value)) for name, value in shown]
