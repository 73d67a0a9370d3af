"""The files of a journal: their names, their modes, and who is still writing.

A journal is a folder. Each writer (one a proxy worker) has its own numbered segments and a lock file that it holds as long
as it lives, so that anyone can tell a dead writer from a silent one. Refuses to know what stands in a segment.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HEADER = b"ccproxy-journal1"
SEGMENT_SUFFIX = ".journal"
LOCK_SUFFIX = ".lock"
LOCK_POLL_S = 0.005
NAME_FILE = "name"
INGEST = "ingest"  # the reader's own lock: two ingests on one journal would count everything twice


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """One file of a writer's journal."""

    writer: str
    number: int
    path: Path


def segment_path(folder: Path, writer: str, number: int) -> Path:
    """Return the place of a writer's segment."""
    return folder / f"{writer}-{number:08d}{SEGMENT_SUFFIX}"


def list_segments(folder: Path) -> list[Segment]:
    """Return all segments in the folder, ordered by writer and number. Foreign files are passed over."""
    found = []
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            writer, dash, number = entry.name.removesuffix(SEGMENT_SUFFIX).rpartition("-")
            if entry.name.endswith(SEGMENT_SUFFIX) and dash and number.isdigit():
                found.append(Segment(writer, int(number), Path(entry.path)))
    return sorted(found)


def make_folder(folder: Path) -> None:
    """Create the journal's folder, readable by its owner only."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)


def name_of(folder: Path) -> str:
    """Return the name that tells this journal from those of other machines: made once, and kept in the folder."""
    path = folder / NAME_FILE
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        os.write(descriptor, secrets.token_hex(16).encode())
        os.close(descriptor)
    return path.read_text().strip()


def create_segment(path: Path) -> int:
    """Create a segment, readable by its owner only, and return its descriptor."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        if os.write(descriptor, HEADER) < len(HEADER):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError:
        os.close(descriptor)
        with contextlib.suppress(OSError):
            path.unlink()
        raise
    return descriptor


def hold_lock(path: Path, *, wait_s: float = 0.0) -> int | None:
    """Take the lock at `path` for the life of this process; None when another holds it, also after `wait_s` seconds."""
    last = time.monotonic() + wait_s
    while (descriptor := _try_lock(path)) is None and time.monotonic() < last:
        time.sleep(LOCK_POLL_S)
    return descriptor


def _try_lock(path: Path) -> int | None:
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), os.stat(path)):  # else it was swept away meanwhile
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None


def writer_lock(folder: Path, writer: str) -> Path:
    """Return the place of a writer's lock file."""
    return folder / f"{writer}{LOCK_SUFFIX}"


def is_alive(folder: Path, writer: str) -> bool:
    """Tell whether the writer still runs: whether somebody holds its lock."""
    try:
        descriptor = os.open(writer_lock(folder, writer), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def sweep(folder: Path) -> None:
    """Remove the lock files of dead writers that left no segment."""
    writing = {segment.writer for segment in list_segments(folder)}
    for path in folder.glob(f"*{LOCK_SUFFIX}"):
        writer = path.name.removesuffix(LOCK_SUFFIX)
        if writer not in writing and writer != INGEST and (descriptor := _try_lock(path)) is not None:
            path.unlink(missing_ok=True)  # while it is held, so that no writer can take it to be its own
            os.close(descriptor)


def total_bytes(folder: Path) -> int:
    """Return how many bytes of frames the segments in the folder hold, read or unread."""
    total = 0
    for segment in list_segments(folder):
        with contextlib.suppress(FileNotFoundError):
            total += max(0, segment.path.stat().st_size - len(HEADER))
    return total


def writers(segments: list[Segment]) -> Iterator[tuple[str, list[Segment]]]:
    """Yield each writer with its segments, in order."""
    by_writer: dict[str, list[Segment]] = {}
    for segment in segments:
        by_writer.setdefault(segment.writer, []).append(segment)
    yield from by_writer.items()
