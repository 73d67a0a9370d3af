"""`ccproxy demo`: makes the demo, says what to look at, and is fit to be called by a program."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from click.testing import CliRunner

from ccproxy.cli import main
from ccproxy.demo import casting
from tests.support.command import ccproxy


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Play two sessions in place of all, in a working folder of its own."""
    few = list(itertools.islice(casting.stories(), 2))
    monkeypatch.setattr(casting, "stories", lambda: iter(few))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("DB_PATH", raising=False)


def test_it_makes_the_demo_and_says_what_to_look_at(tmp_path: Path) -> None:
    """The first time it makes the file, the next time it keeps it; each time it names the commands to try."""
    path = tmp_path / "my demo.db"
    first = CliRunner().invoke(main, ["demo", "--db", str(path)])
    assert first.exit_code == 0
    assert first.stdout.startswith(f"'{path}' has a made-up week of Claude Code in it now.")
    for hint in (f"ccproxy tail --db '{path}'", f"ccproxy sql --db '{path}'", f'analysis.open("{path}")'):
        assert hint in first.stdout
    made = path.stat().st_ino
    second = CliRunner().invoke(main, ["demo", "--db", str(path)])
    assert second.stdout.startswith(f"'{path}' had a made-up week of Claude Code in it already.")
    assert path.stat().st_ino == made
    assert CliRunner().invoke(main, ["demo", "--db", str(path), "--again"]).exit_code == 0
    assert path.stat().st_ino != made
    listed = CliRunner().invoke(main, ["tail", "--db", str(path)])
    assert "claude-sonnet-5-5" in listed.stdout


def test_a_program_hears_the_place_alone(tmp_path: Path) -> None:
    """With --quiet the path is printed and nothing else; without --db it is beside the store."""
    done = CliRunner().invoke(main, ["demo", "--quiet"])
    path = tmp_path / "data" / "ccproxy" / "demo.db"
    assert (done.exit_code, done.stdout, done.stderr) == (0, f"{path}\n", "")
    assert path.exists()
    assert "analysis.demo()" in CliRunner().invoke(main, ["demo"]).stdout


def test_what_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    """A database, a file of somebody else and a folder that cannot be are refused with a sentence and an exit code."""
    done = CliRunner().invoke(main, ["demo", "--db", "postgresql://host/name"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert (
        done.stderr
        == "ccproxy: the demo is a file; `ccproxy db copy --db demo.db --to URL` brings it into a database\n"
    )
    (tmp_path / "text").write_text("text")
    for path in (tmp_path / "text", tmp_path / "text" / "demo.db"):
        done = CliRunner().invoke(main, ["demo", "--quiet", "--again", "--db", str(path)])
        assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert (tmp_path / "text").read_text() == "text"


async def test_it_runs_as_a_process(tmp_path: Path) -> None:
    """As a process of its own it ends with 0, prints the path, and says nothing else, failures of the week included."""
    path = tmp_path / "demo.db"
    done = await ccproxy("demo", "--quiet", "--db", str(path), home=tmp_path)
    assert (done.code, done.out.decode(), done.err) == (0, f"{path}\n", "")
