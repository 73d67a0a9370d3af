"""The settings themselves: their defaults, that they do not change, and that secrets do not show."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError, dataclass
from pathlib import Path

import pytest

from ccproxy import settings as module
from ccproxy.settings import SETTINGS, Found, Setting, kinds, value_of
from tests.settings.conftest import SAMPLES, Desk, every_setting, sentence


@every_setting
def test_each_row_is_complete(desk: Desk, row: Setting) -> None:
    """Each setting has an environment name of its own, one sentence, and a default that its own reader accepts."""
    assert [other.env for other in SETTINGS].count(row.env) == 1
    assert re.fullmatch(r"[A-Z]+(_[A-Z]+)*", row.env)
    assert row.help.endswith(".")
    assert "\n" not in row.help
    assert "|" not in row.help
    default = value_of(desk.load(), row.key)
    assert isinstance(row.kind.read(row.default), type(default))
    assert not row.older_env or f"`{row.older_env}`" in row.help


@every_setting
def test_what_is_written_reads_the_same(row: Setting) -> None:
    """A value is written in a way in which it can be read again."""
    for text in [row.default, *SAMPLES[row.kind.what]]:
        value = row.kind.read(text)
        assert row.kind.read(row.kind.write(value)) == value


def test_the_defaults(desk: Desk) -> None:
    """Without any source, ccproxy listens on loopback, forwards to Anthropic and keeps its store with the user."""
    settings = desk.load()
    assert (settings.server.host, settings.server.port, settings.server.workers) == ("127.0.0.1", 3001, 1)
    assert (settings.server.timeouts.read, settings.server.timeouts.idle) == (600.0, 600.0)
    assert (settings.server.max_body, settings.server.drain_timeout) == (256_000_000, 1920.0)
    assert (settings.auth.enabled, settings.auth.token, settings.dashboard.password) == (False, "", "")
    assert settings.capture.paths == ("/v1/*",)
    anthropic = settings.providers.anthropic
    assert (anthropic.base_url, anthropic.version) == ("https://api.anthropic.com", "2023-06-01")
    assert (anthropic.connect_timeout, anthropic.response_header_timeout, anthropic.idle_timeout) == (30.0, 300.0, 0.0)
    openai = settings.providers.openai
    assert (openai.name, openai.format, openai.base_url) == ("openai", "openai", "https://api.openai.com/v1")
    assert (openai.api_key, openai.headers, openai.limits, settings.providers.others) == ("", {}, {}, {})
    assert (settings.subagents.enable, settings.subagents.mappings) == (False, {})
    assert settings.subagents.folders == (desk.cwd / ".claude/agents",)
    assert settings.storage.db_path == desk.data_home / "requests.db"
    assert settings.storage.journal_dir == desk.data_home / "requests.journal"
    assert (settings.logging.access, settings.logging.level) == (True, "info")
    assert (settings.config_file, settings.passed_over) == (None, None)
    assert set(settings.sources) == {row.key for row in SETTINGS}


@pytest.mark.parametrize(
    ("store", "journal"),
    [("a.db", "a.journal"), ("a", "a.journal"), ("my.team.sqlite", "my.team.journal"), ("/", "/.journal")],
)
def test_the_journal_stands_beside_the_store(desk: Desk, store: str, journal: str) -> None:
    """Where only the store is named, the journal is a folder beside it that carries its name."""
    assert desk.load(cli={"storage.db_path": store}).storage.journal_dir == desk.cwd / journal


def test_settings_are_frozen(desk: Desk) -> None:
    """Settings do not change after they were loaded."""
    settings = desk.load()
    with pytest.raises(FrozenInstanceError):
        settings.server.port = 1  # type: ignore[misc]  # the point of the test


@dataclass(frozen=True, slots=True, kw_only=True)
class Vault:
    """A tree with a secret in it."""

    token: str = module.setting("", kinds.WORD, "VAULT_TOKEN", "What opens the vault.", secret=True)
    name: str = module.setting("vault", kinds.WORD, "VAULT_NAME", "Its name.")


def test_secrets_do_not_show() -> None:
    """A secret shows in no repr, neither of the settings nor of what was found, and in no refusal."""
    token, name = module.rows(Vault)
    assert (token.key, token.secret, name.key, name.secret) == ("token", True, "name", False)
    assert "hunter2" not in repr(Vault(token="hunter2", name="mine"))
    assert "mine" in repr(Vault(token="hunter2", name="mine"))
    found = Found("hunter2 and more", "environment VAULT_TOKEN", Path("/"))
    assert "hunter2" not in repr(found)
    message = sentence(lambda: module.read(token, found))
    assert message == "environment VAULT_TOKEN: token must be one word of visible characters"
