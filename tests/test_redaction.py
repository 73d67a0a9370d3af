"""Redaction: nothing that matches a pattern is left, however it is spelled, cut or spread; and everything else stays as it was."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccproxy.protocol import sse
from ccproxy.protocol.message import build
from ccproxy.redaction import stream as held
from ccproxy.redaction.stream import HeldBody, HeldStream
from ccproxy.redaction.text import Redaction
from tests.support import wire
from tests.support.entries import event, stream
from tests.support.splits import decode, fixed_cuts, in_steps, random_cuts, with_cr, with_crlf

SECRET = "hunter2-XYZ"
HIDDEN = Redaction([r"hunter2-\w+", r"(?i)password[:=]\s*\S+"])
NOTHING = Redaction(["this stands nowhere"])


MASKED = {
    "plain text": (b"say hunter2-XYZ, or hunter2-b.", b"say [redacted], or [redacted]."),
    "JSON": (b'{"a" : "x hunter2-XYZ y","n":1.10,"m":1e400}', b'{"a" : "x [redacted] y","n":1.10,"m":1e400}'),
    "an escape": (rb'{"a":"\u0068unter2-X\u0059Z\n"}', rb'{"a":"[redacted]\n"}'),
    "a key": (b'{"hunter2-XYZ":1}', b'{"[redacted]":1}'),
    "a greedy pattern": (b'{"a":"password=abc","b":"c d"}', b'{"a":"[redacted]","b":"c d"}'),
    "a greedy pattern at a line's end": (rb'{"a":"password:\nabc\ndef","b":1}', rb'{"a":"[redacted]\ndef","b":1}'),
    "umlauts beside it": ('{"a":"ä hunter2-ü"}'.encode(), '{"a":"ä [redacted]"}'.encode()),
    "half a character beside it": (rb'{"a":"\ud83d hunter2-x"}', rb'{"a":"\ud83d [redacted]"}'),
    "bytes that are no text": (b"\xff hunter2-XYZ \xfe", b"\xff [redacted] \xfe"),
    "JSON that broke off": (b'{"a":"hunter2-XYZ","b":[1,"x hunter2-XYZ', b'{"a":"[redacted]","b":[1,"x [redacted]'),
    "JSON that broke off in an escape": (rb'{"b":"\u0068unter2-XYZ and \"', rb'{"b":"[redacted] and \"'),
    "no JSON, with an escape": (rb'say "\u0068unter2-XYZ" now', rb'say "[redacted]" now'),
    "no JSON, of several lines": (b'"say\nhunter2-XYZ" now\n', b'"say\n[redacted]" now\n'),
}  # fmt: skip


@pytest.mark.parametrize("name", MASKED)
def test_what_matches_is_masked(name: str) -> None:
    """A match is masked wherever it stands, however it is spelled; what stands beside it stays."""
    body, wanted = MASKED[name]
    assert HIDDEN.body(body) == wanted


ACROSS = [
    (r'"password"\s*:\s*"[^"]*"', '{"password" : "abc", "b": [1]}', '{"[redacted]" : "[redacted]", "b": [1]}'),
    (r'"n":\s*\d+', '{"n":12,"m":12}', '{"[redacted]":"[redacted]","m":12}'),
    (r"\d{16}", '{"n":1234567890123456,"m":12}', '{"n":"[redacted]","m":12}'),
    (r'x","role":"user', '{"content":"x","role":"user","a":true}', '{"content":"[redacted]","[redacted]":"[redacted]","a":true}'),
    (r"\}", '{"a":"b}"}', '{"a":"b[redacted]"}'),
    (r"\{", "{}", "{}"),
    (r"n[a-z]{4}", r'{"a":"x\nabcd"}', r'{"a":"x\nabcd"}'),
    ("true|null", '{"a":true,"b":[null,"true"]}', '{"a":"[redacted]","b":["[redacted]","[redacted]"]}'),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "text", "wanted"), ACROSS)
def test_json_stays_json(pattern: str, text: str, wanted: str) -> None:
    """What matches across strings masks all that it touches, and never takes the JSON apart; escapes are no text."""
    assert Redaction([pattern]).body(text.encode()).decode() == wanted


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just(f"a {SECRET} b"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4) | st.just(SECRET), inner),
    max_leaves=10,
)


@settings(deadline=None)
@given(JSON, st.booleans(), st.sampled_from([None, 1]))
def test_only_the_strings_that_match_change(value: Any, ascii_only: bool, indent: int | None) -> None:
    """In any JSON in any spelling the value is the same but for what matches."""

    def masked(part: Any) -> Any:
        if isinstance(part, str):
            return HIDDEN.text(part)
        if isinstance(part, dict):
            return {masked(key): masked(member) for key, member in part.items()}
        return [masked(entry) for entry in part] if isinstance(part, list) else part

    found = HIDDEN.body(json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode())
    assert json.loads(found) == masked(value)


@settings(deadline=None)
@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_nothing_that_matches_means_nothing_changes(body: bytes) -> None:
    """Bytes of any kind stay as they are where nothing matches."""
    assert NOTHING.body(body) == body


@settings(deadline=None)
@given(st.text(max_size=30), st.text(max_size=30), random_cuts())
def test_a_match_that_is_spread_over_pieces_is_masked(before: str, after: str, cuts: list[int]) -> None:
    """However a text is cut, its pieces come to the masked text, and what is outside a match stays in its piece."""
    text = f"{before} {SECRET} {after}"
    pieces = _cut(text, cuts)
    found = HIDDEN.pieces(pieces)
    assert len(found) == len(pieces)
    assert "".join(found) == HIDDEN.pieces([text])[0]
    assert SECRET not in "".join(found)


def _cut(text: str, cuts: list[int]) -> list[str]:
    edges = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


def _through(pieces: list[bytes], redaction: Redaction = HIDDEN) -> list[tuple[int, bytes]]:
    """Feed pieces at the times 0, 1, 2, …, and return all that comes out."""
    holder, found = HeldStream(redaction), []
    for at, piece in enumerate(pieces):
        found += holder.feed(at, piece)
    return found + holder.close()


def _joined(found: list[tuple[int, bytes]]) -> bytes:
    return b"".join(data for _, data in found)


ANSWER = [
    {"type": "text", "text": f"The password is {SECRET}, and password: abc is another."},
    {"type": "tool_use", "id": "t", "name": "Bash", "input": {"command": f"echo {SECRET} \"password=x y\"\nls", "n": 1}},
]  # fmt: skip
WANTED = [
    {"type": "text", "text": "The password is [redacted], and [redacted] is another."},
    {"type": "tool_use", "id": "t", "name": "Bash", "input": {"command": 'echo [redacted] "[redacted] y"\nls', "n": 1}},
]  # fmt: skip


@pytest.mark.parametrize("pieces", [1, 2, 7, 30, 200])
def test_a_match_that_is_spread_over_deltas_is_masked(pieces: int) -> None:
    """However many deltas a text or a tool's input comes in, no part of a match comes out, and the message is whole."""
    found = _through(stream(ANSWER, pieces=pieces))
    message = build(decode(sse.Decoder(), [_joined(found)])).message
    assert message is not None
    assert message["content"] == WANTED
    assert b"unter2" not in _joined(found)
    assert len(found) == len(stream(ANSWER, pieces=pieces))


