"""What settings must be together, and what of them does nothing as they stand.

Words what is refused, and what is only told: where it stands, and what to do. Refuses to know how a value is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ccproxy.errors import ConfigError
from ccproxy.settings import inherited
from ccproxy.settings.declaring import variable
from ccproxy.settings.found import Found
from ccproxy.settings.providers import missing_key, named, own, owner
from ccproxy.settings.targets import resolve
from ccproxy.settings.tree import SETTINGS, Settings

ENABLE, MAPPINGS = "subagents.enable", "subagents.mappings"


def check(settings: Settings, found: Mapping[str, Found]) -> None:
    """Raise the `ConfigError` that tells which settings cannot be together; `found` tells where they stand."""
    taken = {row.env: row.key for row in SETTINGS}
    for name, provider in settings.providers.others.items():
        place = next(value.label for key, value in found.items() if owner(key) == name)
        variables = {row.env: row.key for row in own(name) if row.env}
        if both := sorted(taken.keys() & variables.keys()):
            raise ConfigError(f"{place}: providers.{name} needs another name: {both[0]} is {taken[both[0]]} already")
        taken |= variables
        if not provider.base_url:
            where = f"say where its API is, there or in {variable(name)}_BASE_URL"
            raise ConfigError(f"{place}: providers.{name} has no base_url: {where}")
    if settings.subagents.enable:
        _routes(settings, found)


def notes(settings: Settings, found: Mapping[str, Found]) -> tuple[str, ...]:
    """Return a sentence for whatever is set and does nothing as it stands."""
    return (*inherited.notes(found), *_of_subagents(settings, found))


def _of_subagents(settings: Settings, found: Mapping[str, Found]) -> Iterator[str]:
    subagents = settings.subagents
    if subagents.enable and subagents.mappings:
        yield from _missing_keys(settings, found)
    elif subagents.enable:
        yield f"{found[ENABLE].label}: {ENABLE} has no effect while {MAPPINGS} names no agent"
    elif subagents.mappings:
        yield f"{found[MAPPINGS].label}: {MAPPINGS} has no effect while {ENABLE} is false"


def _missing_keys(settings: Settings, found: Mapping[str, Found]) -> Iterator[str]:
    routes = _routes(settings, found)
    for name, provider in named(settings.providers).items():
        agents = [agent for agent, answering in routes.items() if answering == name]
        if agents and (key := missing_key(provider)):
            place = _label(found[MAPPINGS], agents[0])
            yield f"{place}: the key is missing for {name}, which answers {', '.join(agents)}: {key}"


def _routes(settings: Settings, found: Mapping[str, Found]) -> dict[str, str]:
    """Return the name of the provider that answers each agent."""
    providers = list(named(settings.providers))
    routes = {}
    for agent, target in settings.subagents.mappings.items():
        try:
            routes[agent], _ = resolve(target, providers)
        except ValueError as error:
            raise ConfigError(f"{_label(found[MAPPINGS], agent)}: {MAPPINGS}: {error}") from None
    return routes


def _label(mappings: Found, agent: str) -> str:
    """Name the place where an agent is mapped, to the line where the source has lines."""
    return next((item.label for item in mappings.items or () if item.name == agent), mappings.label)
