"""Which provider and model a target names: `gpt-4o`, `openai:o3`, `ollama:gpt-oss:20b`.

Knows how the models of the built-in providers are called. Refuses to guess for any other.
"""

from __future__ import annotations

from collections.abc import Collection

from ccproxy.settings.found import quoted

# A model whose name begins like this is this provider's.
_MODELS = {
    "claude-": "anthropic",
    "gpt-": "openai",
    "o1": "openai",
    "o3": "openai",
    "o4": "openai",
    "chatgpt-": "openai",
    "codex-": "openai",
}


def resolve(target: str, providers: Collection[str]) -> tuple[str, str]:
    """Return the provider and the model that a target names, with the names of all providers at hand.

    What stands before the first colon is a provider if there is one of that name; if not, the target is a model as a whole,
    colons and all. Raises a `ValueError` with a sentence for one that no provider is known for.
    """
    provider, colon, model = (part.strip() for part in target.partition(":"))
    if colon and provider in providers:
        if not model:
            raise ValueError(f"{quoted(target)} names no model: write provider:model")
        return provider, model
    for beginning, owner in _MODELS.items():
        if target.startswith(beginning):
            return owner, target
    known = ", ".join(providers)
    hint = "; an agent with a colon in its name is written plugin:agent=model" if colon else ""
    raise ValueError(f"there is no provider for {quoted(target)}: write provider:model, with one of {known}{hint}")
