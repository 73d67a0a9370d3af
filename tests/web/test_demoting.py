"""A stream made into the one message that its client asked for: equal to the official SDK's, or an honest error."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Callable
from typing import Any

import brotli
import pytest
import zstandard

from ccproxy.errors import UpstreamError
from ccproxy.protocol import sse
from ccproxy.web.demoting import OneMessage, is_stream
from ccproxy.wire import Header, ResponseHead
from tests.support import anthropic_messages as messages
from tests.support import wire
from tests.support.accumulated import by_the_sdk, comparable, without_nulls
from tests.support.entries import event
from tests.support.splits import decode, fixed_cuts, in_steps

STREAM = (b"Content-Type", b"text/event-stream; charset=utf-8")
WHOLE = messages.message(
    [
        messages.thinking("Let me see."),
        messages.redacted_thinking(),
        messages.text("Grüße, 世界 🌍"),
        messages.tool_use("Bash", {"command": "ls", "n": 123456789012345678901234567890}),
        messages.tool_use("Empty", {}, "toolu_2"),
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"type": "web_search_result"}]},
        {"type": "block_of_tomorrow", "deep": {"x": [1, None]}},
    ]
)
Answer = tuple[int, dict[bytes, bytes], Any]


def _answer(pieces: list[bytes], *more: Header) -> Answer:
    one = OneMessage(ResponseHead(200, [STREAM, *more]))
    for piece in pieces:
        one.feed(piece)
    status, headers, body = one.answer()
    assert dict(headers)[b"content-length"] == b"%d" % len(body)
    assert dict(headers)[b"content-type"] == b"application/json"
    assert len(headers) == len({name.lower() for name, _ in headers})
    return status, dict(headers), json.loads(body)


def _message(pieces: list[bytes], *more: Header) -> Any:
    status, _, message = _answer(pieces, *more)
    assert status == 200
    return message


def test_a_stream_becomes_its_message() -> None:
    """Blocks of every kind, big numbers, usage and stop reason are those of the answer that was not streamed."""
    for pieces in fixed_cuts(b"".join(messages.stream_of(WHOLE))):
        assert _message(pieces) == WHOLE


def test_what_only_the_end_tells_is_merged() -> None:
    """Usage merges, and stop sequence, container, context management and unknown fields of the end stand in the message."""
    start = {**messages.message([]), "stop_reason": None, "usage": {"input_tokens": 9, "output_tokens": 1, "new": 1}}
    ending = {"stop_reason": "stop_sequence", "stop_sequence": "X", "container": {"id": "c"}, "novel": 2}
    stream = [
        event("message_start", message=start),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        event("content_block_delta", index=0, delta={"type": "citations_delta", "citation": {"cited_text": "a"}}),
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": "a"}),
        event("content_block_stop", index=0),
        event("content_block_start", index=1, content_block={"type": "compaction", "content": None}),
        event("content_block_delta", index=1, delta={"type": "compaction_delta", "content": "so far"}),
        event("content_block_stop", index=1),
        event("message_delta", delta=ending, usage={"output_tokens": 20}, context_management={"applied_edits": []}),
        event("message_stop"),
    ]
    assert _message(stream) == {
        **start,
        **ending,
        "content": [
            {"type": "text", "text": "a", "citations": [{"cited_text": "a"}]},
            {"type": "compaction", "content": "so far"},
        ],
        "usage": {"input_tokens": 9, "output_tokens": 20, "new": 1},
        "context_management": {"applied_edits": []},
    }


def _zstd(data: bytes) -> bytes:
    packed: bytes = zstandard.ZstdCompressor().compress(data)
    return packed


def _brotli(data: bytes) -> bytes:
    packed: bytes = brotli.compress(data)
    return packed


PACKED: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "br": _brotli, "zstd": _zstd}


@pytest.mark.parametrize("name", PACKED)
def test_a_packed_stream_becomes_its_message(name: str) -> None:
    """A stream that comes compressed is read at any cut, and its answer says nothing of it any more."""
    packed = PACKED[name](b"".join(messages.stream_of(WHOLE)))
    for pieces in fixed_cuts(packed):
        _, headers, message = _answer(pieces, (b"Content-Encoding", name.encode()))
        assert message == WHOLE
        assert b"Content-Encoding" not in headers


def test_headers_of_the_provider_are_passed_on() -> None:
    """Every end-to-end header is the provider's; those of the stream's bytes and of the connection are not."""
    ours = [
        (b"request-id", b"req_1"),
        (b"Anthropic-RateLimit-Requests-Remaining", b"9"),
        (b"cache-control", b"no-cache"),
    ]
    gone = [(b"Transfer-Encoding", b"chunked"), (b"Connection", b"x-hop"), (b"X-Hop", b"1"), (b"Content-Length", b"5")]
    _, headers, _ = _answer(messages.text_stream("x"), *ours, *gone)
    assert headers.keys() == {*dict(ours), b"content-type", b"content-length"}
    assert headers.items() >= dict(ours).items()


ERRORS = {"overloaded_error": 529, "rate_limit_error": 429, "api_error": 500, "invalid_request_error": 400, "odd": 500}


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("before", [0, 3])
def test_an_error_event_is_the_answer(kind: str, before: int) -> None:
    """An error at the beginning of a stream or in its middle has the status and the body that the API would have sent."""
    stream = [*messages.text_stream("Half an ans")[:before], messages.error_event(kind, "Sorry")]
    status, headers, body = _answer(stream, (b"request-id", b"req_9"))
    assert (status, body) == (ERRORS[kind], messages.error(kind, "Sorry"))
    assert headers[b"request-id"] == b"req_9"


def test_an_error_names_its_request() -> None:
    """An error event without the request's id gets it from the header, where that has it."""
    data = {"error": {"type": "overloaded_error", "message": "Overloaded", "details": None}}
    status, _, body = _answer([event("error", **data)], (b"Request-Id", b"req_9"))
    assert (status, body) == (529, {"type": "error", **data, "request_id": "req_9"})
    assert _answer([event("error", **data)])[2] == {"type": "error", **data}


