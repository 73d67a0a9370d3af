"""Keys of the original claude-code-proxy that do nothing here: its configuration loads as it is.

Knows each of them, and when it would have mattered there: then it is told that it does nothing. Whatever stands under one is
accepted. Refuses to know what the original did with them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ccproxy.settings import readers
from ccproxy.settings.found import Found


def _never(_text: str) -> bool:
    return False


def _switched_on(text: str) -> bool:
    try:
        return readers.switch(text)
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Inherited:
    """A key without effect. `matters` tells of its text whether it would have had one in the original."""

    key: str
    env: str = ""
    matters: Callable[[str], bool] = _never


INHERITED = (
    Inherited("providers.openai.base_url", "OPENAI_BASE_URL"),
    Inherited("providers.openai.api_key", "OPENAI_API_KEY"),
    Inherited("storage.requests_dir", matters=bool),
    Inherited("subagents.enable", matters=_switched_on),
    Inherited(
        "subagents.mappings", "SUBAGENT_MAPPINGS", matters=bool
    ),  # a mapping in YAML has no text, and waits for `enable`
)
KEYS = frozenset(row.key for row in INHERITED)


def notes(found: Mapping[str, Found]) -> tuple[str, ...]:
    """Return a sentence for each key that would have mattered."""
    told = [row.key for row in INHERITED if row.key in found and row.matters(found[row.key].text)]
    return tuple(f"{found[key].label}: {key} has no effect in this version" for key in told)
