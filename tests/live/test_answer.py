"""An answer as it is being said: the same words however its bytes are cut, and nothing unknown is swallowed."""

from __future__ import annotations

import gzip
import json
import zlib
from collections import defaultdict
from typing import Any

import brotli
import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ccproxy.live import answer as module
from ccproxy.live.answer import Answer
from ccproxy.live.events import Block, Event, LiveUsage, Other, Piece
from ccproxy.protocol import message, sse
from ccproxy.records import Heading
from tests.support import splits, wire
from tests.support.entries import event, stream

STREAM = [("content-type", "text/event-stream; charset=utf-8")]
JSON = [("content-type", "application/json")]
CITATION = {"type": "char_location", "cited_text": "œuvre", "document_index": 0}


def _answer(*headers: tuple[str, str], limit: int = 1_000_000) -> Answer:
    return Answer("an-id", Heading(200, list(headers or STREAM)), limit)


def _say(answer: Answer, pieces: list[bytes]) -> list[Event]:
    return splits.decode(answer, pieces)


def _texts(events: list[Event]) -> dict[tuple[int, str], str]:
    """Return the pieces joined, by block and kind."""
    found: dict[tuple[int, str], str] = defaultdict(str)
    for name, data in events:
        if isinstance(data, Piece):
            found[data.index, name] += data.text
    return dict(found)


def _named(events: list[Event], name: str) -> list[Any]:
    return [data for found, data in events if found == name]


def _delta(index: int, kind: str, **members: Any) -> bytes:
    return event("content_block_delta", index=index, delta={"type": kind, **members})


def _start(index: int, kind: str, **members: Any) -> bytes:
    return event("content_block_start", index=index, content_block={"type": kind, **members})


RICH = b"".join([
    event("message_start", message={"id": "msg_1", "model": "claude-test-1", "content": [], "usage": {"input_tokens": 9}}),
    _start(0, "thinking", thinking="", signature=""),
    b"event: ping\ndata: {\"type\": \"ping\"}\n\n",
    *(_delta(0, "thinking_delta", thinking=piece) for piece in ("Hmm, ", "d’accord ", "🤔")),
    _delta(0, "signature_delta", signature="EqQB"),
    event("content_block_stop", index=0),
    _start(1, "text", text=""),
    *(_delta(1, "text_delta", text=piece) for piece in ("Voilà, ", "日本語 ", "und ", "🎉 mehr\n\n")),
    _delta(1, "citations_delta", citation=CITATION),
    event("content_block_stop", index=1),
    _start(2, "tool_use", id="toolu_1", name="Bash", input={}),
    *(_delta(2, "input_json_delta", partial_json=piece) for piece in ("", '{"command": "ls', ' -l", "é": ', "[1, 2]}")),
    event("content_block_stop", index=2),
    event("message_delta", delta={"stop_reason": "tool_use", "stop_sequence": None}, usage={"output_tokens": 42}),
    event("message_stop"),
])  # fmt: skip
RICH_TEXTS = {
    (0, "thinking"): "Hmm, d’accord 🤔",
    (1, "text"): "Voilà, 日本語 und 🎉 mehr\n\n",
    (2, "tool_input"): '{"command": "ls -l", "é": [1, 2]}',
}


@given(splits.random_cuts())
def test_the_words_do_not_depend_on_the_cuts(cuts: list[int]) -> None:
    """However the bytes come, the pieces of each block join to the same text, and the events are the same."""
    events = _say(_answer(), splits.cut_at(RICH, cuts))
    assert _texts(events) == RICH_TEXTS
    assert events == _say(_answer(), [RICH])


@given(splits.random_cuts(), st.sampled_from(["gzip", "deflate", "br", "zstd"]))
def test_packed_answers_are_unpacked_as_they_come(cuts: list[int], encoding: str) -> None:
    """Each content encoding is undone piece by piece, and the words are the same."""
    packed = {
        "gzip": gzip.compress,
        "deflate": zlib.compress,
        "br": brotli.compress,
        "zstd": zstandard.compress,
    }[encoding](RICH)
    assert _texts(_say(_answer(*STREAM, ("content-encoding", encoding)), splits.cut_at(packed, cuts))) == RICH_TEXTS


