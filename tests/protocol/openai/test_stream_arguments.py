"""Arguments in pieces: what is passed on, where the object ends, and what stands for none."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ccproxy.protocol.openai.arguments import Arguments, as_text

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='ab"\\{}[]:,\n 🌍', max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='a"\\}', max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(
    st.dictionaries(st.text(max_size=3), JSON, min_size=1, max_size=4),
    st.lists(st.integers(0, 200), max_size=20),
    st.booleans(),
    st.sampled_from(["", " ", "}", '{"b":1}', "text"]),
)
def test_the_object_ends_where_it_ends(value: dict[str, Any], places: list[int], indented: bool, behind: str) -> None:
    """However a JSON object is cut, its pieces are passed on at once and unchanged, and what stands behind it is told apart."""
    text = json.dumps(value, indent=1 if indented else None, ensure_ascii=False)
    edges = [0, *sorted(place % (len(text) + len(behind)) for place in places), len(text) + len(behind)]
    arguments, said, rest = Arguments(), "", ""
    for start, end in pairwise(edges):
        piece, more = arguments.take((text + behind)[start:end])
        said += piece
        rest += more
        assert said == (text + behind)[:end][: len(text)]
    assert (said, rest, arguments.complete) == (text, behind, True)
    assert arguments.rest() == ("", True)


@settings(deadline=None)
@given(st.lists(st.text(max_size=6), max_size=6))
def test_any_text_comes_to_an_object_or_to_nothing(pieces: list[str]) -> None:
    """Whatever text comes, what is passed on begins an object, or is one at the end, or is nothing; nothing raises."""
    arguments = Arguments()
    said = "".join(arguments.take(piece)[0] for piece in pieces)
    rest, meant = arguments.rest()
    assert not (said and rest)
    if rest:
        assert isinstance(json.loads(rest), dict)
    else:
        assert meant
        assert said[:1] in ("", "{")


def test_arguments_that_nobody_can_write_are_no_empty_ones() -> None:
    """An object that is nested too deeply to be written as JSON comes to a text in its place, so that no tool runs without it."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    arguments = Arguments()
    arguments.take(as_text(deep))
    assert arguments.rest() == ('{"_arguments":"nested too deeply"}', False)
