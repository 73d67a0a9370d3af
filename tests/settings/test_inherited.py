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
    openai = settings.providers.openai
    assert (openai.base_url, openai.api_key) == ("https://api.openai.com/v1", "sk-proj-not-a-real-key")
    assert settings.subagents.enable is True
    assert list(settings.subagents.mappings.items()) == [("code-reviewer", "gpt-4o"), ("data-analyst", "o3")]
    assert settings.notes == ("config.yaml line 22: storage.requests_dir has no effect in this version",)
    assert set(settings.sources) == {row.key for row in SETTINGS}


def test_the_originals_example_loads(desk: Desk) -> None:
    """Sections of the original in which everything is commented out say nothing, and nothing is told of them."""
    desk.write("providers:\n  openai:\n    # api_key: x\nsubagents:\n  mappings:\n    # code-reviewer: gpt-4o\n")
    assert desk.load().notes == ()


def test_an_address_of_openai_without_a_path_is_that_of_the_original(desk: Desk) -> None:
    """The original and many shells name the host of OpenAI alone: its API is below /v1; other providers' are as they say."""
    for text in ("https://api.openai.com", "https://api.openai.com/", "https://api.openai.com/v1/"):
        assert desk.load(environ={"OPENAI_BASE_URL": text}).providers.openai.base_url == "https://api.openai.com/v1"
    assert desk.load(environ={"OPENAI_BASE_URL": "http://a?b=c"}).providers.openai.base_url == "http://a/v1?b=c"
    desk.write("providers: {perplexity: {base_url: https://api.perplexity.ai/}}")
    assert desk.load().providers.others["perplexity"].base_url == "https://api.perplexity.ai"


@pytest.mark.parametrize(
    "text",
    [
        "storage: {requests_dir: [x]}",
        "storage: {requests_dir: {a: b}}",
        'storage: {requests_dir: ""}',
        "storage: {requests_dir: ~}",
    ],
)
def test_what_has_no_text_is_not_told(desk: Desk, text: str) -> None:
    """Whatever stands under a key that does nothing is accepted, in silence where nothing is said."""
    desk.write(text)
    assert desk.load().notes == ()


def test_the_command_line_accepts_them_as_well(desk: Desk) -> None:
    """The command line may name a key that does nothing."""
    settings = desk.load(cli={"storage.requests_dir": "x"})
    assert settings.notes == ("command line: storage.requests_dir has no effect in this version",)


def test_a_section_of_the_original_makes_a_file_ours(desk: Desk) -> None:
    """A file with nothing but subagents in it is read, and its slips are refused like any other."""
    desk.write("subagents: {enable: on}")
    assert desk.load().subagents.enable is True
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
