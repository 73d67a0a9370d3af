"""Which provider and model a target names."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccproxy.settings import resolve

PROVIDERS = ["anthropic", "openai", "openrouter", "ollama"]


@pytest.mark.parametrize(
    ("target", "provider", "model"),
    [
        ("claude-haiku-4-5", "anthropic", "claude-haiku-4-5"),
        ("gpt-4o", "openai", "gpt-4o"),
        ("o1", "openai", "o1"),
        ("o3-mini", "openai", "o3-mini"),
        ("o4-mini", "openai", "o4-mini"),
        ("chatgpt-4o-latest", "openai", "chatgpt-4o-latest"),
        ("codex-mini-latest", "openai", "codex-mini-latest"),
        ("gpt-oss:20b", "openai", "gpt-oss:20b"),
        ("ollama:gpt-oss:20b", "ollama", "gpt-oss:20b"),
        ("openai:gemini-2.5-pro", "openai", "gemini-2.5-pro"),
        ("anthropic:claude-opus-4-5", "anthropic", "claude-opus-4-5"),
        ("openrouter:anthropic/claude-sonnet-4", "openrouter", "anthropic/claude-sonnet-4"),
        ("openrouter: deepseek/deepseek-r1:free", "openrouter", "deepseek/deepseek-r1:free"),
    ],
)
def test_targets(target: str, provider: str, model: str) -> None:
    """A provider before the first colon counts; else a model of a known kind is its provider's, colons and all."""
    assert resolve(target, PROVIDERS) == (provider, model)


@pytest.mark.parametrize("target", ["gemini-2.5-pro", "groq:llama-4", "GPT-4o", "haiku", "anthropic/claude-sonnet-4"])
def test_unknown_targets(target: str) -> None:
    """A model that nobody is known for is refused, with the providers that could be named."""
    with pytest.raises(ValueError, match="no provider") as caught:
        resolve(target, PROVIDERS)
    hint = "; an agent with a colon in its name is written plugin:agent=model" if ":" in target else ""
    assert str(caught.value) == (
        f'there is no provider for "{target}": write provider:model, with one of anthropic, openai, openrouter, ollama{hint}'
    )


@pytest.mark.parametrize("target", ["ollama:", "openai: "])
def test_a_provider_without_a_model(target: str) -> None:
    """A provider alone is no target."""
    with pytest.raises(ValueError, match="model") as caught:
        resolve(target, PROVIDERS)
    assert str(caught.value) == f'"{target}" names no model: write provider:model'


@given(st.sampled_from(PROVIDERS), st.text(min_size=1).map(str.strip).filter(bool))
@settings(deadline=None)
def test_whatever_stands_after_a_provider_is_the_model(provider: str, model: str) -> None:
    """Any model can be named by its provider."""
    assert resolve(f"{provider}:{model}", PROVIDERS) == (provider, model)
