"""Who waits for whom in a PostgreSQL store. All locks are let go at the end of the transaction that took them.

Whoever writes holds CHANGE together with all others who write; whoever deletes or sweeps holds it alone, for a moment. So a
writer can rely on what it has seen, as in SQLite, where writers come one by one. Refuses to know what is done meanwhile.
"""

from __future__ import annotations

from typing import Any

import psycopg

_OURS = 0x63637078  # "ccpx": tells our locks from those of other programs in the same database
MIGRATE, CHANGE, SWEEP = range(3)


def hold(db: psycopg.Connection[Any], purpose: int, schema: int) -> None:
    """Wait until this transaction alone holds a lock."""
    db.execute("SELECT pg_advisory_xact_lock(%s)", (_key(purpose, schema),))


def share(db: psycopg.Connection[Any], purpose: int, schema: int) -> None:
    """Wait until this transaction holds a lock together with others who share it."""
    db.execute("SELECT pg_advisory_xact_lock_shared(%s)", (_key(purpose, schema),))


def try_hold(db: psycopg.Connection[Any], purpose: int, schema: int) -> bool:
    """Hold a lock alone where nobody else does; return whether that is so."""
    [row] = db.execute("SELECT pg_try_advisory_xact_lock(%s) AS held", (_key(purpose, schema),)).fetchall()
    return bool(row["held"])


def _key(purpose: int, schema: int) -> int:
    """Return the lock's number: each schema, that is each store of a database, has its own."""
    return (_OURS + purpose) << 32 | schema