def test_a_packed_stream_is_told_before_it_is_over() -> None:
    """What the provider has flushed is heard at once, not when the stream ends."""
    packer = zlib.compressobj(wbits=31)
    answer = _answer(*STREAM, ("content-encoding", "gzip"))
    pieces = [piece + b"\n\n" for piece in RICH.split(b"\n\n") if piece]
    heard = [answer.feed(packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH)) for piece in pieces]
    plain = _answer()
    assert heard == [plain.feed(piece) for piece in pieces]


def test_an_answer_recorded_plain_is_read_plain() -> None:
    """Where the record says that it holds decoded bytes, they are not decoded again."""
    heading = Heading(200, [*STREAM, ("content-encoding", "gzip")], plain=True)
    assert _texts(_say(Answer("an-id", heading), [RICH])) == RICH_TEXTS


def test_a_body_that_does_not_decode_is_told_once() -> None:
    """Broken compression is one event, and no end of the view."""
    answer = _answer(*STREAM, ("content-encoding", "gzip"))
    events = _say(answer, [b"this is no gzip"] * 3)
    assert [data.kind for data in _named(events, "other")] == ["undecodable"]


def test_a_block_introduces_itself() -> None:
    """A block's start names its type and, of a tool call, tool and id; its stop comes after its last piece."""
    events = _say(_answer(), [RICH])
    blocks = [
        (b.index, b.phase, b.type, b.tool_name, b.tool_use_id) for b in _named(events, "block") if b.phase != "delta"
    ]
    assert blocks == [
        (0, "start", "thinking", None, None),
        (0, "stop", "thinking", None, None),
        (1, "start", "text", None, None),
        (1, "stop", "text", None, None),
        (2, "start", "tool_use", "Bash", "toolu_1"),
        (2, "stop", "tool_use", None, None),
    ]


def test_citations_and_signatures_are_block_events() -> None:
    """What is neither text nor input comes as it is, as a delta of its block."""
    found = {b.index: json.loads(bytes(b.data)) for b in _named(_say(_answer(), [RICH]), "block") if b.phase == "delta"}
    assert found == {
        0: {"type": "signature_delta", "signature": "EqQB"},
        1: {"type": "citations_delta", "citation": CITATION},
    }


def test_message_usage_and_stop_reason_are_told() -> None:
    """Who answers, what it costs so far, and why it stopped."""
    answer = _answer()
    events = _say(answer, [RICH])
    assert [(m.message_id, m.model) for m in _named(events, "message")] == [("msg_1", "claude-test-1")]
    assert _named(events, "usage") == [LiveUsage("an-id", 9), LiveUsage("an-id", 9, 42)]
    assert [s.stop_reason for s in _named(events, "stop_reason")] == ["tool_use"]
    assert (answer.usage.input, answer.usage.output) == (9, 42)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (event("brand_new", x=1), "brand_new"),
        (_start(0, "hologram", frames=[1]), "block hologram"),
        (_delta(0, "hologram_delta", frames=[2]), "delta hologram_delta"),
        (b"data: not json\n\n", "malformed"),
        (b"data: [1]\n\n", "malformed"),
        (b"event: thing\ndata: {\ndata: \"a\": 1}\n\n", "thing"),
    ],
)  # fmt: skip
def test_what_nobody_knows_shows_up(raw: bytes, kind: str) -> None:
    """Unknown events, blocks and deltas, and what is no JSON, are told as `other`, on one line of JSON."""
    events = _say(_answer(), [event("message_start", message={}), raw])
    [other] = [o for o in _named(events, "other") if o.kind == kind]
    assert isinstance(other, Other)
    line = bytes(other.data)
    assert b"\n" not in line
    assert json.loads(line)


