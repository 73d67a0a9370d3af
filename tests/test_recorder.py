"""The recorder: frames of all kinds, secrets masked before they are bytes, one ending for each exchange."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from itertools import count

import msgspec
import pytest

from ccproxy.ingest.encodings import ContentDecoder
from ccproxy.recorder import Limits, Recorder, Recording
from ccproxy.recorder.limited import LimitedRecording, RedactedRecording
from ccproxy.records import Attempt, Ending, FrameKind, Heading, Opening, Sending, State
from ccproxy.wire import RequestHead, ResponseHead
from tests.support.entries import stream

SECRETS = (b"sk-ant-api03-very-secret", b"Bearer sk-ant-oat01-secret-too", b"session=the-cookie", b"token-in-the-query")
Frames = list[tuple[int, bytes, int, bytes]]


@pytest.fixture
def frames() -> Frames:
    """Give the place where frames go."""
    return []


@pytest.fixture
def recording(frames: Frames) -> Recording:
    """Give the recording of a new exchange; its clock counts from 100."""
    clock = count(100)
    return Recorder(lambda *frame: frames.append(frame), lambda: next(clock), lambda: b"i" * 16).start()


def _head(query: bytes = b"beta=true") -> RequestHead:
    headers = [(b"X-Api-Key", SECRETS[0]), (b"authorization", SECRETS[1]), (b"Cookie", SECRETS[2]), (b"accept", b"*/*")]
    return RequestHead("POST", b"/v1/messages", query, headers)


def test_everything_that_happens_is_a_frame(recording: Recording, frames: Frames) -> None:
    """Each event is one frame of its kind, with the exchange's id and the time."""
    recording.open(_head(), "anthropic", "127.0.0.1")
    recording.request(b"body")
    recording.sent()
    recording.head(ResponseHead(200, [(b"content-type", b"text/event-stream")]))
    recording.chunk(b"data: x\n\n")
    recording.end(State.COMPLETE)
    assert [(kind, at) for kind, _, at, _ in frames] == [
        (FrameKind.OPEN, 100),
        (FrameKind.REQUEST, 101),
        (FrameKind.SENT, 102),
        (FrameKind.HEAD, 103),
        (FrameKind.CHUNK, 104),
        (FrameKind.END, 105),
    ]
    assert {exchange for _, exchange, _, _ in frames} == {b"i" * 16}
    opening = msgspec.json.decode(frames[0][3], type=Opening)
    assert (opening.method, opening.path, opening.query) == ("POST", "/v1/messages", "beta=true")
    assert (opening.provider, opening.client_address) == ("anthropic", "127.0.0.1")
    assert (frames[1][3], frames[2][3], frames[4][3]) == (b"body", b"", b"data: x\n\n")
    assert msgspec.json.decode(frames[3][3], type=Heading) == Heading(200, [("content-type", "text/event-stream")])
    assert _ending(frames) == Ending(State.COMPLETE, 200, recorded_bytes=len(b"body" + b"data: x\n\n"))


def test_no_secret_becomes_a_byte(recording: Recording, frames: Frames) -> None:
    """Credentials in headers, cookies and the query are masked; what they were can still be told apart."""
    recording.open(_head(b"beta=true&api_key=" + SECRETS[3]), "anthropic", None)
    recording.head(ResponseHead(200, [(b"Set-Cookie", SECRETS[2]), (b"x-api-key", SECRETS[0])]))
    recording.answered_here(401, [(b"Authorization", SECRETS[1])], b"")
    written = b"".join(data for _, _, _, data in frames)
    for secret in SECRETS:
        for word in (secret, secret.split()[-1], secret.split(b"=")[-1]):
            assert word not in written
    opening = msgspec.json.decode(frames[0][3], type=Opening)
    assert "sha256:" in opening.query
    assert [name.lower() for name, _ in opening.headers] == ["x-api-key", "authorization", "cookie", "accept"]
    assert dict(opening.headers)["accept"] == "*/*"


