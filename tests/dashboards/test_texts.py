"""Texts of single blocks, looked up in their messages."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from dashboards.data import Data, TroubleError
from dashboards.data.texts import blocks, said, with_inputs


@pytest.mark.parametrize(
    ("block", "wanted"),
    [
        ({"type": "text", "text": "hi"}, ("text", None, "hi")),
        ({"type": "thinking", "thinking": "hm", "signature": "s"}, ("thinking", None, "hm")),
        ({"type": "tool_use", "id": "t1", "input": {"a": "é"}}, ("tool_use", "t1", '{"a": "é"}')),
        ({"type": "tool_use", "id": 7, "input": "half"}, ("tool_use", None, "half")),
        ({"type": "tool_result", "content": "ok"}, ("tool_result", None, "ok")),
        ({"type": "tool_result", "content": [{"type": "text", "text": "a"}, {"type": "image"}, 7]},
         ("tool_result", None, 'a\n{"type": "image"}\n7')),
        ({"type": "image", "source": {}}, ("image", None, None)),
        ({"text": None}, ("other", None, None)),
        ("bare", ("other", None, "bare")),
    ],
)  # fmt: skip
def test_each_block_has_its_text(block: Any, wanted: tuple[str, str | None, str | None]) -> None:
    """A block of any kind has its text, or none; nothing that a client sends is too odd."""
    assert said(block) == wanted


def test_blocks_are_those_of_the_view(handmade_data: Data) -> None:
    """Looked up one by one, blocks have the places, types and calls that the view has, and the texts of what was said."""
    view = handmade_data.capture.blocks(bodies=True).collect()
    found = blocks(handmade_data, view["node"].unique(maintain_order=True))
    both = view.join(found, on=["node", "position"], how="full", suffix="_found")
    assert both.height == view.height == found.height
    assert both["type"].equals(both["type_found"], check_names=False)
    spoken = both.filter(pl.col("type") == "text")
    assert spoken["text"].to_list() == spoken["text_found"].to_list()


def test_calls_get_their_inputs(handmade_data: Data) -> None:
    """A call has the input that its message says; one that is not found has none."""
    calls = handmade_data.capture.tool_calls().collect().select("tool_use_id", "node", "tool_name")
    found = with_inputs(handmade_data, calls)
    assert found["tool_use_id"].equals(calls["tool_use_id"])
    inputs = dict(found.select("tool_use_id", "input").iter_rows())
    assert inputs["toolu_1"] == '{"command": "pytest -x"}'
    stray = calls.with_columns(tool_use_id=pl.lit("none-such"))
    assert with_inputs(handmade_data, stray)["input"].null_count() == calls.height


def test_captures_that_cannot_be_read_say_so(handmade_data: Data) -> None:
    """A message that is gone is a trouble, which a page can show."""
    with pytest.raises(TroubleError):
        blocks(handmade_data, ["00"])
