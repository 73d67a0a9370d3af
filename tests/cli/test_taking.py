"""`ccproxy sql` and `ccproxy export`: what was captured, asked and taken away on the command line."""

from __future__ import annotations

import csv
import io
import json
import shlex
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from ccproxy.cli import main
from ccproxy.cli.taking import MOST_SHOWN
from tests.cli.conftest import Captured, invoke, refusal
from tests.support import handmade
from tests.support.captures import filled
from tests.support.command import ccproxy, on_a_terminal
from tests.support.entries import exchange_id
from tests.support.proxy import isolated_environment

QUERY = "SELECT kind, count(*) AS n, sum(output_tokens) AS output FROM exchanges WHERE kind IN ('main', 'title') GROUP BY 1 ORDER BY 1"
CONTROLS = [chr(code) for code in [*range(9), *range(11, 32), *range(127, 160), 0x202A, 0x202E, 0x2066, 0x2069]]


@pytest.fixture
def db(alone: Path) -> Path:
    """Give a store with the handmade capture."""
    return filled(alone / "captures.db", handmade.exchanges())


def test_a_query_is_a_table(db: Path) -> None:
    """Rows are printed under their names, numbers to the right; a view's columns can be looked up."""
    lines = invoke("sql", QUERY, "--db", db).stdout.splitlines()
    assert [line.strip("│ ").split(" ┆ ") for line in (lines[1], *lines[3:-1])] == [
        ["kind ", "n", "output"],
        ["main ", "9", "   120"],
        ["title", "1", "    20"],
    ]
    described = invoke("sql", "DESCRIBE tool_calls", "--db", db).stdout
    assert "│ wire_ms " in described
    assert "┆ TIMESTAMP WITH TIME ZONE ┆" in described


def test_a_long_answer_is_cut_and_says_so(db: Path) -> None:
    """Of many rows the first are shown, and it is said how many there are beside; long texts are cut."""
    text = invoke("sql", "SELECT i, repeat('long ', 100) AS words FROM range(1234) r(i)", "--db", db).stdout
    lines = text.splitlines()
    assert lines[-1] == f"… and {1234 - MOST_SHOWN:,} more rows; --format csv has them all"
    assert len(lines) == MOST_SHOWN + 5
    assert max(map(len, lines)) < 120
    assert "more rows" not in invoke("sql", f"SELECT * FROM range({MOST_SHOWN})", "--db", db).stdout


def test_a_query_is_csv(db: Path) -> None:
    """As CSV all rows stand there, whole, with texts as they are and lists in one cell."""
    out = invoke(
        "sql", "SELECT text FROM blocks WHERE type = 'text' ORDER BY characters DESC", "--format", "csv", "--db", db
    ).stdout
    rows = list(csv.DictReader(io.StringIO(out)))
    assert {"text": "<system-reminder>\nBe brief.\n</system-reminder>"} in rows
    out = invoke(
        "sql", "SELECT session_id, models FROM sessions ORDER BY 1 LIMIT 1", "--format", "csv", "--db", db
    ).stdout
    assert out == f"session_id,models\n{handmade.SESSION},{handmade.MODEL}\n"
    nested = "SELECT {'a': 1, 'b': ['x']} AS s, [1, 2] AS l, 'ab'::BLOB AS b, NULL::INTEGER[] AS n, ['x', 'y'] AS t"
    out = invoke("sql", nested, "--format", "csv", "--db", db).stdout
    assert list(csv.DictReader(io.StringIO(out))) == [
        {"s": '{"a": 1, "b": ["x"]}', "l": "[1, 2]", "b": "6162", "n": "", "t": "x y"}
    ]


def test_a_query_is_json(db: Path) -> None:
    """As JSON each row is an object on a line of its own, with every type that a query can give."""
    out = invoke("sql", QUERY, "--format", "json", "--db", db).stdout
    assert [json.loads(line) for line in out.splitlines()] == [
        {"kind": "main", "n": 9, "output": 120},
        {"kind": "title", "n": 1, "output": 20},
    ]
    every = (
        "SELECT started_at, ended_at - started_at AS took, models, 'ab'::BLOB AS b, 1.5 AS d, uuid() AS u FROM sessions"
    )
    for line in invoke("sql", every, "--format", "json", "--db", db).stdout.splitlines():
        assert json.loads(line)["b"] == "6162"
        assert json.loads(line)["models"] == [handmade.MODEL]


