"""What the demo comes to is the same by every way: a file attached or copied, a database attached or copied, a folder of Parquet."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from analysis import Capture, measures
from tests.support.captures import WAYS, Places, url
from tests.support.homes import Schema
from tests.support.measuring import measured
from tests.support.proxy import isolated_environment

NOTHING_TO_TELL = {"unpriced", "routing"}  # every model of the demo has a price, and nothing in it is routed


class Demo(Places):
    """The demo, made in a file by the command and copied from there by another one: this process has no SQLite open but DuckDB's."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, [])
        self.sqlite = folder / "demo.db"
        self._run("demo", "--quiet", "--db", str(self.sqlite))

    def _fill(self, home: Schema) -> None:
        home.open().close()
        self._run("db", "copy", "--db", str(self.sqlite), "--to", url(home.dsn))

    def _run(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "ccproxy", *arguments]
        environ = isolated_environment(self.sqlite.parent)
        done = subprocess.run(command, env=environ, cwd=self.sqlite.parent, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Give the places of the demo."""
    with contextlib.closing(Demo(tmp_path_factory.mktemp("demo"))) as found:
        yield found


@pytest.fixture(scope="module")
def expected(demo: Demo) -> dict[str, pl.DataFrame]:
    """Give what each measure says of the file, attached, which is the way that most people have."""
    with demo.open("sqlite") as capture:
        return _all(capture)


def _all(capture: Capture) -> dict[str, pl.DataFrame]:
    """Return what each measure gives, and by the groups that people ask for."""
    exchanges = measures.banded(capture.exchanges()).with_columns(pl.col("^.*(band|state)$").cast(pl.String))
    groups = {
        "cache by day": measures.cache(exchanges, by=["day", "kind"]),
        "latency by hour": measures.latency(exchanges, by=["hour", "model"]),
        "latency by size and state": measures.latency(exchanges, by=["context_band", "cache_state"]),
        "latency of all": measures.latency(exchanges, by=[]),
        "tools by server and model": measures.tools(capture.tool_calls(), by=["mcp_server", "model"]),
        "ledger with thinking": measures.ledger(capture.exchanges(), capture.events()),
    }
    return {**measured(capture), **{name: found.collect() for name, found in groups.items()}}


def _sorted(found: pl.DataFrame) -> pl.DataFrame:
    """Return the rows by their keys: all columns but those with figures that may differ in the last digit."""
    return found.sort([name for name, kind in found.schema.items() if not kind.is_float() and not kind.is_nested()])


def _by_measure(found: dict[str, pl.DataFrame], expected: dict[str, pl.DataFrame]) -> None:
    assert found.keys() == expected.keys()
    for name, rows in found.items():
        try:
            assert_frame_equal(_sorted(rows), _sorted(expected[name]), abs_tol=1e-9, rel_tol=1e-9)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error


def test_the_demo_has_something_for_every_measure(expected: dict[str, pl.DataFrame]) -> None:
    """There is no measure that would agree because it has nothing to say."""
    assert set(expected) >= set(measures.__all__) - {"difference"}
    assert {name for name, rows in expected.items() if rows.is_empty()} == NOTHING_TO_TELL


@pytest.mark.parametrize("way", WAYS[1:])
def test_every_measure_is_the_same(demo: Demo, way: str, expected: dict[str, pl.DataFrame]) -> None:
    """A copy, a database, a copy of that and exported Parquet give what the attached file gives, of each measure."""
    with demo.open(way) as capture:
        _by_measure(_all(capture), expected)


@pytest.mark.parametrize("way", WAYS[1:])
def test_prompts_differ_in_the_same_words(demo: Demo, way: str, expected: dict[str, pl.DataFrame]) -> None:
    """The diff of two prompts is the same text by every way."""
    changed = expected["prompts"].filter(pl.col("changed_system").list.len() > 0)
    was, now = changed.select("previous", "preamble").row(-1)
    with demo.open("sqlite") as file, demo.open(way) as capture:
        told = [measures.difference(found.prompt_parts(bodies=True), was, now) for found in (file, capture)]
    assert told[0] == told[1]
    assert "+# Output style: terse" in told[0]
