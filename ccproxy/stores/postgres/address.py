"""Where a database is and how to get in, as its connection string says; and how to speak of it without telling a secret.

Adds what libpq leaves open, so that a server that is not there is noticed soon; what the string or libpq's own environment
variables say goes before. Refuses strings that libpq would read in another way than they were meant, because what it then
says of them shows pieces of the password.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, quote_plus

import psycopg
from psycopg import pq

from ccproxy.errors import StoreError

SETTING = "DATABASE_URL"
SHORTEST = 3  # characters of what is taken out of sentences: less would make nonsense of any
READING_S, WRITING_S, LOCK_S, IDLE_S = 30, 600, 10, 60  # a text of 30 MB may take half a minute to write
_SCHEMES = ("postgresql://", "postgres://")
_SECRETS = ("scram_client_key", "scram_server_key")  # beside those that libpq itself calls passwords
_LEFT_OPEN = {
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
    "fallback_application_name": "ccproxy",
}


class Address:
    """A connection string, read. `place` names the database for people, without user and password."""

    def __init__(self, dsn: str) -> None:
        said = _read(dsn)
        defaults = {option.keyword.decode(): option.val for option in pq.Conninfo.get_defaults()}
        known = {name: value.decode() for name, value in defaults.items() if value is not None} | said
        self._said = said
        self._known = known
        self._secrets = _secrets(dsn, said)
        self.place = _place(known)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.place}>"

    def parameters(self, *, write: bool) -> dict[str, Any]:
        """Return what to connect with."""
        added = {name: value for name, value in _LEFT_OPEN.items() if name not in self._known}
        limits = {
            "statement_timeout": f"{WRITING_S if write else READING_S}s",
            "lock_timeout": f"{LOCK_S}s",
            "idle_in_transaction_session_timeout": f"{IDLE_S}s",
            "default_transaction_read_only": "off" if write else "on",
            "jit": "off",  # compiling a query takes longer than any of ours does
            "random_page_cost": "1.1",  # what is asked for is looked up by its key, and mostly in memory
        }
        options = [f"-c {name}={value}" for name, value in limits.items()]
        options.append(self._known.get("options", ""))  # what is said later counts
        return {**added, **self._said, "client_encoding": "UTF8", "options": " ".join(options).strip()}

    def scrubbed(self, text: str) -> str:
        """Return a text without the password, in whatever way it is written."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def _read(dsn: str) -> dict[str, str]:
    try:
        options = pq.Conninfo.parse(dsn.encode())
        said = {option.keyword.decode(): option.val.decode() for option in options if option.val is not None}
    except (psycopg.Error, ValueError):
        said = {}
    if not dsn.strip() or not said or _is_misread(dsn, said):
        raise StoreError(
            f"{SETTING} is not a connection string of PostgreSQL, such as postgresql://USER:PASSWORD@HOST:PORT/DATABASE; in a password"
            " write %40 for @, %2F for /, %3A for :, %3F for ?, %25 for %"
        ) from None
    return said


def _is_misread(dsn: str, said: dict[str, str]) -> bool:
    """Tell whether a character of the password that should have been encoded has moved a piece of it to another place."""
    if not re.fullmatch(r"[\d,]*", said.get("port", "")) or re.search(r"[@\s]", said.get("host", "")):
        return True
    if not dsn.startswith(_SCHEMES):
        return False
    before, _, parameters = dsn.split("://", 1)[1].partition("?")
    authority, _, database = before.partition("/")
    return "@" in database or authority.count("@") > 1 or ("@" in parameters and "@" not in authority)


def _secrets(dsn: str, said: dict[str, str]) -> list[str]:
    hidden = {option.keyword.decode() for option in pq.Conninfo.get_defaults() if option.dispchar == b"*"}
    values = {said[name] for name in hidden | set(_SECRETS) if said.get(name)}
    found = {form for value in values for form in (value, quote(value, safe=""), quote(value), quote_plus(value))}
    if dsn.startswith(_SCHEMES) and "@" in dsn:
        found.add(dsn.split("://", 1)[1].rpartition("@")[0].partition(":")[2])
    return sorted((secret for secret in found if len(secret) >= SHORTEST), key=len, reverse=True)


def _place(known: dict[str, str]) -> str:
    if "service" in known and "host" not in known:
        return f"the PostgreSQL service {known['service']}"
    host = known.get("host") or known.get("hostaddr") or "localhost"
    name = known.get("dbname") or known.get("user") or ""
    if host.startswith("/"):
        return f"postgresql:///{name}?host={host}&port={known.get('port', '')}"
    return f"postgresql://{host}:{known.get('port', '')}/{name}"
