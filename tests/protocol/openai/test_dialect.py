"""Which provider and model takes what, by host and name."""

from __future__ import annotations

import pytest

from ccproxy.protocol.openai.dialect import Dialect, dialect_of

OPENAI = "api.openai.com"


@pytest.mark.parametrize(
    ("host", "model", "field"),
    [
        (OPENAI, "gpt-4o", "max_completion_tokens"),
        ("eu.api.openai.com", "gpt-4.1", "max_completion_tokens"),
        ("my-company.openai.azure.com", "our-deployment", "max_completion_tokens"),
        ("openrouter.ai", "openai/gpt-5.1", "max_completion_tokens"),
        ("openrouter.ai", "openai/o3-mini", "max_completion_tokens"),
        ("gateway.example", "codex-mini-latest", "max_completion_tokens"),
        ("openrouter.ai", "openai/gpt-4o", "max_tokens"),
        ("api.groq.com", "openai/gpt-oss-120b", "max_tokens"),
        ("127.0.0.1:11434", "qwen3:8b", "max_tokens"),
        ("notopenai.com", "some-model", "max_tokens"),
        ("openai.com.example", "some-model", "max_tokens"),
        ("somewhere.example", "o3000", "max_tokens"),
    ],
)
def test_the_field_of_the_limit(host: str, model: str, field: str) -> None:
    """OpenAI, Azure and OpenAI's reasoning models anywhere have the new field, everybody else the old one."""
    assert dialect_of(host, model).tokens_field == field


@pytest.mark.parametrize(
    ("model", "most"),
    [
        ("gpt-4o", 16384),
        ("gpt-4o-mini-2024-07-18", 16384),
        ("gpt-4o-2024-05-13", 4096),
        ("openai/gpt-4o", 16384),
        ("ft:gpt-4o-mini-2024-07-18:us:x:1", 16384),
        ("GPT-4.1-nano", 32768),
        ("gpt-4-turbo-2024-04-09", 4096),
        ("gpt-4-0613", 8192),
        ("gpt-35-turbo", 4096),
        ("gpt-5", 128000),
        ("gpt-5-chat-latest", 16384),
        ("gpt-5.6-sol", 128000),
        ("gpt-6-astra", 128000),
        ("o1-mini", 65536),
        ("o1-2024-12-17", 100000),
        ("o4-mini", 100000),
        ("deepseek-chat", None),
        ("llama3", None),
    ],
)
def test_the_most_tokens(model: str, most: int | None) -> None:
    """A model's limit is that of the longest name it begins with, also behind a vendor's name; unknown models have none."""
    assert dialect_of(OPENAI, model).most_tokens == most


def test_a_configured_limit_goes_first() -> None:
    """A limit in the configuration counts more than what is known of the model."""
    assert dialect_of(OPENAI, "gpt-4o", 1000).most_tokens == 1000
    assert dialect_of(OPENAI, "gpt-4o", 99999).most_tokens == 99999


@pytest.mark.parametrize(
    ("host", "model", "efforts"),
    [
        (OPENAI, "o3", ("low", "medium", "high")),
        (OPENAI, "gpt-5-mini", ("minimal", "low", "medium", "high")),
        (OPENAI, "gpt-5.1", ("none", "low", "medium", "high")),
        (OPENAI, "gpt-5.2", ("none", "low", "medium", "high", "xhigh")),
        (OPENAI, "gpt-6.1-sol", ("none", "low", "medium", "high", "xhigh", "max")),
        ("api.groq.com", "openai/gpt-oss-20b", ("low", "medium", "high")),
        ("generativelanguage.googleapis.com", "models/gemini-2.5-flash", ("low", "medium", "high")),
        ("api.x.ai", "grok-3-mini", ("low", "high")),
        ("api.x.ai", "grok-4.5", ("low", "medium", "high")),
        ("api.deepseek.com", "deepseek-v4-pro", ("low", "medium", "high", "xhigh", "max")),
    ],
)
def test_the_efforts_of_models_that_reason(host: str, model: str, efforts: tuple[str, ...]) -> None:
    """A model that takes an effort takes these, in rising order."""
    dialect = dialect_of(host, model)
    assert (dialect.reasons, dialect.efforts) == (True, efforts)


