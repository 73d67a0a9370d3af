"""Tools work on the project's files as they stand, and a picture is a picture."""

from __future__ import annotations

import re
import zlib

import pytest

from ccproxy.demo import ENDING, boxes, made, pictures, tools
from ccproxy.demo.beats import Call
from ccproxy.demo.chance import Chance
from ccproxy.demo.counting import tokens, weight
from ccproxy.demo.pace import load
from ccproxy.demo.week import Week
from ccproxy.demo.workspace import Workspace
from tests.demo.conftest import Made


@pytest.fixture
def harbor() -> Workspace:
    """A project with two files."""
    return Workspace("harbor", "/p", {"a.py": "one\ntwo\n", "src/b.py": "two\n"})


def do(workspace: Workspace, tool: str, given: str, **more: object) -> tools.Done:
    """Do one call."""
    return tools.do(Call(tool, given, **more), workspace, Chance("test"))  # type: ignore[arg-type]


def test_files_are_read_searched_and_edited(harbor: Workspace) -> None:
    """What is read after an edit is what the edit made."""
    assert do(harbor, "Read", "a.py").content == "     1\tone\n     2\ttwo"
    assert do(harbor, "Read", "a.py 2 1").content == "     2\ttwo"
    assert do(harbor, "Grep", "tw. in src/").content == "src/b.py:1:two"
    assert do(harbor, "Glob", "**/*.py").content == "/p/a.py\n/p/src/b.py"
    done = do(harbor, "Edit", "a.py", removed=("two",), added=("three", "four"))
    assert done.input == {"file_path": "/p/a.py", "old_string": "two", "new_string": "three\nfour"}
    do(harbor, "Write", "c.py", added=("new",))
    assert harbor.files == {"a.py": "one\nthree\nfour\n", "src/b.py": "two\n", "c.py": "new\n"}


def test_a_failure_has_to_be_announced(harbor: Workspace) -> None:
    """A tool that cannot do what it is asked is an error where the screenplay says so, and else a mistake in it."""
    done = do(harbor, "Read", "none.py", failed=True)
    assert done.failed
    assert str(done.content).startswith("<tool_use_error>File does not exist.")
    for call in (("Read", "none.py"), ("Edit", "a.py")):
        with pytest.raises(ValueError, match=call[1]):
            do(harbor, *call, removed=("nowhere",))
    assert do(harbor, "Bash", "make", failed=True, output=("no",)).content == "Exit code 1\nno"


def test_output_may_be_lines_of_a_file(harbor: Workspace) -> None:
    """A command prints what the screenplay says, and lines of a file where it names some."""
    done = do(harbor, "Bash", "head a.py\\nls", output=("first", "<< a.py 1 2"), about="Look", seconds=0.5)
    assert (done.content, done.seconds) == ("first\none\ntwo", 0.5)
    assert done.input == {"command": "head a.py\nls", "description": "Look"}


@pytest.mark.parametrize("kind", sorted(made.KINDS))
def test_made_files_are_the_same_each_time(kind: str) -> None:
    """A long file is made by a rule, and the rule gives the same lines again."""
    text = made.text(kind, 60, "seed")
    assert text == made.text(kind, 60, "seed")
    assert text.count("\n") >= 60
    assert text != made.text(kind, 60, "other")


def test_pictures_are_whole() -> None:
    """A picture is a valid PNG of a modest size, its chunks in order and whole."""
    data = pictures.png("some.png")
    assert len(data) < 20_000
    place, names = 8, []
    while place < len(data):
        size = int.from_bytes(data[place : place + 4])
        body = data[place + 4 : place + 8 + size]
        assert zlib.crc32(body) == int.from_bytes(data[place + 8 + size : place + 12 + size])
        names.append(body[:4])
        place += 12 + size
    assert names == [b"IHDR", b"IDAT", b"IEND"]
    width, height = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    assert tokens(weight(pictures.block("some.png"))) == round(width * height / 750)


def test_afternoons_are_slower_than_nights() -> None:
    """Everybody waits longer at the busiest hour, and less at weekends."""
    week = Week(ENDING)
    assert load(week.moment("2 16:30")) > load(week.moment("2 11:00")) > load(week.moment("2 03:00")) == 1
    assert load(week.moment("2 16:30")) > load(week.moment("7 16:30")) > 1


def test_no_story_depends_on_spaces_at_the_end_of_a_line() -> None:
    """What an editor may take away means nothing, but for an empty line in an edit or an output."""
    for name in boxes.names("stories"):
        lines = boxes.text("stories", name).splitlines()
        assert [line for line in lines if re.search(r"\s$", line) and line not in ("+ ", "- ", "| ")] == [], name


def test_a_larger_prompt_waits_longer(made: Made) -> None:
    """Over the whole demo answers to prompts that had to be read anew begin later than those that came from the cache."""
    rows = [row for row in made.where(kind="main", requested_model="claude-sonnet-5-5") if row["first_token_ms"]]
    cold = [row["first_token_ms"] for row in rows if row["cache_write_tokens"] > 8000]
    warm = [row["first_token_ms"] for row in rows if row["cache_write_tokens"] < 800]
    assert sum(cold) / len(cold) > 1.2 * sum(warm) / len(warm)
