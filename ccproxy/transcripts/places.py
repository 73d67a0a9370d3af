"""The way to a transcript, guarded: no name leads out of the folder, and nothing but regular files is opened.

Knows where Claude Code keeps its files. Refuses to know what stands in them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

MAX_NAME_BYTES = 255  # of most file systems
SUFFIX = ".jsonl"
AGENT_PREFIX = "agent-"
_MAX_DEPTH = 4  # of folders below a session's folder for subagents


class BadNameError(ValueError):
    """A name that is no name of a file: the message is one clear sentence."""


class UnknownError(LookupError):
    """There is no such project, conversation or subagent: the message is one clear sentence."""


class Places:
    """The folder of all projects, `projects` in Claude Code's own folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def folders(self) -> Iterator[tuple[str, Path]]:
        """Yield each project's name and folder; none where there is no folder of projects."""
        for name, path in _entries(self._root):
            found = self._inside(path)
            if found is not None and found.is_dir():
                yield name, found

    def folder(self, project: str) -> Path:
        """Return a project's folder. Raises BadNameError or UnknownError."""
        found = self._inside(self._root / checked(project, "project"))
        if found is None or not found.is_dir():
            raise UnknownError(f'there is no project "{project}"')
        return found

    def conversations(self, folder: Path) -> Iterator[tuple[str, Path]]:
        """Yield the session id and the file of each conversation in a project's folder."""
        yield from ((name, path) for name, path in self._files(folder) if not name.startswith(AGENT_PREFIX))

    def conversation(self, folder: Path, session_id: str) -> Path:
        """Return the file of a conversation. Raises BadNameError or UnknownError."""
        name = checked(session_id, "conversation")
        found = None if name.startswith(AGENT_PREFIX) else self._file(folder / f"{name}{SUFFIX}")
        if found is None:
            raise UnknownError(f'there is no conversation "{session_id}" in this project')
        return found

    def agents_beside(self, folder: Path) -> Iterator[tuple[str, Path]]:
        """Yield the id and the file of each subagent whose file stands beside the conversations, as in 2.0."""
        for name, path in self._files(folder):
            if name.startswith(AGENT_PREFIX):
                yield name.removeprefix(AGENT_PREFIX), path

    def agents_below(self, folder: Path, session_id: str) -> Iterator[tuple[str, Path]]:
        """Yield the id and the file of each subagent in a session's own folder."""
        yield from self._agents_in(folder / session_id / "subagents", _MAX_DEPTH)

    def _agents_in(self, folder: Path, depth: int) -> Iterator[tuple[str, Path]]:
        if depth and self._inside(folder) is not None:
            yield from self.agents_beside(folder)
            for _, path in _entries(folder):
                if path.is_dir() and not path.is_symlink():
                    yield from self._agents_in(path, depth - 1)

    def _files(self, folder: Path) -> Iterator[tuple[str, Path]]:
        """Yield the names, without their ending, and the places of the transcripts in a folder."""
        for name, path in _entries(folder):
            if name.endswith(SUFFIX):
                found = self._file(path)
                if found is not None:
                    yield name.removesuffix(SUFFIX), found

    def _file(self, path: Path) -> Path | None:
        found = self._inside(path)
        return found if found is not None and found.is_file() else None

    def _inside(self, path: Path) -> Path | None:
        """Return where a path leads, if that is inside the folder."""
        try:
            root, found = self._root.resolve(strict=True), path.resolve(strict=True)
        except (OSError, RuntimeError, ValueError):  # not there, a loop of links, a name that no file can have
            return None
        return found if found.is_relative_to(root) and found != root else None


def checked(name: str, what: str) -> str:
    """Return a name that is one step down, and nothing else. Raises BadNameError."""
    if not name or name in (".", "..") or not name.isprintable() or any(sign in name for sign in "/\\\0"):
        raise BadNameError(f"this is no name of a {what}: it must be one folder's or file's name, without separators")
    if len(os.fsencode(name)) > MAX_NAME_BYTES - len(SUFFIX):
        raise BadNameError(f"this is no name of a {what}: it is longer than {MAX_NAME_BYTES - len(SUFFIX)} bytes")
    return name


def open_file(path: Path) -> BinaryIO:
    """Open a regular file to read. Raises OSError, also where it is something else."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is no regular file")
    return os.fdopen(descriptor, "rb", buffering=1 << 18)


def _entries(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield name and path of what is in a folder, in order; nothing where it cannot be read."""
    try:
        with os.scandir(folder) as found:
            names = sorted(entry.name for entry in found)
    except OSError:
        return
    for name in names:
        if name.isprintable():  # other names cannot be asked for
            yield name, folder / name
