"""Frames to exchanges: what belongs together, what is over, and where reading must begin again."""

from __future__ import annotations

import uuid

import msgspec
import pytest

from ccproxy.ingest.assembler import Assembler, Running
from ccproxy.records import Attempt, Ending, Frame, FrameKind, Heading, Opening, Position, Sending, State

OPENING = msgspec.json.encode(Opening("POST", "/v1/messages", "", [("a", "b")], "anthropic"))
HEADING = msgspec.json.encode(Heading(200, [("c", "d")]))
ENDING = msgspec.json.encode(Ending(State.COMPLETE, 200))


def _id(number: int) -> bytes:
    return number.to_bytes(16)


class Feed:
    """Gives frames to an assembler, each at a position of its own."""

    def __init__(self) -> None:
        self.assembler = Assembler()
        self.offset = 0

    def __call__(self, kind: FrameKind, data: bytes = b"", number: int = 1, writer: str = "w") -> Running | None:
        """Give one frame; its time is its offset."""
        self.offset += 10
        frame = Frame(kind, _id(number), self.offset, data)
        return self.assembler.take(writer, frame, Position(writer, 1, self.offset))


def test_an_exchange_is_put_together() -> None:
    """All that happened to an exchange comes out with its ending, and only then."""
    feed = Feed()
    assert feed(FrameKind.OPEN, OPENING) is None
    assert feed(FrameKind.REQUEST, b"one ") is None
    assert feed(FrameKind.REQUEST, b"two") is None
    assert feed(FrameKind.SENT) is None
    assert feed(FrameKind.HEAD, HEADING) is None
    assert feed(FrameKind.CHUNK, b"x") is None
    assert feed(FrameKind.CHUNK, b"y") is None
    ended = feed(FrameKind.END, ENDING)
    assert ended is not None
    captured = ended.captured
    assert captured.id == str(uuid.UUID(bytes=_id(1)))
    assert b"".join(ended.request_pieces) == b"one two"
    assert (captured.opened_at, captured.sent_at, captured.head_at, captured.ended_at) == (10, 40, 50, 80)
    assert captured.chunks == [(60, b"x"), (70, b"y")]
    assert captured.heading == Heading(200, [("c", "d")])
    assert captured.ending == Ending(State.COMPLETE, 200)
    assert not captured.cut
    assert feed(FrameKind.END, ENDING) is None


def test_attempts_in_vain_and_how_a_request_went_up_are_told() -> None:
    """Every attempt is kept in order, and that a stream was asked for in the place of a message."""
    feed = Feed()
    attempts = [Attempt("connect", "cannot connect", wait_ms=200.5), Attempt("status", status=529)]
    feed(FrameKind.OPEN, OPENING)
    feed(FrameKind.SENT, msgspec.json.encode(Sending(demoted=True)))
    for attempt in attempts:
        feed(FrameKind.RETRY, msgspec.json.encode(attempt))
    ended = feed(FrameKind.END, ENDING)
    assert ended is not None
    assert ended.captured.sending == Sending(demoted=True)
    assert ended.captured.attempts == attempts
    assert feed.assembler.unreadable == 0


def test_a_limited_ending_is_told() -> None:
    """The true sizes of bodies, and what was left out, come out as they went in."""
    feed = Feed()
    limited = Ending(State.COMPLETE, 200, request_bytes=5, response_bytes=7, note="not all of it is here")
    feed(FrameKind.OPEN, OPENING)
    ended = feed(FrameKind.END, msgspec.json.encode(limited))
    assert ended is not None
    assert ended.captured.ending == limited


def test_exchanges_run_side_by_side() -> None:
    """Frames of several exchanges may come in any mixture."""
    feed = Feed()
    for number in (1, 2):
        feed(FrameKind.OPEN, OPENING, number)
    for number in (2, 1, 1, 2):
        feed(FrameKind.CHUNK, b"%d" % number, number)
    for number in (2, 1):
        ended = feed(FrameKind.END, ENDING, number)
        assert ended is not None
        assert [data for _, data in ended.captured.chunks] == [b"%d" % number] * 2


