"""A text as it is read: nothing is lost, and code is told from words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dashboards.prose import pieces

WORDS = st.lists(
    st.sampled_from(["a", "`", "```", "```py", "~~~", "**", "b** c", "`x`", "**y**", "# h", "| t |", "\n", "\r\n", "\u2028", " ", "<b>"])
).map("".join)  # fmt: skip


@given(WORDS | st.text())
def test_no_character_is_lost(text: str) -> None:
    """The pieces of any text put together are the text."""
    assert "".join(piece.text for piece in pieces(text)) == text


def test_code_stands_between_fences() -> None:
    """What is between fences is code, with nothing in it emphasised; a fence within a longer one does not end it."""
    found = pieces("see:\n````py\n```\n**x** `y`\n````\nthen `z`\n")
    assert [piece.kind for piece in found] == ["text", "fence", "code", "fence", "text"]
    assert found[2].spans == [("plain", "```\n**x** `y`\n")]
    assert ("code", "`z`") in found[4].spans


def test_code_that_was_cut_is_code_to_the_end() -> None:
    """A fence that is never closed lasts to the end."""
    assert [piece.kind for piece in pieces("```\na\nb")] == ["fence", "code"]


def test_headings_tables_and_emphasis_are_seen() -> None:
    """Headings, rows of tables, and what is strong are told, marks included."""
    found = pieces("# One\ntext **two**\n| a | b |\n|---|---|\n")
    assert [piece.kind for piece in found] == ["heading", "text", "table"]
    assert found[1].spans == [("plain", "text "), ("strong", "**two**"), ("plain", "\n")]
