"""The store in a PostgreSQL database: one for a team, written by any number of ingests, each with its journal.

`server` connects, `migrating` makes the tables, `writing` is ingest's half of the contract, `reading`, `searching`, `listing`
and `sessions` are everybody's. `pruning` is how things leave it, `checking` what a check looks at.
"""

from __future__ import annotations

from ccproxy.stores.contract import Store
from ccproxy.stores.postgres.checking import Checking
from ccproxy.stores.postgres.listing import Listing
from ccproxy.stores.postgres.pruning import Pruning
from ccproxy.stores.postgres.reading import Reading
from ccproxy.stores.postgres.searching import Searching
from ccproxy.stores.postgres.sessions import Sessions

__all__ = ["PostgresStore"]


class PostgresStore(Pruning, Reading, Searching, Listing, Sessions, Checking, Store):
    """A store in the database that `dsn` names, in the schema to which its search path leads.

    `write` makes its tables where they are missing and brings them up to date; else it is only read. `journal` names the
    journal for which this one writes: each machine's has a name of its own.
    """