def test_an_exchange_ends_once(recording: Recording, frames: Frames) -> None:
    """Only the first ending counts, whoever comes later."""
    recording.open(_head(), "anthropic", None)
    recording.end(State.CLIENT_LEFT, error="the client closed its connection", error_kind="client")
    recording.end(State.COMPLETE)
    recording.end(State.INTERRUPTED)
    endings = [data for kind, _, _, data in frames if kind == FrameKind.END]
    assert [msgspec.json.decode(data, type=Ending) for data in endings] == [
        Ending(State.CLIENT_LEFT, None, "the client closed its connection", "client", recorded_bytes=0)
    ]
    assert recording.ended is State.CLIENT_LEFT


def test_an_answer_of_our_own_is_on_record(recording: Recording, frames: Frames) -> None:
    """What the proxy itself answers has a head and a body like any other, and none where it is empty."""
    recording.answered_here(502, [(b"content-type", b"application/json")], b"{}")
    recording.end(State.FAILED)
    assert [kind for kind, _, _, _ in frames] == [FrameKind.HEAD, FrameKind.CHUNK, FrameKind.END]
    assert recording.status == 502
    assert msgspec.json.decode(frames[-1][3], type=Ending).status == 502
    recording.answered_here(204, [], b"")
    assert frames[-1][0] == FrameKind.HEAD


def test_an_empty_piece_of_a_request_is_no_frame(recording: Recording, frames: Frames) -> None:
    """The empty piece with which a body often ends costs nothing."""
    recording.request(b"")
    assert frames == []


def test_bytes_that_are_no_text_are_recorded(recording: Recording, frames: Frames) -> None:
    """Paths, queries and headers of any bytes do not make recording fail."""
    strange = bytes(range(128, 256))
    recording.open(RequestHead("GET", b"/v1/" + strange, strange, [(b"x-" + strange, strange)]), "anthropic", None)
    recording.head(ResponseHead(200, [(b"x", strange)]))
    opening = msgspec.json.decode(frames[0][3], type=Opening)
    assert opening.path.encode("latin-1") == b"/v1/" + strange


def test_each_recording_has_an_id_of_its_own() -> None:
    """Two exchanges are never taken for one."""
    ids = iter([b"a" * 16, b"b" * 16])
    recorder = Recorder(lambda *_: None, lambda: 0, lambda: next(ids))
    assert [recorder.start().id, recorder.start().id] == [b"a" * 16, b"b" * 16]


def test_attempts_in_vain_are_frames(recording: Recording, frames: Frames) -> None:
    """Each attempt that another one follows is on record, with its cause and the wait after it."""
    attempts = [Attempt("connect", "cannot connect to api.test", wait_ms=12.5), Attempt("status", status=529)]
    for attempt in attempts:
        recording.retry(attempt)
    assert [(kind, at) for kind, _, at, _ in frames] == [(FrameKind.RETRY, 100), (FrameKind.RETRY, 101)]
    assert [msgspec.json.decode(data, type=Attempt) for _, _, _, data in frames] == attempts


def test_how_a_request_goes_up_is_on_record(recording: Recording, frames: Frames) -> None:
    """A request that goes up in another way than it came says so; one that goes as it came says nothing."""
    recording.sent(Sending(demoted=True))
    recording.sent()
    assert [kind for kind, _, _, _ in frames] == [FrameKind.SENT, FrameKind.SENT]
    assert msgspec.json.decode(frames[0][3], type=Sending) == Sending(demoted=True)
    assert frames[1][3] == b""


def test_a_translated_body_is_on_record_beside_the_clients(recording: Recording, frames: Frames) -> None:
    """What goes up in another protocol is a frame of its own, and counts where the record's wholeness is checked."""
    recording.request(b"theirs")
    recording.sent_body(b"ours, translated")
    recording.end(State.COMPLETE)
    assert [(kind, data) for kind, _, _, data in frames[:2]] == [
        (FrameKind.REQUEST, b"theirs"),
        (FrameKind.SENT_BODY, b"ours, translated"),
    ]
    assert _ending(frames).recorded_bytes == len(b"theirs" + b"ours, translated")


