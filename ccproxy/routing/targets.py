"""What agents are mapped to.

Knows the settings that say so. Refuses to know the providers behind the names.
"""

from __future__ import annotations

from dataclasses import dataclass

from ccproxy.settings import Settings, named, resolve

HOME = "anthropic"  # the provider that requests are for, as they come


@dataclass(frozen=True, slots=True)
class Target:
    """What an agent is mapped to."""

    provider: str
    model: str


def targets_of(settings: Settings) -> dict[str, Target]:
    """Return what each agent is mapped to; nothing where routing is off."""
    if not settings.subagents.enable:
        return {}
    names = list(named(settings.providers))
    return {agent: Target(*resolve(wanted, names)) for agent, wanted in settings.subagents.mappings.items()}
