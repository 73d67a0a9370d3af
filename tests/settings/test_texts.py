"""`config.yaml.example` and the README tell what the table says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ccproxy import settings as module
from ccproxy.settings import SETTINGS, every, value_of
from tests.settings.conftest import Desk

ROOT = Path(__file__).resolve().parents[2]


def test_the_example_file_is_the_table() -> None:
    """config.yaml.example is what the table renders: each setting with its sentence, variable and default."""
    text = (ROOT / "config.yaml.example").read_text()
    assert text == module.example()
    for row in SETTINGS:
        assert row.help in text
        assert f"Environment: {row.env}. Default: " in text


@pytest.mark.parametrize("uncommented", [False, True])
def test_the_example_file_loads(desk: Desk, uncommented: bool) -> None:
    """config.yaml.example loads as it is and with every setting uncommented, and means the defaults both times; only then
    there are the providers that it has for examples."""
    default, text = desk.load(), module.example()
    desk.write(re.sub(r"^( *)#(?=\w)", r"\1", text, flags=re.MULTILINE) if uncommented else text)
    settings = desk.load()
    expected = "config.yaml:" if uncommented else "default"
    named = [settings.sources[row.key] for row in SETTINGS if row.default or row.kind.item]
    assert all(source.startswith(expected) for source in named)
    for row in SETTINGS:
        if not row.derive:
            assert value_of(settings, row.key) == value_of(default, row.key)
    assert (settings.notes, default.notes) == ((), ())
    others = settings.providers.others
    assert list(others) == (["openrouter", "azure", "ollama", "deepseek"] if uncommented else [])
    if uncommented:
        assert {name for name, provider in others.items() if module.needs_key(provider)} == {"openrouter", "deepseek"}
        assert {name for name, provider in others.items() if provider.format == "anthropic"} == {"deepseek"}


def test_the_table_names_every_setting() -> None:
    """The README's table has one row per setting, a pattern for other providers, and no path of the machine it was made on."""
    _, _, *lines = module.table().splitlines()
    assert [line.split("|")[1].strip(" `") for line in lines] == [row.key for row in every(["<name>"])]
    assert {row.key for row in every(["<name>"])} - {row.key for row in SETTINGS} == {
        row.key.replace("openai", "<name>") for row in SETTINGS if row.key.startswith("providers.openai.")
    }
    assert all(line.count("|") == 5 for line in lines)
    assert str(Path.home()) not in module.table()
    in_the_environment = [line for line in lines if "`<NAME>_" in line]
    assert [line.split("|")[2].strip(" `") for line in in_the_environment] == ["<NAME>_BASE_URL", "<NAME>_API_KEY"]


def test_the_readme_holds_the_table() -> None:
    """The README shows the table of settings as it is."""
    text = (ROOT / "README.md").read_text()
    found = re.search(r"<!-- settings -->\n(.*?)<!-- /settings -->", text, re.DOTALL)
    assert found, "README.md has no place for the table: <!-- settings --> … <!-- /settings -->"
    assert found[1].strip() == module.table().strip()
