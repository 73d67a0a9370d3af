"""Server-sent events from bytes: however they are cut, they are the same; what makes no sense changes nothing."""

from __future__ import annotations

import json

from hypothesis import given

from dashboards.events import Event, Events
from tests.support.splits import byte_by_byte, cut_at, fixed_cuts, random_cuts

SAID = [
    Event("snapshot", {"exchanges": []}),
    Event("text", {"exchange": "a", "index": 0, "text": 'naïve 👩‍👩‍👧 ‘x’: {"event: text"}\n\nnew'}),
    Event("ended", {"exchange": "a", "state": None}),
]


def _wire(events: list[Event]) -> bytes:
    lines = [
        f"id: {number}\nevent: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
        for number, (name, data) in enumerate(events)
    ]
    return ("retry: 1000\n\n" + ": still here\n\n".join(lines)).encode()


WIRE = _wire(SAID)


def _fed(pieces: list[bytes], limit: int = 1 << 20) -> list[Event]:
    events = Events(limit)
    return [event for piece in pieces for event in events.feed(piece)]


def test_any_cut_gives_the_same_events() -> None:
    """Whole, byte by byte or in steps, characters cut in the middle included, the same events come out."""
    for pieces in fixed_cuts(WIRE):
        assert _fed(pieces) == SAID


@given(random_cuts())
def test_cuts_at_random_give_the_same_events(places: list[int]) -> None:
    """Wherever a network cuts, the same events come out."""
    assert _fed(cut_at(WIRE, places)) == SAID


def test_what_is_no_event_is_passed_over() -> None:
    """Comments, events without data or name, and data that is no JSON object leave the others as they are."""
    odd = b": hello\n\nevent: text\n\ndata: {}\n\nevent: text\ndata: {\n\nevent: text\ndata: [1]\n\nevent: \xff\ndata: {}\n\n\n\n"
    assert _fed([odd + WIRE]) == [Event("\ufffd", {}), *SAID]


def test_an_event_that_is_too_large_is_passed_over() -> None:
    """One that grows beyond the limit is dropped, byte by byte as well, and those after it come out."""
    large = _wire([Event("text", {"text": "x" * 500})])
    for pieces in ([large, WIRE], byte_by_byte(large + WIRE), [large + WIRE[:9], WIRE[9:]]):
        assert _fed(pieces, 300) in (SAID, [Event("text", {"text": "x" * 500}), *SAID])
    assert _fed(byte_by_byte(large + WIRE), 300) == SAID