def test_a_query_is_parquet(db: Path, alone: Path) -> None:
    """As Parquet it goes to a file or a pipe, with its types."""
    assert invoke("sql", QUERY, "--format", "parquet", "--db", db, "--output", "out.parquet").stdout == ""
    piped = CliRunner().invoke(main, ["sql", QUERY, "--format", "parquet", "--db", str(db)])
    for source in (alone / "out.parquet", io.BytesIO(piped.stdout_bytes)):
        found = pl.read_parquet(source)
        assert dict(found.schema) == {"kind": pl.String, "n": pl.Int64, "output": pl.Int64}
        assert found.rows() == [("main", 9, 120), ("title", 1, 20)]


@pytest.mark.parametrize("form", ["table", "csv", "json", "parquet"])
def test_a_file_holds_what_would_be_printed(db: Path, alone: Path, form: str) -> None:
    """With --output nothing is printed, and the file has it; one that cannot be written is one sentence."""
    printed = CliRunner().invoke(main, ["sql", QUERY, "--format", form, "--db", str(db)]).stdout_bytes
    assert invoke("sql", QUERY, "--format", form, "--db", db, "-o", "out").stdout == ""
    assert (alone / "out").read_bytes() == printed
    code, sentence = refusal("sql", QUERY, "--format", form, "--db", db, "-o", "none/out")
    assert (code, sentence) == (1, "none/out cannot be written: No such file or directory")


def test_a_query_may_come_from_standard_input(db: Path) -> None:
    """`-` reads it, line breaks, remarks and all; bytes that are no text are refused."""
    done = CliRunner().invoke(main, ["sql", "-", "--format", "csv", "--db", str(db)], input=f"-- tokens\n{QUERY}\n;\n")
    assert done.stdout == "kind,n,output\nmain,9,120\ntitle,1,20\n"
    done = CliRunner().invoke(main, ["sql", "-", "--db", str(db)], input=b"SELECT '\xff'")
    assert (done.exit_code, done.stderr) == (1, "ccproxy: the query on standard input is no text in UTF-8\n")


def test_the_configured_store_and_an_export_are_asked_alike(db: Path, alone: Path) -> None:
    """Without --db the configured store is meant; with it a file, or a folder that was exported."""
    (alone / "config.yaml").write_text(f"storage.db_path: {db}\n")
    shown = invoke("sql", QUERY).stdout
    invoke("export", "taken/")
    for place in (db, "taken", "taken/"):
        assert invoke("sql", QUERY, "--db", place).stdout == shown


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELEKT 1", 'syntax error at or near "SELEKT"'),
        ("SELECT modle FROM exchanges", '"model"'),
        ("DELETE FROM exchanges", "a query is one SELECT statement"),
        ("SELECT 1; SELECT 2", "a query is one SELECT statement"),
        ("", "a query is one SELECT statement"),
        ("SELECT * FROM read_text('/etc/passwd')", "a query reads the views, and nothing by read_text"),
        ("SELECT 1 AS a, 2 AS a", "two columns have one name"),
        ("SELECT '\udcff'", "half a character"),
    ],
)
def test_a_query_that_cannot_be_is_told(db: Path, query: str, said: str) -> None:
    """What is wrong is told, with the place in the query where there is one, nothing is printed, and the exit code is 1."""
    done = CliRunner().invoke(main, ["sql", query, "--db", str(db)])
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("ccproxy: ")
    assert said in done.stderr
    if "SELECT modle" in query:
        assert "LINE 1: SELECT modle FROM exchanges\n               ^" in done.stderr


