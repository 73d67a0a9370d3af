"""Providers of one's own: what they are read from, and what they are without."""

from __future__ import annotations

from functools import partial

import pytest

from ccproxy.settings import Provider, kinds, named, needs_key, rows_of, value_of
from tests.settings.conftest import Desk, sentence

GROQ = "providers:\n  groq:\n    base_url: https://api.groq.com/openai/v1\n"
FULL = """\
providers:
  my-azure_2:
    format: OpenAI
    base_url: https://me.openai.azure.com/openai/deployments/gpt-4o/?api-version=2024-06-01
    api_key: hunter2
    headers:
      API-Key: hunter3
      X-Title: hunter4, and more
    limits: {gpt-4o: 16384, "*": 32768}
    max_retries: 7
    retry_statuses: [429, 529]
    connect_timeout: 1s
    response_header_timeout: 2m
    idle_timeout: 3h
"""


def test_all_of_a_provider(desk: Desk) -> None:
    """A provider of one's own has its name, what openai has, and the line of each of its settings as the source."""
    desk.write(FULL)
    settings = desk.load()
    assert settings.providers.others == {
        "my-azure_2": Provider(
            name="my-azure_2",
            format="openai",
            base_url="https://me.openai.azure.com/openai/deployments/gpt-4o?api-version=2024-06-01",
            api_key="hunter2",
            headers={"api-key": "hunter3", "x-title": "hunter4, and more"},
            limits={"gpt-4o": 16384, "*": 32768},
            max_retries=7,
            retry_statuses=(429, 529),
            connect_timeout=1.0,
            response_header_timeout=120.0,
            idle_timeout=10800.0,
        )
    }
    assert settings.sources["providers.my-azure_2.format"] == "config.yaml:3"
    assert settings.sources["providers.my-azure_2.idle_timeout"] == "config.yaml:14"
    assert [row.key for row in rows_of(settings)] == list(settings.sources)
    assert value_of(settings, "providers.my-azure_2.max_retries") == 7


def test_defaults_are_those_of_openai(desk: Desk) -> None:
    """What is not said of a provider of one's own is as with openai."""
    desk.write(GROQ)
    settings = desk.load()
    openai, groq = settings.providers.openai, settings.providers.others["groq"]
    for name in ("format", "api_key", "headers", "limits", "max_retries", "retry_statuses", "connect_timeout"):
        assert getattr(groq, name) == getattr(openai, name)
    assert (groq.response_header_timeout, groq.idle_timeout) == (openai.response_header_timeout, openai.idle_timeout)
    assert settings.sources["providers.groq.api_key"] == "default"


def test_several_providers_stay_in_order(desk: Desk) -> None:
    """Providers stand in the order in which the file names them, after those that are always there."""
    desk.write("providers:\n  z: {base_url: http://z}\n  a: {base_url: http://a}\nproviders.m.base_url: http://m\n")
    settings = desk.load()
    assert list(settings.providers.others) == ["z", "a", "m"]
    assert list(named(settings.providers)) == ["anthropic", "openai", "z", "a", "m"]
    assert [provider.name for provider in named(settings.providers).values()] == list(named(settings.providers))


def test_dotted_keys_make_a_file_ours(desk: Desk) -> None:
    """A file that holds nothing but a provider's dotted key is read."""
    desk.write("providers.my-llm.base_url: http://a\n")
    assert desk.load().providers.others["my-llm"].base_url == "http://a"


@pytest.mark.parametrize(
    "text", ["providers:\n  groq:\n", "providers: {groq: {}}", 'providers: {groq: {base_url: ""}}']
)
def test_a_provider_of_which_nothing_is_said_is_none(desk: Desk, text: str) -> None:
    """A section in which everything is commented out or empty makes no provider, whatever the environment holds."""
    desk.write(text)
    assert desk.load(environ={"GROQ_API_KEY": "x", "GROQ_BASE_URL": "http://a"}).providers.others == {}


