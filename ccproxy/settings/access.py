"""The settings of the side on which clients are: where ccproxy listens, and who may come in.

Each with its environment name, default, kind and sentence. Refuses to know what they are for.
"""

from __future__ import annotations

from dataclasses import dataclass

from ccproxy.settings.declaring import setting
from ccproxy.settings.kinds import (
    DURATION,
    HEADER,
    HOST,
    HOSTS,
    ORIGINS,
    PASSWORD,
    PORT,
    POSITIVE_DURATION,
    PUBLIC_URL,
    SIZE,
    SWITCH,
    TOKEN,
    WORKERS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTimeouts:
    """How long ccproxy waits for its clients, in seconds."""

    read: float = setting(
        "10m", POSITIVE_DURATION, "READ_TIMEOUT", "The longest silence while a client sends its request."
    )
    write: float = setting(
        "10m", POSITIVE_DURATION, "WRITE_TIMEOUT", "The longest time a client may take to accept a piece of its answer."
    )
    idle: float = setting("10m", POSITIVE_DURATION, "IDLE_TIMEOUT", "How long an idle client connection is kept open.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where and how ccproxy listens."""

    host: str = setting("127.0.0.1", HOST, "SERVER_HOST", "The address to listen on.")
    port: int = setting("3001", PORT, "PORT", "The port to listen on; 0 takes a free one.")
    workers: int = setting("1", WORKERS, "WORKERS", "How many processes serve requests.")
    max_body: int = setting(
        "256MB", SIZE, "MAX_BODY", "The largest request body that is accepted; 0 means that there is no limit."
    )
    drain_timeout: float = setting(
        "32m", DURATION, "DRAIN_TIMEOUT", "How long a stop waits for the exchanges that still run."
    )
    trust_proxy: bool = setting(
        "false",
        SWITCH,
        "TRUST_PROXY",
        "Whether a reverse proxy in front of ccproxy decides who comes in: a bind beyond this machine needs no auth then, and"
        " the bypass for this machine is off.",
    )
    public_url: str = setting(
        "",
        PUBLIC_URL,
        "PROXY_PUBLIC_URL",
        "The URL under which clients reach ccproxy, for set-up instructions; without it they show the address it listens on.",
    )
    allowed_hosts: tuple[str, ...] = setting(
        "",
        HOSTS,
        "ALLOWED_HOSTS",
        "Host names, beside those of this machine and of the public URL, under which the data API may be asked.",
    )
    cors_origins: tuple[str, ...] = setting(
        "", ORIGINS, "CORS_ORIGINS", "Web origins (`scheme://host:port`) whose pages may use the data API."
    )
    timeouts: ServerTimeouts


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """Who may use ccproxy."""

    enabled: bool = setting("false", SWITCH, "AUTH_ENABLED", "Whether clients must show the token.")
    token: str = setting("", TOKEN, "AUTH_TOKEN", "The token that clients must show; auth needs one.", secret=True)
    api_key_header: str = setting(
        "x-api-key",
        HEADER,
        "AUTH_API_KEY_HEADER",
        "The header in which a client may show the token; `Authorization: Bearer` is the other way.",
    )
    allow_localhost_bypass: bool = setting(
        "true", SWITCH, "AUTH_ALLOW_LOCALHOST_BYPASS", "Whether clients on this machine come in without the token."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """The pages on which captures are looked at."""

    enabled: bool = setting(
        "true", SWITCH, "DASHBOARD_ENABLED", "Whether `ccproxy serve` starts the dashboard, where it is installed."
    )
    port: int = setting(
        "5174",
        PORT,
        "DASHBOARD_PORT",
        "The port of the dashboard; 0 takes a free one. `SVELTE_PORT` is understood as well.",
        older_env="SVELTE_PORT",
    )
    password: str = setting(
        "",
        PASSWORD,
        "DASHBOARD_PASSWORD",
        "The password that a browser is asked for before it sees captures, with any user name; none means that it is not asked.",
        secret=True,
    )
