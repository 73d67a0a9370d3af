"""Long texts and differences: what stands there at first, and what comes when it is asked for."""

from __future__ import annotations

from dashboards.clips import Clip, Clips, Lines
from dashboards.lines import difference
from dashboards.parts import Parts


def test_a_short_text_is_whole() -> None:
    """What is not longer than the limit has nothing to come."""
    assert Clips(Parts()).clip("abc", 3) == Clip("abc", 3, "")
    rows = difference("a", "b")
    assert Clips(Parts()).lines(rows, 2) == Lines(rows, 2, "")


def test_a_long_text_says_so_and_comes_whole() -> None:
    """The beginning stands there with the true length; the part that comes has all of it, escaped."""
    parts = Parts()
    clip = Clips(parts).clip("<b>" * 10, 4)
    assert (clip.shown, clip.characters) == ("<b><", 30)
    assert parts.html(clip.key).count("&lt;b&gt;") == 10
    assert "are shown" not in parts.html(clip.key)


def test_a_long_difference_says_so_and_comes_whole() -> None:
    """The same holds for lines that went and came."""
    parts = Parts()
    rows = difference("", "\n".join(f"line {number}" for number in range(9)))
    lines = Clips(parts).lines(rows, 2)
    assert (len(lines.shown), lines.number) == (2, 9)
    assert "line 8" in parts.html(lines.key)


def test_parts_are_rendered_when_they_are_wanted() -> None:
    """Nothing is rendered before it is asked for."""
    parts = Parts()
    made: list[int] = []
    key = Clips(parts).later("exchange_blocks.html", lambda: {"blocks": made.append(1) or ()})
    assert made == []
    assert "no content" in parts.html(key)
    assert made == [1]
