"""Captures taken away: a folder of Parquet, JSONL or CSV, one file per grain and day.

`DIR/<grain>/day=2026-11-02/<grain>.parquet`, days in UTC by the start of the exchange; any engine that knows hive partitions reads
it. A manifest says which days are there, so that an export that was stopped goes on, and one that is repeated writes only
what is new. Refuses to know how rows come about.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from analysis.dictionary import GRAINS
from analysis.errors import AnalysisError

SCHEMA = 1  # of the folder: rises when a column changes its meaning
MANIFEST = "ccproxy-export.json"
FORMATS = ("parquet", "jsonl", "csv")
AT_ONCE = 200_000  # exchanges whose rows are read in one pass
_OF_WHOLE_RUNS = ("sessions", "threads")  # they go on for days, so they are written anew each time

# How each grain comes to the exchange by which it has its day.
_PLACED = {
    "exchanges": "SELECT g.*, c.day FROM exchanges g JOIN chosen c USING (exchange_id)",
    "events": "SELECT g.*, c.day FROM events g JOIN chosen c USING (exchange_id)",
    "messages": "SELECT g.*, c.day FROM messages g JOIN chosen c USING (exchange_id)",
    "tool_calls": "SELECT g.*, c.day FROM tool_calls g JOIN chosen c USING (exchange_id)",
    "blocks": "SELECT g.*, c.day FROM blocks g JOIN (SELECT node, exchange_id FROM messages) m ON m.node = g.node"
    " JOIN chosen c ON c.exchange_id = m.exchange_id",
    "prompt_parts": "SELECT g.*, c.day FROM prompt_parts g JOIN (SELECT preamble, min(exchange_id) AS exchange_id FROM exchanges"
    " WHERE {condition} GROUP BY preamble) p ON p.preamble = g.preamble JOIN chosen c ON c.exchange_id = p.exchange_id",
}
Ask = Callable[[str, Mapping[str, Any]], pl.DataFrame]
Progress = Callable[[int, int], object]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which exchanges are taken: times are UTC, `model` a piece of a name in any case. What is None asks nothing."""

    since: datetime | None = None
    until: datetime | None = None
    session: str | None = None
    model: str | None = None

    def condition(self) -> tuple[str, dict[str, Any]]:
        """Return the condition for rows of `exchanges`, and its parameters."""
        terms = {
            "since": "started_at >= $since",
            "until": "started_at < $until",
            "session": "session_id = $session",
            "model": "(contains(lower(requested_model), lower($model)) OR contains(lower(routed_model), lower($model))"
            " OR contains(lower(model), lower($model)))",
        }
        given = {name: getattr(self, name) for name in terms if getattr(self, name) is not None}
        return " AND ".join(["true", *(terms[name] for name in given)]), given

    def described(self) -> dict[str, str]:
        """Return what is asked, as the manifest keeps it."""
        return {name: str(value) for name, value in self.condition()[1].items()}


