"""The demo's texts: files of the package in which several pieces stand, each under a line `=== name`.

Refuses to know what the pieces are good for.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

MARK = "=== "


def names(folder: str) -> list[str]:
    """Return the files in a folder of this package, in order."""
    found = (resources.files("ccproxy.demo") / folder).iterdir()
    return sorted(entry.name for entry in found if entry.name.endswith(".txt"))


@cache
def text(folder: str, name: str) -> str:
    """Return a file of this package."""
    return (resources.files("ccproxy.demo") / folder / name).read_text("utf-8")


@cache
def box(folder: str, name: str) -> dict[str, str]:
    """Return the pieces of a file by their names, each with one line feed at its end."""
    pieces: dict[str, list[str]] = {}
    for line in text(folder, name).splitlines():
        if line.startswith(MARK):
            current = pieces.setdefault(line.removeprefix(MARK).strip(), [])
        else:
            current.append(line)
    return {piece: "\n".join(lines).strip("\n") + "\n" for piece, lines in pieces.items()}