def test_a_place_that_cannot_be_opened_is_one_sentence(alone: Path) -> None:
    """No store, no export, no database: a sentence each and exit code 1, for both commands; no password is shown."""
    (alone / "empty").mkdir()
    for command in (["sql", "SELECT 1"], ["export", "taken"]):
        assert refusal(*command, "--db", "none.db")[1].startswith(f"there is no store at {alone}/none.db")
        assert refusal(*command, "--db", "empty")[1].endswith("without exported captures; `ccproxy export` fills one")
        code, sentence = refusal(*command, "--db", "postgresql://me:ge@heim@127.0.0.1:1/none")
        assert code == 1
        assert "DATABASE_URL is not a connection string" in sentence
        assert "heim" not in sentence
    assert not (alone / "taken").exists()


def test_what_was_captured_cannot_speak_to_the_terminal(captured: Captured) -> None:
    """Control characters and marks that turn the direction of writing, in texts, lists and errors, do not get through."""
    everything = ["SELECT * FROM blocks", "SELECT * FROM exchanges", "SELECT * FROM sessions", "SELECT * FROM messages"]
    nested = ["SELECT list(model) AS l, {'m': max(model), 't': max(text)} AS s FROM exchanges, blocks"]
    for query in everything + nested:
        out = invoke("sql", query, "--db", captured.db).stdout
        assert [control for control in CONTROLS if control in out] == []
        assert "\t" not in out
    assert (
        "evil[31mred]0;title 2J gnol"
        in invoke("sql", "SELECT requested_model FROM exchanges", "--db", captured.db).stdout
    )
    wrong = "SELECT text::INTEGER FROM blocks WHERE text LIKE 'nasty%'"
    done = CliRunner().invoke(main, ["sql", wrong, "--db", str(captured.db)])
    assert done.exit_code == 1
    assert "Could not convert string 'nasty" in done.stderr
    assert [control for control in CONTROLS if control in done.stderr] == []


@pytest.mark.parametrize("form", ["table", "csv", "json"])
async def test_nor_on_a_real_terminal(captured: Captured, tmp_path: Path, form: str) -> None:
    """Whatever the format, a terminal gets no control character but line ends; a pipe gets what was captured."""
    query = "SELECT text FROM blocks WHERE text LIKE 'nasty%'"
    shown = await on_a_terminal("sql", query, "--format", form, "--db", str(captured.db), home=tmp_path)
    text = shown.decode().replace("\r\n", "\n")
    assert "nasty" in text
    assert [control for control in CONTROLS if control in text] == []
    if form == "csv":
        piped = await ccproxy("sql", query, "--format", form, "--db", str(captured.db), home=tmp_path)
        assert b"\x1b[31mred" in piped.out


async def test_a_terminal_gets_no_parquet(captured: Captured, tmp_path: Path) -> None:
    """It is said what to do in place of it."""
    shown = await on_a_terminal("sql", "SELECT 1", "--format", "parquet", "--db", str(captured.db), home=tmp_path)
    assert shown.decode().strip() == "ccproxy: a terminal cannot show Parquet; name a file with --output"


def test_captures_are_taken_away(db: Path, alone: Path) -> None:
    """An export says what it wrote, where, and how to read it; repeated, it has nothing to write."""
    lines = invoke("export", "taken/", "--db", db).stdout.splitlines()
    assert [line.split() for line in lines[:-1]] == [
        ["17", "exchanges"], ["3", "sessions"], ["7", "threads"], ["26", "messages"], ["34", "blocks"], ["8", "tool_calls"],
        ["90", "events"], ["5", "prompt_parts"],
    ]  # fmt: skip
    assert lines[-1] == "in taken; read it with analysis.open('taken')"
    assert {line.split()[0] for line in invoke("export", "taken", "--db", db).stdout.splitlines()[:-1]} == {"0"}
    assert (alone / "taken" / "exchanges" / "day=2025-10-09" / "exchanges.parquet").is_file()


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_captures_are_taken_away_in_other_formats(db: Path, alone: Path, form: str) -> None:
    """JSONL and CSV are for other programs: it is not said that they can be opened again, and they cannot."""
    assert invoke("export", "taken", "--format", form, "--db", db).stdout.splitlines()[-1] == "in taken"
    assert (alone / "taken" / "exchanges" / "day=2025-10-09" / f"exchanges.{form}").is_file()
    assert refusal("sql", "SELECT 1", "--db", "taken")[1].endswith(
        f"was exported as {form}; only Parquet can be opened again"
    )


