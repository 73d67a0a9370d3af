"""The providers: who answers requests, where each is reached, with which key, and how patiently.

`anthropic` and `openai` are always there; any others stand under names of one's own, each with the settings of `Provider`.
Refuses to know which requests go to whom, and what is said to a provider.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from ccproxy.protocol.headers import is_secret
from ccproxy.settings.declaring import OF_SECTION, Setting, again, rows, setting, variable
from ccproxy.settings.kinds import (
    API_URL,
    BASE_URL,
    DURATION,
    HEADERS,
    LIMITS,
    OPENAI_URL,
    POSITIVE_DURATION,
    PROTOCOL,
    RETRIES,
    STATUSES,
    SWITCH,
    TOKEN,
    WORD,
)

BUILT_IN = ("anthropic", "openai")
ANY_NAME = OF_SECTION.lower()  # in documentation, for the name of a provider of one's own
_SECTION = "providers"
_NOT_A_NAME = ("others",)  # the field that holds them
_FROM_VARIABLES = ("base_url", "api_key")  # what providers of one's own take from the environment as well
_SLIP = 0.8  # how much a name may look like a built-in one: `antropic` and `open-ai` do, `openrouter` does not


@dataclass(frozen=True, slots=True, kw_only=True)
class Anthropic:
    """The provider that requests go to."""

    base_url: str = setting(
        "https://api.anthropic.com",
        BASE_URL,
        "ANTHROPIC_FORWARD_URL",
        "Where requests are forwarded to; a path in it goes before the request's own.",
    )
    version: str = setting(
        "2023-06-01",
        WORD,
        "ANTHROPIC_VERSION",
        "The `anthropic-version` header for requests whose client sent none.",
    )
    api_key: str = setting(
        "",
        TOKEN,
        "ANTHROPIC_FORWARD_API_KEY",
        "The key that is sent for clients that bring no credential of their own.",
        secret=True,
    )
    max_retries: int = setting(
        "3", RETRIES, "ANTHROPIC_MAX_RETRIES", "How often a request is tried again where no answer came."
    )
    retry_statuses: tuple[int, ...] = setting(
        "", STATUSES, "ANTHROPIC_RETRY_STATUSES", "Status codes of answers after which a request is tried again, too."
    )
    demote_nonstreaming: bool = setting(
        "false",
        SWITCH,
        "ANTHROPIC_DEMOTE_NONSTREAMING",
        "Whether a stream is asked for where the client asked for one JSON message, which it is then given.",
    )
    connect_timeout: float = setting(
        "30s", POSITIVE_DURATION, "ANTHROPIC_CONNECT_TIMEOUT", "How long connecting to the provider may take."
    )
    response_header_timeout: float = setting(
        "5m",
        POSITIVE_DURATION,
        "ANTHROPIC_RESPONSE_HEADER_TIMEOUT",
        "How long the provider may take until its answer begins.",
    )
    idle_timeout: float = setting(
        "0",
        DURATION,
        "ANTHROPIC_IDLE_TIMEOUT",
        "The longest silence inside an answer before it counts as broken; 0 means that it never does.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A provider that chosen subagents are answered by. `name` is that of its section."""

    name: str
    format: str = setting(
        "openai",
        PROTOCOL,
        "<NAME>_FORMAT",
        "What the provider speaks: `openai`, Chat Completions, or `anthropic`, Messages.",
    )
    base_url: str = setting(
        "",
        API_URL,
        "<NAME>_BASE_URL",
        "Where its API is, as its own documentation says: `/chat/completions`, or `/v1/messages`, is added to the path,"
        " and a query such as `?api-version=2024-06-01` stays.",
        shown="none; it needs one",
    )
    api_key: str = setting("", TOKEN, "<NAME>_API_KEY", "The key that is sent to this provider.", secret=True)
    headers: Mapping[str, str] = setting(
        "",
        HEADERS,
        "<NAME>_HEADERS",
        "Headers that are sent to it as well, in `config.yaml` as `name: value`, in the environment a line each."
        " None of their values is ever shown.",
        secret=True,
    )
    limits: Mapping[str, int] = setting(
        "",
        LIMITS,
        "<NAME>_LIMITS",
        "The most tokens that its models write, by name or shell-style pattern: `gpt-4o=16384, *=32768`.",
    )
    max_retries: int = again(Anthropic, "max_retries", "<NAME>_MAX_RETRIES")
    retry_statuses: tuple[int, ...] = again(Anthropic, "retry_statuses", "<NAME>_RETRY_STATUSES")
    connect_timeout: float = again(Anthropic, "connect_timeout", "<NAME>_CONNECT_TIMEOUT")
    response_header_timeout: float = again(Anthropic, "response_header_timeout", "<NAME>_RESPONSE_HEADER_TIMEOUT")
    idle_timeout: float = again(Anthropic, "idle_timeout", "<NAME>_IDLE_TIMEOUT")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAI(Provider):
    """OpenAI, which is always there: its address is known."""

    base_url: str = setting(
        "https://api.openai.com/v1",
        OPENAI_URL,
        "OPENAI_BASE_URL",
        "Where OpenAI's API is, or one like it; without a path, `/v1` is meant.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Providers:
    """The providers, each under its name; `others` are those of the user's own, in the order of their first settings."""

    anthropic: Anthropic
    openai: OpenAI
    others: Mapping[str, Provider]


def named(providers: Providers) -> dict[str, Provider]:
    """Return every provider under its name, Anthropic as well: all that a request needs which goes to one of them."""
    first = providers.anthropic
    shared = {item.name: getattr(first, item.name) for item in fields(Provider) if hasattr(first, item.name)}
    anthropic = Provider(name="anthropic", format="anthropic", headers={}, limits={}, **shared)
    return {"anthropic": anthropic, "openai": providers.openai, **providers.others}


def needs_key(provider: Provider) -> bool:
    """Return whether a provider has no key, and is none that would work without.

    One on this machine or in one's own network is not reached by https; Anthropic is sent what the client brings.
    """
    if provider.name == "anthropic" or not provider.base_url.lower().startswith("https:"):
        return False
    return not provider.api_key and not any(is_secret(name.encode()) for name in provider.headers)


def missing_key(provider: Provider) -> str:
    """Return where to put the key that a provider needs and has not; nothing where none is missing."""
    return f"set {variable(provider.name)}_API_KEY or providers.{provider.name}.api_key" if needs_key(provider) else ""


def own(name: str) -> tuple[Setting, ...]:
    """Return the settings of a provider of one's own."""
    every = rows(Provider, f"{_SECTION}.{name}.")
    return tuple(row if row.key.endswith(_FROM_VARIABLES) else replace(row, env="") for row in every)


def owner(key: str) -> str:
    """Return the name of the provider of one's own to which a key or a section belongs, or nothing."""
    name = _name_in(key)
    return name if name and name not in BUILT_IN and not trouble(key) else ""


def siblings(key: str) -> tuple[Setting, ...]:
    """Return the settings of the provider of one's own to which this key belongs; of any other key, none."""
    name = owner(key)
    return own(name) if name else ()


def trouble(key: str) -> str:
    """Return why there can be no provider of the name in this key, to go on with after the key; or nothing."""
    name = _name_in(key)
    near = difflib.get_close_matches(name, BUILT_IN, n=1, cutoff=_SLIP)
    if near and near[0] not in name:
        return f'did you mean "{_SECTION}.{near[0]}"?'
    if name in _NOT_A_NAME:
        return "a provider cannot have this name"
    if name and not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        return "the name of a provider is made of lower-case letters, digits, - and _"
    return ""


def _name_in(key: str) -> str:
    section, *rest = key.split(".")
    return rest[0] if section == _SECTION and rest else ""
