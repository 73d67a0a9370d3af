"""Parts of a page that come when they are wanted."""

from __future__ import annotations

import json
import logging

import pytest

from dashboards.parts import Parts


def test_a_part_comes_when_it_is_asked_for() -> None:
    """The page asks by a number and a key, and gets the number back with the part; it is made only then."""
    parts, made = Parts(), []

    def make() -> str:
        """Make it."""
        made.append(1)
        return "<p>part</p>"

    key = parts.add(make)
    asks, gives = parts.models()
    assert made == []
    asks.value = f"7 {key}"
    assert json.loads(gives.value) == ["7", "<p>part</p>"]


def test_a_part_that_there_is_not_is_empty() -> None:
    """A key that was never given brings nothing."""
    parts = Parts()
    asks, gives = parts.models()
    asks.value = "1 nonsense <script>"
    assert json.loads(gives.value) == ["1", ""]


def test_trouble_with_a_part_stays_within_it(caplog: pytest.LogCaptureFixture) -> None:
    """A part that cannot be made says so, and where to look; the page stays."""

    def broken() -> str:
        """Fail."""
        raise RuntimeError("<b>broken</b>")

    parts = Parts()
    with caplog.at_level(logging.ERROR):
        html = parts.html(parts.add(broken))
    assert 'role="alert"' in html
    assert "<b>" not in html
    assert "broken" in caplog.text
