"""The tables of a PostgreSQL store: found, checked for whose they are, made, and brought up to date.

Everything stands in one schema, the first of the search path that there is, and the table of versions says in its comment
that it is ours. However many processes start at once, one migrates. Refuses to touch what another program or a newer version
has made; refuses to know what is in the tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Any

import psycopg

from ccproxy.errors import StoreError
from ccproxy.stores.postgres import locks

OLDEST_SERVER = 140000
_MARK = "ccproxy"
_LOOK = """
SELECT s.oid AS schema, s.nspname AS name, current_setting('server_version_num')::int AS server,
  current_setting('server_encoding') AS encoding,
  (SELECT obj_description(c.oid) FROM pg_class c WHERE c.relnamespace = s.oid AND c.relname = 'schema_version') AS mark,
  (SELECT count(*) FROM pg_class c WHERE c.relnamespace = s.oid
     AND c.relname IN ('schema_version', 'exchanges', 'settings', 'nodes', 'blobs', 'blocks', 'bodies', 'headers')) AS taken
FROM (SELECT 1) AS one LEFT JOIN pg_namespace s ON s.nspname = current_schema()
"""
_VERSIONS = f"""
CREATE TABLE schema_version (version bigint PRIMARY KEY, applied_at text NOT NULL);
COMMENT ON TABLE schema_version IS '{_MARK}';
"""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found where a store is to be: the number of its schema, and the newest migration that it has seen."""

    schema: int
    version: int


def look(db: psycopg.Connection[Any], place: str) -> Found:
    """Return what there is. Raises StoreError where it cannot be a store of ours, or is one of a newer version."""
    [row] = db.execute(_LOOK).fetchall()
    if row["server"] < OLDEST_SERVER:
        raise StoreError(f"the server at {place} is older than PostgreSQL {OLDEST_SERVER // 10000}; upgrade it")
    if row["encoding"] != "UTF8":
        raise StoreError(
            f"the database at {place} keeps texts as {row['encoding']}, which cannot hold everything; "
            "create one with ENCODING 'UTF8' TEMPLATE template0"
        )
    if row["schema"] is None:
        raise StoreError(f"the search_path for {place} names no schema that there is; create it, or name another one")
    if row["mark"] != _MARK and row["taken"]:
        raise StoreError(
            f"the schema {row['name']} of {place} has tables of some other program; "
            "choose another database, or a schema of ccproxy's own by options=-csearch_path%3DNAME"
        )
    version = _version(db) if row["mark"] == _MARK else 0
    if version > newest():
        raise StoreError(
            f"{place} was written by a newer ccproxy (schema {version}, this one knows {newest()}); upgrade ccproxy"
        )
    return Found(row["schema"], version)


def migrate(db: psycopg.Connection[Any], found: Found) -> None:
    """Bring the tables up to date, all of it or nothing."""
    if found.version == newest():
        return
    with db.transaction():
        db.execute("SET LOCAL statement_timeout = 0")
        locks.hold(db, locks.MIGRATE, found.schema)
        [row] = db.execute("SELECT to_regclass('schema_version') AS there").fetchall()
        if row["there"] is None:
            db.execute(_VERSIONS)
        done = _version(db)  # another process may have been faster
        for number, script in migrations():
            if number > done:
                db.execute(script)
                now = "to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')"
                db.execute(f"INSERT INTO schema_version VALUES (%s, {now})", (number,))


def newest() -> int:
    """Return the number of the newest migration."""
    return max(number for number, _ in migrations())


def migrations() -> list[tuple[int, str]]:
    """Return the migrations, in order."""
    folder = resources.files("ccproxy.stores") / "migrations" / "postgres"
    files = sorted((file.name, file) for file in folder.iterdir() if file.name.endswith(".sql"))
    return [(int(name.split("_")[0]), file.read_text("utf-8")) for name, file in files]


def _version(db: psycopg.Connection[Any]) -> int:
    [row] = db.execute("SELECT coalesce(max(version), 0) AS version FROM schema_version").fetchall()
    version: int = row["version"]
    return version
