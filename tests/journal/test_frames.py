"""Frames: what is written is what is read, however the bytes are cut, and damage costs only the frames it hits."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccproxy.journal import frames
from ccproxy.journal.frames import MARKER, MAX_DATA_BYTES, OVERHEAD, encode, scan
from ccproxy.records import Frame, FrameKind
from tests.support.splits import byte_by_byte, cut_at, in_steps, random_cuts

ID = bytes(range(16))
FRAME = st.builds(
    Frame,
    st.sampled_from(FrameKind),
    st.binary(min_size=16, max_size=16),
    st.integers(min_value=0, max_value=2**64 - 1),
    st.one_of(st.binary(max_size=80), st.just(MARKER * 3), st.just(encode(4, ID, 1, b"a frame in a frame"))),
)
SOME = [Frame(FrameKind.CHUNK, ID, number, b"piece %d" % number) for number in range(8)]


def _bytes(written: list[Frame]) -> bytes:
    return b"".join(encode(frame.kind, frame.exchange, frame.at, frame.data) for frame in written)


def _read(pieces: list[bytes]) -> list[Frame]:
    """Read as a follower does: what is not whole yet is looked at again with what came after it."""
    found: list[Frame] = []
    rest = b""
    for piece in [*pieces, b""]:
        rest += piece
        scanned = scan(rest)
        found += [frame for frame, _ in scanned.frames]
        rest = rest[scanned.reached :]
    return found


@settings(deadline=None)
@given(st.lists(FRAME, max_size=8))
def test_frames_come_back_as_written(written: list[Frame]) -> None:
    """What was written is read, with the offset behind each frame, and nothing counts as damaged."""
    data = _bytes(written)
    scanned = scan(data)
    assert [frame for frame, _ in scanned.frames] == written
    assert (scanned.reached, scanned.damaged) == (len(data), 0)
    ends = [end for _, end in scanned.frames]
    assert [end for _, end in scan(data, final=True).frames] == ends == sorted(ends)


@settings(deadline=None)
@given(st.lists(FRAME, max_size=6), random_cuts())
def test_any_cut_gives_the_same_frames(written: list[Frame], cuts: list[int]) -> None:
    """However the bytes arrive, a follower reads the same frames, each once."""
    data = _bytes(written)
    for pieces in (cut_at(data, cuts), in_steps(7)(data)):
        assert _read(pieces) == written


def test_bytes_that_come_one_by_one_give_the_same_frames() -> None:
    """A frame is there when its last byte is, and not before."""
    assert _read(byte_by_byte(_bytes(SOME))) == SOME


@pytest.mark.parametrize("missing", [1, 5, OVERHEAD - 1, OVERHEAD, OVERHEAD + 3])
def test_a_torn_tail_waits_for_its_end(missing: int) -> None:
    """A last frame that is not whole is not read, not passed over, and no damage while its writer may go on."""
    data = _bytes(SOME)
    scanned = scan(data[:-missing])
    assert [frame for frame, _ in scanned.frames] == SOME[:-1]
    assert scanned.reached == len(_bytes(SOME[:-1]))
    assert scanned.damaged == 0


@pytest.mark.parametrize("missing", [1, 5, OVERHEAD - 1, OVERHEAD, OVERHEAD + 3])
def test_a_torn_tail_is_damage_when_nothing_follows(missing: int) -> None:
    """With `final` the torn bytes are passed over and counted."""
    torn = _bytes(SOME)[:-missing]
    scanned = scan(torn, final=True)
    assert [frame for frame, _ in scanned.frames] == SOME[:-1]
    assert scanned.reached == len(torn)
    assert scanned.damaged == len(torn) - len(_bytes(SOME[:-1]))


@settings(deadline=None)
@given(st.lists(FRAME, min_size=1, max_size=6), st.data())
def test_a_flipped_bit_costs_one_frame(written: list[Frame], data: st.DataObject) -> None:
    """Wherever a bit flips, all frames but the one it is in are read, and the lost bytes are counted."""
    whole = _bytes(written)
    place = data.draw(st.integers(min_value=0, max_value=len(whole) - 1))
    bit = data.draw(st.integers(min_value=0, max_value=7))
    damaged = bytearray(whole)
    damaged[place] ^= 1 << bit
    ends = [end for _, end in scan(whole).frames]
    hit = next(number for number, end in enumerate(ends) if place < end)
    scanned = scan(bytes(damaged), final=True)
    found = [frame for frame, _ in scanned.frames]
    inner = [frame for frame in found if frame.data == b"a frame in a frame"]
    assert [f for f in found if f not in inner] == [
        f for number, f in enumerate(written) if number != hit and f not in inner
    ]
    assert scanned.damaged > 0
    assert scanned.reached == len(whole)


def test_bytes_before_the_first_frame_are_passed_over() -> None:
    """Reading finds its way from any place in a journal."""
    data = _bytes(SOME)
    for start in range(1, len(_bytes(SOME[:1])) + 1):
        assert [frame for frame, _ in scan(data[start:]).frames] == SOME[1:]


def test_text_that_contains_the_marker_is_only_text() -> None:
    """A payload may hold the marker, and even a whole frame, without being taken for one."""
    payload = MARKER + encode(4, ID, 7, b"inner") + MARKER[:3]
    written = [Frame(FrameKind.REQUEST, ID, 1, payload), Frame(FrameKind.CHUNK, ID, 2, MARKER)]
    assert _read(in_steps(3)(_bytes(written))) == written


def test_the_largest_payload_is_read_and_a_larger_length_is_damage() -> None:
    """A frame holds MAX_DATA_BYTES; a length above it is taken for damage, so that nobody waits for it."""
    largest = Frame(FrameKind.REQUEST, ID, 1, b"x" * MAX_DATA_BYTES)
    assert [frame for frame, _ in scan(_bytes([largest])).frames] == [largest]
    over = encode(2, ID, 1, b"x" * (MAX_DATA_BYTES + 1))
    scanned = scan(over[:100] + _bytes(SOME))
    assert [frame for frame, _ in scanned.frames] == SOME
    assert scanned.damaged == 100


def test_a_kind_nobody_knows_is_damage() -> None:
    """A frame of an unknown kind is passed over, not guessed at."""
    scanned = scan(encode(99, ID, 1, b"?") + _bytes(SOME))
    assert [frame for frame, _ in scanned.frames] == SOME
    assert scanned.damaged == OVERHEAD + 1


def test_the_marker_is_not_text() -> None:
    """No valid UTF-8 contains the marker, so JSON and event streams never do."""
    with pytest.raises(UnicodeDecodeError):
        MARKER.decode()
    assert frames.PREFIX_BYTES + 25 == OVERHEAD