def test_a_translated_body_keeps_to_the_limits(frames: Frames) -> None:
    """It is recorded up to the size, searched as the request is, and never before the request itself."""
    recording = _limited(frames, Limits(max_body=4))
    recording.sent_body(b"translated")
    recording.end(State.COMPLETE)
    assert frames[0][3] == b"tran"
    assert _ending(frames).note == "the translated request is recorded up to 4 of 10 bytes (capture.max_body)"
    frames.clear()
    recording = _limited(frames, Limits(redact=("hunter2",)))
    recording.request(b'{"a":"hunter2"}')
    recording.sent_body(b'{"b":"hunter2"}')
    recording.end(State.COMPLETE)
    bodies = [(kind, data) for kind, _, _, data in frames if kind in (FrameKind.REQUEST, FrameKind.SENT_BODY)]
    assert bodies == [(FrameKind.REQUEST, b'{"a":"[redacted]"}'), (FrameKind.SENT_BODY, b'{"b":"[redacted]"}')]


PATHS = [
    (("*",), b"/v1/anything", True),
    (("/v1/messages",), b"/v1/messages", True),
    (("/v1/messages",), b"/v1/messages/count_tokens", False),
    (("/v1/*",), b"/v1/messages/batches/x", True),
    (("/v1/messages*", "/v1/files"), b"/v1/files", True),
    (("/v1/message[!s]",), b"/v1/messages", False),
    (("/V1/*",), b"/v1/messages", False),
    (("/v1/*",), b"/v1/\xff\n", True),
    ((), b"/v1/messages", False),
]


@pytest.mark.parametrize(("patterns", "path", "recorded"), PATHS)
def test_only_paths_that_are_wanted_are_recorded(
    frames: Frames, patterns: tuple[str, ...], path: bytes, recorded: bool
) -> None:
    """Of a path that matches no pattern nothing is written, and its recording still knows status and state."""
    recorder = Recorder(lambda *frame: frames.append(frame), lambda: 1, lambda: b"i" * 16, Limits(paths=patterns))
    recording = recorder.start(path)
    recording.open(RequestHead("POST", path, b"", []), "anthropic", None)
    recording.request(b"body")
    recording.sent()
    recording.retry(Attempt("connect"))
    recording.head(ResponseHead(200, []))
    recording.chunk(b"x")
    recording.end(State.COMPLETE)
    assert bool(frames) is recorded
    assert (recording.status, recording.ended) == (200, State.COMPLETE)


def _limited(frames: Frames, limits: Limits) -> Recording:
    """Return a recording with limits whose clock counts from 100."""
    clock = count(100)
    recorder = Recorder(
        lambda *frame: frames.append(frame), lambda: next(clock), lambda: b"i" * 16, limits, ContentDecoder
    )
    return recorder.start(b"/v1/messages")


def _body(frames: Frames, kind: FrameKind) -> bytes:
    return b"".join(data for found, _, _, data in frames if found == kind)


def _ending(frames: Frames) -> Ending:
    """Return the ending; it says how many bytes of bodies the frames before it hold."""
    assert frames[-1][0] == FrameKind.END
    ending = msgspec.json.decode(frames[-1][3], type=Ending)
    bodies = (FrameKind.REQUEST, FrameKind.SENT_BODY, FrameKind.CHUNK)
    assert ending.recorded_bytes == sum(len(_body(frames, kind)) for kind in bodies)
    return ending


def test_without_limits_nothing_stands_in_the_way(frames: Frames) -> None:
    """Only an exchange with limits pays for them."""
    kinds = [Limits(), Limits(max_body=5), Limits(redact=("x",)), Limits(redact=("x",), max_body=5), Limits(paths=())]
    assert [type(_limited(frames, limits)) for limits in kinds] == [
        Recording, LimitedRecording, RedactedRecording, RedactedRecording, Recording,
    ]  # fmt: skip