def test_an_unknown_event_keeps_its_raw_json() -> None:
    """The JSON of what is unknown is the provider's own, to the digit."""
    raw = b'{"type":"brand_new", "big":123456789012345678901234567890 , "f":1.10}'
    [other] = _named(_say(_answer(), [b"data: " + raw + b"\n\n"]), "other")
    assert bytes(other.data) == raw


def test_done_and_pings_are_silence() -> None:
    """Keep-alives and the closing word of other protocols say nothing."""
    assert _say(_answer(), [b": comment\n\n", event("ping"), b"data: [DONE]\n\n", event("message_stop")]) == []


def test_text_that_comes_with_the_start_counts() -> None:
    """A block that is there at once is told like one that was streamed."""
    events = _say(
        _answer(),
        [event("message_start", message={}), _start(0, "text", text="All "), _delta(0, "text_delta", text="of it")],
    )
    assert _texts(events) == {(0, "text"): "All of it"}


def test_tool_input_that_comes_at_once_is_told_when_the_block_stops() -> None:
    """Where no delta follows, the input of the start is the input."""
    start = _start(0, "tool_use", id="t", name="Read", input={"path": "/x"})
    stop = event("content_block_stop", index=0)
    assert _texts(_say(_answer(), [start, stop])) == {(0, "tool_input"): '{"path":"/x"}'}
    assert _texts(_say(_answer(), [start, _delta(0, "input_json_delta", partial_json="{}"), stop])) == {
        (0, "tool_input"): "{}"
    }


def test_a_delta_without_a_start_opens_its_block() -> None:
    """A stream whose beginning is missing is told from where it is."""
    events = _say(_answer(), [_delta(3, "text_delta", text="late")])
    assert _texts(events) == {(3, "text"): "late"}
    assert [(b.index, b.phase, b.type) for b in _named(events, "block")] == [(3, "start", "text")]


def test_an_index_that_is_taken_gets_the_next_one() -> None:
    """A start that repeats an index opens a block of its own, and deltas for either number go there."""
    first = [_start(0, "text", text=""), _delta(0, "text_delta", text="one")]
    second = [_start(0, "text", text=""), _delta(1, "text_delta", text="two"), _delta(0, "text_delta", text="!")]
    assert _texts(_say(_answer(), first + second)) == {(0, "text"): "one", (1, "text"): "two!"}


def test_a_second_message_takes_the_first_ones_place() -> None:
    """After a second beginning in one stream the blocks are those of the second."""
    answer = _answer()
    _say(answer, [*stream([{"type": "text", "text": "first"}]), *stream([{"type": "text", "text": "second"}])])
    assert [said.text for said in answer.blocks.said()] == ["second"]


def test_an_error_in_a_stream_is_told() -> None:
    """An overload in the middle of an answer comes with its type and sentence."""
    answer = _answer()
    _say(answer, [event("error", error={"type": "overloaded_error", "message": "Overloaded"})])
    assert answer.error is not None
    assert (answer.error.type, answer.error.message) == ("overloaded_error", "Overloaded")


@given(splits.random_cuts())
def test_a_json_answer_is_told_at_its_end(cuts: list[int]) -> None:
    """An answer that is no stream gives its blocks, usage and stop reason when it is complete."""
    content = [
        {"type": "text", "text": "Grüße"},
        {"type": "tool_use", "id": "t", "name": "Bash", "input": {"command": "ls"}},
    ]
    body = json.dumps({
        "id": "msg_2", "type": "message", "model": "m", "content": content, "stop_reason": "tool_use",
        "usage": {"input_tokens": 3, "output_tokens": 5},
    }).encode()  # fmt: skip
    answer = _answer(*JSON)
    assert [event for piece in splits.cut_at(body, cuts) for event in answer.feed(piece)] == []
    events = answer.close()
    assert _texts(events) == {(0, "text"): "Grüße", (1, "tool_input"): '{"command":"ls"}'}
    assert _named(events, "usage") == [LiveUsage("an-id", 3, 5)]
    assert answer.stop is not None
    assert answer.close() == []


