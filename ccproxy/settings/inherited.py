"""Keys of the original claude-code-proxy that do nothing here: its configuration loads as it is, and is told of them.

Whatever stands under one is accepted. Refuses to know what the original did with them.
"""

from __future__ import annotations

from collections.abc import Mapping

from ccproxy.settings.found import Found

KEYS = ("storage.requests_dir",)


def notes(found: Mapping[str, Found]) -> tuple[str, ...]:
    """Return a sentence for each key that is set."""
    return tuple(f"{found[key].label}: {key} has no effect in this version" for key in KEYS if key in found)
