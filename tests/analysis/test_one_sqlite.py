"""One SQLite library per process and file: who analyses never loads Python's, who captures never loads DuckDB's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.captures import Places
from tests.support.proxy import isolated_environment

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = {"sqlite3", "_sqlite3", "ccproxy.stores.sqlite"}
OTHERS = {"duckdb", "_duckdb", "adbc_driver_sqlite", "polars", "analysis"}


def loaded(program: str, folder: Path, *arguments: object) -> set[str]:
    """Return the modules that a program has loaded at its end."""
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys; print(*sys.modules)", *map(str, arguments)],
        env=isolated_environment(folder, {"PYTHONPATH": str(ROOT)}), cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(done.stdout.split())


def test_analysis_never_loads_the_sqlite_of_python(places: Places, tmp_path: Path) -> None:
    """Importing it, opening a store, reading, exporting and measuring load neither sqlite3 nor the proxy's store on it."""
    program = (
        "import sys, analysis\n"
        "import analysis.measures.cost, analysis.measures.breaks, analysis.measures.context\n"
        "with analysis.open(sys.argv[1]) as cap:\n"
        "    cap.exchanges().collect(), cap.sessions().collect(), cap.threads().collect(), cap.blocks(bodies=True).collect()\n"
        "    cap.sql('SELECT * FROM messages'), cap.export(sys.argv[2]), repr(cap)\n"
        "    cap.body(cap.exchanges().collect()['exchange_id'][0], 'request')"
    )
    found = loaded(program, tmp_path, places.sqlite, tmp_path / "taken")
    assert found >= {"analysis.capture", "duckdb", "polars"}
    assert found & PYTHONS == set()
    assert "adbc_driver_sqlite" not in found  # nor is the other way to a file taken beside DuckDB's


@pytest.mark.parametrize(
    "module",
    ["ccproxy.cli", "ccproxy.web.worker", "ccproxy.web.app", "ccproxy.ingest.process", "ccproxy.web.api.process"],
)
def test_what_captures_never_loads_duckdb(module: str, tmp_path: Path) -> None:
    """Command line, proxy, ingest and data API come without the toolkit: a store is theirs by one SQLite alone."""
    found = loaded(f"import {module}", tmp_path)
    assert module in found
    assert found & OTHERS == set()


def test_a_copy_is_read_by_the_other_library_only(places: Places, tmp_path: Path) -> None:
    """Where there is no scanner the file is opened by ADBC's SQLite, and by no second one."""
    program = (
        "import sys, analysis\n"
        "from analysis import sources\n"
        "sources.find = lambda *_: None\n"
        "with analysis.open(sys.argv[1]) as cap:\n"
        "    assert cap.way == 'copied by Arrow'\n"
        "    cap.blocks(bodies=True).collect(), cap.body(cap.exchanges().collect()['exchange_id'][0], 'request')"
    )
    found = loaded(program, tmp_path, places.sqlite)
    assert "adbc_driver_sqlite" in found
    assert found & PYTHONS == set()
    assert not any("sqlite_scanner" in name for name in found)
