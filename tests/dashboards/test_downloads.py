"""Buttons that fetch something whole: what they give when they are pressed."""

from __future__ import annotations

import base64
import io
from typing import Any

import panel as pn
import polars as pl
import pytest

from dashboards import downloads
from dashboards.data import Data, TroubleError
from tests.dashboards.conftest import view_of

FRAME = pl.DataFrame({"name": ["a", None], "models": [["x", "y"], None], "cost": [0.5, None]})


def _pressed(button: pn.Row) -> tuple[str, str]:
    """Press a button; return the sort of what it gives, and that."""
    pressed, carrier, _ = button.objects
    pressed.clicks += 1
    _, sort, content = carrier.value.split(":", 2)
    return sort, content


def _bytes(button: pn.Row) -> bytes:
    sort, content = _pressed(button)
    assert sort == "bytes"
    return base64.b64decode(content)


def test_a_table_comes_as_csv_and_as_parquet(handmade_data: Data) -> None:
    """Both have all rows and columns; lists stand in CSV as JSON."""
    made: list[int] = []

    def make() -> pl.DataFrame:
        made.append(1)
        return FRAME

    _, csv, parquet = downloads.downloads(view_of(handmade_data, "?"), "sessions", make).objects
    assert made == []
    assert _bytes(csv).decode().splitlines()[0] == "name,models,cost"
    found = pl.read_csv(io.BytesIO(_bytes(csv)))
    assert found["name"].to_list() == ["a", None]
    assert found["models"][0].replace("\n", "").replace(" ", "") == '["x","y"]'
    assert pl.read_parquet(io.BytesIO(_bytes(parquet))).equals(FRAME)
    assert len(made) == 3


def test_pressing_twice_gives_it_twice() -> None:
    """The same content is told anew, so that the browser notices."""
    button = downloads.copy("copy", lambda: "words: here")
    assert _pressed(button) == ("text", "words: here")
    first = button.objects[1].value
    assert _pressed(button) == ("text", "words: here")
    assert button.objects[1].value != first


def test_half_a_character_can_be_copied() -> None:
    """What UTF-8 cannot spell does not break the connection."""
    _, content = _pressed(downloads.copy("copy", lambda: "half\ud83d"))
    assert content == "half\ufffd"


def test_trouble_is_told_beside_the_button() -> None:
    """Where nothing can be fetched, the sentence stands there as text, and goes with the next success."""
    answers: list[Any] = [TroubleError("<b>gone</b>"), b"here"]

    def make() -> bytes:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        found: bytes = answer
        return found

    button = downloads.file("download", "x.bin", make)
    assert _pressed(button) == ("wrong", "")
    assert "&lt;b&gt;gone" in button.objects[2].object
    assert _bytes(button) == b"here"
    assert button.objects[2].object == ""


@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_bytes_arrive_as_they_are(size: int) -> None:
    """Files of any size and content are given whole."""
    content = bytes(range(256)) * (size // 256) + b"\xff\0"[: size % 256]
    assert _bytes(downloads.file("download", "x.bin", lambda: content)) == content
