"""`ccproxy config`: what is set, by what, and that everything that lists the settings lists the same."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ccproxy import settings as configuration
from ccproxy.cli.configuring import WIDEST_VALUE
from ccproxy.settings import SETTINGS, every
from tests.cli.conftest import invoke, refusal
from tests.support.command import silent_port

ROOT = Path(__file__).resolve().parents[2]


def shown(*arguments: object) -> dict[str, tuple[str, str]]:
    """Return what `config show` tells of each key: its value and its source."""
    lines = invoke("config", "show", *arguments).stdout.partition("\n\n")[2].splitlines()
    cells = [re.split(r" {2,}", line) for line in lines]
    return {key: (value, source) for key, value, source in cells}


def keys_of_the_example(text: str) -> list[str]:
    """Return the keys of a configuration in which every setting is commented out, and whole providers are: without these."""
    keys: list[str] = []
    sections: list[str] = []
    for indent, mark, name, value in re.findall(r"^( *)(#?)(\w+):(.*)", text, re.MULTILINE):
        sections = sections[: len(indent) // 2]
        if not value:
            sections.append(mark + name)
        elif "#" not in "".join(sections):
            keys.append(".".join([*sections, name]))
    return keys


def test_every_list_of_settings_is_the_same() -> None:
    """The table, config.yaml.example, `config example`, both forms of `config show` and the README have the same keys."""
    keys = [row.key for row in SETTINGS]
    readme = (ROOT / "README.md").read_text().partition("<!-- settings -->")[2].partition("<!-- /settings -->")[0]
    assert re.findall(r"^\| `([\w.]+)` \| `[A-Z_]+` \|", readme, re.MULTILINE) == keys
    assert re.findall(r"^\| `([^`]+)` \| ", readme, re.MULTILINE) == [row.key for row in every(["<name>"])]
    assert keys_of_the_example((ROOT / "config.yaml.example").read_text()) == keys
    assert keys_of_the_example(invoke("config", "example").stdout) == keys
    assert list(shown()) == keys
    assert list(json.loads(invoke("config", "show", "--json").stdout)["settings"]) == keys
    assert invoke("config", "example").stdout == configuration.example()


def test_show_tells_value_and_source(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each key has its value, as one would write it, and the source that it came from."""
    (alone / "config.yaml").write_text(
        "server:\n  workers: 2\n  timeouts: {read: 5400}\n  allowed_hosts: [a.example, b]\n"
    )
    (alone / ".env").write_text("LOG_LEVEL=debug\n")
    monkeypatch.setenv("MAX_BODY", "50000000")
    found = shown()
    assert found["server.workers"] == ("2", "config.yaml:2")
    assert found["server.timeouts.read"] == ("90m", "config.yaml:3")
    assert found["server.allowed_hosts"] == ("a.example, b", "config.yaml:4")
    assert found["logging.level"] == ("debug", ".env LOG_LEVEL")
    assert found["server.max_body"] == ("50MB", "environment MAX_BODY")
    assert found["logging.access"] == ("true", "default")
    assert found["server.cors_origins"] == ("none", "default")


def test_show_is_aligned() -> None:
    """Keys, values and sources stand in columns; only a very long value moves its source."""
    lines = invoke("config", "show").stdout.partition("\n\n")[2].splitlines()
    columns = [[cell.start() for cell in re.finditer(r"(?:^|(?<= {2}))\S", line)] for line in lines]
    usual = [column for column in columns if column[2] - column[1] <= WIDEST_VALUE + 2]
    assert len(usual) >= len(SETTINGS) - 4  # paths
    assert len({tuple(column) for column in usual}) == 1


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch, form: list[str]) -> None:
    """A secret shows by its hash, the same that captures show, or as not set; a password, which could be guessed, as set."""
    secrets = [row for row in SETTINGS if row.secret]
    assert {row.key for row in secrets} == {
        *("auth.token", "dashboard.password", "providers.anthropic.api_key", "storage.database_url"),
        *("providers.openai.api_key", "providers.openai.headers"),
    }
    before = invoke("config", "show", *form).stdout
    assert before.count("null" if form else "not set") >= len(secrets)
    for row in secrets:
        monkeypatch.setenv(row.env, "X-Api-Key: hunter2\nX-Title: hunter2" if row.kind.names else "hunter2")
    text = invoke("config", "show", *form).stdout
    assert "hunter2" not in text
    assert text.count("sha256:f52fbd32b2b3") == len(secrets) - 1


