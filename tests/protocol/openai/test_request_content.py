"""What users, tools and Anthropic's servers say, as content of a chat."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.chat_requests import conversation

Object = dict[str, Any]
PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
PNG_PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}


def text(said: str, **more: Any) -> Object:
    return {"type": "text", "text": said, **more}


def user(*blocks: Any) -> tuple[Any, tuple[str, ...]]:
    """Return the content of the one message that a user's blocks become, and the losses."""
    messages, losses = conversation(("user", list(blocks)))
    assert [message["role"] for message in messages] == ["user"]
    return messages[0]["content"], losses


def document(source: Object, **more: Any) -> Object:
    return {"type": "document", "source": source, **more}


def test_text_is_one_text() -> None:
    """Texts become one text, which every server takes; where the cache ends is nobody's loss."""
    assert conversation(("user", "hello")) == ([{"role": "user", "content": "hello"}], ())
    assert user(text("one", cache_control={"type": "ephemeral"}), text(""), text("zwei — 二")) == (
        "one\n\nzwei — 二",
        (),
    )


def test_half_characters_are_replaced() -> None:
    """Text that was cut inside a character goes on as text."""
    assert user(text("cut \ud83d here")) == ("cut \ufffd here", ())


def test_images_by_value_and_by_address() -> None:
    """An image is one wherever its data are; the order among texts stays."""
    there = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    assert user(text("see"), PNG, there, text("and say")) == (
        [
            text("see"),
            PNG_PART,
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
            text("and say"),
        ],
        (),
    )


@pytest.mark.parametrize(
    "source", [{"type": "file", "file_id": "file_1"}, {"type": "base64"}, {"type": "url"}, {}, None]
)
def test_an_image_that_is_not_there(source: Any) -> None:
    """An image that does not come with the request is a loss, and the model is told that there was one."""
    content, losses = user({"type": "image", "source": source})
    assert content == "[An image that could not be passed on]"
    assert losses == ("an image that does not come with the request is left out (messages[0])",)