@pytest.mark.parametrize("limit", [1, 7, 10, 11, 1000])
def test_a_body_is_recorded_up_to_the_limit(frames: Frames, limit: int) -> None:
    """The record of each side is its beginning, and says how much there was."""
    recording = _limited(frames, Limits(max_body=limit))
    recording.open(_head(), "anthropic", None)
    for piece in (b"requ", b"est", b"", b" of ours"):
        recording.request(piece)
    recording.sent()
    recording.head(ResponseHead(200, []))
    for piece in (b"ans", b"wer ", b"of the", b"irs"):
        recording.chunk(piece)
    recording.end(State.COMPLETE)
    assert _body(frames, FrameKind.REQUEST) == b"request of ours"[:limit]
    assert _body(frames, FrameKind.CHUNK) == b"answer of theirs"[:limit]
    ending = _ending(frames)
    if limit == 1000:
        assert ending == Ending(State.COMPLETE, 200, recorded_bytes=15 + 16)
    else:
        assert (ending.request_bytes, ending.response_bytes) == (15, 16)
        assert ending.note == (
            f"the request is recorded up to {limit} of 15 bytes (capture.max_body); "
            f"the response is recorded up to {limit} of 16 bytes (capture.max_body)"
        )


def test_a_body_of_just_the_limit_is_whole(frames: Frames) -> None:
    """A body that fits is no cut one, and one side's cut is not the other's."""
    recording = _limited(frames, Limits(max_body=4))
    recording.request(b"1234")
    recording.answered_here(413, [], b"12345")
    recording.end(State.FAILED, error="refused")
    ending = _ending(frames)
    assert (ending.request_bytes, ending.response_bytes, ending.error) == (None, 5, "refused")
    assert ending.note == "the response is recorded up to 4 of 5 bytes (capture.max_body)"


SECRET = b"hunter2-XYZ"
REDACT = Limits(redact=("hunter2-[A-Z]+",))
STREAM = ResponseHead(200, [(b"content-type", b"text/event-stream")])


def test_what_matches_is_never_written(frames: Frames) -> None:
    """In bodies, headers and the query, split over pieces or not, what matches a pattern is masked in every frame."""
    recording = _limited(frames, REDACT)
    recording.open(
        RequestHead("POST", b"/v1/messages", b"q=" + SECRET, [(b"x", b"a " + SECRET), (b"accept", b"*/*")]),
        "anthropic",
        None,
    )
    for piece in (b'{"a":"hun', b"", b"ter2-X", b'YZ"}'):
        recording.request(piece)
    recording.sent()
    recording.head(ResponseHead(200, [*STREAM.headers, (b"y", SECRET)]))
    for piece in stream([{"type": "text", "text": "It is hunter2-XYZ."}], pieces=9):
        recording.chunk(piece)
    recording.end(State.COMPLETE)
    written = b"".join(data for _, _, _, data in frames)
    assert b"unter2" not in written
    assert written.count(b"[redacted]") == 5
    opening, heading = (
        msgspec.json.decode(next(data for found, _, _, data in frames if found == kind), type=shape)
        for kind, shape in ((FrameKind.OPEN, Opening), (FrameKind.HEAD, Heading))
    )
    assert (opening.plain, opening.query, opening.headers) == (
        True,
        "q=[redacted]",
        [("x", "a [redacted]"), ("accept", "*/*")],
    )
    assert (heading.plain, heading.headers[1]) == (True, ("y", "[redacted]"))
    assert _body(frames, FrameKind.REQUEST) == b'{"a":"[redacted]"}'


