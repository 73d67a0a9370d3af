"""The store on one file: SQLite in WAL mode, one writer, any number of readers.

`file` opens it, `writing` is ingest's half of the contract, `reading`, `listing` and `sessions` are everybody's. `pruning` is
how things leave it, `checking` what a check looks at.
"""

from __future__ import annotations

from ccproxy.stores.contract import Store
from ccproxy.stores.sqlite.checking import Checking
from ccproxy.stores.sqlite.file import APPLICATION_ID
from ccproxy.stores.sqlite.listing import Listing
from ccproxy.stores.sqlite.pruning import Pruning
from ccproxy.stores.sqlite.reading import Reading
from ccproxy.stores.sqlite.sessions import Sessions

__all__ = ["APPLICATION_ID", "SqliteStore"]


class SqliteStore(Pruning, Reading, Listing, Sessions, Checking, Store):
    """A store in the file at `path`. `write` makes it where it is missing and brings it up to date; else it is only read."""
