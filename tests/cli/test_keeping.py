"""`ccproxy db stats`, `check` and `migrate`."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

from click.testing import CliRunner

from ccproxy.cli import main
from ccproxy.stores.sqlite import SqliteStore
from tests.cli.conftest import invoke, refusal
from tests.support.entries import Session, fill


def _filled(folder: Path) -> Path:
    path = folder / "captures.db"
    with contextlib.closing(SqliteStore(path, write=True)) as store:
        fill(store, list(Session(tools=3, preamble_bytes=4000).exchanges(4)))
    return path


def test_stats_say_how_much_there_is(alone: Path) -> None:
    """Place, schema, size and counts, for eyes and for programs."""
    path = _filled(alone)
    lines = {line.split()[0]: line.split()[1:] for line in invoke("db", "stats", "--db", path).stdout.splitlines()}
    assert lines["store"] == [str(path)]
    assert (lines["exchanges"], lines["complete"]) == (["4"], ["4"])
    assert lines["size"][1] == "MB,"
    told = json.loads(invoke("db", "stats", "--json", "--db", path).stdout)
    assert (told["exchanges"], told["place"]) == ({"complete": 4}, str(path))


def test_check_tells_a_whole_store_from_a_damaged_one(alone: Path) -> None:
    """All whole is exit code 0; a fault is a line, and exit code 1."""
    path = _filled(alone)
    assert invoke("db", "check", "--db", path).stdout.startswith("4 exchanges, ")
    assert invoke("db", "check", "--db", path).stdout.endswith("looked at, all whole\n")
    with contextlib.closing(SqliteStore(path, write=True)) as store:
        store.db.execute("DELETE FROM nodes WHERE depth = 0")
    done = CliRunner().invoke(main, ["db", "check", "--db", str(path)])
    assert done.exit_code == 1
    assert "nodes.parent: 1 rows point at something that is not in the store" in done.stdout
    assert re.search(r"looked at, \d+ faults\n$", done.stdout)


def test_migrate_says_which_schema_there_is(alone: Path) -> None:
    """A store that is up to date stays as it is; where there is none, that is one sentence."""
    path = _filled(alone)
    assert "the newest" in invoke("db", "migrate", "--db", path).stdout
    code, sentence = refusal("db", "migrate", "--db", alone / "none.db")
    assert (code, "there is no store" in sentence) == (1, True)


def test_copy_moves_a_store_and_goes_on(alone: Path) -> None:
    """All that has ended is in the other store, and a second copy finds nothing new."""
    path = _filled(alone)
    first = invoke("db", "copy", "--db", path, "--to", alone / "other.db")
    assert first.stdout == f"4 exchanges are in {alone}/other.db now, 4 of them new\n"
    assert invoke("db", "copy", "--db", path, "--to", alone / "other.db").stdout.endswith("now, 0 of them new\n")
    assert invoke("db", "check", "--db", alone / "other.db").stdout.endswith("all whole\n")
    code, sentence = refusal("db", "copy", "--db", path, "--to", "postgresql://me:geheim@127.0.0.1:1/none")
    assert code == 1
    assert "geheim" not in sentence
