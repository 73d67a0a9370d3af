"""What is configured, as a person reads it."""

from __future__ import annotations

from pathlib import Path

from analysis.configured import configuration

CONFIG = """
providers:
  openrouter:
    base_url: https://openrouter.ai/api/v1
    api_key: sk-or-secret
    headers: {X-Title: hidden-title}
"""


def test_providers_of_ones_own_are_told_and_their_secrets_are_not(tmp_path: Path) -> None:
    """Each of their settings has a row like any other; of a key and of headers only that they are set."""
    file = tmp_path / "config.yaml"
    file.write_text(CONFIG)
    found = configuration({}, file)
    rows = {row.key: row for row in found.rows}
    assert rows["providers.openrouter.base_url"].value == "https://openrouter.ai/api/v1"
    assert "config.yaml:4" in rows["providers.openrouter.base_url"].source
    assert (rows["providers.openrouter.api_key"].value, rows["providers.openrouter.headers"].value) == ("set", "set")
    assert (rows["providers.openai.api_key"].value, rows["providers.openai.headers"].value) == ("", "")
    shown = repr(found)
    assert "sk-or-secret" not in shown
    assert "hidden-title" not in shown
