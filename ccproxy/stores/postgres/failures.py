"""What PostgreSQL, and libpq before it, say when something fails, in our words.

Knows what may pass by itself (a server that is away, full, or has no connection to spare) and what will not, and what a
person can do about either. Refuses to tell more than the first sentence: what follows it may show what is stored.
"""

from __future__ import annotations

import re

import psycopg

from ccproxy.errors import StoreBusyError, StoreError
from ccproxy.stores.postgres.address import SETTING, Address

# Classes of SQLSTATE, or whole ones, of what may be all right in a moment (https://www.postgresql.org/docs/current/errcodes-appendix.html):
# connection, authorization, rollback, resources, in use, intervention, system; no such database; idle for too long.
_PASSING = ("08", "28", "40", "53", "55", "57", "58", "3D000", "25P03", "25P04")
_READ_ONLY = "25006"
_NO_RIGHT = "42501"

# What is to be done, by SQLSTATE, and where there is none, as while connecting, by a piece of what was said.
_ADVICE = {
    "28P01": f"check the user and the password in {SETTING}",
    "3D000": f"create it with createdb, or correct {SETTING}",
    "53100": "make room on its disk",
    "53300": "it has no connection to spare: raise its max_connections",
    "55P03": "somebody else holds what is needed; it is tried again",
    "57014": "it takes too long; it is tried again",
    _READ_ONLY: f"it takes no writes, as a standby does: name the primary in {SETTING}",
    _NO_RIGHT: "give the user the rights, as by GRANT CREATE, USAGE ON SCHEMA",
}
_SIGNS = {
    "authentication failed|no password supplied": "28P01",
    'database ".*" does not exist': "3D000",
    "too many (clients|connections)|connection slots": "53300",
}
_ADVICE_BY_SIGN = {
    "pg_hba.conf": "its pg_hba.conf must let this machine in",
    "Connection refused|No such file": f"start it, or correct {SETTING}",
    "resolve host|translate host name": f"correct the host in {SETTING}",
    "does not support SSL": f"it offers no TLS, for which sslmode in {SETTING} asks",
    "certificate": f"see sslmode and sslrootcert in {SETTING}",
    "timeout|timed out|unreachable|No route": "see that it can be reached from here",
}


def told(error: Exception, address: Address, *, write: bool) -> StoreError:
    """Return what to raise in place of an error of the driver."""
    state = getattr(error, "sqlstate", None) or ""
    what = address.scrubbed(_first_sentence(error))
    advice = _advice(what, state)
    said = f"{what}; {advice}" if advice else what
    if _passes(error, state, write=write):
        return StoreBusyError(f"the store at {address.place} cannot be used right now: {said}")
    return StoreError(f"the store at {address.place} failed: {said}")


def _advice(what: str, state: str) -> str | None:
    if not state:
        state = next((state for sign, state in _SIGNS.items() if re.search(sign, what)), "")
    if state:
        return _ADVICE.get(state)
    return next((advice for sign, advice in _ADVICE_BY_SIGN.items() if re.search(sign, what)), None)


def _passes(error: Exception, state: str, *, write: bool) -> bool:
    if state == _READ_ONLY:
        return write
    if state:
        return state.startswith(_PASSING)
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)  # without a state: about the connection


def _first_sentence(error: Exception) -> str:
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    text = " ".join((primary or str(error) or type(error).__name__).split())
    text = re.sub(r"^connection failed: ", "", text)
    return re.sub(r"^connection to server (at|on) .*? failed: (FATAL: +)?", "", text)
