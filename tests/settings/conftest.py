"""What the tests of the settings share: folders of a test's own, and valid values of every kind."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ccproxy.errors import ConfigError
from ccproxy.settings import SETTINGS, Settings, kinds, load

# Four valid texts for each kind of setting, as different from each other and from every default as the kind has values.
SAMPLES: dict[str, list[str]] = {
    kinds.PORT.what: ["4001", "4002", "4003", "4004"],
    kinds.WORKERS.what: ["2", "3", "4", "5"],
    kinds.DURATION.what: ["11s", "12", "13m", "1h14m"],
    kinds.POSITIVE_DURATION.what: ["11s", "12", "13m", "1h14m"],
    kinds.AGE.what: ["11s", "12h", "400d", "3650d"],
    kinds.SIZE.what: ["11", "12KB", "13 MiB", "14G"],
    kinds.RETRIES.what: ["0", "1", "20", "7"],
    kinds.STATUSES.what: ["429", "500,529", "400, 599", "503,"],
    kinds.SWITCH.what: ["no", "yes", "off", "on"],
    kinds.LEVEL.what: ["debug", "warning", "error", "debug"],
    kinds.FORMAT.what: ["json", "text", "JSON", "text"],
    kinds.STORE_TYPE.what: ["postgres", "SQLite", "POSTGRES", "sqlite"],
    kinds.HOSTS.what: ["a.example", "b, ::1", "C.example,d", "10.0.0.1"],
    kinds.ORIGINS.what: ["http://a", "https://B:443,http://c", "http://d:8080", "http://[::1]:9, https://e/"],
    kinds.PASSWORD.what: ["correct horse", "battery", "stäple", "1,2"],
    kinds.HEADER.what: ["x-token", "X-Other", "a", "b_c"],
    kinds.PATTERNS.what: ["/v1/messages", "*", "/v1/messages,/v1/files*", "/[a-z]?/*, *x"],
    kinds.EXPRESSIONS.what: ["a+", "x, y", "(?i)secret-[0-9]{4,}", "[$]"],
    kinds.HOST.what: ["::1", "0.0.0.0", "localhost", "10.0.0.1"],
    kinds.WORD.what: ["v1", "v2", "v3", "v4"],
    kinds.BASE_URL.what: ["http://a", "http://b:1", "https://c/d", "https://[::1]:9/e"],
    kinds.API_URL.what: [
        "http://a/v2",
        "https://b/c?api-version=2024-06-01",
        "http://localhost:1/v1/",
        "https://d?e=f",
    ],
    kinds.PROTOCOL.what: ["anthropic", "OpenAI", "ANTHROPIC", "openai"],
    kinds.HEADERS.what: ["X-A: a, b=c", "x-b: b", "X-C: https://c:1\nX-D: d", "X-E:e"],
    kinds.LIMITS.what: ["gpt-4o=16384, *=32768", "o3:1", "gpt-oss:20b=1", "a=10000000,b=2"],
    kinds.AGENTS.what: ["a:b", "code-reviewer:gpt-4o,data-analyst:o3", "my-plugin:reviewer=gpt-oss:20b", "a b = c:d:e"],
    kinds.PATHS.what: ["/s/a", "/s/b, /s/c", "/s/d,", "/s/e f"],
    kinds.PATH.what: ["/s/a.db", "/s/b.db", "/s/c.db", "/s/d.db"],
}


class Desk:
    """A working folder, a configuration folder and a data folder of a test's own."""

    def __init__(self, root: Path) -> None:
        self.cwd, self.config_home, self.data_home = root / "cwd", root / "config", root / "data"
        for folder in (self.cwd, self.config_home, self.data_home):
            folder.mkdir()

    def write(self, text: str | bytes, name: str = "config.yaml") -> Path:
        path = self.cwd / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def load(
        self, cli: Mapping[str, object] | None = None, environ: Mapping[str, str] | None = None, **options: Any
    ) -> Settings:
        folders = {"cwd": self.cwd, "config_home": self.config_home, "data_home": self.data_home}
        return load(cli=cli, environ=environ or {}, **(folders | options))

    def refusal(self, text: str | bytes) -> str:
        """Return the sentence with which a configuration file that was named is refused."""
        path = self.write(text)
        return sentence(lambda: self.load(config_file=path))


def sentence(call: Callable[[], object]) -> str:
    with pytest.raises(ConfigError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def as_yaml(key: str, text: str) -> str:
    *sections, name = key.split(".")
    lines = ["  " * depth + f"{section}:" for depth, section in enumerate(sections)]
    return "\n".join([*lines, "  " * len(sections) + f"{name}: {json.dumps(text, ensure_ascii=False)}"]) + "\n"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


every_setting = pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row.key)
