"""Every recorded stream of OpenAI and of compatible servers, translated: both official SDKs read the same from both sides."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ccproxy.protocol.openai.stream import ChatStream
from tests.support import splits, well_formed, wire
from tests.support.both_sdks import Read, by_anthropic, by_openai

STOP_REASONS = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens"}


def _index() -> list[dict[str, Any]]:
    path = wire.FOLDER / "index.json"
    entries = json.loads(path.read_text()) if path.exists() else []
    return [entry for entry in entries if entry["file"].startswith("openai_sse/")]


def _stream(file: str) -> bytes:
    """Return a recorded stream; one that was stored as payloads gets its framing back."""
    data = (wire.FOLDER / file).read_bytes()
    if not file.endswith(".chunks.txt"):
        return data
    return b"".join(b"data: %s\n\n" % line for line in data.splitlines() if line.strip()) + b"data: [DONE]\n\n"


def _is_chat(file: str) -> bool:
    """Whether a recording speaks Chat Completions: its first chunk has choices with deltas (Alibaba's do not say `object`)."""
    data = _stream(file)
    return b'"delta":{' in data.replace(b": ", b":") and b'"choices"' in data[:2000]


INDEX = _index()
CHAT = sorted(entry["file"] for entry in INDEX if entry["kind"] == "openai_chat_sse")
CHAT_PAYLOADS = sorted(entry["file"] for entry in INDEX if entry["kind"] == "openai_events" and _is_chat(entry["file"]))
STRANGE = sorted({entry["file"] for entry in INDEX} - {*CHAT, *CHAT_PAYLOADS})
NONE = ["no recorded streams"]


def _translated(data: bytes) -> tuple[bytes, ChatStream]:
    stream = ChatStream("msg_0123456789abcdef0123456789abcdef", "claude-sonnet-4-5")
    return stream.open() + stream.feed(data) + stream.close(), stream


def _usage(given: dict[str, Any] | None) -> tuple[int, int]:
    """Return prompt and completion as the provider means them. xAI's completion is without its reasoning, as its total shows."""
    given = given or {}
    prompt, completion = given.get("prompt_tokens", 0), given.get("completion_tokens", 0)
    reasoning = (given.get("completion_tokens_details") or {}).get("reasoning_tokens", 0)
    beside = reasoning and given.get("total_tokens") == prompt + completion + reasoning
    return prompt, completion + reasoning if beside else completion


def _wanted(read: Read) -> str:
    """Return the stop reason. Two recordings have no finish reason but [DONE] (Snowflake, Kimi by OpenRouter); servers say
    "stop" after a call where the tool was forced (OpenAI).
    """
    if read.finish in (None, "stop") and read.calls:
        return "tool_use"
    return STOP_REASONS[read.finish or "stop"]


def test_the_recordings_are_all_there() -> None:
    """No recording is passed over: those that speak Chat Completions, and those that speak another protocol."""
    if not INDEX:
        pytest.skip(f"the recorded wire data is not there: {wire.FOLDER}")
    assert len(CHAT) == 62
    assert len(CHAT_PAYLOADS) > 20
    assert len(STRANGE) > 60


@wire.needs_wire
@pytest.mark.parametrize("file", CHAT + CHAT_PAYLOADS or NONE)
def test_both_sdks_read_the_same(file: str) -> None:
    """Text, reasoning, calls, the reason of the end and the counts are what the OpenAI SDK reads from the provider's bytes."""
    data = _stream(file)
    out, stream = _translated(data)
    well_formed.check(out)
    theirs, ours = by_openai(data), by_anthropic(out)
    if theirs.error is not None:  # Groq, whose model did not call the tool that it had to
        assert ours.error == theirs.error
        return
    assert ours.error is None
    assert ours.text == theirs.text + theirs.refusal
    assert ours.reasoning == theirs.reasoning
    assert ours.calls == theirs.calls
    assert ours.finish == _wanted(theirs)
    assert ours.usage is not None
    prompt, completion = _usage(theirs.usage)
    assert ours.usage["input_tokens"] + ours.usage["cache_read_input_tokens"] == prompt
    assert ours.usage["output_tokens"] == completion
    assert (theirs.usage is None) == ("the provider counted no tokens" in stream.losses)


@wire.needs_wire
@pytest.mark.parametrize("file", CHAT + CHAT_PAYLOADS or NONE)
def test_the_cuts_of_a_recording_do_not_matter(file: str) -> None:
    """A recorded stream that comes in single bytes, or in network chunks, gives the same bytes; so do other line ends."""
    data = _stream(file)
    wanted, _ = _translated(data)
    for pieces in (
        splits.in_steps(1)(data),
        splits.in_steps(1400)(data),
        [splits.with_crlf(data.replace(b"\r\n", b"\n"))],
    ):
        stream = ChatStream("msg_0123456789abcdef0123456789abcdef", "claude-sonnet-4-5")
        assert b"".join([stream.open(), *map(stream.feed, pieces), stream.close()]) == wanted


@wire.needs_wire
@pytest.mark.parametrize("file", STRANGE or NONE)
def test_another_protocol_is_an_error(file: str) -> None:
    """A stream of another protocol (Responses, Realtime, text completions) is an error in words, and no empty answer."""
    out, stream = _translated(_stream(file))
    events = well_formed.check(out)
    assert [event["type"] for event in events] == ["message_start", "error"]
    assert stream.error is not None
    assert (
        "not of Chat Completions" in stream.error["error"]["message"]
        or "text completion" in stream.error["error"]["message"]
    )
    assert by_anthropic(out).error == stream.error["error"]["message"]


@wire.needs_wire
def test_a_recording_that_is_cut_anywhere_is_never_a_clean_answer() -> None:
    """Every beginning of a recorded stream, up to its finish reason, ends in an error; from there on it is whole."""
    data = _stream("openai_sse/pydai__test_complex_agent_run__00_79ad99.sse")
    finish = data.index(b'"finish_reason":"tool_calls"')
    finish = data.index(b"}]", finish)
    for end in range(0, len(data), 7):
        out, stream = _translated(data[:end])
        well_formed.check(out)
        assert stream.complete or end <= data.index(b"\n\n", finish)
        assert not stream.complete or end > finish
