"""The way to a worker process and back."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ccproxy import settings as module
from ccproxy.settings import BY_KEY, SETTINGS, Found, Provider, kinds, needs_key
from tests.settings.conftest import SAMPLES, Desk

LINE = st.text(st.characters(exclude_categories=["C", "Z"], include_characters=" "), min_size=1).filter(
    lambda text: text == text.strip()
)
NAME = LINE.filter(lambda text: not set(text) & set(",="))
TARGET = LINE.filter(lambda text: "," not in text)
VISIBLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1)
PROVIDERS = st.builds(
    Provider,
    name=st.from_regex(r"[b-z][a-z0-9_-]{0,9}x", fullmatch=True),
    format=st.sampled_from(["anthropic", "openai"]),
    base_url=st.sampled_from(["http://a", "https://b/v1", "https://c/d?api-version=1"]),
    api_key=st.just("") | VISIBLE,
    headers=st.dictionaries(st.from_regex(r"x-[a-z0-9_.!#-]{1,9}", fullmatch=True), VISIBLE, max_size=3),
    limits=st.dictionaries(NAME, st.integers(1, 10_000_000), max_size=3),
    max_retries=st.integers(0, 20),
    retry_statuses=st.lists(st.integers(400, 599), max_size=3).map(tuple),
    connect_timeout=st.integers(1, 10**6).map(float),
    response_header_timeout=st.integers(1, 10**6).map(float),
    idle_timeout=st.integers(0, 10**6).map(float),
)


def test_dump_and_parse(desk: Desk) -> None:
    """What a worker process reads from its pipe equals what its parent wrote, paths and sources included."""
    desk.write("server: {port: 0}\nstorage: {db_path: täglich.db}")
    environ = {row.env: SAMPLES[row.kind.what][2] for row in SETTINGS if row.key.startswith(("auth.", "capture."))}
    settings = desk.load(environ=environ | {"READ_TIMEOUT": "250ms", "ANTHROPIC_RETRY_STATUSES": "429,529"})
    again = module.parse(module.dump(settings))
    assert again == settings
    assert isinstance(again.storage.db_path, Path)
    assert isinstance(again.server.timeouts.idle, float)
    assert again.providers.anthropic.retry_statuses == (429, 529)
    assert module.parse(module.dump(desk.load(config_file=desk.write("", "b.yaml")))).config_file == desk.cwd / "b.yaml"


def loaded(text: str) -> module.Settings:
    """Return the settings of this text as config.yaml in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.yaml").write_text(text)
        return module.load(environ={}, cwd=Path(folder), config_home=Path(folder), data_home=Path(folder))


def as_configuration(providers: dict[str, Provider]) -> str:
    """Write providers as a configuration file, each setting in the words of its kind."""
    sections = {
        name: {
            row.key.rpartition(".")[2]: row.kind.write(getattr(provider, row.key.rpartition(".")[2]))
            for row in module.every([name])
            if row.key.startswith(f"providers.{name}.")
        }
        for name, provider in providers.items()
    }
    return yaml.safe_dump({"providers": sections}, allow_unicode=True, sort_keys=False)


@given(st.lists(PROVIDERS, max_size=3, unique_by=lambda one: one.name.replace("_", "-")))
@settings(deadline=None)
def test_providers_pass_unchanged(providers: list[Provider]) -> None:
    """Any providers are read as they were written, come to a worker with their secrets, and show none of these."""
    others = {provider.name: provider for provider in providers}
    found = loaded(as_configuration(others))
    assert found.providers.others == others
    assert list(found.providers.others) == list(others)
    again = module.parse(module.dump(found))
    assert again == found
    assert list(map(needs_key, again.providers.others.values())) == list(map(needs_key, providers))
    hidden = [replace(provider, api_key="", headers={}) for provider in providers]
    assert list(map(repr, providers)) == list(map(repr, hidden))


@given(st.dictionaries(NAME, TARGET, max_size=5))
@settings(deadline=None)
def test_mappings_are_written_as_they_are_read(mappings: dict[str, str]) -> None:
    """Any mappings come back from their text and from YAML, in their order."""
    row = BY_KEY["subagents.mappings"]
    text = row.kind.write(mappings)
    for found in (row.kind.read(text), module.read(row, Found(text, "environment", Path("/")))):
        assert list(found.items()) == list(mappings.items())
    subagents = loaded(
        yaml.safe_dump({"subagents": {"mappings": mappings}}, allow_unicode=True, sort_keys=False)
    ).subagents
    assert list(subagents.mappings.items()) == list(mappings.items())


@given(st.dictionaries(st.from_regex(r"x-[a-z0-9]{1,9}", fullmatch=True), VISIBLE, max_size=3))
@settings(deadline=None)
def test_headers_are_written_as_they_are_read(headers: dict[str, str]) -> None:
    """Any headers come back from their lines, whatever their values hold."""
    assert kinds.HEADERS.read(kinds.HEADERS.write(headers)) == headers