@pytest.mark.parametrize(
    "model",
    ["gpt-4o", "gpt-4.1", "gpt-5-chat-latest", "gpt-35-turbo", "o1-mini", "grok-4", "gemini-2.0-flash", "llama3", ""],
)
def test_models_that_take_no_effort(model: str) -> None:
    """Whoever is not known to take an effort is not asked for one."""
    assert not dialect_of("somewhere.example", model).reasons


@pytest.mark.parametrize(
    ("model", "plain"),
    [("gpt-5.4", False), ("o1", False), ("o3-mini", False), ("o4-mini", False), ("gpt-6-sol", False), ("gpt-4o", True),
     ("gpt-5-chat-latest", True), ("gpt-oss-120b", True), ("o30b", True)],
)  # fmt: skip
def test_openais_reasoning_models_take_no_sampling_and_no_stops(model: str, plain: bool) -> None:
    """OpenAI's reasoning models refuse temperature, top_p and stop; all others take them."""
    dialect = dialect_of(OPENAI, model)
    assert (dialect.samples, dialect.stops) == (plain, plain)


@pytest.mark.parametrize(
    ("model", "stops"),
    [("grok-4", False), ("grok-4-fast-non-reasoning", True), ("grok-3-mini", False), ("grok-3", True)],
)
def test_xais_reasoning_models_take_no_stops(model: str, stops: bool) -> None:
    """xAI's reasoning models sample as told, but stop where they want."""
    dialect = dialect_of("api.x.ai", model)
    assert (dialect.samples, dialect.stops) == (True, stops)


@pytest.mark.parametrize(
    ("host", "model", "both"),
    [(OPENAI, "gpt-5.3", True), (OPENAI, "gpt-5.4-mini", False), (OPENAI, "gpt-5.6", False), (OPENAI, "gpt-6-sol", False),
     ("openrouter.ai", "openai/gpt-5.6", True), (OPENAI, "o3", True)],
)  # fmt: skip
def test_tools_beside_reasoning(host: str, model: str, both: bool) -> None:
    """Since GPT-5.4 OpenAI takes tools in Chat Completions only without reasoning; OpenRouter goes another way."""
    assert dialect_of(host, model).thinks_with_tools is both


@pytest.mark.parametrize(("model", "parallel"), [("o3", False), ("o4-mini", False), ("gpt-5", True), ("gpt-4o", True)])
def test_the_o_series_takes_no_order_about_parallel_calls(model: str, parallel: bool) -> None:
    """The o series refuses parallel_tool_calls."""
    assert dialect_of(OPENAI, model).parallel is parallel


@pytest.mark.parametrize(
    ("host", "model", "anywhere"),
    [(OPENAI, "gpt-4o", True), ("x.openai.azure.com", "deployment", True), ("127.0.0.1", "gpt-4o", True),
     ("api.x.ai", "grok-4", True), ("127.0.0.1", "Qwen/Qwen3.6-27B", False), ("127.0.0.1", "local", False),
     ("api.mistral.ai", "mistral-large-latest", False)],
)  # fmt: skip
def test_where_system_messages_may_stand(host: str, model: str, anywhere: bool) -> None:
    """System messages inside the conversation go only to those who are known to take them."""
    assert dialect_of(host, model).systems_anywhere is anywhere


@pytest.mark.parametrize(
    ("host", "model", "usage", "strict"),
    [("api.mistral.ai", "labs-x", False, True), ("openrouter.ai", "mistralai/devstral-small", True, True),
     ("127.0.0.1", "open-mixtral-8x7b", True, True), ("127.0.0.1", "gemma3", True, False)],
)  # fmt: skip
def test_what_mistral_wants(host: str, model: str, usage: bool, strict: bool) -> None:
    """Mistral wants short ids and a bridge behind tool results wherever it runs, and its own API no stream options."""
    dialect = dialect_of(host, model)
    assert (dialect.streams_usage, dialect.short_ids, dialect.bridges) == (usage, strict, strict)


@pytest.mark.parametrize(
    ("host", "echoes"),
    [("api.deepseek.com", True), ("api.moonshot.ai", True), ("openrouter.ai", False), (OPENAI, False)],
)
def test_who_wants_its_reasoning_back(host: str, echoes: bool) -> None:
    """DeepSeek and Moonshot want a reasoning_content on every assistant message."""
    assert dialect_of(host, "any-model").echoes is echoes


def test_nothing_is_known_by_default() -> None:
    """A dialect of which nothing was said is the protocol as it is written."""
    assert Dialect() == Dialect("max_tokens", None, False, True, ("low", "medium", "high"))
