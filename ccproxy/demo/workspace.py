"""A project's files, as the tools see them: they are read, searched and edited for real, in memory.

So what the model is shown after an edit is what the edit made. A log is written by a rule, as it would be too long to keep. Refuses to
touch a disk.
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass, field

from ccproxy.demo import boxes, made

READ_LINES = 2000
PLACE = re.compile(r"(?P<path>[\w./-]+):«(?P<words>[^»]+)»")
RULE = " @"  # `logs/import.log @importer 900`: 900 lines of that kind


class RefusedError(Exception):
    """A tool cannot do what it was asked; the message is what the model is told."""


@dataclass(slots=True)
class Workspace:
    """The files of one project below `root`."""

    name: str
    root: str
    files: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, root: str) -> Workspace:
        """Open a project of the package."""
        files: dict[str, str] = {}
        for path, text in boxes.box("projects", f"{name}.txt").items():
            plain, ruled, rule = path.partition(RULE)
            kind, _, lines = rule.partition(" ")
            files[plain] = made.text(kind, int(lines), name) if ruled else text
        return cls(name, root, files)

    def place(self, path: str) -> str:
        """Return the whole path of a file."""
        return f"{self.root}/{path}" if path else self.root

    def text(self, path: str) -> str:
        """Return a file's text. Raises RefusedError."""
        if path not in self.files:
            raise RefusedError(f"File does not exist. Note: your current working directory is {self.root}.")
        return self.files[path]

    def numbered(self, path: str, first: int = 1, count: int = READ_LINES) -> str:
        """Return lines of a file with their numbers."""
        lines = self.text(path).splitlines()[first - 1 : first - 1 + count]
        return "\n".join(f"{number:6}\t{line}" for number, line in enumerate(lines, start=first))

    def located(self, text: str) -> str:
        """Return a text in which each `path:«words»` has become a path with the number of the first line with these words."""

        def place(found: re.Match[str]) -> str:
            lines = self.text(found["path"].removeprefix(f"{self.root}/")).splitlines()
            return f"{found['path']}:{next(number for number, line in enumerate(lines, 1) if found['words'] in line)}"

        return PLACE.sub(place, text)

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace a piece of a file that stands in it once. Raises RefusedError."""
        text = self.text(path)
        if text.count(old) != 1:
            found = (
                "String to replace not found in file."
                if old not in text
                else "Found more than one match of the string."
            )
            raise RefusedError(f"{found}\nString: {old}")
        self.files[path] = text.replace(old, new)

    def found(self, pattern: str, below: str) -> list[str]:
        """Return lines that match, as `path:number:line`."""
        wanted = re.compile(pattern)
        return [
            f"{path}:{number}:{line}"
            for path, text in sorted(self.files.items())
            if path.startswith(below)
            for number, line in enumerate(text.splitlines(), start=1)
            if wanted.search(line)
        ]

    def named(self, pattern: str) -> list[str]:
        """Return the whole paths of files that a glob names."""
        plain = pattern.replace("**/", "*")
        return [self.place(path) for path in sorted(self.files) if fnmatch.fnmatch(path, plain)]
