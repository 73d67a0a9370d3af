"""What ingest remembers: one part for all its spellings, always with the text that the store has."""

from __future__ import annotations

from ccproxy.ingest import memory as module
from ccproxy.ingest.memory import Memory
from ccproxy.protocol.parts import json_value

MARK = b',"cache_control":{"type":"ephemeral"}'
PLAIN = b'{"role":"user","content":[{"type":"text","text":"hi"}]}'
MARKED = b'{"role":"user","content":[{"type":"text","text":"hi"' + MARK + b"}]}"
STRING = b'{"role":"user","content":"hi"}'


def _empty(_digest: bytes) -> bytes | None:
    return None


def test_spellings_of_one_part_are_one_part() -> None:
    """Marker or not, string or list, spaced or not: one digest, and the text that was first."""
    memory = Memory(_empty)
    first = memory.seen(PLAIN).part
    assert first.text == PLAIN
    for spelling in (MARKED, STRING, b' {"content": "hi", "role": "user"}'):
        assert memory.seen(spelling).part == first


def test_a_passing_marker_is_no_part_of_the_text() -> None:
    """A message that is first seen with the marker is kept as its next request will spell it."""
    assert Memory(_empty).seen(MARKED, marked=True).part.text == PLAIN
    first = b'{"role":"user","content":[{"cache_control":{"type":"ephemeral"},"type":"text","text":"hi"}]}'
    assert Memory(_empty).seen(first, marked=True).part.text == PLAIN


def test_a_lasting_marker_stays() -> None:
    """A tool or a system block carries its marker in every request, so it is kept with it."""
    assert Memory(_empty).seen(MARKED).part.text == MARKED


def test_text_that_speaks_of_the_marker_is_kept() -> None:
    """What only looks like the marker, in a text or in a tool's input, is not touched."""
    said = b'{"role":"user","content":"a,\\"cache_control\\":{\\"type\\":\\"ephemeral\\"}b"}'
    given = b'{"role":"assistant","content":[{"type":"tool_use","input":{"a":1,"cache_control":{"b":2}}}]}'
    for raw in (said, given):
        assert Memory(_empty).seen(raw, marked=True).part.text == raw


def test_the_text_of_the_store_wins() -> None:
    """A part that the store knows already keeps the text that stands there."""
    assert Memory(lambda _digest: STRING).seen(PLAIN).part.text == STRING


def test_the_store_is_asked_once() -> None:
    """A part that was seen a moment ago costs a look-up, not a question."""
    asked: list[bytes] = []

    def stored(digest: bytes) -> bytes | None:
        asked.append(digest)
        return None

    memory = Memory(stored)
    for _ in range(3):
        for spelling in (PLAIN, MARKED, STRING):
            memory.seen(spelling)
    assert len(asked) == 1


def test_roles_and_names_are_read() -> None:
    """A message has its role, a tool its name, anything else nothing."""
    memory = Memory(_empty)
    found = [memory.seen(raw).role for raw in (PLAIN, b'{"name":"Bash"}', b"7", b'"x"', b'{"role":5}', b"not json")]
    assert found == ["user", "Bash", "", "", "", ""]


def test_a_node_is_new_once() -> None:
    """A node is new the first time, and again when what was asked about never reached the store."""
    memory = Memory(_empty)
    assert [memory.is_new(b"a"), memory.is_new(b"a"), memory.is_new(b"b")] == [True, False, True]
    memory.forget_nodes()
    assert memory.is_new(b"a")


def test_memory_is_bounded_but_only_at_a_trim() -> None:
    """Nothing is forgotten while it may not be in the store; then all of it is, where it is too much."""
    memory = Memory(_empty)
    texts = [b'{"role":"user","content":"%s"}' % (b"%d" % number * 200_000) for number in range(260)]
    for text in texts:
        memory.seen(text)
    assert memory.seen(texts[0].replace(b":", b": ")).part.text == texts[0]
    assert memory._bytes > module.MAX_BYTES
    memory.trim()
    assert memory._bytes == 0
    assert json_value(memory.seen(PLAIN).part.text) == json_value(PLAIN)
    memory.trim()
    assert memory.seen(STRING).part.text == PLAIN
