"""Content blocks as they are shown: whatever a block holds, something is shown of it, and all of it can be had."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.blocks import result, view, without_reminders
from dashboards.pictures import trouble
from dashboards.reminders import only_reminders, parted
from dashboards.shown import Clip, Odd, Paper, Picture, Said, Thought
from tests.support.talks import came, image, png, text

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
TYPES = st.sampled_from(
    ["text", "thinking", "redacted_thinking", "image", "document", "search_result", "tool_reference", "web_search_result", "new", ""]
)  # fmt: skip
NAMES = ("text", "thinking", "data", "source", "content", "title", "url", "tool_name", "is_error", "tool_use_id")


@given(st.fixed_dictionaries({"type": TYPES | JSON}, optional=dict.fromkeys(NAMES, JSON)))
def test_any_block_can_be_shown(block: dict[str, Any]) -> None:
    """No block, however malformed, makes trouble: as a block, as a result, or with reminders taken out."""
    view(block)
    result(block)
    without_reminders(block)


def test_a_text_is_said_and_an_empty_one_is_not() -> None:
    """Text is shown as it is read; white space alone is nothing."""
    assert isinstance(view(text("a")), Said)
    assert view(text(" \n")) is None


def test_reminders_are_taken_out_and_counted() -> None:
    """What the client put in stands apart, with its characters; what only speaks of reminders stays."""
    shown, taken = without_reminders(text("<system-reminder>\nBe brief.\n</system-reminder>\nhello"))
    assert shown.clip.text == "hello"
    assert [(reminder.name, reminder.text) for reminder in taken] == [("system reminder", "Be brief.")]
    assert parted("the tag <system-reminder> is never closed") == ("the tag <system-reminder> is never closed", [])
    assert only_reminders([text("<system-reminder>a</system-reminder>")])
    assert not only_reminders([text("<system-reminder>a</system-reminder> b")])
    assert [reminder.name for reminder in parted("<functions><function>a</function></functions>")[1]] == [
        "block of functions"
    ]


def test_thinking_is_folded_and_what_is_hidden_says_why() -> None:
    """Thinking has its characters; what was redacted, or not shown, says that."""
    shown = view({"type": "thinking", "thinking": "hm", "signature": "x"})
    assert isinstance(shown, Thought)
    assert (shown.clip.text, shown.why) == ("hm", "")
    assert view({"type": "thinking", "thinking": "", "signature": "x"}).why == "the API did not show it"
    assert view({"type": "redacted_thinking", "data": "abcd"}).why.startswith("redacted by the API: 4 characters")


@pytest.mark.parametrize(
    ("block", "why"),
    [
        (image(png()), ""),
        (image("AAAA"), "its bytes are not those of image/png"),
        (image("%%%"), "its base64 is broken"),
        (image(""), "it is empty"),
        (image("iVBORw0KGgo="), "it breaks off"),
        (image(png(), "image/jpeg"), "its bytes are not those of image/jpeg"),
        (image("PHN2Zz4=", "image/svg+xml"), "images of this kind are not shown here"),
        (image(png(), "image/png;x,<script>"), "images of this kind are not shown here"),
        ({"type": "image"}, "it has no source that is known"),
        ({"type": "image", "source": {"type": "url", "url": "https://example.com/x.png"}}, ""),
    ],
)  # fmt: skip
def test_only_whole_images_are_given_to_the_browser(block: dict[str, Any], why: str) -> None:
    """An image is shown where it is of a kind without scripts, and whole; else the reason is. One with a URL is only named."""
    shown = view(block)
    assert isinstance(shown, Picture)
    assert shown.trouble == why
    assert bool(shown.data) == (not why and not shown.url)


def test_large_images_come_when_they_are_asked_for() -> None:
    """An image of many bytes does not weigh on the page."""
    assert not view(image(png())).large
    assert Picture("image/png", "A" * 500_000).large
    assert trouble("image/gif", None) == "it is empty"


def test_documents_are_named_and_their_text_is_shown() -> None:
    """A document with a text of its own shows it; one of bytes has its size, one elsewhere its place."""
    words = view(
        {"type": "document", "title": "t", "source": {"type": "text", "media_type": "text/plain", "data": "abc"}}
    )
    assert isinstance(words, Paper)
    assert words.clip is not None
    assert (words.title, words.bytes, words.clip.text) == ("t", 3, "abc")
    assert (
        view({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"}}).bytes
        == 3
    )
    assert view({"type": "document", "source": {"type": "file", "file_id": "f1"}}).url == "f1"
    assert (
        view({"type": "document", "source": {"type": "content", "content": [text("a"), text("b")]}}).clip.text == "a\nb"
    )


def test_an_unknown_block_is_json_with_its_name() -> None:
    """What nobody has heard of is shown whole."""
    shown = view({"type": "hologram", "depth": 3})
    assert isinstance(shown, Odd)
    assert shown.type == "hologram"
    assert '"depth": 3' in shown.clip.text


def test_a_result_is_text_images_and_reminders() -> None:
    """A tool's result is a text, or blocks; errors are told; the server's tools are read as well."""
    assert result(came(1, "out")).text == "out"
    blocks = result(came(1, [text("a"), image(png()), text("b<system-reminder>c</system-reminder>")], is_error=True))
    assert (blocks.text, blocks.error, [one.kind for one in blocks.views]) == ("a\nb", True, ["picture"])
    assert blocks.folded is not None
    assert (blocks.folded.title, blocks.folded.characters) == ("1 system reminder", 1)
    failed = result(
        came(1, {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"}, "web_search_tool_result")
    )
    assert (failed.error, failed.text) == (True, "max_uses_exceeded")
    ran = result(
        came(
            1,
            {"type": "code_execution_result", "stdout": "1", "stderr": "", "return_code": 0},
            "code_execution_tool_result",
        )
    )
    assert (ran.error, ran.text) == (False, "1")
    hits = result(came(1, [{"type": "web_search_result", "title": "t", "url": "u"}], "web_search_tool_result"))
    assert [(hit.title, hit.url) for hit in hits.views] == [("t", "u")]


def test_long_texts_are_cut_at_a_line_and_can_be_had_whole() -> None:
    """What is shown of a long text ends with a line, and the whole is only a step away."""
    clip = Clip("word\n" * 1000, limit=100)
    assert clip.cut
    assert clip.shown == ("word\n" * 20)[:-1]
    assert clip.whole().shown == clip.text
    assert not clip.whole().cut
    assert Clip("x" * 200, limit=100).shown == "x" * 100
    assert Clip("a\nb\nc", "code", numbers=(7, 8, 9)).shown_numbers == "7\n8\n9"
    assert Clip("a\nb", "code").shown_numbers == "1\n2"
