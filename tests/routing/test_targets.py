"""What agents are mapped to, by the settings."""

from __future__ import annotations

from pathlib import Path

from ccproxy import settings
from ccproxy.routing.targets import Target, targets_of

MAPPINGS = "code-reviewer:gpt-4o, tester=claude-haiku-4-5, local:openai:gpt-oss:20b"


def load(**environ: str) -> settings.Settings:
    """Return settings of these variables alone."""
    nowhere = Path("/nonexistent")
    return settings.load(environ=environ, dotenv=False, cwd=nowhere, config_home=nowhere, data_home=nowhere)


def test_off_means_no_targets() -> None:
    """Mappings alone route nothing."""
    assert targets_of(load(SUBAGENT_MAPPINGS=MAPPINGS)) == {}


def test_each_agent_has_its_provider_and_model() -> None:
    """A provider is told by the model's name, or named before a colon."""
    assert targets_of(load(SUBAGENT_MAPPINGS=MAPPINGS, SUBAGENTS_ENABLE="true")) == {
        "code-reviewer": Target("openai", "gpt-4o"),
        "tester": Target("anthropic", "claude-haiku-4-5"),
        "local": Target("openai", "gpt-oss:20b"),
    }
