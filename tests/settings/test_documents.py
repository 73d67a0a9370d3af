"""The configuration file: what is read, and what is refused with its line."""

from __future__ import annotations

import pytest

from tests.settings.conftest import Desk


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "server:\n  host: ::1\n\n  prot: 1\n",
            'config.yaml line 4: unknown key "server.prot"; did you mean "server.port"?',
        ),
        ("port: 1\n", 'config.yaml line 1: unknown key "port"; did you mean "server.port"?'),
        ("sever: {port: 1}\n", 'config.yaml line 1: unknown key "sever"; did you mean "server"?'),
        ("server.read: x", 'config.yaml line 1: unknown key "server.read"; did you mean "server.timeouts.read"?'),
        ("base_ur: x", 'config.yaml line 1: unknown key "base_ur"; did you mean "providers.anthropic.base_url"?'),
        ("server:\n  zzz: 1\n", 'config.yaml line 2: unknown key "server.zzz"; config.yaml.example has them all'),
        ('"a\\nb": 1', 'config.yaml line 1: unknown key "a\\nb"; config.yaml.example has them all'),
        (
            "server:\n  port: high\n",
            'config.yaml line 2: server.port must be a whole number from 0 to 65535, not "high"',
        ),
        (
            "server: {port: [1, 2]}",
            "config.yaml line 1: server.port must be a whole number from 0 to 65535, a single plain value",
        ),
        (
            "server: {port: !env PORT}",
            "config.yaml line 1: server.port must be a whole number from 0 to 65535, a single plain value",
        ),
        (
            "server:\n  port: 1\n  port: 1\n",
            "config.yaml line 3: server.port stands here for the second time, first on line 2",
        ),
        (
            "server:\n  port: 1\nlogging:\nserver:\n  host: a\n",
            "config.yaml line 4: server stands here for the second time, first on line 1",
        ),
        (
            "server.port: 1\nserver:\n  port: 1\n",
            "config.yaml line 3: server.port stands here for the second time, first on line 1",
        ),
        ("server: 3001", "config.yaml line 1: server must hold keys with values, as in config.yaml.example"),
        ("- server", "config.yaml line 1: the file must hold keys with values, as in config.yaml.example"),
        ("just words", "config.yaml line 1: the file must hold keys with values, as in config.yaml.example"),
        ("? [a, b]\n: 1\n", "config.yaml line 1: a key must be a name, not a list or a mapping"),
        (b"server:\n  host: caf\xe9\n", "config.yaml line 2: this is not UTF-8 text"),
        ("server:\n  host: a\x07b\n", "config.yaml line 2: this is not YAML: there is a character that is not text"),
        ("[" * 100_000, "config.yaml: this is nested too deeply to be a configuration"),
        (
            "providers:\n  groq:\n    base_ulr: http://a\n",
            'config.yaml line 3: unknown key "providers.groq.base_ulr"; did you mean "providers.groq.base_url"?',
        ),
        (
            "providers:\n  groq:\n    base_url: http://a\n    limits: {}\n    base_url: http://b\n",
            "config.yaml line 5: providers.groq.base_url stands here for the second time, first on line 3",
        ),
        (
            "providers:\n  groq: {format: openai}\n  groq: {base_url: http://a}\n",
            "config.yaml line 3: providers.groq stands here for the second time, first on line 2",
        ),
        (
            "providers.groq.base_url: http://a\nproviders:\n  groq:\n    base_url: http://a\n",
            "config.yaml line 4: providers.groq.base_url stands here for the second time, first on line 1",
        ),
        (
            "providers:\n  groq: http://a\n",
            "config.yaml line 2: providers.groq must hold keys with values, as in config.yaml.example",
        ),
        (
            "providers:\n  antropic: {base_url: http://a}\n",
            'config.yaml line 2: unknown key "providers.antropic"; did you mean "providers.anthropic"?',
        ),
        (
            "providers.open-ai.api_key: sk-1\nserver: ~\n",
            'config.yaml line 1: unknown key "providers.open-ai.api_key"; did you mean "providers.openai"?',
        ),
        (
            "providers: {Groq: {base_url: http://a}}",
            'config.yaml line 1: unknown key "providers.Groq"; the name of a provider is made of lower-case letters, digits,'
            " - and _",
        ),
        (
            "providers: {others: {base_url: http://a}}",
            'config.yaml line 1: unknown key "providers.others"; a provider cannot have this name',
        ),
        ("server: &s\n  timeouts: *s\n", None),
    ],
)
def test_refused_files(desk: Desk, text: str | bytes, message: str | None) -> None:
    """What cannot be is refused in one sentence: file, line, key, and the nearest valid name."""
    refused = desk.refusal(text)
    assert refused.startswith("config.yaml line ") if message is None else refused == message


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("server:\n\tport: 1\n", 2),
        ("server:\n  port: 1\n bad: [\n", 3),
        ('server:\n  host: "open\n', 3),
        ("a: b: c\n", 1),
        ("server:\n---\nserver:\n", 2),
        ("server: *nobody\n", 1),
    ],
)
def test_half_readable_yaml(desk: Desk, text: str, line: int) -> None:
    """YAML that breaks off or makes no sense is refused with its line, and nothing of it counts."""
    assert desk.refusal(text).startswith(f"config.yaml line {line}: this is not YAML: ")


