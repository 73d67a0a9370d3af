"""What several settings must be together, and what is told of those that do nothing."""

from __future__ import annotations

import pytest

from tests.settings.conftest import Desk, sentence

ON = "subagents:\n  enable: true\n  mappings:\n"
GROQ = "providers:\n  groq:\n    base_url: https://api.groq.com/openai/v1\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "providers:\n  groq:\n    format: openai\n    api_key: k\n",
            "config.yaml line 3: providers.groq has no base_url: say where its API is, there or in GROQ_BASE_URL",
        ),
        (
            "providers.my-llm.api_key: k\n",
            "config.yaml line 1: providers.my-llm has no base_url: say where its API is, there or in MY_LLM_BASE_URL",
        ),
        (
            "providers:\n  groq:\n    format: gemini\n    base_url: http://a\n",
            'config.yaml line 3: providers.groq.format must be anthropic or openai, not "gemini"',
        ),
        (
            "providers:\n  anthropic-forward:\n    base_url: http://a\n",
            "config.yaml line 3: providers.anthropic-forward needs another name: ANTHROPIC_FORWARD_API_KEY is"
            " providers.anthropic.api_key already",
        ),
        (
            "providers:\n  my-llm: {base_url: http://a}\n  my_llm: {base_url: http://b}\n",
            "config.yaml line 3: providers.my_llm needs another name: MY_LLM_API_KEY is providers.my-llm.api_key already",
        ),
        (
            f"{ON}    a: gpt-4o\n    b: gemini-2.5-pro\n",
            'config.yaml line 5: subagents.mappings: there is no provider for "gemini-2.5-pro": write provider:model, with one'
            " of anthropic, openai",
        ),
        (
            f"{GROQ}{ON}    b: ollama:llama\n",
            'config.yaml line 7: subagents.mappings: there is no provider for "ollama:llama": write provider:model, with one of'
            " anthropic, openai, groq; an agent with a colon in its name is written plugin:agent=model",
        ),
        (
            f"{GROQ}{ON}    b: 'groq:'\n",
            'config.yaml line 7: subagents.mappings: "groq:" names no model: write provider:model',
        ),
    ],
)
def test_refused_together(desk: Desk, text: str, message: str) -> None:
    """What cannot be together is refused in one sentence: where it stands, and what to do."""
    assert desk.refusal(text) == message


def test_a_missing_address_may_stand_in_the_environment(desk: Desk) -> None:
    """A provider without an address is refused only where no source has one."""
    desk.write("providers: {groq: {format: openai}}")
    assert desk.load(environ={"GROQ_BASE_URL": "http://a"}).providers.others["groq"].base_url == "http://a"
    assert "GROQ_BASE_URL" in sentence(desk.load)


def test_a_target_of_the_environment_is_refused_by_its_variable(desk: Desk) -> None:
    """Where mappings are one text, the sentence names its source."""
    environ = {"SUBAGENTS_ENABLE": "true", "SUBAGENT_MAPPINGS": "a:gpt-4o,b:gemini"}
    assert sentence(lambda: desk.load(environ=environ)) == (
        'environment SUBAGENT_MAPPINGS: subagents.mappings: there is no provider for "gemini": write provider:model, with one of'
        " anthropic, openai"
    )


def test_targets_do_not_matter_while_subagents_are_off(desk: Desk) -> None:
    """Mappings that do nothing refuse no start, and are told."""
    desk.write("subagents:\n  mappings:\n    a: gemini-2.5-pro\n")
    assert desk.load().notes == (
        "config.yaml line 3: subagents.mappings has no effect while subagents.enable is false",
    )
    assert desk.load(environ={"SUBAGENT_MAPPINGS": "a:o3"}).notes == (
        "environment SUBAGENT_MAPPINGS: subagents.mappings has no effect while subagents.enable is false",
    )


def test_subagents_without_mappings_are_told(desk: Desk) -> None:
    """To enable what names nobody does nothing."""
    assert desk.load(environ={"SUBAGENTS_ENABLE": "true"}).notes == (
        "environment SUBAGENTS_ENABLE: subagents.enable has no effect while subagents.mappings names no agent",
    )


def test_a_missing_key_is_told(desk: Desk) -> None:
    """A provider that answers an agent and has no key is told once, with its agents and where the key goes; it may start."""
    desk.write(f"{GROQ}{ON}    a: claude-haiku-4-5\n    b: groq:x\n    c: gpt-4o\n    d: groq:y\n")
    assert desk.load().notes == (
        "config.yaml line 9: the key is missing for openai, which answers c: set OPENAI_API_KEY or providers.openai.api_key",
        "config.yaml line 8: the key is missing for groq, which answers b, d: set GROQ_API_KEY or providers.groq.api_key",
    )
    assert desk.load(environ={"OPENAI_API_KEY": "k", "GROQ_API_KEY": "k"}).notes == ()


def test_a_key_that_nobody_needs_is_not_told(desk: Desk) -> None:
    """No word of keys for providers that answer nobody, that run nearby, or where a header holds it."""
    desk.write(f"{GROQ}  ollama: {{base_url: http://localhost:11434/v1}}\n{ON}    a: ollama:x\n")
    assert desk.load().notes == ()
    desk.write(f"providers: {{azure: {{base_url: https://a, headers: {{api-key: k}}}}}}\n{ON}    a: azure:x\n")
    assert desk.load().notes == ()
