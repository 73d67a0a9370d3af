"""Which key somebody meant who wrote one that there is not."""

from __future__ import annotations

import pytest

from ccproxy.settings import nearest


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("server.prot", "server.port"),
        ("dashboard.prot", "dashboard.port"),
        ("prot", "server.port"),
        ("sever", "server"),
        ("subagent", "subagents"),
        ("server.timeout.read", "server.timeouts.read"),
        ("storage.request_dir", "storage.requests_dir"),
        ("subagents.mapping", "subagents.mappings"),
        ("providers.opneai", "providers.openai"),
        ("providers.groq.base_ulr", "providers.groq.base_url"),
        ("providers.groq.base_url", "providers.groq.base_url"),
        ("providers.groq.timeout", "providers.groq.idle_timeout"),
        ("zzz", None),
    ],
)
def test_nearest(written: str, meant: str | None) -> None:
    """The nearest key is looked for in the same section first, then everywhere."""
    assert nearest(written) == meant
