"""Half characters in JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccproxy.protocol.parts import json_value, normalised, take_apart
from ccproxy.protocol.surrogates import without_halves


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (rb'"a\ud83db"', "a�b"),
        (rb'"\uDE00"', "�"),
        (rb'"\ud83d\ud83d\ude00"', "�😀"),
        (rb'"\ud83d\ude00"', "😀"),
        (rb'"\\ud83d"', "\\ud83d"),
        (rb'"\\\ud83d"', "\\�"),
        (rb'"\n\ud83d\u0041"', "\n�A"),
    ],
)
def test_a_half_character_is_replaced_and_nothing_else(raw: bytes, expected: str) -> None:
    """Only a surrogate without its other half becomes U+FFFD; pairs and escaped backslashes stay."""
    assert json_value(raw) == json_value(b"[" + raw + b"]")[0] == expected


@given(st.text(alphabet=st.characters(codec=None)))
@settings(deadline=None)
def test_every_text_that_json_can_say_is_read(text: str) -> None:
    """Whatever a JavaScript client writes, halves included, has a value; a text without halves keeps its own."""
    raw = json.dumps(text).encode()
    value = json_value(raw)
    assert isinstance(value, str)
    assert len(value) == len(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    if not any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        assert value == text
        assert without_halves(raw) == raw


def test_a_request_with_half_a_character_is_taken_apart() -> None:
    """A message that was cut in the middle of a character does not hide the request's parts."""
    parts = take_apart(
        rb'{"model":"m","messages":[{"role":"user","content":"cut \ud83d"},{"role":"user","content":"x"}]}'
    )
    assert parts.reason is None
    assert len(parts.messages) == 2
    assert b"\\ufffd" in parts.messages[0] or "�".encode() in normalised(parts.messages[0])
