"""A request's body against its parts: the same bytes come back, and only what is new takes room."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccproxy.errors import StoreError
from ccproxy.stores import rebuild

PART = st.binary(min_size=1, max_size=12) | st.sampled_from([b'"a"', b"{}", b"1", b",", b'{"a":1}', b'{"a":2}'])


@settings(deadline=None)
@given(st.data())
def test_any_body_comes_back_from_any_parts(data: st.DataObject) -> None:
    """Parts may be missing, repeated, in another order, inside each other or spelled in another way."""
    spelled = data.draw(st.lists(PART, max_size=8))
    texts = [data.draw(st.just(spelling) | PART) for spelling in spelled]
    pieces = data.draw(st.lists(st.sampled_from([*spelled, b",", b", ", b"[", b"x"]), max_size=20))
    body = b"".join(pieces)
    assert rebuild.unpack(rebuild.pack(body, spelled, texts), texts) == body


@pytest.mark.parametrize("separator", [b",", b", ", b" ,\n"])
def test_parts_that_are_known_take_no_room(separator: bytes) -> None:
    """A list of a hundred known parts is a few numbers, in whatever way they are set apart."""
    texts = [os.urandom(1000).hex().encode() for _ in range(100)]
    body = b'{"messages":[' + separator.join(texts) + b"]}"
    assert len(rebuild.pack(body, texts, texts)) < (60 if separator == b"," else 700)


def test_lists_may_stand_in_any_order() -> None:
    """The parts' own order does not have to be the body's."""
    texts = [os.urandom(500).hex().encode() for _ in range(9)]
    body = b"[" + b",".join(texts[6:]) + b"][" + b",".join(texts[:3]) + b"][" + b",".join(texts[3:6]) + b"]"
    packed = rebuild.pack(body, texts, texts)
    assert len(packed) < 80
    assert rebuild.unpack(packed, texts) == body


def test_another_spelling_is_like_its_part() -> None:
    """A part that is spelled otherwise this time takes the room of the difference."""
    text = b'{"text":"%s"}' % os.urandom(2000).hex().encode()
    spelling = text[:-1] + b',"cache_control":{"type":"ephemeral"}}'
    assert len(rebuild.pack(b"[" + spelling + b"]", [spelling], [text])) < 100


def test_damage_is_told() -> None:
    """Bytes that are no packed body are an error of the store."""
    for broken in (b"", b"\x92", b"\0\1\2\3", b"\x92\x91\x01\xc4\x01x", b"\x92\x90\xc4\x02xx"):
        with pytest.raises(StoreError):
            rebuild.unpack(broken, [b"a"])


def test_the_reference_has_one_order() -> None:
    """The billing line stands first, then the preamble, then the messages."""
    assert rebuild.reference("b", [b"p"], [b"m", b"n"]) == [b"b", b"p", b"m", b"n"]
    assert rebuild.reference(None, [], [b"m"]) == [b"m"]