def test_key_and_address_come_from_the_environment(desk: Desk) -> None:
    """For key and address: environment over .env over config.yaml, under the name in capitals; nothing else is read there."""
    desk.write("providers: {my-llm: {base_url: http://file, api_key: of-file, max_retries: 5}}")

    def found(**environ: str) -> tuple[str, str, int]:
        provider = desk.load(environ=environ).providers.others["my-llm"]
        return provider.base_url, provider.api_key, provider.max_retries

    assert found() == ("http://file", "of-file", 5)
    dotenv = desk.write("MY_LLM_BASE_URL=http://dotenv\nMY_LLM_API_KEY=of-dotenv\n", ".env")
    assert found(MY_LLM_API_KEY="") == ("http://dotenv", "of-dotenv", 5)
    assert found(MY_LLM_API_KEY="of-environ") == ("http://dotenv", "of-environ", 5)
    environ = {"MY_LLM_BASE_URL": "http://environ", "MY_LLM_API_KEY": "of-environ", "MY_LLM_MAX_RETRIES": "9"}
    assert found(**environ) == ("http://environ", "of-environ", 5)
    dotenv.unlink()
    sources = desk.load(environ=environ).sources
    assert sources["providers.my-llm.base_url"] == "environment MY_LLM_BASE_URL"
    assert sources["providers.my-llm.max_retries"] == "config.yaml:1"
    given = desk.load(environ=environ, cli={"providers.my-llm.base_url": "http://cli"})
    assert given.providers.others["my-llm"].base_url == "http://cli"


def test_the_environment_alone_makes_no_provider(desk: Desk) -> None:
    """Variables of providers that config.yaml does not name are other programs'."""
    settings = desk.load(environ={"GROQ_API_KEY": "two words", "GROQ_BASE_URL": "not a url"})
    assert settings.providers.others == {}


def test_a_wrong_variable_is_refused_by_its_name(desk: Desk) -> None:
    """A variable of a provider that is there is refused like any other, and a key is not repeated."""
    desk.write(GROQ)
    assert sentence(lambda: desk.load(environ={"GROQ_BASE_URL": "groq.com"})) == (
        f'environment GROQ_BASE_URL: providers.groq.base_url must be {kinds.API_URL.what}, not "groq.com"'
    )
    assert sentence(lambda: desk.load(environ={"GROQ_API_KEY": "hunter2 hunter2"})) == (
        "environment GROQ_API_KEY: providers.groq.api_key must be one word of visible characters"
    )


def test_variables_of_openai_that_mean_others_refuse_nothing(desk: Desk) -> None:
    """While no subagent is routed, a variable of OpenAI's that makes no sense is passed over, in .env as well; what stands in
    config.yaml counts then, and must be right."""
    environ = {"OPENAI_BASE_URL": "localhost:11434/v1", "OPENAI_API_KEY": "two words", "OPENAI_MAX_RETRIES": "5"}
    desk.write("OPENAI_LIMITS=many\nOPENAI_API_KEY=k\n", ".env")
    desk.write("providers: {openai: {base_url: http://file/v1}}")
    settings = desk.load(environ=environ)
    openai = settings.providers.openai
    assert (openai.base_url, openai.api_key, openai.max_retries, openai.limits) == ("http://file/v1", "k", 5, {})
    assert settings.sources["providers.openai.base_url"] == "config.yaml:1"
    assert settings.sources["providers.openai.api_key"] == ".env OPENAI_API_KEY"
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY"):
        wrong = {"SUBAGENTS_ENABLE": "true", name: environ[name]}
        assert sentence(partial(desk.load, environ=wrong)).startswith(f"environment {name}: providers.openai.")
    assert desk.refusal("providers: {openai: {base_url: 'localhost:11434/v1'}}").startswith("config.yaml line 1: ")


