"""What holds for every stream: the grammar, the cuts, the ids and arguments; and that nothing raises."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ccproxy.protocol.openai.stream import ChatStream
from tests.support import splits, well_formed
from tests.support.chat import ASKED_FOR, MESSAGE_ID, called, chunk, counted, framed, translated

PIECES = st.text(max_size=4)
FRAGMENTS = st.builds(
    called,
    st.none() | st.integers(0, 2),
    st.none()
    | st.sampled_from(["", "{", "}", "{}", '{"a":', '"x\\', '"', "1}", "[1]", " ", "null"])
    | PIECES
    | st.just({"a": 1}),
    id_=st.none() | st.sampled_from(["", "x", "y"]),
    name=st.none() | st.sampled_from(["", "f", "g", "read_", "file"]),
)
DELTAS = st.one_of(
    FRAGMENTS,
    st.builds(lambda one, two: {"tool_calls": one["tool_calls"] + two["tool_calls"]}, FRAGMENTS, FRAGMENTS),
    FRAGMENTS.map(lambda delta: {"function_call": delta["tool_calls"][0]["function"]}),
    st.dictionaries(st.sampled_from(["content", "reasoning", "reasoning_content", "refusal"]), PIECES, max_size=3),
    PIECES.map(lambda text: {"content": [{"type": "thinking", "thinking": text}, {"type": "text", "text": text}]}),
    PIECES.map(lambda text: {"reasoning_details": [{"type": "reasoning.text", "text": text}]}),
)
CHUNKS = st.builds(
    chunk,
    DELTAS,
    st.none() | st.none() | st.none() | st.sampled_from(["stop", "length", "tool_calls", "error", "odd"]),
    index=st.sampled_from([0, 0, 0, 1]),
)
STREAMS = st.builds(
    lambda parts, done: framed(*parts, done=done),
    st.lists(CHUNKS | st.just(counted(prompt_tokens=1, completion_tokens=1)) | st.just({"error": "no"}), max_size=10),
    st.booleans(),
)


@settings(deadline=None, max_examples=150)
@given(STREAMS, st.sampled_from([None, "broken"]), st.booleans())
def test_what_comes_out_is_a_stream_of_anthropics(data: bytes, broken: str | None, named: bool) -> None:
    """Whatever chunks come in whatever order, the result keeps the grammar: one start, blocks in order, one end or one error."""
    translated(data, broken=broken, names={"read_file": "Read"} if named else None)


@settings(deadline=None, max_examples=100)
@given(STREAMS, splits.random_cuts())
def test_the_cuts_do_not_matter(data: bytes, places: list[int]) -> None:
    """However the provider's bytes are cut, the client gets the same bytes."""
    wanted = translated(data).data
    assert translated(*splits.cut_at(data, places)).data == wanted
    assert translated(*splits.byte_by_byte(data)).data == wanted


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5) | st.just("\ud83d"),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from([
            "choices", "delta", "message", "index", "finish_reason", "content", "reasoning", "reasoning_content",
            "reasoning_details", "refusal", "tool_calls", "function_call", "function", "name", "arguments", "id", "type",
            "text", "thinking", "usage", "x_groq", "error", "model", "logprobs", "prompt_tokens", "object",
        ]),
        inner,
        max_size=5,
    ),
    max_leaves=25,
)  # fmt: skip


