"""A tool call's input in one line."""

from __future__ import annotations

import json

import pytest

from dashboards.data.inputs import LONGEST, line


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"command": "pytest -x\n  --lf", "timeout": 60}, "pytest -x --lf · timeout 60"),
        ({"limit": 900, "file_path": "/a/b.py", "offset": 1}, "/a/b.py · limit 900 · offset 1"),
        ({"pattern": "x", "path": "src", "glob": "*.py", "multiline": True, "n": 3}, "x · path src · glob *.py · multiline true"),
        ({"prompt": "Look.", "note": "n" * 33}, "Look."),
        ({"what": [1, 2]}, '{"what": [1, 2]}'),
        ([1, 2], "[1, 2]"),
    ],
)  # fmt: skip
def test_an_input_says_first_what_it_is_about(given: object, wanted: str) -> None:
    """What a call is about comes first, then what else is short; all else is shown as it came."""
    assert line(json.dumps(given)) == wanted


def test_an_input_that_is_no_json_is_shown_as_it_is() -> None:
    """Half a JSON, such as of a call that was broken off, is shown as far as it came, and nothing is nothing."""
    assert line('{"command": "ls') == '{"command": "ls'
    assert line(None) == line("") == ""


def test_a_line_has_an_end() -> None:
    """A long input is cut, and says so."""
    assert line(json.dumps({"command": "x" * 10_000})) == "x" * (LONGEST - 1) + "…"
