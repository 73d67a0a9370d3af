"""Folders with agent definition files, read when they are asked for and again when they have changed.

Knows where Claude Code keeps them: `.claude/agents` in a project or in a folder above it, and in the user's own folder. Refuses
to open anything but regular files of a sensible size, and to know what stands in them.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ccproxy.routing.definition import Definition, read_definition
from ccproxy.settings import Settings

IN_PROJECT = Path(".claude", "agents")
OF_USER = "agents"
SUFFIX = ".md"
BUILT_IN = frozenset(
    {"general-purpose", "Explore", "Plan", "statusline-setup", "claude-code-guide", "output-style-setup"}
)
MAX_FILES = 500  # in a folder and those below it
MAX_BYTES = 1 << 20
MAX_DEPTH = 4
MAX_KNOWN = 5000

_State = tuple[int, int, int]  # of a file: changed at, size, inode


class Folders:
    """The agents that are defined for a session. `others` are looked at after the session's project, in their order."""

    def __init__(self, others: Sequence[Path]) -> None:
        self.others = tuple(others)
        self._known: dict[Path, tuple[_State, Definition | None]] = {}

    def definitions(self, cwd: str | None) -> list[Definition]:
        """Return what is defined for a session that works in `cwd`; what counts first comes first. Reads files."""
        if len(self._known) > MAX_KNOWN:
            self._known.clear()
        found = []
        for folder in dict.fromkeys([*_of_project(cwd), *self.others]):
            for path, state in _files(folder):
                definition = self._read(path, state)
                if definition is not None:
                    found.append(definition)
        return found

    def missing(self, names: Sequence[str]) -> list[str]:
        """Return the names that no file in the folders beside the projects defines."""
        known = {name for definition in self.definitions(None) for name in definition.names}
        return [name for name in names if name not in known]

    def _read(self, path: Path, state: _State) -> Definition | None:
        known = self._known.get(path)
        if known is None or known[0] != state:
            known = self._known[path] = (state, _definition(path))
        return known[1]


def folders_of(settings: Settings) -> Folders:
    """Return where agents are defined beside the projects of sessions: in the configured folders, then the user's own."""
    return Folders([*settings.subagents.folders, settings.claude.config_dir / OF_USER])


def undefined(settings: Settings, agents: Iterable[str]) -> list[str]:
    """Return a sentence for each of these agents that no file defines, as far as one can be looked for without a session.

    The agents that Claude Code brings along have none, and those of plugins lie elsewhere.
    """
    custom = [agent for agent in agents if agent not in BUILT_IN and ":" not in agent]
    folders = folders_of(settings)
    places = " or ".join(dict.fromkeys(map(str, folders.others)))
    return [
        f'there is no definition of the agent "{agent}" in {places}; it is known by the call that starts it, or by its file'
        " in the session's project"
        for agent in (folders.missing(custom) if custom else [])
    ]


def _of_project(cwd: str | None) -> Iterator[Path]:
    """Yield the folder of each project that a working directory is in, the nearest first."""
    place = Path(cwd) if cwd else None
    if place is not None and place.is_absolute() and "\0" not in str(place):
        yield from (folder / IN_PROJECT for folder in (place, *place.parents))


def _files(folder: Path, depth: int = 0) -> Iterator[tuple[Path, _State]]:
    """Yield the definition files in a folder and below it, by name, with what tells whether they have changed."""
    with contextlib.suppress(OSError):
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)[:MAX_FILES]
        for entry in listed:
            with contextlib.suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    if depth < MAX_DEPTH:
                        yield from _files(Path(entry.path), depth + 1)
                elif entry.name.endswith(SUFFIX):
                    about = entry.stat()  # of what a link leads to
                    if stat.S_ISREG(about.st_mode) and about.st_size <= MAX_BYTES:
                        yield Path(entry.path), (about.st_mtime_ns, about.st_size, about.st_ino)


def _definition(path: Path) -> Definition | None:
    try:
        return read_definition(path.stem, path.read_bytes().decode("utf-8", "replace"))
    except OSError:
        return None
