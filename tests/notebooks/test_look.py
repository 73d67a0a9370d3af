"""How notebooks show tables: safely, whatever was captured, and so that a person can read them."""

from __future__ import annotations

import importlib.util
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"


@pytest.fixture(scope="module")
def look() -> Any:
    """Give the module that notebooks import."""
    for name in ("altair", "IPython"):
        pytest.importorskip(name, reason=f"notebooks need {name}; the extra dev has it")
    spec = importlib.util.spec_from_file_location("look", FOLDER / "look.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_text_never_runs(look: Any) -> None:
    """Whatever was captured is shown as text, in cells and in names of columns, and a long one is cut."""
    shown = look.table(pl.DataFrame({"<b>": ["<script>alert('x')</script>", "&amp;", "a" * 500]}))
    assert "&lt;b&gt;" in shown
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;" in shown
    assert "&amp;amp;" in shown
    assert "a" * look.CHARACTERS + "…<" in shown
    assert "<script" not in shown
    assert shown.count("<tr>") == 4


def test_values_are_read_easily(look: Any) -> None:
    """Numbers have separators and as many decimals as their column needs, times the second, and nothing is a dash."""
    at = datetime(2026, 11, 2, 8, 52, 43, 454446, tzinfo=UTC)
    rows = {
        "count": [1234567, None],
        "usd": [0.5, 0.1234567],
        "at": [at, None],
        "yes": [True, False],
        "names": [["a", "b"], []],
    }
    shown = look.table(pl.DataFrame(rows))
    for cell in ("1,234,567", "0.5000", "0.1235", "Mon 02 Nov 08:52:43", "yes", "no", "a, b", "–"):
        assert f">{cell}<" in shown, cell
    assert "right'>1,234,567" in shown


@pytest.mark.parametrize(("height", "note"), [(0, "no rows"), (20, ""), (1021, "and 1,001 more rows")])
def test_a_table_tells_what_it_leaves_out(look: Any, height: int, note: str) -> None:
    """Twenty rows are shown, and how many more there are."""
    shown = look.table(pl.DataFrame({"n": range(height)}, schema={"n": pl.Int64}))
    assert shown.count("<td") == min(height, 20)
    assert shown.endswith(f">{note}</div>")


def test_what_is_stacked_is_in_order(look: Any) -> None:
    """Series have the colours that they are given, and are listed as they are stacked; also where there are none."""
    found = look.series("kind", look.TOKENS)
    assert found["color"].to_dict()["scale"] == {
        "domain": ["cache read", "cache write", "input", "output"],
        "range": ["#1c7a43", "#c48a1a", "#1f5fbf", "#7a5ea8"],
    }
    assert look.series("kind", {})["color"].to_dict()["scale"]["domain"] == ["nothing"]
    assert list(look.distinct(pl.Series(["b", "a", None, "b"]))) == ["a", "b"]
