"""The configuration of the original claude-code-proxy: it loads as it is, and what does nothing here is told."""

from __future__ import annotations

import pytest

from ccproxy.settings import SETTINGS
from tests.settings.conftest import Desk

# As its own example has it, with every key that it knows set to something.
ORIGINAL = """\
# LLM proxy configuration

server:
  port: 3005

  timeouts:
    read: 10m
    write: 11m
    idle: 1h30m0s

providers:
  anthropic:
    base_url: "https://api.anthropic.com"
    version: "2023-06-01"
    max_retries: 5

  openai:
    base_url: "https://api.openai.com"
    api_key: "sk-proj-not-a-real-key"

storage:
  requests_dir: "./requests"
  db_path: "requests.db"

subagents:
  enable: true
  mappings:
    code-reviewer: "gpt-4o"
    data-analyst: "o3"
"""


def test_the_originals_configuration_loads(desk: Desk) -> None:
    """A configuration file of the original counts with all that it says, and what does nothing is told with its line."""
    desk.write(ORIGINAL)
    settings = desk.load()
    assert settings.config_file == desk.cwd / "config.yaml"
    assert settings.server.port == 3005
    timeouts = settings.server.timeouts
    assert (timeouts.read, timeouts.write, timeouts.idle) == (600.0, 660.0, 5400.0)
    assert settings.providers.anthropic.max_retries == 5
    assert settings.storage.db_path == desk.cwd / "requests.db"
    assert settings.notes == (
        "config.yaml line 22: storage.requests_dir has no effect in this version",
        "config.yaml line 26: subagents.enable has no effect in this version",
    )
    assert set(settings.sources) == {row.key for row in SETTINGS}


def test_the_originals_example_loads(desk: Desk) -> None:
    """Sections of the original in which everything is commented out say nothing, and nothing is told of them."""
    desk.write("providers:\n  openai:\n    # api_key: x\nsubagents:\n  mappings:\n    # code-reviewer: gpt-4o\n")
    assert desk.load().notes == ()


@pytest.mark.parametrize(
    "text",
    [
        "subagents: {enable: false, mappings: {a: b}}",
        "subagents: {enable: maybe, mappings: [1, {a: [b]}]}",
        "subagents: {enable: {a: b}}",
        "providers: {openai: {base_url: [x], api_key: ~}}",
        "providers: {openai: {base_url: not a url, api_key: two words}}",
        'storage: {requests_dir: ""}',
        "storage: {requests_dir: ~}",
    ],
)
def test_what_would_not_have_mattered_is_not_told(desk: Desk, text: str) -> None:
    """Whatever stands under a key that does nothing is accepted, in silence where it did nothing in the original either."""
    desk.write(text)
    assert desk.load().notes == ()


def test_the_originals_variables_are_accepted(desk: Desk) -> None:
    """Mappings in the environment or in .env are told; a key for OpenAI is in many shells, and means others."""
    environ = {"OPENAI_API_KEY": "sk-hunter2", "OPENAI_BASE_URL": "http://a", "SUBAGENT_MAPPINGS": "a:gpt-4o,b:o3"}
    note = "environment SUBAGENT_MAPPINGS: subagents.mappings has no effect in this version"
    assert desk.load(environ=environ).notes == (note,)
    desk.write("SUBAGENT_MAPPINGS=a:gpt-4o\n", ".env")
    assert desk.load().notes == (note.replace("environment", ".env"),)


def test_the_command_line_accepts_them_as_well(desk: Desk) -> None:
    """The command line may name a key that does nothing."""
    settings = desk.load(cli={"subagents.enable": True, "providers.openai.api_key": "x"})
    assert settings.notes == ("command line: subagents.enable has no effect in this version",)


def test_a_section_of_the_original_makes_a_file_ours(desk: Desk) -> None:
    """A file with nothing but subagents in it is read, and its slips are refused like any other."""
    desk.write("subagents: {enable: on}")
    assert desk.load().notes == ("config.yaml line 1: subagents.enable has no effect in this version",)
    assert desk.refusal("subagents: {enabel: on}") == (
        'config.yaml line 1: unknown key "subagents.enabel"; did you mean "subagents.enable"?'
    )
    assert desk.refusal("subagents: on") == (
        "config.yaml line 1: subagents must hold keys with values, as in config.yaml.example"
    )


def test_a_wrong_value_beside_them_is_refused(desk: Desk) -> None:
    """That a key of the original does nothing excuses no other: a value that makes no sense refuses the start."""
    assert desk.refusal(ORIGINAL.replace("11m", "11 minutes")).startswith(
        "config.yaml line 8: server.timeouts.write must be a duration"
    )