@pytest.mark.parametrize(
    ("text", "base_url"),
    [
        ("https://openrouter.ai/api/v1/", "https://openrouter.ai/api/v1"),
        ("http://localhost:11434/v1", "http://localhost:11434/v1"),
        ("https://a/b/?api-version=1&x=/y", "https://a/b?api-version=1&x=/y"),
        ("https://a/b?", "https://a/b"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_addresses(desk: Desk, text: str, base_url: str) -> None:
    """An address may have a path and a query; a slash at the end of its path means nothing."""
    desk.write(f"providers: {{a: {{base_url: '{text}'}}}}")
    assert desk.load().providers.others["a"].base_url == base_url


@pytest.mark.parametrize("query", ["key=hunter2", "api-version=1&api_key=hunter2", "a=sk-hunter2hunter2hunter2"])
def test_a_key_in_a_query_is_refused(desk: Desk, query: str) -> None:
    """A key in an address would be shown wherever the address is, so it is refused, and not repeated."""
    assert desk.refusal(f"providers:\n  a:\n    base_url: https://a/b?{query}\n") == (
        "config.yaml line 3: providers.a.base_url must not hold a key in its query: a key stands under api_key or headers,"
        " where it never shows"
    )


@pytest.mark.parametrize(
    "name", ["Host", "content-length", "Connection", "transfer-encoding", "TE", "Keep-Alive", "proxy-authorization"]
)
def test_headers_of_the_connection_are_refused(desk: Desk, name: str) -> None:
    """What belongs to the connection or frames the body cannot be set, in any case, and no value is repeated."""
    assert desk.refusal(f"providers:\n  a:\n    headers:\n      X-A: 1\n      {name}: hunter2\n") == (
        f"config.yaml line 5: providers.a.headers must not hold {name.lower()}: ccproxy says it itself, for each connection"
        " or body"
    )


@pytest.mark.parametrize(
    "headers",
    ["{X-A: 'hunter2\u00fc'}", "{'X A': hunter2}", "X-A hunter2", "{X-A: [hunter2]}", "{X-A: hunter2, x-a: hunter2}"],
)
def test_a_refused_header_is_not_repeated(desk: Desk, headers: str) -> None:
    """Whatever is wrong with a header, its value stands in no sentence."""
    message = desk.refusal(f"providers: {{a: {{headers: {headers}}}}}")
    assert message.startswith("config.yaml line 1: providers.a.headers ")
    assert "hunter2" not in message


def test_secrets_of_providers_do_not_show(desk: Desk) -> None:
    """Neither a key nor any value of a header shows in the repr of a provider or of all settings."""
    desk.write(FULL)
    settings = desk.load(environ={"OPENAI_API_KEY": "hunter5", "OPENAI_HEADERS": "X-A: hunter6"})
    for shown in (
        repr(settings),
        str(settings.providers),
        repr(named(settings.providers)),
        f"{settings.providers.others}",
    ):
        assert "hunter" not in shown
        assert "my-azure_2" in shown


def test_anthropic_is_a_provider_like_the_others(desk: Desk) -> None:
    """Under its name Anthropic is what is set for it, in the shape of the others."""
    environ = {
        "ANTHROPIC_FORWARD_URL": "https://gateway",
        "ANTHROPIC_FORWARD_API_KEY": "hunter2",
        "ANTHROPIC_MAX_RETRIES": "9",
    }
    provider = named(desk.load(environ=environ).providers)["anthropic"]
    assert (provider.name, provider.format, provider.base_url) == ("anthropic", "anthropic", "https://gateway")
    assert (provider.api_key, provider.max_retries, provider.connect_timeout) == ("hunter2", 9, 30.0)
    assert (provider.headers, provider.limits) == ({}, {})


@pytest.mark.parametrize(
    ("settings", "needs"),
    [
        ("base_url: https://a", True),
        ("base_url: https://a, api_key: k", False),
        ("base_url: https://a, headers: {api-key: k}", False),
        ("base_url: https://a, headers: {Authorization: Basic k}", False),
        ("base_url: https://a, headers: {X-Title: k}", True),
        ("base_url: HTTPS://a", True),
        ("base_url: http://a", False),
    ],
)
def test_who_needs_a_key(desk: Desk, settings: str, needs: bool) -> None:
    """A provider that is reached by https needs a key, which a header may hold; one in the own network needs none."""
    desk.write(f"providers: {{a: {{{settings}}}}}")
    assert needs_key(desk.load().providers.others["a"]) is needs


def test_the_built_in_providers_and_their_keys(desk: Desk) -> None:
    """OpenAI needs a key; Anthropic is sent what the client brings."""
    providers = named(desk.load().providers)
    assert (needs_key(providers["openai"]), needs_key(providers["anthropic"])) == (True, False)
    assert not needs_key(desk.load(environ={"OPENAI_API_KEY": "k"}).providers.openai)
