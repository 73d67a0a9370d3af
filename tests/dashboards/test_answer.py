"""What an answer's bytes say."""

from __future__ import annotations

import json

from dashboards.data import answer
from tests.support import handmade


def test_events_of_a_stream_come_with_their_data() -> None:
    """Each event has its name and its data, whatever ends its lines; comments are none."""
    plain = b"event: ping\ndata: {}\n\n: comment\n\nevent: a\r\ndata: 1\r\ndata: 2\r\n\r\ndata:last"
    assert answer.events(plain) == [("ping", "{}"), ("a", "1\n2"), ("", "last")]


def test_the_usage_is_what_came_last() -> None:
    """A stream's usage begins with its first event, and later ones win."""
    plain = b"".join(handmade.answer(1, handmade.text("hi"), fresh=7, output=30, read=5))
    found = answer.usage(plain)
    assert (found["input_tokens"], found["output_tokens"], found["cache_read_input_tokens"]) == (7, 30, 5)


def test_an_answer_in_one_piece_has_its_usage() -> None:
    """So has a message that was no stream; an error, and bytes that are neither, have none."""
    assert answer.usage(json.dumps({"usage": {"input_tokens": 3}}).encode()) == {"input_tokens": 3}
    assert (
        answer.usage(b'{"usage": [1]}')
        == answer.usage(b"\xff")
        == answer.usage(b"")
        == answer.usage(b"{" * 99_999)
        == {}
    )
    assert answer.usage(b'data: {"usage" broken\n\n') == {}
