"""What the settings wish, in the words of the modules that do it.

Knows which setting means what to whom. Refuses to decide anything.
"""

from __future__ import annotations

from ccproxy import recorder
from ccproxy.settings import Settings
from ccproxy.web.forward import Rules
from ccproxy.web.retrying import Retries


def rules_of(settings: Settings) -> Rules:
    """Return how requests are forwarded."""
    provider = settings.providers.anthropic
    return Rules(
        version=provider.version.encode(),
        max_body=settings.server.max_body,
        read_timeout=settings.server.timeouts.read,
        retries=Retries(provider.max_retries, frozenset(provider.retry_statuses)),
        demote=provider.demote_nonstreaming,
        api_key=provider.api_key.encode(),
    )


def capture_limits(settings: Settings) -> recorder.Limits:
    """Return what of the traffic is recorded."""
    capture = settings.capture
    return recorder.Limits(
        paths=capture.paths,
        max_body=capture.max_body,
        redact=capture.redact,
        secret_headers=frozenset({settings.auth.api_key_header.encode()}),
    )
