"""The stream that a provider sends, for a client that asked for one JSON message: the answer which that client is given.

Takes the body piece by piece as it arrives, so that the caller can record each of them. Refuses to know connections; what is no
stream of events is not its matter (`is_stream`) and goes to the client as it is.
"""

from __future__ import annotations

import logging
from typing import Any

import msgspec

from ccproxy.errors import UpstreamError
from ccproxy.ingest.encodings import ContentDecoder
from ccproxy.protocol import headers, sse
from ccproxy.protocol.demotion import error_status, unstreamed
from ccproxy.protocol.message import MALFORMED, MessageBuilder
from ccproxy.web.answers import json_headers
from ccproxy.wire import Header, ResponseHead

log = logging.getLogger("ccproxy")

# They describe the stream's bytes, which the client does not get.
_OF_THE_STREAM = frozenset({b"content-encoding", b"content-length", b"content-type"})
_encode = msgspec.json.Encoder().encode


def is_stream(head: ResponseHead) -> bool:
    """Return whether an answer is a stream of events, of which one message can be made; any other is passed on as it is."""
    kind = headers.header(head.headers, "content-type") or ""
    return head.status == 200 and kind.partition(";")[0].strip().lower() == "text/event-stream"


class OneMessage:
    """One JSON answer out of a stream: feed it each piece of the body, then ask for the answer."""

    def __init__(self, head: ResponseHead) -> None:
        self._head = head
        self._decoder = ContentDecoder(headers.header(head.headers, "content-encoding"))
        self._lines = sse.Decoder()
        self._builder = MessageBuilder()
        self._malformed = False

    def feed(self, chunk: bytes) -> None:
        """Take the next piece of the body, as it came."""
        self._take(self._lines.feed(self._decoder.feed(chunk) if self._decoder.encoded else chunk))

    def answer(self) -> tuple[int, list[Header], bytes]:
        """Return status, headers and body for the client, now that the stream is over.

        An `error` event becomes the error that the API would have sent. Raises UpstreamError where the stream broke off.
        """
        self._take(self._lines.close())
        builder = self._builder
        if builder.error is not None:
            return self._json(error_status(builder.error), self._error(builder.error))
        message = builder.message
        problem = self._problem(message)
        if problem or message is None:
            raise UpstreamError(
                f"the provider's stream {problem}, so there is no whole message for a client that asked for one",
                kind="broken_stream",
                status=502,
            )
        if builder.unknown:
            log.warning("a stream was made one message without what is unknown: %s", ", ".join(builder.unknown))
        return self._json(200, unstreamed(message))

    def _take(self, events: list[sse.Event | sse.Comment]) -> None:
        for event in events:
            if isinstance(event, sse.Event) and self._builder.feed(event) == MALFORMED:
                self._malformed = True

    def _problem(self, message: dict[str, Any] | None) -> str | None:
        if self._decoder.problem:
            return f"cannot be read ({self._decoder.problem})"
        if self._malformed:
            return "has an event that is not JSON"
        return None if self._builder.complete and message is not None else "ended without message_stop"

    def _error(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Return the payload of an `error` event as the body of an answer: with the request's id, where that is known."""
        request_id = headers.header(self._head.headers, "request-id")
        known = {} if request_id is None else {"request_id": request_id}
        return {"type": "error", **payload, **({} if payload.get("request_id") else known)}

    def _json(self, status: int, value: dict[str, Any]) -> tuple[int, list[Header], bytes]:
        body = _encode(value)
        passed = headers.end_to_end(self._head.headers)
        kept = [(name, text) for name, text in passed if name.lower() not in _OF_THE_STREAM]
        return status, [*kept, *json_headers(body)], body
