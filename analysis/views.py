"""The views: what each grain is in SQL, over the tables of a store or over a folder of Parquet.

The queries stand in `sql/`. Each view is lean, without the columns of any length, or whole: with them it must be joined with
the texts, which takes longer; that is what lines end with `-- whole` for. Written for the schema that `sources` checks. Refuses
to know how a database is attached.
"""

from __future__ import annotations

import glob
import re
from importlib import resources
from pathlib import Path

from analysis.dictionary import GRAINS, MOMENT, REAL, TEXT, WHOLE, YES_NO, Column, Grain, Type
from analysis.engine import Engine, quoted
from analysis.sources import Source
from ccproxy.errors import StoreError
from ccproxy.protocol.titles import title
from ccproxy.stores import compression

ORDER = ("exchanges", "blocks", "messages", "tool_calls", "prompt_parts", "events", "threads", "sessions")  # of making
_SQL_TYPES: dict[Type, str] = {
    TEXT: "VARCHAR", WHOLE: "BIGINT", REAL: "DOUBLE", YES_NO: "BOOLEAN", MOMENT: "TIMESTAMPTZ",
}  # fmt: skip
_TOKENS = ("input", "output", "cache_read", "cache_write", "cache_write_5m", "cache_write_1h")
_SUMS = ", ".join(
    [
        "count(*) AS exchanges",
        "count(*) FILTER (WHERE state IN ('failed', 'interrupted') OR status >= 400 OR api_error IS NOT NULL) AS errors",
        *(f"coalesce(sum({name}_tokens), 0)::BIGINT AS {name}_tokens" for name in _TOKENS),
        "coalesce(list_sort(list_distinct(list(model) FILTER (WHERE model IS NOT NULL))), []) AS models",
    ]
)
_THREAD = (
    "CASE WHEN kind IN ('main', 'subagent', 'compaction') THEN session_id || '/' || CASE WHEN agent_id IS NOT NULL THEN agent_id"
    " WHEN kind = 'subagent' THEN coalesce(left(root, 16), 'subagent') ELSE 'main' END END"
)
_CONTEXT = "e.input_tokens + coalesce(e.cache_read_tokens, 0) + coalesce(e.cache_write_tokens, 0)"
_OF_EXCHANGES = {
    "exchange_id": "e.id",
    "response_id": "e.message_id",
    "thread_id": _THREAD,
    "routed": "(e.endpoint IS NOT NULL OR coalesce(e.requested_model <> e.routed_model, false))",
    "model": "coalesce(e.response_model, e.routed_model, e.requested_model)",
    "project": r"nullif(regexp_extract(rtrim(e.cwd, '/\'), '[^/\\]*$'), '')",
    "context_tokens": _CONTEXT,
}
_WHOLE_LINE = re.compile(r"^.*-- whole\n", re.MULTILINE)
_ASK = re.compile(r"ask\(\$\$(.*?)\$\$\)", re.DOTALL)
_HEX = re.compile(r"\bhex\(([\w.]+)\)")
_TABLE = re.compile(r"\bstore\.(\w+)")


def make(engine: Engine, source: Source, *, whole: bool) -> None:
    """Make all views over an attached store."""
    engine.function("unpacked", _unpacked, ["VARCHAR", "BLOB"], "VARCHAR")
    engine.function("title_of", _title, ["VARCHAR", "VARCHAR[]"], "VARCHAR")
    for name in ORDER:
        engine.run(f"CREATE VIEW {name} AS {query(GRAINS[name], source, whole=whole)}")


def make_of_folder(engine: Engine, folder: Path, *, whole: bool) -> None:
    """Make all views over a folder of Parquet, as `export` writes it."""
    for grain in GRAINS.values():
        columns = ", ".join(grain.schema(bodies=whole))
        files = f"{glob.escape(str(folder / grain.name))}/*/*.parquet"
        place = f"read_parquet({quoted(files)}, union_by_name = true)"
        there = any((folder / grain.name).glob("*/*.parquet"))
        # Empty rows first: a column that an older version did not export is null.
        union = f"SELECT {columns} FROM ({empty(grain, whole=whole)} UNION ALL BY NAME SELECT * FROM {place})"
        engine.run(f"CREATE VIEW {grain.name} AS {union if there else empty(grain, whole=whole)}")


def query(grain: Grain, source: Source, *, whole: bool) -> str:
    """Return the query of a grain over the tables of a store."""
    text = (resources.files("analysis") / "sql" / f"{grain.name}.sql").read_text("utf-8")
    text = text.replace("-- whole", "") if whole else _WHOLE_LINE.sub("", text)
    text = _ASK.sub(lambda found: source.ask(_HEX.sub(lambda column: source.hex(column[1]), found[1])), text)
    text = _TABLE.sub(lambda table: source.table(table[1]), text)
    columns = [_of_exchange(column) if grain.name == "exchanges" else column.name for column in grain.columns]
    return text.replace("{columns}", ", ".join(columns)).replace("{sums}", _SUMS)


def empty(grain: Grain, *, whole: bool) -> str:
    """Return a query that has a grain's columns and no row."""
    columns = (
        f"NULL::{_SQL_TYPES.get(kind, 'VARCHAR[]')} AS {name}" for name, kind in grain.schema(bodies=whole).items()
    )
    return f"SELECT {', '.join(columns)} WHERE false"


def _of_exchange(column: Column) -> str:
    """Return the expression for a column of exchanges: times, flags and digests are kept as numbers and bytes."""
    raw = f"e.{column.name}"
    if column.type == MOMENT:
        raw = f"make_timestamptz({raw})"
    elif column.type == YES_NO:
        raw = f"coalesce({raw}, 0) <> 0"
    elif column.name in ("tip", "reply", "preamble"):
        raw = f"lower(hex({raw}))"
    return f"{_OF_EXCHANGES.get(column.name, raw)} AS {column.name}"


def _unpacked(encoding: str | None, data: bytes | None) -> str | None:
    """Return the text of a part; null where it is damaged, which `ccproxy db check` tells."""
    if encoding is None or data is None:
        return None
    try:
        return compression.decompress(encoding, data).decode("utf-8", "replace")
    except StoreError:
        return None


def _title(named: str | None, first_texts: list[str] | None) -> str | None:
    return title(named, first_texts or []) or None