@pytest.mark.parametrize("change", [bytes, with_crlf, with_cr])
def test_a_stream_is_masked_at_any_cut(change: Any) -> None:
    """However the bytes are cut and lines end, what comes out is the same."""
    raw = change(b"".join(stream(ANSWER, pieces=9)))
    [whole, *others] = [_joined(_through(pieces)) for pieces in fixed_cuts(raw)]
    assert all(other == whole for other in others)
    assert b"unter2" not in whole


def test_every_event_keeps_its_time() -> None:
    """An event comes with the time of the piece that completed it, also when it was held back."""
    events = stream(ANSWER, pieces=12)
    assert [at for at, _ in _through(events)] == list(range(len(events)))
    halves = [half for data in events for half in (data[:9], data[9:])]
    assert [at for at, _ in _through(halves)] == [2 * number + 1 for number in range(len(events))]


def test_only_the_deltas_of_a_block_are_held() -> None:
    """What a block says comes out at its end, pings within it too; everything else as soon as it is there."""
    holder = HeldStream(HIDDEN)
    ping = event("ping")
    events = stream(ANSWER[:1], pieces=2)
    script = [*events[:2], ping, events[2], ping, b": comment\n\n", events[3], *events[4:]]
    sizes = [len(holder.feed(at, data)) for at, data in enumerate(script)]
    assert sizes == [1, 1, 1, 0, 0, 0, 0, 5, 1, 1]
    assert holder.close() == []


