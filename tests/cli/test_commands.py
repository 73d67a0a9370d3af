"""The command line as a whole: its help, its errors, where it looks for its settings."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner

from ccproxy import __version__
from ccproxy.cli import main
from tests.cli.conftest import Captured, invoke, refusal
from tests.support.command import ccproxy, started

COMMANDS = [
    "serve",
    "dashboard",
    "ingest",
    "prune",
    "run",
    "tail",
    "show",
    "search",
    "sql",
    "export",
    "demo",
    "doctor",
    "db",
    "config",
]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_explains_itself(command: str, option: str) -> None:
    """Help says in a sentence what a command does, shows an example, and explains every option."""
    lines = invoke(command, option).stdout.splitlines()
    assert lines[0].startswith("Usage: ")
    assert lines[2].rstrip().endswith((".", "many", "ID"))
    assert "  Example" in "\n".join(lines)
    assert any(line.startswith(f"    ccproxy {command}") for line in lines)
    assert all(len(line) <= 80 for line in lines)
    options = [line for line in lines if line.startswith("  -")]
    assert options
    assert all(len(line.split()) > 2 for line in options)


def test_the_program_explains_itself() -> None:
    """Without a command one learns what there is, and each command's sentence stands there whole."""
    text = invoke("--help").stdout
    assert [line.split()[0] for line in text.partition("Commands:\n")[2].splitlines()] == sorted(COMMANDS)
    assert "..." not in text.partition("Commands:\n")[2]
    assert invoke("--version").stdout.strip() == f"ccproxy, version {__version__}"


def test_what_is_no_command_is_refused() -> None:
    """A slip on the command line is exit code 2."""
    for arguments in (["sreve"], ["tail", "--nubmer"], ["run"], ["show"], ["search"], ["serve", "--port", "high"]):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 2
        assert "Usage: " in result.stderr


@pytest.mark.parametrize("command", [["serve"], ["run", "true"], ["tail"], ["show", "0"], ["search", "x"]])
def test_a_wrong_key_is_one_sentence(alone: Path, command: list[str]) -> None:
    """An unknown key in config.yaml stops every command with its line, its name and the nearest one, and exit code 2."""
    (alone / "config.yaml").write_text("server:\n  prot: 3005\n")
    sentence = 'config.yaml line 2: unknown key "server.prot"; did you mean "server.port"?'
    assert refusal(*command) == (2, sentence)


def test_a_wrong_value_is_one_sentence() -> None:
    """A value that cannot be is exit code 2, and the sentence says what it must be."""
    code, sentence = refusal("serve", "--workers", 65)
    assert (code, sentence) == (2, 'command line: server.workers must be a whole number from 1 to 64, not "65"')
    code, sentence = refusal("serve", "--config", "none.yaml")
    assert (code, sentence) == (2, "none.yaml cannot be read: No such file or directory")


def test_the_configured_store_is_found(alone: Path, captured: Captured) -> None:
    """Without --db the store is the configured one, from the file in this folder or from one that is named."""
    (alone / "config.yaml").write_text(f"storage.db_path: {captured.db}\n")
    shown = invoke("tail").stdout
    assert captured.id("agent")[-12:] in shown
    (alone / "config.yaml").rename(alone / "mine.yaml")
    assert invoke("tail", "--config", "mine.yaml").stdout == shown


def test_a_file_of_another_program_is_in_nobodys_way(alone: Path, captured: Captured) -> None:
    """In the folder of a project that has a config.yaml of its own, everything works."""
    (alone / "config.yaml").write_text("database: x\nport: [1, 2]\n")
    assert captured.id("agent")[-12:] in invoke("tail", "--db", captured.db).stdout


@pytest.mark.parametrize("command", [["tail"], ["show", "0"], ["search", "x"]])
def test_a_store_that_cannot_be_read_is_one_sentence(tmp_path: Path, command: list[str]) -> None:
    """No store, another program's database, no database at all, a newer schema: a sentence each, and exit code 1."""
    path = tmp_path / "some.db"
    assert refusal(*command, "--db", path)[0] == 1
    path.write_text("just text, long enough to be looked at as a database header, and then some")
    assert "is not a SQLite database" in refusal(*command, "--db", path)[1]
    path.unlink()
    make_foreign(path)
    assert "database of some other program" in refusal(*command, "--db", path)[1]


def make_foreign(path: Path) -> None:
    """Make a database that is not ours."""
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE theirs (x)")
    db.close()


async def test_a_reader_that_has_seen_enough_is_no_error(captured: Captured, tmp_path: Path) -> None:
    """When what reads the output goes away, as `head` does, the command ends without a word."""
    async with started("tail", "--db", str(captured.db), home=tmp_path) as process:
        assert process.stdout is not None
        process.stdout._transport.close()  # type: ignore[attr-defined]  # what `| head -0` does
        assert process.stderr is not None
        said = await process.stderr.read()
        assert (await process.wait(), said) == (0, b"")


async def test_it_is_a_module_too(tmp_path: Path) -> None:
    """`python -m ccproxy` is the same program."""
    done = await ccproxy("--version", home=tmp_path)
    assert (done.code, done.out.decode().strip()) == (0, f"ccproxy, version {__version__}")
