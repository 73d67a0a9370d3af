"""`config.yaml.example` and the README tell what the table says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ccproxy import settings as module
from ccproxy.settings import SETTINGS
from tests.settings.conftest import Desk, value_of

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
    """config.yaml.example loads as it is and with every setting uncommented, and means the defaults both times."""
    text = module.example()
    desk.write(re.sub(r"^( *)#(?=\w)", r"\1", text, flags=re.MULTILINE) if uncommented else text)
    settings = desk.load()
    expected = "config.yaml:" if uncommented else "default"
    named = [settings.sources[row.key] for row in SETTINGS if row.default or row.kind.item]
    assert all(source.startswith(expected) for source in named)
    default = desk.load(cwd=desk.data_home)
    for row in SETTINGS:
        if not row.derive:
            assert value_of(settings, row.key) == value_of(default, row.key)


def test_the_table_names_every_setting() -> None:
    """The README's table has one row per setting, and no path of the machine it was made on."""
    _, _, *lines = module.table().splitlines()
    assert [line.split("|")[1].strip(" `") for line in lines] == [row.key for row in SETTINGS]
    assert all(line.count("|") == 5 for line in lines)
    assert str(Path.home()) not in module.table()


def test_the_readme_holds_the_table() -> None:
    """The README shows the table of settings as it is."""
    text = (ROOT / "README.md").read_text()
    found = re.search(r"<!-- settings -->\n(.*?)<!-- /settings -->", text, re.DOTALL)
    assert found, "README.md has no place for the table: <!-- settings --> … <!-- /settings -->"
    assert found[1].strip() == module.table().strip()