@pytest.mark.parametrize(("recorded", "damaged"), [(6, False), (7, True), (None, False)])
def test_a_hole_in_the_journal_is_noticed(recorded: int | None, damaged: bool) -> None:
    """An exchange of which fewer bytes were read than its ending tells is damaged; an older ending tells nothing."""
    feed = Feed()
    feed(FrameKind.OPEN, OPENING)
    feed(FrameKind.REQUEST, b"one ")
    feed(FrameKind.CHUNK, b"xy")
    ended = feed(FrameKind.END, msgspec.json.encode(Ending(State.COMPLETE, 200, recorded_bytes=recorded)))
    assert ended is not None
    assert ended.captured.damaged == damaged


def test_a_cut_ending_says_that_something_is_missing() -> None:
    """An exchange of which frames were dropped ends as cut."""
    feed = Feed()
    feed(FrameKind.OPEN, OPENING)
    ended = feed(FrameKind.END_CUT, ENDING)
    assert ended is not None
    assert ended.captured.cut


def test_an_exchange_without_a_beginning_is_passed_over() -> None:
    """Frames whose opening was dropped make no exchange."""
    feed = Feed()
    for kind, data in [(FrameKind.REQUEST, b"x"), (FrameKind.HEAD, HEADING), (FrameKind.END, ENDING)]:
        assert feed(kind, data) is None
    assert feed.assembler.unreadable == 0


def test_a_second_opening_changes_nothing() -> None:
    """An exchange begins once, however often its first frame is read."""
    feed = Feed()
    feed(FrameKind.OPEN, OPENING)
    feed(FrameKind.CHUNK, b"x")
    feed(FrameKind.OPEN, OPENING)
    ended = feed(FrameKind.END, ENDING)
    assert ended is not None
    assert ended.captured.opened_at == 10
    assert ended.captured.chunks == [(20, b"x")]


def test_what_cannot_be_read_is_counted() -> None:
    """A frame whose data is not what it should be is counted, and the exchange goes on."""
    feed = Feed()
    assert feed(FrameKind.OPEN, b"{", 2) is None
    feed(FrameKind.OPEN, OPENING)
    assert feed(FrameKind.HEAD, b'{"status": "?"}') is None
    assert feed.assembler.unreadable == 2
    assert feed(FrameKind.END, ENDING) is not None


def test_an_exchange_shows_once_its_request_is_complete() -> None:
    """Only a request that is on its way, and is not shown yet, is to be shown."""
    feed = Feed()
    feed(FrameKind.OPEN, OPENING)
    assert list(feed.assembler.unshown()) == []
    feed(FrameKind.SENT)
    [running] = feed.assembler.unshown()
    running.shown = True
    assert list(feed.assembler.unshown()) == []


def test_a_dead_writer_leaves_its_exchanges() -> None:
    """What ran when its proxy died is given up once, and nothing of the others."""
    feed = Feed()
    feed(FrameKind.OPEN, OPENING, 1, "dead")
    feed(FrameKind.OPEN, OPENING, 2, "alive")
    feed(FrameKind.OPEN, OPENING, 3, "dead")
    assert [orphan.captured.id[-1] for orphan in feed.assembler.orphans("dead")] == ["1", "3"]
    assert feed.assembler.orphans("dead") == []
    assert feed(FrameKind.END, ENDING, 2, "alive") is not None


def test_reading_resumes_at_the_oldest_running_exchange() -> None:
    """After a restart the frames of whatever still runs are read again; of a writer at rest nothing is."""
    feed = Feed()
    end = Position("w", 3, 500)
    assert feed.assembler.resume_at(end) == end
    feed(FrameKind.OPEN, OPENING, 1)
    feed(FrameKind.OPEN, OPENING, 2)
    feed(FrameKind.OPEN, OPENING, 3, "other")
    assert feed.assembler.resume_at(end) == Position("w", 1, 10)
    feed(FrameKind.END, ENDING, 1)
    assert feed.assembler.resume_at(end) == Position("w", 1, 20)
    feed(FrameKind.END, ENDING, 2)
    assert feed.assembler.resume_at(end) == end
