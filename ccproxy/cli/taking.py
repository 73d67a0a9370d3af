"""`ccproxy sql` and `ccproxy export`: what was captured, asked and taken away.

The one part of the command line that reaches up to `analysis`, which is an extra. Refuses to know what the frames hold.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ccproxy.cli.terminal import count
from ccproxy.errors import StoreError
from ccproxy.settings import Settings

if TYPE_CHECKING:
    from analysis import Capture

MOST_SHOWN = 200  # rows of a table on the terminal
LONGEST = 80  # characters of a cell there
FORMATS = ("table", "csv", "json", "parquet")
EXPORTS = ("parquet", "jsonl", "csv")
_CONTROLS = r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]"


def sql(settings: Settings, query: str, form: str, output: Path | None) -> None:
    """Run a query and print what it gives, or write it to a file."""
    with opened(settings) as capture:
        found = capture.sql(sys.stdin.read() if query == "-" else query)
    if form == "table":
        _to(output, _table(found).encode())
    elif form == "csv":
        _to(output, found.write_csv(separator=",").encode())
    elif form == "json":
        _to(output, found.write_ndjson().encode())
    else:
        if output is None and sys.stdout.isatty():
            raise StoreError("a terminal cannot show Parquet; name a file with --output")
        _parquet(found, output)


def export(settings: Settings, folder: Path, **chosen: Any) -> None:
    """Write the captures into a folder, with a bar on a terminal."""
    with opened(settings) as capture, _bar() as progress:
        written = capture.export(folder, progress=progress, **chosen)
    for grain, rows in written.items():
        click.echo(f"{rows:>12,}  {grain}")
    click.echo(f"in {folder}; read it with analysis.open({str(folder)!r})")


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
        raise StoreError(str(error)) from error


@contextlib.contextmanager
def _bar() -> Iterator[Any]:
    """Give what shows how far it is: on a terminal, and only there."""
    if not sys.stderr.isatty():
        yield lambda _done, _all: None
        return

    def show(done: int, everything: int) -> None:
        """Show it."""
        click.echo(f"\r{done:,} of {count(everything, 'exchange')}", nl=False, err=True)

    yield show
    click.echo(err=True)


def _table(found: Any) -> str:
    """Return a frame as a table: short cells, and nothing in them that a terminal would obey."""
    import polars as pl  # noqa: PLC0415

    texts = pl.col(pl.String).str.replace_all(_CONTROLS, " ").str.replace_all(r" +", " ")
    with pl.Config(
        tbl_rows=MOST_SHOWN, tbl_cols=-1, tbl_width_chars=10_000, fmt_str_lengths=LONGEST, tbl_hide_column_data_types=True,
        tbl_hide_dataframe_shape=True, tbl_formatting="UTF8_FULL_CONDENSED", tbl_cell_numeric_alignment="RIGHT",
        thousands_separator=",", float_precision=3,
    ):  # fmt: skip
        text = str(found.head(MOST_SHOWN).with_columns(texts))
    more = found.height - MOST_SHOWN
    return f"{text}\n" + (f"… and {more:,} more rows; --format csv has them all\n" if more > 0 else "")


def _parquet(found: Any, output: Path | None) -> None:
    try:
        found.write_parquet(output or sys.stdout.buffer)
    except OSError as error:
        raise StoreError(f"{output} cannot be written: {error.strerror}") from error


def _to(output: Path | None, data: bytes) -> None:
    if output is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        output.write_bytes(data)
    except OSError as error:
        raise StoreError(f"{output} cannot be written: {error.strerror}") from error
