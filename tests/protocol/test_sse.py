"""The decoder of server-sent events: the standard's rules, any cut, bounded, linear, and honest about torn ends."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccproxy.protocol.sse import MAX_EVENT_BYTES, Comment, Decoder, Event
from tests.support import wire
from tests.support.splits import (
    byte_by_byte,
    cut_at,
    decode,
    fixed_cuts,
    in_steps,
    random_cuts,
    whole,
    with_cr,
    with_crlf,
)

STREAM = (
    ": hello\n"
    "event: greeting\n"
    'data: {"text": "Grüße, 世界 🌍"}\n'
    "\n"
    "data:no space\n"
    "data\n"
    "data:  two spaces\n"
    "\n"
    "event: nothing to say\n"
    "\n"
    ":\n"
    "id: 7\n"
    "retry: 1500\n"
    "unknown: field\n"
    "data: x: y\n"
    "\n"
    "\n"
    "data:\n"
    "\n"
).encode()
EVENTS: list[Event | Comment] = [
    Comment(b"hello"),
    Event("greeting", '{"text": "Grüße, 世界 🌍"}'.encode()),
    Event("message", b"no space\n\n two spaces"),
    Comment(b""),
    Event("message", b"x: y", "7", 1500),
    Event("message", b""),
]
# What streams are made of, so that random ones hit every rule.
WORDS = [b"data", b"event", b"id", b"retry", b"data: ", b"event: ", b"a", b"12"]
SIGNS = [b":", b" ", b"\n", b"\r", b"\r\n", b"\n\n", b"\xc3", b"\xa4", b"\xff", b"\0", b"\xef\xbb\xbf", b"\xef"]
PIECES = st.sampled_from([*WORDS, *SIGNS])
SMALL = 40


def by_the_standard(stream: bytes, limit: int = MAX_EVENT_BYTES) -> list[Event | Comment]:
    """Decode a whole stream the slow way, sentence by sentence as the standard says it, with our rule for its end."""
    lines = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    found: list[Event | Comment] = []
    name, data, id_, retry, cut = "", [], None, None, False
    for number, whole_line in enumerate(lines):
        last = number == len(lines) - 1
        line = whole_line[:limit]
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if line.startswith(b":"):
            found.append(Comment(value))
        elif field == b"data":
            data.append(value)
            cut = cut or len(whole_line) > limit
        elif field == b"event":
            name = value.decode("utf-8", "replace")
        elif field == b"id" and b"\0" not in value:
            id_ = value.decode("utf-8", "replace")
        elif field == b"retry" and value.isdigit():
            retry = int(value)
        if (not line or last) and data:
            joined = b"\n".join(data)
            found.append(Event(name or "message", joined[:limit], id_, retry, last or cut or len(joined) > limit))
        if not line:
            name, data, id_, retry, cut = "", [], None, None, False
    return found


@pytest.mark.parametrize("ends", [lambda data: data, with_crlf, with_cr], ids=["LF", "CRLF", "CR"])
def test_fixed_cuts(ends) -> None:
    """The same bytes give the same events in every fixed cut, with all three line ends."""
    for pieces in fixed_cuts(ends(STREAM)):
        assert decode(Decoder(), pieces) == EVENTS


@settings(deadline=None)
@given(random_cuts(), st.sampled_from([STREAM, with_crlf(STREAM), with_cr(STREAM), b"\xef\xbb\xbf" + STREAM]))
def test_random_cuts(places: list[int], stream: bytes) -> None:
    """The same bytes give the same events in any cut."""
    assert decode(Decoder(), cut_at(stream, places)) == EVENTS


@settings(deadline=None, max_examples=400)
@given(st.lists(PIECES, max_size=40).map(b"".join), random_cuts())
def test_it_reads_what_the_standard_says(stream: bytes, places: list[int]) -> None:
    """Any bytes in any cut give what the standard's own procedure gives."""
    assert decode(Decoder(), cut_at(stream, places)) == by_the_standard(stream)


@settings(deadline=None, max_examples=400)
@given(st.lists(PIECES | st.just(b"x" * 30), max_size=30).map(b"".join), random_cuts())
def test_the_limit_cuts_at_the_same_place_in_any_cut(stream: bytes, places: list[int]) -> None:
    """An event above the limit keeps the same bytes however the stream came."""
    assert decode(Decoder(SMALL), cut_at(stream, places)) == by_the_standard(stream, SMALL)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.text(alphabet="abc_", min_size=1), st.binary().filter(lambda data: b"\r" not in data))),
    random_cuts(),
)
def test_what_is_written_is_read(events: list[tuple[str, bytes]], places: list[int]) -> None:
    """Events written by the rules come back as they were, with as many lines of data as they had."""
    stream = b"".join(
        b"event: %s\n%s\n" % (name.encode(), b"".join(b"data: %s\n" % line for line in data.split(b"\n")))
        for name, data in events
    )
    assert decode(Decoder(), cut_at(stream, places)) == [Event(name, data) for name, data in events]


