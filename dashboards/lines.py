"""Texts as lines: differences between two of them, and the numbers that `cat -n` puts before them.

Refuses to know which tool they come from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

AROUND = 3  # lines shown around what changed
MOST_PAIRS = 4_000_000  # lines times lines that are matched; beyond, all of the old goes and all of the new comes
_NUMBERED = re.compile(r"^\s*(\d+)(?:→|\t)(.*)$")
_SUFFIXES = {
    "py": "Python", "js": "JavaScript", "mjs": "JavaScript", "ts": "TypeScript", "tsx": "TypeScript", "jsx": "JavaScript", "go": "Go",
    "rs": "Rust", "rb": "Ruby", "java": "Java", "c": "C", "h": "C", "cc": "C++", "cpp": "C++", "cs": "C#", "sh": "shell", "bash": "shell",
    "zsh": "shell", "sql": "SQL", "md": "Markdown", "json": "JSON", "yaml": "YAML", "yml": "YAML", "toml": "TOML", "html": "HTML",
    "css": "CSS", "xml": "XML", "kt": "Kotlin", "swift": "Swift", "php": "PHP", "lua": "Lua", "ipynb": "notebook", "txt": "text",
}  # fmt: skip


class Row(NamedTuple):
    """A line of a difference: `kind` is same, del, add or gap; a gap's text says how many lines it leaves out."""

    kind: str
    old: int | None
    new: int | None
    text: str


def split(text: str) -> list[str]:
    """Return the lines of a text; an empty one has none, and a line break at the end begins no line."""
    return text.removesuffix("\n").split("\n") if text else []


def difference(old: str, new: str, first: int = 1, around: int | None = AROUND) -> list[Row]:
    """Return how one text became another, as lines matched to each other. `first` is the number of the first line; what is
    further than `around` lines from a change is left out."""
    rows = list(_rows(split(old), split(new), first))
    return rows if around is None else list(_shortened(rows, around))


def counts(rows: Sequence[Row]) -> tuple[int, int]:
    """Return how many lines came and how many went."""
    return sum(row.kind == "add" for row in rows), sum(row.kind == "del" for row in rows)


def _rows(old: list[str], new: list[str], first: int) -> Iterator[Row]:
    for tag, i, i_end, j, j_end in _codes(old, new):
        if tag == "equal":
            for place in range(i_end - i):
                yield Row("same", first + i + place, first + j + place, old[i + place])
            continue
        for place in range(i, i_end):
            yield Row("del", first + place, None, old[place])
        for place in range(j, j_end):
            yield Row("add", None, first + place, new[place])


def _codes(old: list[str], new: list[str]) -> Iterator[tuple[str, int, int, int, int]]:
    """Yield what difflib calls opcodes; equal beginnings and ends are not left to it."""
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    yield "equal", 0, start, 0, start
    inner_old, inner_new = old[start : len(old) - end], new[start : len(new) - end]
    if len(inner_old) * len(inner_new) > MOST_PAIRS:
        yield "replace", start, start + len(inner_old), start, start + len(inner_new)
    else:
        for tag, i, i_end, j, j_end in SequenceMatcher(None, inner_old, inner_new, autojunk=False).get_opcodes():
            yield tag, start + i, start + i_end, start + j, start + j_end
    yield "equal", len(old) - end, len(old), len(new) - end, len(new)


def _shortened(rows: list[Row], around: int) -> Iterator[Row]:
    changed = [place for place, row in enumerate(rows) if row.kind != "same"]
    near = {place for at in changed for place in range(at - around, at + around + 1)}
    left_out = 0
    for place, row in enumerate(rows):
        if place in near or not changed:
            if left_out:
                yield Row("gap", None, None, f"{left_out:,} unchanged line{'' if left_out == 1 else 's'}")
            left_out = 0
            yield row
        else:
            left_out += 1
    if left_out:
        yield Row("gap", None, None, f"{left_out:,} unchanged line{'' if left_out == 1 else 's'}")


def unnumbered(text: str) -> tuple[str, list[int]]:
    """Return a text without the numbers of `cat -n`, and these; no numbers where not every line has one, but for empty ones at
    the end."""
    lines = text.rstrip("\n").split("\n")
    matches = [_NUMBERED.match(line) for line in lines]
    if not all(matches):
        return text, []
    return "\n".join(match[2] for match in matches if match), [int(match[1]) for match in matches if match]


def place_of(new: str, shown: str) -> int:
    """Return the number that the first line of a text has in numbered lines shown elsewhere; 1 where it is not among them."""
    wanted = split(new)
    numbered = [(int(match[1]), match[2]) for line in shown.split("\n") if (match := _NUMBERED.match(line))]
    for place, (number, line) in enumerate(numbered):
        if wanted and line == wanted[0] and [text for _, text in numbered[place : place + len(wanted)]] == wanted:
            return number
    return 1


def language(path: str) -> str:
    """Return what a file is written in, by its name; empty where that says nothing."""
    name = path.rsplit("/", 1)[-1]
    return _SUFFIXES.get(name.rsplit(".", 1)[-1].lower(), "") if "." in name else ""