@pytest.mark.parametrize("text", ["", "# nothing\n", "server:\nlogging: ~\n", "\ufeffserver:\n  timeouts:\n"])
def test_empty_files_and_sections(desk: Desk, text: str) -> None:
    """A file or a section in which everything is commented out says nothing, and is right."""
    desk.write(text)
    assert set(desk.load().sources.values()) == {"default"}


def test_yaml_does_not_reinterpret_values(desk: Desk) -> None:
    """A value means what its setting says it means: a date stays a version, an anchor may be used again."""
    desk.write("server.timeouts: {read: &t 010, idle: *t}\nproviders: {anthropic: {version: 2023-06-01}}")
    settings = desk.load()
    assert settings.server.timeouts.read == settings.server.timeouts.idle == 10.0
    assert settings.providers.anthropic.version == "2023-06-01"


def test_an_empty_list_is_a_value(desk: Desk) -> None:
    """An empty list in the file says that there is nothing in it, and does not bring the default back."""
    desk.write("capture: {paths: []}")
    settings = desk.load()
    assert (settings.capture.paths, settings.sources["capture.paths"]) == ((), "config.yaml:1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "server:\n  allowed_hosts:\n    - a\n    - b:80\n",
            'config.yaml line 4: server.allowed_hosts must be host names or addresses, without ports, not "b:80"',
        ),
        (
            "server:\n  allowed_hosts: a,b:80\n",
            'config.yaml line 2: server.allowed_hosts must be host names or addresses, without ports, not "b:80"',
        ),
        (
            "server:\n  allowed_hosts:\n    - a\n    - {b: c}\n",
            "config.yaml line 4: server.allowed_hosts must be host names or addresses, without ports, a single plain value, or a"
            " list of them",
        ),
        (
            "server: {port: [1]}",
            "config.yaml line 1: server.port must be a whole number from 0 to 65535, a single plain value",
        ),
    ],
)
def test_refused_lists(desk: Desk, text: str, message: str) -> None:
    """A wrong member of a list is refused alone, with its own line."""
    assert desk.refusal(text) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "subagents:\n  mappings:\n    a: b\n    c: [d]\n",
            "config.yaml line 4: subagents.mappings must be agents with the model that answers each, as in"
            " code-reviewer:gpt-4o, data-analyst:openai:o3, a single plain value for each name",
        ),
        (
            "subagents:\n  mappings:\n    a: b\n    c: ~\n",
            "config.yaml line 4: subagents.mappings must be agents with the model that answers each, as in"
            ' code-reviewer:gpt-4o, data-analyst:openai:o3, not ""',
        ),
        (
            "subagents:\n  mappings:\n    a: b\n    a=c: d\n",
            "config.yaml line 4: subagents.mappings must be agents with the model that answers each, as in"
            ' code-reviewer:gpt-4o, data-analyst:openai:o3, not "a=c"',
        ),
        (
            "subagents:\n  mappings:\n    a: b\n    c: d\n    a: e\n",
            'config.yaml line 5: subagents.mappings holds "a" for the second time',
        ),
        (
            "subagents: {mappings: 'a:b, c:d, a=e'}",
            'config.yaml line 1: subagents.mappings holds "a" for the second time',
        ),
        ("subagents: {mappings: {[a]: b}}", "config.yaml line 1: a key must be a name, not a list or a mapping"),
        (
            "providers:\n  openai:\n    limits:\n      gpt-4o: 16384\n      o3: many\n",
            "config.yaml line 5: providers.openai.limits must be models with the most tokens that they write, from 1 to"
            ' 10000000, as in gpt-4o=16384, *=32768, not "many"',
        ),
        (
            "providers:\n  openai:\n    headers:\n      X-A: 1\n      x-a: 2\n",
            'config.yaml line 5: providers.openai.headers holds "x-a" for the second time',
        ),
    ],
)
def test_refused_mappings(desk: Desk, text: str, message: str) -> None:
    """A wrong member of a mapping is refused alone, with its own line; so is a name that comes again."""
    assert desk.refusal(text) == message


@pytest.mark.parametrize(
    "text",
    [
        "{code-reviewer: gpt-4o, 'my-plugin:tester': 'openai:o3'}",
        "\n    code-reviewer: gpt-4o\n    ' my-plugin:tester ': openai:o3",
        "code-reviewer:gpt-4o, my-plugin:tester=openai:o3",
        "'code-reviewer = gpt-4o , my-plugin:tester= openai:o3,'",
        "[code-reviewer:gpt-4o, my-plugin:tester=openai:o3]",
    ],
)
def test_mappings(desk: Desk, text: str) -> None:
    """A mapping is keys with values, or a text; the name of a plugin's agent keeps its colon. Order and case stay."""
    desk.write(f"subagents:\n  mappings: {text}\n")
    expected = [("code-reviewer", "gpt-4o"), ("my-plugin:tester", "openai:o3")]
    assert list(desk.load().subagents.mappings.items()) == expected


def test_an_empty_mapping_is_a_value(desk: Desk) -> None:
    """An empty mapping in the file says that there is nothing in it."""
    desk.write("subagents: {mappings: {}}")
    settings = desk.load()
    assert (settings.subagents.mappings, settings.sources["subagents.mappings"]) == ({}, "config.yaml:1")
    assert settings.notes == ()
