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

# What is to be done, by a piece of what was said or by the SQLSTATE.
_ADVICE = (
    (r"password authentication failed|no password supplied|authentication failed|28P01", f"check the user and the password in {SETTING}"),
    (r"no pg_hba.conf entry|28000", "its pg_hba.conf must let this machine in"),
    (r'database ".*" does not exist|3D000', f"create it with createdb, or correct {SETTING}"),
    (r"too many (clients|connections)|connection slots|53300", "it has no connection to spare: raise its max_connections"),
    (r"Connection refused|No such file or directory|could not connect", f"start it, or correct {SETTING}"),
    (r"resolve host|translate host name", f"correct the host in {SETTING}"),
    (r"timeout|timed out|Network is unreachable|No route to host", "see that it can be reached from here"),
    (r"does not support SSL", f"it offers no TLS, for which sslmode in {SETTING} asks"),
    (r"certificate", f"see sslmode and sslrootcert in {SETTING}"),
    (r"53100|No space left", "make room on its disk"),
    (r"55P03", "somebody else holds it; it is tried again"),
    (r"57014", "it takes too long; it is tried again"),
    (r"25006|read-only", f"it takes no writes, as a standby does: name the primary in {SETTING}"),
    (r"42501", "give the user the rights, as by GRANT CREATE, USAGE ON SCHEMA"),
)  # fmt: skip


def told(error: Exception, address: Address, *, write: bool) -> StoreError:
    """Return what to raise in place of an error of the driver."""
    state = getattr(error, "sqlstate", None) or ""
    what = address.scrubbed(_first_sentence(error))
    advice = next((text for sign, text in _ADVICE if re.search(sign, f"{what} {state}")), None)
    said = f"{what}; {advice}" if advice else what
    if _passes(error, state, write=write):
        return StoreBusyError(f"the store at {address.place} cannot be used right now: {said}")
    return StoreError(f"the store at {address.place} failed: {said}")


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
