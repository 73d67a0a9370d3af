"""The running exchanges: from frames to events, and every way in which an exchange can be over."""

from __future__ import annotations

import gzip
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccproxy.live import watch as module
from ccproxy.live.events import Ended, LiveExchange
from ccproxy.live.watch import Backlog, Watch
from ccproxy.recorder import Recorder, Recording
from ccproxy.records import Attempt, Ending, Frame, FrameKind, Position, Sending, State
from ccproxy.wire import ResponseHead
from tests.support.chat_answers import chunk, completion, text_chunks
from tests.support.running import begin_text, finish, open_exchange, request_body, say


class Tape:
    """A recorder without files: what is recorded is seen by a watch at once, from a segment that can be chosen."""

    def __init__(self) -> None:
        self.watch = Watch()
        self.heard: list[tuple[str, Any]] = []
        self.segment = 1
        self.writer = "w"
        self.frames: list[tuple[Frame, Position]] = []
        self._time = self._number = 0
        self.recorder = Recorder(self._append, self._clock, self._new_id)

    def _append(self, kind: int, exchange: bytes, at: int, data: bytes) -> None:
        frame = Frame(FrameKind(kind), exchange, at, data)
        self.frames.append((frame, Position(self.writer, self.segment, len(self.frames))))
        self.see(*self.frames[-1])

    def see(self, frame: Frame, position: Position) -> None:
        told = self.watch.take(frame, position)
        self.heard += [(event.name, event.data) for event in told.events] if told else []

    def named(self, name: str) -> list[Any]:
        return [data for found, data in self.heard if found == name]

    def _clock(self) -> int:
        self._time += 1000
        return self._time

    def _new_id(self) -> bytes:
        self._number += 1
        return self._number.to_bytes(16)


@pytest.fixture
def tape() -> Tape:
    """Give a recorder and the watch behind it."""
    return Tape()


def _told(recording: Recording) -> None:
    begin_text(recording)
    say(recording, "Hello")
    finish(recording)


def test_an_exchange_is_told_from_beginning_to_end(tape: Tape) -> None:
    """Opened, asked, answered, ended: each is told once, in order."""
    _told(open_exchange(tape.recorder))
    assert [name for name, _ in tape.heard] == [
        "exchange", "exchange", "head", "message", "usage", "block", "text", "block", "usage", "stop_reason", "ended",
    ]  # fmt: skip
    [ended] = tape.named("ended")
    assert (ended.state, ended.status, ended.stop_reason) == ("complete", 200, "end_turn")
    assert (ended.input_tokens, ended.output_tokens) == (7, 5)
    assert ended.duration_ms == 10.0
    assert len(tape.watch) == 0


def test_a_request_introduces_itself(tape: Tape) -> None:
    """First what the head says; then, once the body is there, model, session, agent and kind."""
    headers = [(b"x-claude-code-agent-id", b"a1"), (b"x-claude-code-parent-agent-id", b"a0")]
    open_exchange(tape.recorder, headers=headers)
    opened, complete = tape.named("exchange")
    assert (opened.complete, opened.method, opened.path, opened.model) == (False, "POST", "/v1/messages", None)
    assert opened.started_at == 1000
    assert complete == LiveExchange(
        opened.id, opened.started_at, "POST", "/v1/messages", True, "claude-test-1", "session-1", "a1", "a0", None, "subagent", True
    )  # fmt: skip


def test_a_packed_request_is_read(tape: Tape) -> None:
    """A body in gzip says who asks as well as any other."""
    body = gzip.compress(request_body("packed"))
    open_exchange(tape.recorder, body=body, headers=[(b"content-encoding", b"gzip")])
    assert tape.named("exchange")[-1].session_id == "packed"