BROKEN = {
    "nothing": [],
    "a comment": [b": hello\n\n"],
    "no end": messages.stream_of(WHOLE)[:-1],
    "half an event": [b"".join(messages.stream_of(WHOLE))[:-20]],
    "an end alone": [event("message_stop")],
    "a second message without end": [*messages.text_stream("a"), *messages.text_stream("b")[:-1]],
    "no JSON in the middle": [*messages.text_stream("a")[:-1], b"data: {oops}\n\n", event("message_stop")],
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_stream_that_breaks_off_is_a_broken_answer(name: str) -> None:
    """Without its end, or with a hole, a stream is no message, and half of one is never given as a whole."""
    with pytest.raises(UpstreamError, match=r"^the provider's stream .* no whole message") as raised:
        _answer(BROKEN[name])
    assert (raised.value.kind, raised.value.status) == ("broken_stream", 502)


def test_a_stream_that_does_not_unpack_is_a_broken_answer() -> None:
    """A stream that is not packed as it says is no message."""
    with pytest.raises(UpstreamError, match="does not decode") as raised:
        _answer(messages.text_stream("x"), (b"content-encoding", b"gzip"))
    assert raised.value.kind == "broken_stream"


def test_a_message_never_carries_what_the_api_would_refuse(caplog: pytest.LogCaptureFixture) -> None:
    """Deltas that nobody has heard of stay out of the message, and the log names them."""
    odd = event("content_block_delta", index=0, delta={"type": "odd_delta", "x": 1})
    stream = messages.text_stream("Hello")
    with caplog.at_level(logging.WARNING, "ccproxy"):
        message = _message([*stream[:3], odd, *stream[3:]])
    assert message["content"] == [{"type": "text", "text": "Hello"}]
    assert "odd_delta" in caplog.text


HEADS = [
    (200, b"text/event-stream", True),
    (200, b"Text/Event-Stream;charset=utf-8", True),
    (200, b"application/json", False),
    (200, b"text/event-streams", False),
    (200, None, False),
    (201, b"text/event-stream", False),
    (529, b"text/event-stream", False),
    (400, b"application/json", False),
]


@pytest.mark.parametrize(("status", "kind", "stream"), HEADS)
def test_only_a_stream_is_made_into_a_message(status: int, kind: bytes | None, stream: bool) -> None:
    """An error, or JSON though a stream was asked for, is passed on as it is."""
    assert is_stream(ResponseHead(status, [] if kind is None else [(b"CONTENT-TYPE", kind)])) is stream


COMPARED = [name for name in wire.stream_files() if comparable(name)]


@wire.needs_wire
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", COMPARED)
def test_recorded_streams_become_what_the_sdk_builds(name: str) -> None:
    """Each recorded stream gives the client the message that the official SDK accumulates."""
    raw = wire.stream(name)
    message = _message(in_steps(1300)(raw))
    assert without_nulls(message) == without_nulls(by_the_sdk(decode(sse.Decoder(), [raw])))


@wire.needs_wire
def test_every_recorded_stream_has_an_answer() -> None:
    """All other recorded streams give a message, an error, or a broken answer; enough are compared with the SDK."""
    found = {}
    for name in set(wire.stream_files()) - set(COMPARED):
        try:
            found[name] = _answer([wire.stream(name)])[0]
        except UpstreamError as error:
            found[name] = error.status
    assert sorted(found.values())[-2:] == [502, 529]  # a stream of another API, and an overload
    assert set(sorted(found.values())[:-2]) == {200}
    assert len(COMPARED) >= 150
