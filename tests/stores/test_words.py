"""Words as SQLite's full-text index finds them: the same, for every character that there is, and for texts of all of them."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ccproxy.stores import words
from ccproxy.stores.sqlite import conditions

NASTY = (
    "forty-two", "/usr/lib/python3.11", "https://example.com/a?b=c&d=é#e", "mail@example.org", "snake_case_name", "CamelCase",
    "naïve", "nai\u0308ve", "\u0308", "e\u0301\u0301e", "ΣΊΣΥΦΟΣ", "straße", "STRASSE", "İstanbul", "ﬁn", "x²", "½", "日本語テスト",
    "हिन्दी", "שָׁלוֹם", "العَرَبِيَّة", "😀", "👩‍👩‍👧", "\u200b", "a\u200bb", "\ue000", "\ufffd", "\U0010ffff", "it's", "don’t", "3.14",
    "1,000", "\0", "a\0b", "C++", "#tag", "$x", "a\u00adb", "Ⅷ", "ⓐ", "ª", "x" * 300, "x" * 299 + "y", "\t", "\n", "\u2028",
)  # fmt: skip
TEXT = st.lists(st.sampled_from(NASTY) | st.text(max_size=5) | st.sampled_from(" -_./\n"), max_size=12).map("".join)


@pytest.fixture(scope="module")
def index() -> Iterator[sqlite3.Connection]:
    """Give an SQLite full-text index such as the store's, and a view of the words in it."""
    database = sqlite3.connect(":memory:", isolation_level=None)
    database.execute(
        "CREATE VIRTUAL TABLE found USING fts5 (text, tool_name, tokenize = 'unicode61 remove_diacritics 2')"
    )
    database.execute("CREATE VIRTUAL TABLE word USING fts5vocab (found, instance)")
    yield database
    database.close()


def _sqlite_words(index: sqlite3.Connection, text: str) -> list[str]:
    index.execute("DELETE FROM found")
    index.execute("INSERT INTO found (rowid, text) VALUES (1, ?)", (text,))
    return [row[0] for row in index.execute("SELECT term FROM word ORDER BY offset")]


def test_every_character_counts_as_in_sqlite(index: sqlite3.Connection) -> None:
    """Each of a million characters parts words, is dropped, or becomes the same letter, alone and between others."""
    characters = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    index.execute("DELETE FROM found")
    for start in range(0, len(characters), 1000):
        some = characters[start : start + 1000]
        text = " ".join(f"q{character}z {character}" for character in some)
        assert words.words_of(text) == _sqlite_words(index, text), hex(start)


@settings(max_examples=250, deadline=None)
@given(TEXT)
@example("x" * 40_000 + " " + "x" * 32_768)
def test_any_text_has_the_words_that_sqlite_finds(index: sqlite3.Connection, text: str) -> None:
    """The same words in the same order; a long one by its digest."""
    expected = [words._short(word) if len(word) > words.LONGEST else word for word in _sqlite_words(index, text)]
    assert words.words_of(text) == expected


@settings(max_examples=250, deadline=None)
@given(TEXT, st.none() | TEXT, TEXT)
@example("forty two", None, "forty-two")
@example("forty", "two", "forty-two")
@example("a", None, "-")
@example("a", None, "- a")
@example("x" * 40_000, None, "x" * 32_768)
def test_any_search_hits_as_in_sqlite(index: sqlite3.Connection, text: str, tool_name: str | None, asked: str) -> None:
    """A block is found for the same searches; words in a row are in a row, and in one column."""
    index.execute("DELETE FROM found")
    index.execute("INSERT INTO found (text, tool_name) VALUES (?, ?)", (text, tool_name))
    query = conditions.match(asked)
    phrases = words.wanted(asked)
    assert (phrases is None) == (not query)
    if phrases is not None:
        [hits] = index.execute("SELECT count(*) FROM found WHERE found MATCH ?", (query,)).fetchone()
        row = f" {words.indexed(text, tool_name)} "
        assert bool(hits) == bool(phrases and all(f" {' '.join(phrase)} " in row for phrase in phrases))


def test_a_snippet_shows_the_hit_among_its_neighbours() -> None:
    """Words before and after it as they stand in the text, hits in brackets, dots where something is left out."""
    text = "Ä" * 5 + " one, two; Forty-Two zebras: ünd mehr. " + "word " * 50
    assert words.snippet(text, words.wanted("forty-two UND") or []).startswith(
        "ÄÄÄÄÄ one, two; [Forty-Two] zebras: [ünd] mehr. word"
    )
    assert words.snippet(text, [["zebras"]]).endswith("word … ")
    assert words.snippet("say forty two", [["forty", "two"]]) == "say [forty two]"
    assert words.snippet("nothing of it", [["zebra"]]) == "nothing of it"
    assert words.snippet("?!", [["zebra"]]) == words.snippet("", []) == ""


def test_a_snippet_is_found_far_down() -> None:
    """In a text of any length the hit is shown, also where it stands across two stretches of it."""
    for place in (3990, 7999, 1_000_000):
        text = "lorem ".ljust(place, "-") + "ipsum dolor" + " sit" * 100
        shown = words.snippet(text, [["ipsum", "dolor"]])
        assert "[ipsum dolor] sit" in shown
        assert shown.endswith("sit … ")