def test_a_request_that_cannot_be_read_still_shows(tape: Tape, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the body is broken, or too large to be looked at, the headers speak for it."""
    monkeypatch.setattr(module, "MAX_REQUEST_BYTES", 1 << 15)
    session = [(b"x-claude-code-session-id", b"by-header")]
    open_exchange(tape.recorder, body=b"no gzip", headers=[*session, (b"content-encoding", b"gzip")])
    open_exchange(tape.recorder, body=b"{" + b" " * (1 << 16), headers=session)
    assert [e.session_id for e in tape.named("exchange") if e.complete] == ["by-header", "by-header"]


def test_an_answer_without_a_request_still_introduces_it(tape: Tape) -> None:
    """A request that the proxy refused before it was complete is told before its answer."""
    recording = open_exchange(tape.recorder, sent=False)
    recording.answered_here(
        413, [(b"content-type", b"application/json")], b'{"type":"error","error":{"type":"request_too_large"}}'
    )
    recording.end(State.COMPLETE)
    assert [name for name, _ in tape.heard] == ["exchange", "exchange", "head", "api_error", "ended"]


def test_attempts_in_vain_are_told(tape: Tape) -> None:
    """Each attempt that another one follows is an event, and the snapshot counts them."""
    recording = open_exchange(tape.recorder)
    recording.retry(Attempt("connect", "the provider refused the connection", None, 250.0))
    [retry] = tape.named("retry")
    assert (retry.kind, retry.wait_ms) == ("connect", 250.0)
    assert [running.attempts for running in tape.watch.shown()] == [2]


def test_the_snapshot_shows_what_was_said_so_far(tape: Tape) -> None:
    """A running exchange shows with its blocks, tokens and status; one that has ended does not show."""
    _told(open_exchange(tape.recorder))
    recording = open_exchange(tape.recorder)
    begin_text(recording)
    say(recording, "So ")
    say(recording, "far")
    waiting = open_exchange(tape.recorder)
    shown = list(tape.watch.shown())
    assert [running.exchange.id.replace("-", "") for running in shown] == [recording.id.hex(), waiting.id.hex()]
    assert [(said.text, said.stopped) for said in shown[0].blocks] == [("So far", False)]
    assert shown[0].usage is not None
    assert (shown[0].status, shown[0].usage.input_tokens, shown[1].status, shown[1].blocks) == (200, 7, None, [])


@pytest.mark.parametrize("state", [State.FAILED, State.CLIENT_LEFT])
def test_how_an_exchange_ended_is_told(tape: Tape, state: State) -> None:
    """A failure comes with its sentence and its cause."""
    recording = open_exchange(tape.recorder)
    recording.end(state, error="It broke.", error_kind="broke")
    [ended] = tape.named("ended")
    assert (ended.state, ended.error, ended.error_kind) == (state, "It broke.", "broke")


def test_what_was_not_recorded_is_told(tape: Tape) -> None:
    """An exchange of which less is on record than passed says so when it ends."""
    recordings = [open_exchange(tape.recorder) for _ in range(2)]
    endings = [Ending(State.COMPLETE, note="only its first 10 bytes"), Ending(State.COMPLETE)]
    for kind, recording, ending in zip((FrameKind.END, FrameKind.END_CUT), recordings, endings, strict=True):
        tape.see(Frame(kind, recording.id, 1, msgspec.json.encode(ending)), Position("w", 1, 0))
    assert [ended.note for ended in tape.named("ended")] == ["only its first 10 bytes", module.CUT]


def test_a_dead_writer_ends_its_exchanges(tape: Tape) -> None:
    """What ran in a proxy that died is interrupted; what other writers hold goes on."""
    open_exchange(tape.recorder)
    tape.writer = "other"
    open_exchange(tape.recorder)
    told = [event.data for told in tape.watch.died("w") for event in told.events]
    assert [(data.state, data.error) for data in told if isinstance(data, Ended)] == [("interrupted", module.DIED)]
    assert len(tape.watch) == 1
    assert list(tape.watch.died("w")) == []


def test_a_missed_end_is_noticed(tape: Tape) -> None:
    """An exchange whose first segment the journal let go of is over, even where nobody saw how."""
    open_exchange(tape.recorder)
    tape.segment = 2
    open_exchange(tape.recorder)
    assert list(tape.watch.released({"w": 1}, set())) == []
    assert list(tape.watch.released({"w": 2}, {"w"})) == []
    [told] = tape.watch.released({"w": 2}, set())
    [ended] = [event.data for event in told.events]
    assert isinstance(ended, Ended)
    assert ended.state is None
    assert len(tape.watch) == 1
    assert len(list(tape.watch.released({}, set()))) == 1


def test_an_end_that_cannot_be_read_is_an_end(tape: Tape) -> None:
    """An exchange does not run for ever because its last frame is damaged."""
    recording = open_exchange(tape.recorder)
    tape.see(Frame(FrameKind.END, recording.id, 1, b"{"), Position("w", 1, 0))
    assert [ended.state for ended in tape.named("ended")] == [None]
    assert len(tape.watch) == 0


@given(st.lists(st.tuples(st.sampled_from(FrameKind), st.integers(0, 2), st.binary(max_size=20))))
def test_no_frame_raises(frames: list[tuple[FrameKind, int, bytes]]) -> None:
    """Frames without sense, out of order, of exchanges nobody knows: they say nothing."""
    watch = Watch()
    for kind, number, data in frames:
        watch.take(Frame(kind, number.to_bytes(16), 1, data), Position("w", 1, 0))


def test_a_backlog_gives_only_what_still_runs(tape: Tape) -> None:
    """What had ended before anybody looked is not told; what runs is there with all it has said."""
    _told(open_exchange(tape.recorder))
    recording = open_exchange(tape.recorder)
    begin_text(recording)
    say(recording, "still here")
    backlog, fresh = Backlog(), Watch()
    for frame, position in tape.frames:
        backlog.add(frame, position)
    backlog.read_by(fresh)
    assert [running.blocks[0].text for running in fresh.shown()] == ["still here"]


def test_a_routed_exchange_is_told_as_the_client_hears_it(tape: Tape) -> None:
    """An answer in Chat Completions is told piece by piece as a message, with agent, provider and model."""
    recording = open_exchange(tape.recorder, sent=False)
    recording.request(request_body())
    recording.sent_body(b"{}")
    recording.sent(Sending(agent="code-reviewer", sign="spawn", provider="openai", model="gpt-4o", format="openai"))
    recording.head(ResponseHead(200, [(b"content-type", b"text/event-stream")]))
    for piece in text_chunks("Hel", "lo"):
        assert isinstance(piece, bytes)
        recording.chunk(piece)
    recording.end(State.COMPLETE)
    told = tape.named("exchange")[-1]
    assert (told.agent_name, told.provider, told.routed_model) == ("code-reviewer", "openai", "gpt-4o")
    assert told.model == "claude-test-1"
    assert "".join(piece.text for piece in tape.named("text")) == "Hello"
    [ended] = tape.named("ended")
    assert (ended.state, ended.stop_reason, ended.output_tokens, ended.cache_read_tokens) == (
        "complete",
        "end_turn",
        34,
        1000,
    )


def test_a_routed_answer_that_breaks_off_tells_the_error(tape: Tape) -> None:
    """The end that the client is told is told here as well."""
    recording = open_exchange(tape.recorder, sent=False)
    recording.request(request_body())
    recording.sent(Sending(provider="openai", model="gpt-4o", format="openai"))
    recording.head(ResponseHead(200, [(b"content-type", b"text/event-stream")]))
    recording.chunk(chunk({"role": "assistant", "content": "half"}))
    recording.end(State.FAILED, error="it broke off")
    assert [piece.text for piece in tape.named("text")] == ["half"]
    [error] = tape.named("api_error")
    assert "it broke off" in error.message


def test_a_routed_answer_that_came_whole_is_told(tape: Tape) -> None:
    """A completion and an error that are JSON are told as what the client made of them."""
    for status, body in (
        (200, completion("All of it")),
        (429, {"error": {"message": "Slow down", "type": "requests"}}),
    ):
        recording = open_exchange(tape.recorder, sent=False)
        recording.request(request_body())
        recording.sent(Sending(provider="openai", model="gpt-4o", format="openai"))
        recording.head(ResponseHead(status, [(b"content-type", b"application/json")]))
        recording.chunk(json.dumps(body).encode())
        recording.end(State.COMPLETE)
    assert [piece.text for piece in tape.named("text")] == ["All of it"]
    [error] = tape.named("api_error")
    assert error.type == "rate_limit_error"