def _choice(value: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": value}]}


def _call(value: Any) -> dict[str, Any]:
    return _choice({"tool_calls": [{"index": 0, "id": "x", "function": value}]})


@settings(deadline=None, max_examples=150)
@given(st.lists(JSON | JSON.map(_choice) | JSON.map(_call), max_size=6), st.booleans())
@example([_choice({"content": "\ud83d"}), _choice({"content": "\ude00"})], True)
@example([_call({"name": "\ud83d", "arguments": '{"a":"\ud83d'}), _call({"arguments": '\ude00"}'})], True)
@example([_call({"name": "f", "arguments": "\ud83d"})], True)
@example([_choice({"\ud83d": 1}), {"error": {"message": "\ud83d", "code": "\ud83d"}}], True)
@example([_call({"name": "f", "arguments": 10**400})], True)
def test_no_json_is_a_trap(values: list[Any], done: bool) -> None:
    """Any JSON in any place, with half characters and huge numbers, gives a stream that keeps the grammar; nothing raises."""
    translated(framed(*values, done=done))


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.binary(max_size=30) | st.sampled_from([b"data: ", b"\n\n", b"{", b'"', b"[DONE]", b"event: error\n"]))
)
def test_no_bytes_are_a_trap(pieces: list[bytes]) -> None:
    """Any bytes at all give a stream that keeps the grammar; nothing raises."""
    translated(*pieces)


def test_nesting_is_no_trap() -> None:
    """Chunks that are nested deeper than a reader goes, or just as deep, cost no more than the answer."""
    for depth in [100_000, *range(900, 1000)]:
        deep = b"[" * depth + b"]" * depth
        delta = b'{"audio":%s,"tool_calls":[%s,{"function":{"name":"f","arguments":%s}}]}' % (deep, deep, deep)
        translated(b'data: {"choices":[{"delta":%s}],"a":%s}\n\n' % (delta, deep), framed())
        translated(framed(chunk(called(0, deep.decode(), name="f")), chunk({}, "stop")))


IDS = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1, max_size=8)
INPUTS = st.dictionaries(
    st.text(max_size=4),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(alphabet='ab"\\{}\n🌍', max_size=8),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
        max_leaves=5,
    ),
    max_size=3,
)
CALLS = st.lists(
    st.tuples(IDS, st.sampled_from(["Read", "Write", "Bash"]), INPUTS),
    min_size=1,
    max_size=4,
    unique_by=lambda call: call[0],
)


@settings(deadline=None, max_examples=100)
@given(CALLS, st.data())
def test_ids_and_arguments_survive_any_interleaving(
    calls: list[tuple[str, str, dict[str, Any]]], data: st.DataObject
) -> None:
    """Calls whose fragments are cut anywhere and mixed in any order keep their ids byte for byte, their inputs, and their order."""
    waiting: list[list[dict[str, Any]]] = []
    for index, (id_, name, given_input) in enumerate(calls):
        text = json.dumps(given_input, ensure_ascii=False)
        places = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
        pieces = [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]
        waiting.append([called(index, pieces[0], id_=id_, name=name), *(called(index, piece) for piece in pieces[1:])])
    mixed, begun = [], []
    while any(waiting):
        index = data.draw(st.sampled_from([index for index, fragments in enumerate(waiting) if fragments]))
        begun += [index] if index not in begun else []
        mixed.append(chunk(waiting[index].pop(0)))
    got = translated(framed(*mixed, chunk({}, "tool_calls")))
    assert got.calls == [calls[index] for index in begun]


@settings(deadline=None)
@given(st.lists(st.text(max_size=5), max_size=10), st.lists(st.text(max_size=5), max_size=10))
def test_no_word_is_lost(thoughts: list[str], words: list[str]) -> None:
    """All text and all thinking come over, letter for letter."""
    got = translated(
        framed(
            *(chunk({"reasoning": piece}) for piece in thoughts),
            *(chunk({"content": piece}) for piece in words),
            chunk({}, "stop"),
        )
    )
    assert got.text == "".join(words)
    assert "".join(block["thinking"] for block in got.content if block["type"] == "thinking") == "".join(thoughts)


def test_each_feed_says_what_it_completed() -> None:
    """What each feed returns is whole events, so that a client can be given it at once."""
    data = framed(chunk({"content": "añ"}), chunk(called(0, '{"a":1}', id_="x", name="f")), chunk({}, "tool_calls"))
    stream = ChatStream(MESSAGE_ID, ASKED_FOR)
    for piece in splits.byte_by_byte(data):
        well_formed.payloads(stream.feed(piece))
    assert stream.complete