@pytest.mark.parametrize(
    ("body", "name", "kind"),
    [
        (b'{"type":"error","error":{"type":"not_found_error","message":"no"}}', "api_error", None),
        (b'{"input_tokens": 12}', "other", "json"),
        (b"{broken", "other", "malformed"),
    ],
)
def test_other_json_answers_are_told_too(body: bytes, name: str, kind: str | None) -> None:
    """Errors by their name, everything else as it is."""
    [said] = _say(_answer(*JSON), [body])
    assert said.name == name
    assert kind is None or said.data.kind == kind  # type: ignore[attr-defined]


def test_an_answer_that_is_too_large_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A JSON answer beyond the limit is not held in memory; that is told, once."""
    monkeypatch.setattr(module, "MAX_JSON_BYTES", 100)
    events = _say(_answer(*JSON), [b"x" * 60] * 10)
    assert [data.kind for data in _named(events, "other")] == ["too_large"]


def test_other_content_is_silence() -> None:
    """Bytes that are neither events nor JSON say nothing."""
    assert _say(_answer(("content-type", "text/html")), [b"<html>" * 1000]) == []


def test_kept_text_is_the_last_of_it() -> None:
    """Beyond the limit the beginning goes, is counted, and what is kept joins on to what comes."""
    answer = _answer(limit=10)
    _say(
        answer,
        [_start(0, "text", text=""), *(_delta(0, "text_delta", text=piece) for piece in ("abcd", "efgh", "ijklm"))],
    )
    [said] = answer.blocks.said()
    assert (said.text, said.cut) == ("defghijklm", 3)


def test_every_known_block_type_is_known_here() -> None:
    """No block that the protocol layer knows is told as unknown."""
    for kind in message._KNOWN_BLOCKS:
        assert not _named(_say(_answer(), [_start(0, kind)]), "other"), kind


@given(
    st.lists(
        st.one_of(st.binary(max_size=40), st.sampled_from(RICH.split(b"\n\n")).map(lambda e: e + b"\n\n")), max_size=20
    )
)
def test_nothing_raises(pieces: list[bytes]) -> None:
    """Whatever comes, the answer is told as far as it can be, as JSON."""
    for event_ in _say(_answer(), pieces):
        assert b"\n" not in msgspec.json.encode(event_.data)


_NAMES = ["type", "index", "delta", "content_block", "message", "usage", "content", "text", "error", "stop_reason"]
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=5),
)


@given(_ANYTHING)
def test_no_shape_raises(value: Any) -> None:
    """Members of any type where another was expected are survived."""
    for kind in (
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "error",
    ):
        payload = {
            **(value if isinstance(value, dict) else {"delta": value, "message": value, "usage": value}),
            "type": kind,
        }
        _say(_answer(), [b"data: %s\n\n" % json.dumps(payload).encode()])


@wire.needs_wire
@pytest.mark.parametrize("name", wire.stream_files())
def test_recorded_streams_say_what_their_message_says(name: str) -> None:
    """For every recorded stream the pieces of each block join to what the protocol layer builds of it."""
    raw = wire.stream(name)
    answer = _answer()
    _say(answer, splits.in_steps(1000)(raw))
    decoder = sse.Decoder()
    built = message.build(decoder.feed(raw) + decoder.close())
    content = (built.message or {}).get("content") or []
    said = {block.index: block for block in answer.blocks.said()}
    assert len(said) == len(content)
    for block, expected in zip(said.values(), content, strict=True):
        assert block.type == expected.get("type")
        if block.type in ("text", "thinking"):
            assert block.text == expected.get(block.type, "")
        elif block.type.endswith("tool_use"):
            assert (block.tool_name, block.tool_use_id) == (expected.get("name"), expected.get("id"))
            got = (
                json.loads(block.text or "{}")
                if "_partial_json" not in expected["input"]
                else {"_partial_json": block.text}
            )
            assert got == expected["input"]


def test_blocks_are_structures_that_encode() -> None:
    """An event of each kind becomes one line of JSON."""
    line = msgspec.json.encode(Block("an-id", 0, "start", "image", data=msgspec.Raw(b'{"source":1}')))
    assert json.loads(line)["data"] == {"source": 1}