def test_a_pdf_is_a_file() -> None:
    """A PDF goes on whole, with the name that the API wants."""
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
    file = {"filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}
    assert user(document(pdf)) == ([{"type": "file", "file": file}], ())
    content, losses = user(document(pdf, title="Report", context="of last year"))
    assert content == [text("Report\n\nof last year"), {"type": "file", "file": {**file, "filename": "Report.pdf"}}]
    assert not losses


def test_documents_of_text() -> None:
    """A document of text is text, with its title; one of blocks is its blocks."""
    plain = {"type": "text", "media_type": "text/plain", "data": "Grass is green."}
    assert user(document(plain, title="Facts")) == ("Facts\n\nGrass is green.", ())
    assert user(document({"type": "content", "content": [text("a"), PNG]}))[0] == [text("a"), PNG_PART]
    assert user(document({"type": "content", "content": "just so"}))[0] == "just so"


@pytest.mark.parametrize(
    ("source", "said", "loss"),
    [
        (
            {"type": "url", "url": "https://example.com/a.pdf"},
            "[A document that could not be passed on: https://example.com/a.pdf]",
            "a document is named by its address only, since Chat Completions fetches none (messages[0])",
        ),
        (
            {"type": "file", "file_id": "file_1"},
            "[A document that could not be passed on]",
            "a document that does not come with the request is left out (messages[0])",
        ),
        (
            {"type": "base64", "media_type": "application/zip", "data": "UEs="},
            "[A document that could not be passed on]",
            "a document that does not come with the request is left out (messages[0])",
        ),
    ],
)
def test_documents_that_are_elsewhere(source: Object, said: str, loss: str) -> None:
    """A document that is not in the request is a loss, and the model is told of it."""
    assert user(document(source)) == (said, (loss,))


def test_citations_are_told() -> None:
    """Citations that were asked for are a loss; those that were not are none."""
    source = {"type": "text", "media_type": "text/plain", "data": "x"}
    assert user(document(source, citations={"enabled": False}))[1] == ()
    assert user(document(source, citations={"enabled": True}))[1] == (
        "the member citations of a document block is left out (messages[0])",
    )


def test_a_search_result_is_text() -> None:
    """A search result has its title, where it is from, and what it says."""
    result = {
        "type": "search_result",
        "title": "Cats",
        "source": "https://cats.example",
        "content": [text("meow"), text("purr")],
    }
    assert user(result) == ("Cats\nhttps://cats.example\n\nmeow\n\npurr", ())


def test_a_found_tool_is_said() -> None:
    """The reference to a tool that was searched for tells the model that the tool is there."""
    assert user({"type": "tool_reference", "tool_name": "Edit"}) == ("The tool Edit is there to be called.", ())


def test_unknown_blocks_are_told_by_their_type() -> None:
    """What nobody has heard of is left out, with its type and where it first stood; all else stays."""
    content, losses = user(
        {"type": "hologram"}, text("hello"), {"type": "hologram"}, {"no": "type"}, 7, {"type": ["a"]}
    )
    assert content == "hello"
    assert losses == (
        "an entry of the content that is no block is left out (messages[0])",
        "a block of type hologram is left out (2 times, first in messages[0])",
        "a block without a type is left out (2 times, first in messages[0])",
    )


def test_unknown_members_are_told_by_their_name() -> None:
    """A member of a block that nobody has heard of is a loss, but where it says nothing."""
    block = text("hello", weight=3, note=None, marks=[])
    assert user(block) == ("hello", ("the member weight of a text block is left out (messages[0])",))


@pytest.mark.parametrize("content", [5, True, {"type": "text", "text": "x"}])
def test_content_of_another_kind(content: Any) -> None:
    """Content that is neither text nor a list is left out, and told."""
    messages, losses = conversation(("user", content), ("user", "hello"))
    assert messages == [{"role": "user", "content": "hello"}]
    assert losses == ("content that is neither a text nor a list is left out (messages[0])",)


SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "cats"}}
FOUND = {
    "type": "web_search_tool_result",
    "tool_use_id": "srvtoolu_1",
    "content": [
        {
            "type": "web_search_result",
            "title": "Cats",
            "url": "https://cats.example",
            "encrypted_content": "EqgfCioIARgBIiQ3YTA",
        },
        {
            "type": "web_search_result",
            "title": "Dogs",
            "url": "https://dogs.example",
            "encrypted_content": "EqgfCioIARgBIiQ3YTA",
        },
    ],
}


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (SEARCH, '[web_search was called with {"query": "cats"}]'),
        (FOUND, "[It answered: Cats\nhttps://cats.example\nDogs\nhttps://dogs.example]"),
        (
            {"type": "mcp_tool_use", "id": "m", "name": "ask", "server_name": "wiki", "input": {}},
            "[ask of wiki was called with {}]",
        ),
        ({"type": "mcp_tool_result", "tool_use_id": "m", "content": [text("yes")]}, "[It answered: yes]"),
        ({"type": "mcp_tool_result", "tool_use_id": "m", "content": "no", "is_error": True}, "[It failed: no]"),
        (
            {
                "type": "bash_code_execution_tool_result",
                "tool_use_id": "b",
                "content": {"stdout": "1\n", "stderr": "", "return_code": 0},
            },
            "[It answered: 1\n]",
        ),
        (
            {
                "type": "web_search_tool_result",
                "tool_use_id": "b",
                "content": {"type": "error", "error_code": "unavailable"},
            },
            "[It answered: unavailable]",
        ),
        (
            {
                "type": "web_fetch_tool_result",
                "tool_use_id": "f",
                "content": {
                    "type": "web_fetch_result",
                    "url": "https://a.example",
                    "content": document({"type": "text", "media_type": "text/plain", "data": "the page"}),
                },
            },
            "[It answered: https://a.example\nthe page]",
        ),
        (
            {
                "type": "tool_search_tool_result",
                "tool_use_id": "t",
                "content": {"tool_references": [{"tool_name": "Edit"}]},
            },
            "[It answered: Edit]",
        ),
        ({"type": "compaction", "content": "Earlier we talked of cats."}, "Earlier we talked of cats."),
    ],
)
def test_tools_on_anthropics_servers_are_said_in_words(block: Object, said: str) -> None:
    """What the provider's own tools were asked and found is text of the assistant; nothing encrypted goes along."""
    messages, losses = conversation(("user", "hello"), ("assistant", [block]), ("user", "go on"))
    assert messages[1] == {"role": "assistant", "content": said}
    assert not losses


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        {"type": "x"},
        {"content": {"source": {"type": "base64", "data": "JVBERi0="}}},
        {"encrypted_stdout": "x"},
    ],
)
def test_results_without_words_are_a_loss(content: Any) -> None:
    """A result of a server tool in which there is nothing to read is told, by its type."""
    block = {"type": "web_fetch_tool_result", "tool_use_id": "f", "content": content}
    messages, losses = conversation(("user", "hello"), ("assistant", [block, text("well")]), ("user", "go on"))
    assert messages[1]["content"] == "well"
    assert losses == ("a block of type web_fetch_tool_result is left out (messages[1])",)
