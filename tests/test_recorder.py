"""The recorder: frames of all kinds, secrets masked before they are bytes, one ending for each exchange."""

from __future__ import annotations

from itertools import count

import msgspec
import pytest

from ccproxy.recorder import Limits, Recorder, Recording
from ccproxy.records import Attempt, Ending, FrameKind, Heading, Opening, Sending, State
from ccproxy.wire import RequestHead, ResponseHead

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
    assert msgspec.json.decode(frames[5][3], type=Ending) == Ending(State.COMPLETE, 200)


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
        Ending(State.CLIENT_LEFT, None, "the client closed its connection", "client")
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
