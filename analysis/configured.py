"""What is configured, for whoever shows captures: where the proxy is, what clients set, and every setting with its source.

Secrets are there for use and never in a repr. Refuses to know how any of it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from analysis.errors import AnalysisError
from ccproxy.auth import Gate, dashboard_host, is_loopback, policy_of
from ccproxy.errors import ConfigError
from ccproxy.settings import Setting, Settings, environment, load, parse, rows_of, value_of


@dataclass(frozen=True, slots=True)
class Row:
    """A setting as a person reads it: a secret shows only whether it is set."""

    key: str
    env: str
    value: str
    default: str
    source: str
    help: str


@dataclass(frozen=True, slots=True)
class Configuration:
    """`proxy_url` is where this machine reaches the proxy, `public_url` what clients are told. `place` is the store, for people.

    `dashboard_host` is the address that the dashboard may listen on; `confined` tells that this is less than what the proxy's is,
    for want of a password. `gate` decides who may see it.
    """

    settings: Settings
    proxy_url: str
    public_url: str
    place: str
    dashboard_host: str
    dashboard_port: int
    confined: bool
    auth_enabled: bool
    rows: tuple[Row, ...]
    gate: Gate
    dashboard_password: str = field(repr=False, default="")
    auth_token: str = field(repr=False, default="")


def configuration(environ: Mapping[str, str] | None = None, config_file: Path | None = None) -> Configuration:
    """Return what the settings say. Raises AnalysisError, with the place, where they make no sense."""
    try:
        return configuration_of(load(environ=environment() if environ is None else environ, config_file=config_file))
    except ConfigError as error:
        raise AnalysisError(str(error)) from None


def configuration_of_dump(dumped: bytes) -> Configuration:
    """Return what the settings say that a parent process wrote with `ccproxy.settings.dump`."""
    return configuration_of(parse(dumped))


def configuration_of(settings: Settings) -> Configuration:
    """Return what these settings say."""
    server, policy = settings.server, policy_of(settings)
    host = "127.0.0.1" if server.host in ("0.0.0.0", "::", "localhost") else server.host
    url = f"http://{f'[{host}]' if ':' in host else host}:{server.port}"
    storage = settings.storage
    return Configuration(
        settings=settings,
        proxy_url=url,
        public_url=(settings.server.public_url or url.replace("127.0.0.1", "localhost")).rstrip("/"),
        place="PostgreSQL" if storage.db_type == "postgres" else str(storage.db_path),
        dashboard_host=dashboard_host(policy),
        dashboard_port=settings.dashboard.port,
        confined=not is_loopback(server.host) and is_loopback(dashboard_host(policy)),
        auth_enabled=settings.auth.enabled,
        rows=tuple(_row(settings, row) for row in rows_of(settings)),
        gate=Gate(policy),
        dashboard_password=settings.dashboard.password,
        auth_token=settings.auth.token,
    )


def _row(settings: Settings, row: Setting) -> Row:
    value = value_of(settings, row.key)
    shown = row.kind.write(value) if value not in ("", None) else ""
    secret = row.secret or row.key == "storage.database_url"
    return Row(
        row.key,
        row.env,
        ("set" if shown else "") if secret else shown,
        row.shown or row.default,
        settings.sources[row.key],
        row.help,
    )
