"""How near the estimate of tokens comes to what the API counted."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from ccproxy.protocol.openai.estimate import estimate_tokens
from tests.support import wire

Object = dict[str, Any]
TOOL = {"name": "Read", "description": "Reads a file. " * 20, "input_schema": {"type": "object", "properties": {}}}
COUNTS = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


def estimated(*content: Any, **more: Any) -> int:
    return estimate_tokens(
        json.dumps({"messages": [{"role": "user", "content": one} for one in content], **more}).encode()
    )


def png(width: int, height: int) -> Object:
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + b"\x08\x06\x00\x00\x00"
    source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(data * 100).decode()}
    return {"type": "image", "source": source}


def added(block: Object) -> int:
    return estimated([block]) - estimated([])


def test_text_counts_by_its_bytes() -> None:
    """Text is the same number of tokens wherever it stands, and so is one of another script by its bytes."""
    said = "a" * 3600
    assert estimated(said) - estimated("") == 1000
    assert estimated([{"type": "text", "text": said, "cache_control": {"type": "ephemeral"}}]) == estimated(said)
    assert estimated("", system=said) == estimated("", system=[{"type": "text", "text": said}]) == estimated(said)
    assert added({"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": said}]}) == 1000
    assert added({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": said}}) == 1000
    assert estimated("二" * 1200) == estimated(said)


def test_messages_and_calls_count() -> None:
    """Every message has some tokens of its own, and a call has those of its name and its input."""
    assert estimated("x", "x") > estimated("xx")
    assert added({"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"text": "b" * 3600}}) in range(
        1000, 1010
    )


def test_tools_count() -> None:
    """Tools have the tokens of their definitions, and some that introduce them; their cache marks have few."""
    first = estimated("x", tools=[TOOL]) - estimated("x")
    second = estimated("x", tools=[TOOL, TOOL]) - estimated("x", tools=[TOOL])
    assert second in range(80, 100)
    assert first in range(second + 300, second + 400)


def test_images_count_by_their_size() -> None:
    """An image has a token for 750 pixels, never more than the largest, which is taken where the size is not seen."""
    assert added(png(750, 100)) == 100
    assert added(png(8000, 8000)) == 1600
    assert (
        added({"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "/9j/4AAQ" * 10}})
        == 1600
    )
    assert added({"type": "image", "source": {"type": "url", "url": "https://example.com/" + "x" * 9000}}) == 1600
    assert added({"type": "image", "source": {"type": "base64", "data": "!"}}) == 1600


def test_documents_count_by_their_length() -> None:
    """A PDF counts by its pages, of which there are more in a longer file; its base64 is no text."""
    short, long = ({"type": "base64", "media_type": "application/pdf", "data": "A" * size} for size in (1000, 700_000))
    assert added({"type": "document", "source": short}) == 2000
    assert added({"type": "document", "source": long}) == 22000


@pytest.mark.parametrize("body", [b"", b"[]", b"5", b"{", b'"x"', b"\xff"])
def test_what_is_no_request_has_none(body: bytes) -> None:
    """Where there is no request there is nothing to count."""
    assert estimate_tokens(body) == 0


@pytest.mark.parametrize(
    "body", [b"{}", b'{"messages":5,"system":{},"tools":{}}', b'{"messages":[5,null,{}],"system":[5]}']
)
def test_odd_requests_have_some(body: bytes) -> None:
    """Whatever stands in a request, it is counted."""
    assert 0 < estimate_tokens(body) < 30


def test_great_depth_is_counted() -> None:
    """A request that is nested out of all measure is counted by its length."""
    deep: Any = "x" * 3600
    for _ in range(400):
        deep = [{"a": deep}]
    assert estimated(deep) > 1000


def recorded() -> Iterator[tuple[str, bytes, int]]:
    """Yield the recorded requests of the oldest Claude Code, which went to the API itself, and what that counted."""
    for request in wire.requests():
        if not (request.source.startswith("claudetrace") and request.path.partition("?")[0].endswith("/messages")):
            continue
        for line in request.response.splitlines():
            if line.startswith(b"data:") and b'"message_start"' in line:
                usage = json.loads(line[5:])["message"]["usage"]
                yield request.name, request.body, sum(usage.get(name) or 0 for name in COUNTS)


@wire.needs_wire
def test_the_estimate_of_claude_codes_requests() -> None:
    """Requests of Claude Code with its tools are estimated to 2 %, short ones beside the conversation to 25 %."""
    found = list(recorded())
    assert len(found) > 15
    for name, body, counted in found:
        off = estimate_tokens(body) / counted - 1
        assert abs(off) < (0.02 if counted > 10_000 else 0.26), (name, counted, off)
