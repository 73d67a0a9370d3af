"""A text as it is read: paragraphs, code between fences, tables in a fixed width; emphasis is shown, and its marks stay.

No character is lost or added: the pieces put together are the text. Refuses to make markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})([^`\n]*)$")
_MARKED = re.compile(r"(`[^`\n]+`|\*\*[^*\n]+\*\*)")
_HEADING = re.compile(r"^#{1,6} \S")


class Piece(NamedTuple):
    """A stretch of lines: `kind` is text, heading, table, fence (the line that opens or closes code) or code.

    `spans` are pairs of what a run of characters is (plain, code, strong) and the run."""

    kind: str
    spans: list[tuple[str, str]]

    @property
    def text(self) -> str:
        """The characters."""
        return "".join(run for _, run in self.spans)


def pieces(text: str) -> list[Piece]:
    """Return the pieces of a text, in order."""
    found: list[tuple[str, list[str]]] = []
    for kind, line in _lines(text):
        if found and found[-1][0] == kind and kind not in ("fence", "heading"):
            found[-1][1].append(line)
        else:
            found.append((kind, [line]))
    return [_piece(kind, "".join(lines)) for kind, lines in found]


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Yield each line with the kind of piece that it is in."""
    fence = ""
    for line in text.splitlines(keepends=True):
        bare = line.rstrip("\r\n")
        match = _FENCE.match(bare)
        if fence:
            ends = match is not None and match[1].startswith(fence) and not match[2].strip()
            yield ("fence" if ends else "code"), line
            fence = "" if ends else fence
        elif match:
            fence = match[1]
            yield "fence", line
        elif _HEADING.match(bare):
            yield "heading", line
        else:
            yield ("table" if bare.lstrip().startswith("|") else "text"), line


def _piece(kind: str, text: str) -> Piece:
    if kind in ("code", "fence"):
        return Piece(kind, [("plain", text)])
    runs = [(_span(run), run) for run in _MARKED.split(text) if run]
    return Piece(kind, runs)


def _span(run: str) -> str:
    if len(run) > 2 and run[0] == run[-1] == "`":
        return "code"
    return "strong" if len(run) > 4 and run.startswith("**") and run.endswith("**") else "plain"