def test_events_come_as_soon_as_their_blank_line() -> None:
    """An event is returned by the very feed that brings its end, not by a later one."""
    decoder = Decoder()
    assert decoder.feed(b"data: a\n") == []
    assert decoder.feed(b"\n") == [Event("message", b"a")]
    assert decoder.feed(b"data: b\r") == []
    assert decoder.feed(b"\r") == [Event("message", b"b")]
    assert decoder.feed(b"\n") == []
    assert decoder.feed(b"data: c\n\ndata: d\n\ndata") == [Event("message", b"c"), Event("message", b"d")]


@pytest.mark.parametrize(
    ("torn", "left"),
    [
        (b"data: whole\n", [Event("message", b"whole", truncated=True)]),
        (b'event: x\nid: 1\ndata: {"a"', [Event("x", b'{"a"', "1", truncated=True)]),
        (b"data: a\ndat", [Event("message", b"a", truncated=True)]),
        (b"data: a\n\n", [Event("message", b"a")]),
        (b"event: only a name\n", []),
        (b"event: half a na", []),
        (b": half a comm", [Comment(b"half a comm")]),
        (b"\xef\xbb\xbfdata: a", [Event("message", b"a", truncated=True)]),
        (b"", []),
    ],
)
def test_a_torn_end(torn: bytes, left: list[Event | Comment]) -> None:
    """A stream that breaks off gives the last event if it has data, and says that it is not whole."""
    for pieces in fixed_cuts(torn):
        assert decode(Decoder(), pieces) == left


def test_a_closed_decoder_starts_anew() -> None:
    """After close nothing of the old stream is left."""
    decoder = Decoder()
    decoder.feed(b"event: old\nid: 1\ndata: old\r")
    decoder.close()
    assert decode(decoder, [b"\xef\xbb\xbfdata: new\n\n"]) == [Event("message", b"new")]


@pytest.mark.parametrize("value", [b"", b"-1", b"1.5", b"soon", b"9" * 5000, "٣".encode()])
def test_a_retry_that_is_no_number_is_passed_over(value: bytes) -> None:
    """Only plain digits are a reconnection time."""
    assert decode(Decoder(), [b"retry: %s\ndata: a\n\n" % value]) == [Event("message", b"a")]


def test_bytes_that_are_no_utf8() -> None:
    """Data stays bytes whatever they are; a name becomes readable text."""
    assert decode(Decoder(), [b"event: \xff\ndata: \xff\xfe\n\n"]) == [Event("�", b"\xff\xfe")]


@pytest.mark.parametrize("size", [10 * 1024 * 1024, 24 * 1024 * 1024])
def test_a_very_long_line(size: int) -> None:
    """A line of many megabytes is one event, whole."""
    stream = b"event: big\ndata: " + b"x" * size + b"\n\ndata: next\n\n"
    big, following = decode(Decoder(), in_steps(64 * 1024)(stream))
    assert isinstance(big, Event)
    assert (len(big.data), big.truncated) == (size, False)
    assert following == Event("message", b"next")


def test_time_is_linear() -> None:
    """A long line in very many pieces takes time in proportion to its length, as does an event of very many lines."""
    line = b"data: " + b"x" * (16 * 1024 * 1024) + b"\n\n"
    lines = b"data: xyz\n" * 500_000 + b"\n"
    started = time.perf_counter()
    for stream, steps in ((line, 512), (lines, 4096)):
        (event,) = decode(Decoder(), in_steps(steps)(stream))
        assert isinstance(event, Event)
        assert not event.truncated
    assert time.perf_counter() - started < 20, "32,768 copies of what has come would move 256 GB"


@pytest.mark.parametrize("cut", [whole, byte_by_byte, in_steps(33)])
def test_an_event_above_the_limit_is_cut_and_the_next_one_is_whole(cut) -> None:
    """What is too large is kept up to the limit and marked; decoding goes on with the next event."""
    lines = b"data: " + b"a" * 30 + b"\ndata: " + b"b" * 30 + b"\n\n"
    long = b"event: long\ndata: " + b"c" * 5000 + b"\n\n"
    assert decode(Decoder(SMALL), cut(lines + long + b"data: next\n\n")) == [
        Event("message", b"a" * 30 + b"\n" + b"b" * 9, truncated=True),
        Event("long", b"c" * 34, truncated=True),
        Event("message", b"next"),
    ]


def test_memory_is_bounded() -> None:
    """A line that never ends, and an event that never ends, hold no more than the limit."""
    decoder = Decoder(SMALL)
    for _ in range(1000):
        decoder.feed(b"y" * 50)
    assert repr(decoder) == "<Decoder open_line=44 open_data=0>"
    decoder.feed(b"\n")
    for _ in range(1000):
        decoder.feed(b"data: z\n")
    assert repr(decoder) == "<Decoder open_line=0 open_data=40>"


@wire.needs_wire
@pytest.mark.parametrize("name", wire.stream_files())
def test_recorded_streams_in_every_cut(name: str) -> None:
    """Each recorded stream gives the same whole events in every cut and with every line end."""
    stream = wire.stream(name)
    events = by_the_standard(stream)
    assert events
    assert not any(event.truncated for event in events if isinstance(event, Event))
    for pieces in fixed_cuts(stream):
        assert decode(Decoder(), pieces) == events
    if b"\r" not in stream:
        assert decode(Decoder(), in_steps(5)(with_crlf(stream))) == events