NAMED = """\
providers:
  my-llm:
    base_url: https://a.example/v1?api-version=1
    api_key: hunter2
    headers: {api-key: hunter2, X-Title: hunter3}
    limits: {gpt-4o: 16384, "*": 32768}
    retry_statuses: [429, 529]
  nearby:
    base_url: http://localhost:1
subagents:
  enable: true
  mappings: {"my-plugin:tester": "my-llm:x", reviewer: "nearby:y"}
  folders: [agents, /more agents]
"""


def test_named_providers_are_shown(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Providers of one's own are listed after those that are always there, with all that they have and without a secret."""
    (alone / "config.yaml").write_text(NAMED)
    monkeypatch.setenv("NEARBY_API_KEY", "hunter4")
    text = invoke("config", "show").stdout
    found = shown()
    assert "hunter" not in text
    assert list(found) == [row.key for row in every(["my-llm", "nearby"])]
    assert found["providers.my-llm.base_url"] == ("https://a.example/v1?api-version=1", "config.yaml:3")
    assert found["providers.my-llm.api_key"] == ("sha256:f52fbd32b2b3", "config.yaml:4")
    assert found["providers.my-llm.headers"] == ("api-key: sha256:f52fbd32b2b3, x-title: set", "config.yaml:5")
    assert found["providers.my-llm.limits"] == ("gpt-4o=16384, *=32768", "config.yaml:6")
    assert found["providers.my-llm.connect_timeout"] == ("30s", "default")
    assert found["providers.nearby.api_key"][1] == "environment NEARBY_API_KEY"
    assert found["providers.nearby.headers"] == ("not set", "default")
    assert found["subagents.mappings"] == ("my-plugin:tester=my-llm:x, reviewer=nearby:y", "config.yaml:12")
    assert found["subagents.folders"] == (f"{alone}/agents, /more agents", "config.yaml:13")


def test_named_providers_are_shown_to_programs(alone: Path) -> None:
    """As JSON, mappings and lists are such, a header has its name and no value, and what has no variable says so."""
    (alone / "config.yaml").write_text(NAMED)
    text = invoke("config", "show", "--json").stdout
    found = json.loads(text)["settings"]
    assert "hunter" not in text
    assert found["providers.my-llm.headers"] == {
        "value": {"api-key": "sha256:f52fbd32b2b3", "x-title": "set"},
        "source": "config.yaml:5",
        "environment": None,
    }
    assert found["providers.my-llm.api_key"]["environment"] == "MY_LLM_API_KEY"
    assert found["providers.my-llm.limits"]["value"] == {"gpt-4o": 16384, "*": 32768}
    assert found["providers.my-llm.retry_statuses"]["value"] == [429, 529]
    assert found["providers.nearby.headers"]["value"] is None
    assert found["subagents.mappings"]["value"] == {"my-plugin:tester": "my-llm:x", "reviewer": "nearby:y"}
    assert found["subagents.folders"]["value"] == [str(alone / "agents"), "/more agents"]


def test_show_tells_which_file(alone: Path) -> None:
    """The file that was read stands at the top, or that one was passed over; so does what is set and does nothing."""
    assert invoke("config", "show").stdout.startswith("no config.yaml is read\n\nserver.host")
    (alone / "config.yaml").write_text("database: x\n")
    passed_over = f"no config.yaml is read\npassed over: {alone}/config.yaml, which has none of ccproxy's keys\n\n"
    assert invoke("config", "show").stdout.startswith(passed_over)
    (alone / "config.yaml").write_text("subagents: {enable: true}\n")
    told = "note: config.yaml line 1: subagents.enable has no effect while subagents.mappings names no agent"
    assert invoke("config", "show").stdout.startswith(f"read: {alone}/config.yaml\n{told}\n\n")
    assert invoke("config", "check").stdout == f"read: {alone}/config.yaml\n{told}\nthe configuration is fine\n"
    (alone / "other.yaml").write_text("server: {port: 1}\n")
    assert shown("--config", "other.yaml")["server.port"] == ("1", "other.yaml:1")


def test_show_for_programs(alone: Path) -> None:
    """As JSON there is the same, with values as they are: seconds, bytes, lists, and null for a secret that is not set."""
    (alone / "mine.yaml").write_text("storage: {requests_dir: r, db_path: a.db}\nserver: {allowed_hosts: [a]}\n")
    found = json.loads(invoke("config", "show", "--json", "--config", "mine.yaml").stdout)
    assert (found["config_file"], found["passed_over"]) == (str(alone / "mine.yaml"), None)
    assert found["notes"] == ["mine.yaml line 1: storage.requests_dir has no effect in this version"]
    settings = found["settings"]
    assert settings["server.drain_timeout"] == {"value": 1920.0, "source": "default", "environment": "DRAIN_TIMEOUT"}
    assert settings["server.allowed_hosts"]["value"] == ["a"]
    assert settings["storage.db_path"]["value"] == str(alone / "a.db")
    assert settings["logging.access"]["value"] is True
    assert settings["auth.token"]["value"] is None


def test_nothing_speaks_to_the_terminal(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in a value reaches the terminal as text only."""
    monkeypatch.setenv("DB_PATH", "a\x1b[2J\u202e.db")
    for form in ([], ["--json"]):
        text = invoke("config", "show", *form).stdout
        assert "\x1b" not in text
        assert "\u202e" not in text


def test_check(alone: Path) -> None:
    """A configuration is fine, or the sentence says where it is not, and exit code 2."""
    assert invoke("config", "check").stdout == "no config.yaml is read\nthe configuration is fine\n"
    (alone / "new.yaml").write_text("server:\n  port: high\n")
    sentence = 'new.yaml line 2: server.port must be a whole number from 0 to 65535, not "high"'
    assert refusal("config", "check", "new.yaml") == (2, sentence)
    assert refusal("config", "check", "--config", "new.yaml") == (2, sentence)
    assert refusal("config", "show", "--config", "new.yaml") == (2, sentence)
    assert refusal("config", "check", "none.yaml") == (2, "none.yaml cannot be read: No such file or directory")


def test_the_example_can_be_used(alone: Path) -> None:
    """What `config example` prints is a configuration that loads and changes nothing."""
    (alone / "config.yaml").write_text(invoke("config", "example").stdout)
    assert {source for _, source in shown().values()} == {"default"}


def test_run_leaves_dotenv_to_the_project(alone: Path) -> None:
    """`run` starts in anybody's project and reads no .env there, and `serve` can be told not to; other commands read it."""
    (alone / ".env").write_text("PORT=4001\nLOG_LEVEL=verbose\n")
    assert "http://127.0.0.1:3001 " in invoke("run", "--print", "--", "true").stdout
    code, sentence = refusal("tail")
    assert (code, sentence.partition(":")[0]) == (2, ".env LOG_LEVEL")
    with silent_port() as port:
        assert refusal("serve", "--port", port)[0] == 2
        code, sentence = refusal("serve", "--no-dotenv", "--port", port)
        assert (code, sentence.partition(";")[0]) == (1, f"port {port} on 127.0.0.1 is in use")
