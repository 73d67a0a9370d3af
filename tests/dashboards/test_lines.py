"""Differences between texts, and numbers of lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.lines import counts, difference, language, place_of, split, unnumbered

TEXTS = st.lists(st.sampled_from(["a", "b", "", "  a", "long line"]), max_size=12).map("\n".join)


@given(TEXTS, TEXTS)
def test_a_difference_gives_both_texts_back(old: str, new: str) -> None:
    """Whatever two texts are, the lines that stayed and went are the old one, those that stayed and came the new one."""
    rows = difference(old, new, around=None)
    assert [row.text for row in rows if row.kind in ("same", "del")] == split(old)
    assert [row.text for row in rows if row.kind in ("same", "add")] == split(new)
    assert [row.old for row in rows if row.old is not None] == list(range(1, len(split(old)) + 1))
    assert [row.new for row in rows if row.new is not None] == list(range(1, len(split(new)) + 1))


def test_lines_are_matched_and_not_only_laid_beside_each_other() -> None:
    """Two changes far apart are two hunks, with lines around them and how many were left out between."""
    old = [f"line {number}" for number in range(1, 31)]
    new = [line for line in old if line != "line 5"]
    new.insert(24, "new line")
    rows = difference("\n".join(old), "\n".join(new))
    assert [(row.kind, row.text) for row in rows if row.kind in ("add", "del")] == [
        ("del", "line 5"),
        ("add", "new line"),
    ]
    assert [row.text for row in rows if row.kind == "gap"] == [
        "1 unchanged line",
        "14 unchanged lines",
        "2 unchanged lines",
    ]
    assert counts(rows) == (1, 1)


def test_a_pure_deletion_has_no_new_line() -> None:
    """What is replaced by nothing went, and nothing came."""
    rows = difference("a\nb\n", "")
    assert [(row.kind, row.old, row.new) for row in rows] == [("del", 1, None), ("del", 2, None)]


def test_a_line_break_at_the_end_is_no_line() -> None:
    """Texts with and without a last line break have the same lines."""
    assert difference("a\n", "a") == difference("a", "a")


def test_numbers_begin_where_the_text_does() -> None:
    """A piece of a file can have the numbers that it has in the file."""
    assert [(row.old, row.new) for row in difference("a", "b", first=40)] == [(40, None), (None, 40)]


def test_very_large_changes_are_not_matched_line_by_line() -> None:
    """Beyond a size all of the old goes and all of the new comes, at once."""
    old, new = ("\n".join(f"{sign}{number}" for number in range(3000)) for sign in "ab")
    assert counts(difference(old, new)) == (3000, 3000)


@pytest.mark.parametrize(
    ("text", "bare", "numbers"),
    [
        ("     1\ta\n     2\t\n     3\tc", "a\n\nc", [1, 2, 3]),
        ("   10→x\n   11→  y\n", "x\n  y", [10, 11]),
        ("no numbers", "no numbers", []),
        ("     1\ta\nnote", "     1\ta\nnote", []),
        ("", "", []),
    ],
)
def test_numbers_of_cat_are_taken_off(text: str, bare: str, numbers: list[int]) -> None:
    """Both ways in which lines are numbered are known; a text of which not all lines are is left alone."""
    assert unnumbered(text) == (bare, numbers)


def test_an_edit_is_found_in_the_lines_that_the_result_shows() -> None:
    """The number of an edited line is read from a result that shows the file."""
    shown = "The file was updated.\n    41\tdef a():\n    42\t    return 2\n    43\t"
    assert place_of("    return 2\n", shown) == 42
    assert place_of("not there", shown) == 1
    assert place_of("", shown) == 1


@pytest.mark.parametrize(
    ("path", "name"), [("/a/b.py", "Python"), ("b.TSX", "TypeScript"), ("Makefile", ""), ("a.b/c", ""), ("", "")]
)
def test_a_language_is_known_by_the_name_of_the_file(path: str, name: str) -> None:
    """The ending of a name says the language; what is not known has none."""
    assert language(path) == name
