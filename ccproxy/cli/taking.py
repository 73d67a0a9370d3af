"""`ccproxy sql` and `ccproxy export`: what was captured, asked and taken away.

The one part of the command line that reaches up to `analysis`, which is an extra. Refuses to know what the frames hold.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ccproxy.cli.terminal import clean, clean_line, count, write_bytes
from ccproxy.errors import StoreError
from ccproxy.settings import Settings

if TYPE_CHECKING:
    from analysis import Capture

MOST_SHOWN = 200  # rows of a table on the terminal
LONGEST = 80  # characters of a cell there
EXPORTS = ("parquet", "jsonl", "csv")


def sql(settings: Settings, query: str, form: str, output: Path | None) -> None:
    """Run a query and print what it gives, or write it to a file."""
    if form == "parquet" and output is None and sys.stdout.isatty():
        raise StoreError("a terminal cannot show Parquet; name a file with --output")
    with opened(settings) as capture:
        found = capture.sql(_standard_input() if query == "-" else query)
    data = _WRITERS[form](found)
    if output is None:
        write_bytes(data)
        return
    try:
        output.write_bytes(data)
    except OSError as error:
        raise StoreError(f"{output} cannot be written: {error.strerror}") from error


def _standard_input() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise StoreError("the query on standard input is no text in UTF-8") from error


def export(settings: Settings, folder: Path, **chosen: Any) -> None:
    """Write the captures into a folder, with a bar on a terminal."""
    with opened(settings) as capture, _bar() as progress:
        written = capture.export(folder, progress=progress, **chosen)
    for grain, rows in written.items():
        click.echo(f"{rows:>12,}  {grain}")
    opening = f"; read it with analysis.open({str(folder)!r})" if chosen["format"] == "parquet" else ""
    click.echo(f"in {folder}{opening}")


@contextlib.contextmanager
def opened(settings: Settings) -> Iterator[Capture]:
    """Open the captures that are meant, and say in the command line's way what goes wrong."""
    try:
        import analysis  # noqa: PLC0415 (it is an extra, and takes a while)
    except ImportError as error:
        raise StoreError(f"analysis is not installed ({error.name}): pip install 'ccproxy[analysis]'") from error
    try:
        with analysis.open(settings=settings) as capture:
            yield capture
    except analysis.AnalysisError as error:
        raise StoreError(clean(str(error))) from error  # it may quote what was captured


@contextlib.contextmanager
def _bar() -> Iterator[Any]:
    """Give what shows how far it is: on a terminal, and only there."""
    if not sys.stderr.isatty():
        yield lambda _done, _all: None
        return

    def show(done: int, everything: int) -> None:
        """Show it."""
        click.echo(f"\r{done:,} of {count(everything, 'exchange')}", nl=False, err=True)

    try:
        yield show
    finally:
        click.echo(err=True)


def _table(found: Any) -> bytes:
    """Return a frame as a table: short cells, and nothing in them that a terminal would obey."""
    import polars as pl  # noqa: PLC0415

    texts = pl.col(pl.String).map_elements(clean_line, return_dtype=pl.String)
    with pl.Config(
        tbl_rows=MOST_SHOWN, tbl_cols=-1, tbl_width_chars=10_000, fmt_str_lengths=LONGEST, tbl_hide_column_data_types=True,
        tbl_hide_dataframe_shape=True, tbl_formatting="UTF8_FULL_CONDENSED", tbl_cell_numeric_alignment="RIGHT",
        thousands_separator=",", float_precision=3,
    ):  # fmt: skip
        text = clean(str(found.head(MOST_SHOWN).with_columns(texts)))
    more = found.height - MOST_SHOWN
    return (f"{text}\n" + (f"… and {more:,} more rows; --format csv has them all\n" if more > 0 else "")).encode()


def _csv(found: Any) -> bytes:
    """Return a frame as CSV: lists of texts with spaces between these, other lists and structures as JSON."""
    import polars as pl  # noqa: PLC0415

    plain = _without_bytes(found)
    for name, kind in plain.schema.items():
        if kind == pl.List(pl.String):
            plain = plain.with_columns(pl.col(name).list.join(" "))
        elif kind.is_nested():
            values = [None if value is None else json.dumps(value, default=str) for value in plain[name].to_list()]
            plain = plain.with_columns(pl.Series(name, values, pl.String))
    text: str = plain.write_csv()
    return text.encode()


def _json(found: Any) -> bytes:
    """Return a frame as a JSON object a line."""
    text: str = _without_bytes(found).write_ndjson()
    return text.encode()


def _parquet(found: Any) -> bytes:
    """Return a frame as a file of Parquet."""
    file = io.BytesIO()
    found.write_parquet(file)
    return file.getvalue()


def _without_bytes(found: Any) -> Any:
    """Return a frame in which bytes are hex."""
    import polars as pl  # noqa: PLC0415

    return found.with_columns(pl.col(pl.Binary).bin.encode("hex"))


_WRITERS: dict[str, Callable[[Any], bytes]] = {"table": _table, "csv": _csv, "json": _json, "parquet": _parquet}
FORMATS = tuple(_WRITERS)
