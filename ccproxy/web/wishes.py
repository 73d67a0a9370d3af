"""What the settings wish, in the words of the modules that do it.

Knows which setting means what to whom. Refuses to decide anything.
"""

from __future__ import annotations

from ccproxy import recorder
from ccproxy.routing.place import Place
from ccproxy.routing.targets import HOME, targets_of
from ccproxy.settings import Provider, Settings, missing_key, named
from ccproxy.upstream import Limits, Upstream, environment_proxy
from ccproxy.web.planning import Destination, Rules
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


def destinations_of(settings: Settings) -> dict[str, Destination]:
    """Return the other providers that agents are mapped to, by their names, none of them connected to yet."""
    wanted = {target.provider for target in targets_of(settings).values()} - {HOME}
    providers = named(settings.providers)
    return {name: _destination(providers[name], settings.providers.anthropic.version) for name in sorted(wanted)}


def _destination(provider: Provider, version: str) -> Destination:
    place = Place(
        provider.name, provider.format, provider.base_url, provider.api_key, provider.headers, provider.limits, version
    )
    limits = Limits(provider.connect_timeout, provider.response_header_timeout, provider.idle_timeout)
    upstream = Upstream(place.root, limits, environment_proxy(place.root), name=provider.name)
    retries = Retries(provider.max_retries, frozenset(provider.retry_statuses))
    return Destination(place, upstream, retries, missing_key(provider))