@pytest.mark.parametrize(
    ("options", "exchanges"),
    [
        (["--since", "2025-10-10"], [2000]),
        (["--until", "2025-10-09T08:56:20Z"], [1, 2]),
        (["--session", handmade.OTHER], [11, 13, 14, 15, 16]),
        (["--model", "OPUS", "--since", "2025-10-09T09:08:20Z"], [15, 16, 2000]),
        (["--no-bodies", "--session", handmade.NEXT], [2000]),
    ],
)
def test_only_what_is_chosen_is_taken(db: Path, options: list[str], exchanges: list[int]) -> None:
    """Each option narrows the export; times without a zone are this machine's."""
    invoke("export", "taken", "--db", db, *options)
    out = invoke("sql", "SELECT exchange_id FROM exchanges ORDER BY 1", "--format", "csv", "--db", "taken").stdout
    assert out.split()[1:] == [exchange_id(number) for number in exchanges]
    columns = invoke("sql", "SELECT * FROM blocks", "--format", "csv", "--db", "taken").stdout.partition("\n")[0]
    assert ("text" in columns.split(",")) == ("--no-bodies" not in options)


def test_an_export_that_cannot_be_is_one_sentence(db: Path, alone: Path) -> None:
    """Into a folder of somebody else, or below a file, nothing is written: one sentence, exit code 1."""
    (alone / "mine").mkdir()
    (alone / "mine" / "thesis.txt").touch()
    code, sentence = refusal("export", "mine", "--db", db)
    assert (code, "mine holds something else already" in sentence) == (1, True)
    code, sentence = refusal("export", "captures.db/below", "--db", db)
    assert code == 1
    assert "cannot be" in sentence
    assert CliRunner().invoke(main, ["export", "taken", "--format", "xml"]).exit_code == 2
    assert CliRunner().invoke(main, ["export", "taken", "--since", "yesterday-ish"]).exit_code == 2


async def test_a_terminal_sees_how_far_an_export_is(captured: Captured, tmp_path: Path) -> None:
    """On a terminal a line tells how many exchanges are done, and ends before what was written is told."""
    shown = (await on_a_terminal("export", "taken", "--db", str(captured.db), home=tmp_path)).decode()
    assert "\r10 of 10 exchanges\r\n" in shown
    assert shown.replace("\r\n", "\n").splitlines()[-1] == "in taken; read it with analysis.open('taken')"


def test_without_the_extra_it_is_one_sentence(captured: Captured, tmp_path: Path) -> None:
    """Where the toolkit's libraries are not installed, both commands say what to install; all others work."""
    program = (
        "import sys; sys.modules.update(dict.fromkeys(['duckdb', 'polars'])); from ccproxy.cli import main; main()"
    )

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command without them."""
        line = [sys.executable, "-c", program, *arguments, "--db", str(captured.db)]
        environ = isolated_environment(tmp_path, {"PYTHONPATH": str(Path(__file__).resolve().parents[2])})
        return subprocess.run(line, cwd=tmp_path, env=environ, capture_output=True, text=True)

    for arguments in (("sql", "SELECT 1"), ("export", "taken")):
        done = run(*arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("ccproxy: analysis is not installed (")
        assert done.stderr.endswith("): pip install 'ccproxy[analysis]'\n")
    assert not (tmp_path / "taken").exists()
    assert run("tail").returncode == 0


def test_the_examples_of_the_help_work(db: Path, alone: Path) -> None:
    """Each line that the help shows as an example does what it says."""
    (alone / "config.yaml").write_text(f"storage.db_path: {db}\n")
    ran = 0
    for command in ("sql", "export"):
        for line in invoke(command, "--help").stdout.splitlines():
            if line.startswith(f"    ccproxy {command} "):
                assert CliRunner().invoke(main, shlex.split(line)[1:]).exit_code == 0, line
                ran += 1
    assert ran == 4