ODD = {
    "blocks side by side": [
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": "hunter"}),
        event("content_block_delta", index=1, delta={"type": "text_delta", "text": "hunter"}),
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": "2-X"}),
        event("content_block_delta", index=1, delta={"type": "text_delta", "text": "2-Y"}),
    ],
    "a delta of tomorrow": [
        event("content_block_delta", index=0, delta={"type": "new_delta", "words": "hun"}),
        event("content_block_delta", index=0, delta={"type": "new_delta", "words": "ter2-X"}),
    ],
    "a delta that says more": [
        event("content_block_delta", index=[], delta={"type": "x", "text": "hun", "more": SECRET}, other=SECRET),
        event("content_block_delta", index=[], delta={"type": "x", "text": "ter2-X"}),
    ],
    "a citation": [
        event("content_block_delta", index=0, delta={"type": "citations_delta", "citation": {"cited_text": SECRET}})
    ],
    "the start of a block": [event("content_block_start", content_block={"type": "x", "content": [SECRET]})],
    "an error": [event("error", error={"message": SECRET})],
    "odd types": [event("content_block_delta", index=0, delta=[SECRET]), b'data: {"type":["%s"]}\n\n' % SECRET.encode()],
    "data on two lines": [b'data: {"a":\ndata: "hunter2-XYZ"}\n\n'],
    "a comment, an id, a name": [b": hunter2-XYZ\nid: hunter2-XYZ\nevent: hunter2-XYZ\ndata: 1\n\n"],
    "no field": [b"hunter2-XYZ: x\nhunter2-XYZ\n\n"],
    "an end in the middle": [b'data: {"type":"content_block_delta","delta":{"type":"text_delta","text":"hunter2-XYZ'],
    "a block without end": stream(ANSWER, pieces=9)[:6],
    "another kind of stream": [b'data: {"choices":[{"delta":{"content":"hunter2-XYZ"}}]}\n\n', b"data: [DONE]\n\n"],
    "nested deeply": [b"data: " + b"[" * 20000 + b'"hunter2-XYZ"\n\n'],
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_no_shape_of_event_hides_a_match(name: str) -> None:
    """Whatever the events look like, what matches is masked, and no event is lost."""
    for pieces in (ODD[name], *fixed_cuts(b"".join(ODD[name]))):
        found = _joined(_through(pieces))
        assert b"unter2" not in found
        assert b"[redacted]" in found
        assert found.count(b"data:") == b"".join(ODD[name]).count(b"data:")


@settings(deadline=None)
def _chat(delta: dict[str, Any], finish: str | None = None) -> bytes:
    return b"data: %s\n\n" % json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}).encode()


def _call(index: int, arguments: str) -> bytes:
    return _chat({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]})


CHAT = [
    _chat({"role": "assistant", "content": ""}), _chat({"reasoning_content": "It is hun"}), _chat({"content": "The word is hunt"}),
    _chat({"reasoning_content": "ter2-XYZ, I think"}), _chat({"content": "er2-XYZ."}), _call(0, '{"command": "echo hu'),
    _call(1, '{"path": "/hunter2'), _call(0, 'nter2-XYZ"}'), _call(1, '-XYZ"}'), _chat({}, "tool_calls"), b"data: [DONE]\n\n",
]  # fmt: skip


def test_a_match_that_is_spread_over_chunks_of_chat_completions_is_masked() -> None:
    """Text, reasoning and the arguments of calls that come side by side are each searched as the one text that they are."""
    for pieces in (CHAT, *fixed_cuts(b"".join(CHAT))):
        found = _joined(_through(pieces))
        assert b"unter2" not in found
        assert found.count(b"[redacted]") == 4
        assert found.count(b"data:") == len(CHAT)
    deltas = [json.loads(data[6:])["choices"][0]["delta"] for _, data in _through(CHAT) if b"choices" in data]
    assert "".join(delta.get("content", "") for delta in deltas) == "The word is [redacted]."