def test_what_is_held_back_keeps_its_time(frames: Frames) -> None:
    """A request has the time of its last piece and comes before it is sent; each event has its own."""
    recording = _limited(frames, REDACT)
    recording.open(_head(), "anthropic", None)  # 100
    recording.request(b"[1,")
    recording.request(b"2]")  # 102
    recording.sent()  # 103
    recording.head(STREAM)  # 104
    events = stream([{"type": "text", "text": "abc"}])
    for piece in events:
        recording.chunk(piece)  # from 105
    recording.end(State.COMPLETE)
    kinds = [
        FrameKind.OPEN,
        FrameKind.REQUEST,
        FrameKind.SENT,
        FrameKind.HEAD,
        *[FrameKind.CHUNK] * len(events),
        FrameKind.END,
    ]
    assert [(kind, at) for kind, _, at, _ in frames] == list(
        zip(kinds, [100, *range(102, 106 + len(events))], strict=True)
    )
    assert msgspec.structs.replace(_ending(frames), recorded_bytes=None) == Ending(State.COMPLETE, 200)


ENDINGS: list[Callable[[Recording], None]] = [
    lambda recording: recording.end(State.CLIENT_LEFT),
    lambda recording: recording.answered_here(408, [(b"content-type", b"application/json")], b"{}"),
    lambda recording: recording.sent(),
]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_request_is_recorded_however_it_ends(frames: Frames, ending: Callable[[Recording], None]) -> None:
    """What came of a request that was never complete is searched and recorded too, once, before anything that follows."""
    recording = _limited(frames, REDACT)
    recording.request(b'{"a":"hunter2-XYZ","b":"')
    ending(recording)
    recording.end(State.FAILED)
    assert _body(frames, FrameKind.REQUEST) == b'{"a":"[redacted]","b":"'
    assert frames[0][0] == FrameKind.REQUEST


def test_an_answer_that_breaks_off_is_recorded(frames: Frames) -> None:
    """What was held back of a stream that never ended is on record, masked."""
    recording = _limited(frames, REDACT)
    recording.head(STREAM)
    events = stream([{"type": "text", "text": "It is hunter2-XYZ, you know."}], pieces=9)
    for piece in [*events[:-5], events[-5][:20]]:
        recording.chunk(piece)
    recording.end(State.FAILED)
    recording.end(State.COMPLETE)
    found = _body(frames, FrameKind.CHUNK)
    assert b"unter2" not in found
    assert b"[redacted]" in found
    assert found.endswith(events[-5][:20])
    assert [kind for kind, _, _, _ in frames].count(FrameKind.END) == 1


def test_packed_bodies_are_recorded_plain(frames: Frames) -> None:
    """A body that is packed on the wire is searched and recorded as what it holds; its size on the wire is told."""
    plain = b'{"a":"' + SECRET + b" " + b"x" * 500 + b'"}'
    packed = gzip.compress(plain)
    encoding = [(b"Content-Encoding", b"gzip"), (b"content-type", b"application/json")]
    recording = _limited(frames, REDACT)
    recording.open(RequestHead("POST", b"/v1/messages", b"", encoding), "anthropic", None)
    recording.request(packed[:20])
    recording.request(packed[20:])
    recording.sent()
    recording.head(ResponseHead(200, encoding))
    recording.chunk(packed[:9])
    recording.chunk(packed[9:])
    recording.end(State.COMPLETE)
    for kind in (FrameKind.REQUEST, FrameKind.CHUNK):
        assert _body(frames, kind) == plain.replace(SECRET, b"[redacted]")
    ending = msgspec.structs.replace(_ending(frames), recorded_bytes=None)
    assert ending == Ending(State.COMPLETE, 200, request_bytes=len(packed), response_bytes=len(packed))


