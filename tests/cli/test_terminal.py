"""How text and figures look: short, aligned, and silent towards the terminal."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccproxy.cli.terminal import clean, clean_line, count, fit, json_text, milliseconds, tokens

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=60)


@given(ANY_TEXT)
def test_clean_text_has_nothing_that_speaks(text: str) -> None:
    """Whatever goes in, no control character but line feed and tab comes out, and what comes out can be encoded."""
    found = clean(text)
    assert not [char for char in found if unicodedata.category(char) == "Cc" and char not in "\n\t"]
    assert not set(found) & set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")
    found.encode()
    assert "\n" not in clean_line(text)


@given(ANY_TEXT, st.integers(4, 30), st.sampled_from("<>"))
def test_a_cell_is_as_wide_as_its_column(text: str, width: int, align: str) -> None:
    """Whatever goes in, a cell takes exactly its columns."""
    found = fit(text, width, align)
    wide = sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in found)
    assert wide == width


@given(
    st.recursive(ANY_TEXT | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner))
)
def test_json_loses_nothing(value: object) -> None:
    """JSON for the terminal stands for the same value, and has nothing that speaks."""
    written = json_text(value)
    assert json.loads(written) == value
    assert clean(written) == written


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (None, "-"),
        (0, "0"),
        (9999, "9999"),
        (10_000, "10.0k"),
        (999_949, "999.9k"),
        (999_950, "1.0M"),
        (12_345_678, "12.3M"),
    ],
)
def test_tokens(number: int | None, text: str) -> None:
    """Token counts are exact while they are short."""
    assert tokens(number) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"), (0.4, "0ms"), (85, "85ms"), (999.4, "999ms"), (999.6, "1.00s"), (1240, "1.24s"), (119_994, "119.99s"),
        (119_999, "2m00s"), (187_000, "3m07s"), (3_599_700, "60m00s"),
    ],
)  # fmt: skip
def test_times(value: float | None, text: str) -> None:
    """Times carry their unit, and none has sixty seconds."""
    assert milliseconds(value) == text


def test_counts() -> None:
    """One is no plural."""
    assert [count(number, "exchange") for number in (0, 1, 2)] == ["0 exchanges", "1 exchange", "2 exchanges"]