@dataclass(slots=True)
class Manifest:
    """What a folder holds. `days` has how many exchanges each day had when it was written, and how many of them had ended."""

    format: str
    bodies: bool
    chosen: dict[str, str]
    days: dict[str, list[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path) -> Manifest | None:
        """Return the folder's manifest, None where it has none. Raises AnalysisError where it cannot be understood."""
        path = folder / MANIFEST
        if not path.is_file():
            return None
        try:
            said = json.loads(path.read_text("utf-8"))
            found = cls(said["format"], said["bodies"], said["chosen"], said["days"])
            schema = said["schema"]
        except (ValueError, KeyError, TypeError):
            raise AnalysisError(f"{path} is damaged; export into another folder") from None
        except OSError as error:
            raise AnalysisError(f"{path} cannot be read: {error.strerror}") from None
        if schema != SCHEMA:
            raise AnalysisError(f"{folder} was exported by another version of ccproxy (schema {schema}, not {SCHEMA})")
        return found

    def continued(self, folder: Path) -> Manifest:
        """Return the manifest of a folder that is to hold this: what it has already, where that is of the same kind."""
        found = self.of(folder)
        if found is None:
            if folder.is_dir() and any(folder.iterdir()):
                raise AnalysisError(f"{folder} holds something else already; name an empty folder, or one of an export")
            return self
        if (found.format, found.bodies, found.chosen) != (self.format, self.bodies, self.chosen):
            raise AnalysisError(
                f"{folder} holds an export of another kind (see {MANIFEST} in it); export into another folder"
            )
        return found

    def write(self, folder: Path) -> None:
        """Put the manifest into the folder, whole or not at all."""
        said = {
            "schema": SCHEMA,
            "format": self.format,
            "bodies": self.bodies,
            "chosen": self.chosen,
            "days": self.days,
        }
        _whole(folder / MANIFEST, lambda path: path.write_text(json.dumps(said, indent=1), "utf-8"))


def has_bodies(folder: Path) -> bool:
    """Return whether an exported folder has the columns of any length. Raises AnalysisError where it cannot be read as one."""
    manifest = Manifest.of(folder)
    if manifest is None and not any(any(folder.glob(f"{name}/*/*.parquet")) for name in GRAINS):
        raise AnalysisError(f"{folder} is a folder without exported captures; `ccproxy export` fills one")
    if manifest is not None and manifest.format != "parquet":
        raise AnalysisError(f"{folder} was exported as {manifest.format}; only Parquet can be opened again")
    return manifest is None or manifest.bodies


def export(
    ask: Ask,
    folder: Path,
    format: str,  # noqa: A002 - its name everywhere
    chosen: Chosen,
    *,
    bodies: bool,
    progress: Progress,
) -> dict[str, int]:
    """Write what is chosen below `folder`; return how many rows of each grain were written now.

    Messages, blocks, tool calls and events are taken with the exchange that brought them. `ask` runs a query with parameters
    over the views. `progress` is told how many exchanges of how many are done.
    """
    if format not in FORMATS:
        raise AnalysisError(f'there is no format "{format}"; there are {", ".join(FORMATS)}')
    manifest = Manifest(format, bodies, chosen.described()).continued(folder)
    manifest.write(folder)  # first of all: so it is known whose folder it is, however early this is stopped
    condition, parameters = chosen.condition()
    there = _days(ask, condition, parameters)
    missing = _missing(there, manifest.days)
    written = dict.fromkeys(GRAINS, 0)
    for grain in _OF_WHOLE_RUNS if missing else ():
        written[grain] += _write_runs(ask, grain, folder, manifest, condition, parameters)
    done = 0
    for days in _passes(missing):
        span = {"first": _midnight(days[0]), "end": _midnight(days[-1]) + timedelta(days=1)}
        picked = f"SELECT exchange_id, {_DAY} AS day FROM exchanges WHERE {condition} AND started_at >= $first AND started_at < $end"
        for grain, query in _PLACED.items():
            placed = query.replace("{condition}", condition)
            rows = ask(f"WITH chosen AS MATERIALIZED ({picked}) {placed}", {**parameters, **span})
            written[grain] += _write(rows, grain, days, folder, manifest)
        manifest.days |= {day: there[day] for day in days}
        manifest.write(folder)
        done += sum(missing[day] for day in days)
        progress(done, sum(missing.values()))
    return written


_DAY = "strftime(started_at, '%Y-%m-%d')"


def _days(ask: Ask, condition: str, parameters: Mapping[str, Any]) -> dict[str, list[int]]:
    rows = ask(
        f"SELECT {_DAY} AS day, count(*) AS number, count(*) FILTER (WHERE state <> 'open') AS ended FROM exchanges"
        f" WHERE {condition} GROUP BY 1 ORDER BY 1",
        parameters,
    )
    return {day: [number, ended] for day, number, ended in rows.iter_rows()}


def _missing(there: Mapping[str, list[int]], written: Mapping[str, list[int]]) -> dict[str, int]:
    """Return the days that are new or have changed, with their exchanges; and each day before, whose tools may have been answered."""
    changed = {day for day, numbers in there.items() if written.get(day) != numbers}
    before = {str(date.fromisoformat(day) - timedelta(days=1)) for day in changed}
    return {day: number for day, (number, _) in there.items() if day in changed | before}


def _passes(days: Mapping[str, int]) -> Iterator[list[str]]:
    """Yield days that follow each other, so many at a time that not too much is read at once."""
    together: list[str] = []
    number = 0
    for day, exchanges in days.items():
        gap = together and date.fromisoformat(day) - date.fromisoformat(together[-1]) > timedelta(days=1)
        if together and (gap or number + exchanges > AT_ONCE):
            yield together
            together, number = [], 0
        together.append(day)
        number += exchanges
    if together:
        yield together


def _write_runs(
    ask: Ask, grain: str, folder: Path, manifest: Manifest, condition: str, parameters: Mapping[str, Any]
) -> int:
    key = "session_id" if grain == "sessions" else "thread_id"
    rows = ask(
        f"SELECT g.*, strftime(g.started_at, '%Y-%m-%d') AS day FROM {grain} g"
        f" WHERE g.{key} IN (SELECT {key} FROM exchanges WHERE {condition})",
        parameters,
    )
    old = [path.name.removeprefix("day=") for path in (folder / grain).glob("day=*")]
    return _write(rows, grain, sorted({*old, *rows["day"]}), folder, manifest)


def _write(rows: pl.DataFrame, grain: str, days: Sequence[str], folder: Path, manifest: Manifest) -> int:
    """Write the rows of a grain, a file a day; a day without rows has no file."""
    schema = GRAINS[grain].schema(bodies=manifest.bodies)
    for day in days:
        of_day = rows.filter(pl.col("day") == day).select(list(schema)).cast(dict(schema)).sort(GRAINS[grain].order)  # type: ignore[arg-type]
        file = folder / grain / f"day={day}" / f"{grain}.{manifest.format}"
        if of_day.is_empty():
            file.unlink(missing_ok=True)
            continue
        _whole(file, partial(_WRITERS[manifest.format], of_day))
    return rows.height


def _parquet(frame: pl.DataFrame, path: Path) -> None:
    frame.write_parquet(path, compression="zstd", metadata={"ccproxy.schema": str(SCHEMA)})


def _csv(frame: pl.DataFrame, path: Path) -> None:
    lists = [name for name, kind in frame.schema.items() if isinstance(kind, pl.List)]
    frame.with_columns(pl.col(name).list.join(" ") for name in lists).write_csv(path)


_WRITERS: dict[str, Callable[[pl.DataFrame, Path], object]] = {
    "parquet": _parquet,
    "jsonl": lambda frame, path: frame.write_ndjson(path),
    "csv": _csv,
}


def _whole(path: Path, write: Callable[[Path], object]) -> None:
    """Have a file written beside its place and moved there, so that nobody sees a half one. Its folder is made."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(beside)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise AnalysisError(f"{path} cannot be written: {error.strerror or error}") from None


def _midnight(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)