def test_what_cannot_be_searched_is_not_recorded(frames: Frames) -> None:
    """A body that does not unpack is left out, with the reason."""
    encoding = [(b"content-encoding", b"gzip")]
    recording = _limited(frames, REDACT)
    recording.open(RequestHead("POST", b"/v1/messages", b"", encoding), "anthropic", None)
    recording.request(SECRET)
    recording.sent()
    recording.head(ResponseHead(200, encoding))
    for _ in range(3):
        recording.chunk(SECRET)
    recording.end(State.COMPLETE)
    assert SECRET not in b"".join(data for _, _, _, data in frames)
    ending = _ending(frames)
    assert (ending.request_bytes, ending.response_bytes) == (len(SECRET), 3 * len(SECRET))
    assert ending.note is not None
    for side in ("request", "response"):
        assert (
            f"nothing of the {side} is recorded, since it cannot be searched (capture.redact): the body" in ending.note
        )


def test_a_search_that_fails_costs_the_record_only(frames: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong in a search, recording goes on without what could not be searched."""

    def fail(*_arguments: object) -> bytes:
        raise RecursionError("too deep")

    recording = _limited(frames, REDACT)
    recording.open(_head(), "anthropic", None)
    monkeypatch.setattr("ccproxy.redaction.text.Redaction.body", fail)
    recording.request(b"{}")
    recording.sent()
    recording.head(STREAM)
    recording.chunk(b"data: 1\n\n")
    recording.end(State.COMPLETE)
    assert [kind for kind, _, _, _ in frames] == [FrameKind.OPEN, FrameKind.SENT, FrameKind.HEAD, FrameKind.END]
    assert "too deep" in (_ending(frames).note or "")


def test_a_masked_body_has_a_limit_too(frames: Frames) -> None:
    """Bodies are searched before they are cut, so that half a match is never left; the note counts what was masked."""
    recording = _limited(frames, Limits(redact=REDACT.redact, max_body=10))
    recording.request(b'{"a":"' + SECRET + b'","b":1}')
    recording.head(STREAM)
    recording.chunk(b"data: " + SECRET + b"\n\n")
    recording.end(State.COMPLETE)
    assert _body(frames, FrameKind.REQUEST) == b'{"a":"[red'
    assert _body(frames, FrameKind.CHUNK) == b"data: [red"
    ending = _ending(frames)
    assert (ending.request_bytes, ending.response_bytes) == (25, 19)
    assert "the request is recorded up to 10 of 24 bytes" in (ending.note or "")


def test_the_first_byte_of_any_answer_has_its_time(frames: Frames) -> None:
    """An answer that is held to its end still tells when it began."""
    recording = _limited(frames, REDACT)
    recording.head(ResponseHead(200, [(b"content-type", b"application/json")]))  # 100
    for piece in (b'{"a":', b'"hunter2-', b'XYZ"}'):
        recording.chunk(piece)  # 101 to 103
    recording.end(State.COMPLETE)
    assert [(at, data) for kind, _, at, data in frames if kind == FrameKind.CHUNK] == [
        (101, b""),
        (103, b'{"a":"[redacted]"}'),
    ]


def test_redaction_without_a_decoder_is_refused() -> None:
    """A recorder that could not search packed bodies is none."""
    with pytest.raises(ValueError, match="needs a decoder"):
        Recorder(lambda *_: None, lambda: 0, bytes, Limits(redact=("x",)))


def test_headers_that_are_named_are_secret_too(frames: Frames) -> None:
    """A header that the configuration names is masked like a key, on both sides, and no other is."""
    for limits in (
        Limits(secret_headers=frozenset({b"x-door"})),
        Limits(secret_headers=frozenset({b"x-door"}), max_body=9),
    ):
        recording = _limited(frames, limits)
        recording.open(
            RequestHead("POST", b"/", b"", [(b"X-Door", b"open-sesame"), (b"x-doors", b"2")]), "anthropic", None
        )
        recording.head(ResponseHead(200, [(b"x-door", b"open-sesame")]))
    written = b"".join(data for _, _, _, data in frames)
    assert b"sesame" not in written
    assert written.count(b"sha256:") == 4
    assert json.loads(frames[0][3])["headers"][1] == ["x-doors", "2"]