ELSEWHERE = {
    "reasoning in details": [
        _chat({"reasoning_details": [{"type": "reasoning.text", "text": "hun"}]}),
        _chat({"reasoning_details": [{"type": "reasoning.text", "text": "ter2-XYZ"}]}),
    ],
    "content in parts": [
        _chat({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hunter"}]}]}),
        _chat({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "2-XYZ"}]}]}),
    ],
    "a function call": [
        _chat({"function_call": {"name": "f", "arguments": '{"a":"hun'}}),
        _chat({"function_call": {"arguments": 'ter2-XYZ"}'}}),
    ],
    "a message": [
        b'data: {"choices":[{"index":0,"message":{"content":"hunt"}}]}\n\n',
        b'data: {"choices":[{"index":0,"message":{"content":"er2-XYZ"}}]}\n\n',
    ],
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_no_place_in_a_chunk_hides_a_match(name: str) -> None:
    """Wherever providers put the pieces of a text, a match that is spread over them is masked."""
    found = _joined(_through(ELSEWHERE[name]))
    assert b"ter2" not in found
    assert b"2-XYZ" not in found
    assert b"[redacted]" in found


def test_chunks_are_held_until_the_answer_says_why_it_ends() -> None:
    """A chunk with a reason to stop lets go of all before it, and what carries no text waits only behind one that does."""
    holder = HeldStream(HIDDEN)
    script = [
        _chat({"role": "assistant"}),
        _chat({"content": "a"}),
        _chat({}),
        b": ping\n\n",
        _chat({}, "stop"),
        _chat({}),
    ]
    assert [len(holder.feed(at, data)) for at, data in enumerate(script)] == [1, 0, 0, 0, 4, 1]


@given(st.lists(st.binary(max_size=30) | st.sampled_from([*stream(ANSWER), b"\n\n", b"\r", b"data: "]), max_size=9))
def test_a_stream_without_a_match_stays_byte_for_byte(pieces: list[bytes]) -> None:
    """Any bytes that come as a stream come out as they went in, in order, where nothing matches."""
    found = _through(pieces, NOTHING)
    assert _joined(found) == b"".join(pieces)
    assert [at for at, _ in found] == sorted(at for at, _ in found)


@wire.needs_wire
@pytest.mark.parametrize("name", wire.stream_files())
def test_recorded_streams_stay_byte_for_byte(name: str) -> None:
    """Recorded streams of every kind come out as they went in."""
    raw = wire.stream(name)
    assert _joined(_through(in_steps(999)(raw), NOTHING)) == raw


def test_what_is_held_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream without end, and a body of any size, are searched in parts; nothing of them is lost."""
    monkeypatch.setattr(held, "MAX_HELD_BYTES", 1000)
    delta = event("content_block_delta", index=0, delta={"type": "text_delta", "text": f"a {SECRET} b"})
    for pieces in ([delta] * 50, [b"data: " + b"x" * 100] * 50):
        for holder in (HeldStream(HIDDEN), HeldBody(HIDDEN)):
            sizes, found = [], []
            for at, piece in enumerate(pieces, 1):
                found += holder.feed(at, piece)
                sizes.append(sum(map(len, pieces[:at])) - len(_joined(found)))
            found += holder.close()
            assert max(sizes) < 3000
            assert _joined(found) == b"".join(pieces).replace(SECRET.encode(), b"[redacted]")


def test_any_other_body_is_held_to_its_end() -> None:
    """A body that is no stream is searched as a whole; that it has begun is told when it begins."""
    holder = HeldBody(HIDDEN)
    assert holder.feed(5, b'{"a":"hunter') == [(5, b"")]
    assert holder.feed(6, b'2-XYZ"}') == []
    assert holder.close() == [(6, b'{"a":"[redacted]"}')]
    assert holder.close() == []
    assert HeldBody(HIDDEN).close() == []
