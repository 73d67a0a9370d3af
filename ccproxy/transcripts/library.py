"""All conversations of a machine: listed, summed up, and read page by page.

Remembers what files came to, so that only what is new is read. Belongs to any number of threads, one at a time. Refuses to
write, and to go anywhere but into the folder of projects.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from ccproxy.protocol.parts import json_value
from ccproxy.transcripts.growing import Growing
from ccproxy.transcripts.places import Places, UnknownError, open_file
from ccproxy.transcripts.summary import Summary
from ccproxy.transcripts.thread import Index, TranscriptLine

MAX_INDEXES = 4
MAX_META_BYTES = 1 << 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Conversation(msgspec.Struct, frozen=True):
    """A conversation, as its transcript sums up. `session_id` is that of the exchanges that were captured of it.

    `requests` are the answers that came; `messages` those of user and assistant, each counted once; `skipped_lines` the lines
    that could not be read. Times are microseconds since 1970; where no line has one, the file's is taken.
    """

    session_id: str
    project: str
    cwd: str | None
    title: str | None
    started_at: int
    last_activity_at: int
    duration_ms: int
    requests: int
    messages: int
    subagents: int
    lines: int
    skipped_lines: int
    bytes: int
    git_branch: str | None
    client_version: str | None


class TranscriptAgent(msgspec.Struct, frozen=True):
    """A subagent of a conversation that has a transcript of its own."""

    agent_id: str
    agent_type: str | None
    description: str | None
    tool_use_id: str | None
    parent_agent_id: str | None
    started_at: int
    last_activity_at: int
    requests: int
    messages: int
    lines: int
    skipped_lines: int


class Transcript(msgspec.Struct, frozen=True):
    """A page of a conversation, or of one of its subagents (`agent_id`). `total` counts the lines that could be read."""

    conversation: Conversation
    subagents: list[TranscriptAgent]
    agent_id: str | None
    total: int
    offset: int
    next_offset: int | None
    lines: list[TranscriptLine]


@dataclass(frozen=True, slots=True)
class _Found:
    """A conversation in its place, with the files of its subagents."""

    project: str
    session_id: str
    path: Path
    agents: dict[str, Path] = field(default_factory=dict)


class Library:
    """The transcripts below `root`, the folder `projects` in Claude Code's own folder."""

    def __init__(self, root: Path) -> None:
        self._places = Places(root)
        self._lock = threading.Lock()
        self._summaries: dict[Path, Growing[Summary]] = {}
        self._indexes: OrderedDict[Path, Growing[Index]] = OrderedDict()

    def conversations(self, project: str | None = None, q: str | None = None) -> list[Conversation]:
        """Return all conversations, of one project or with `q` in the title, newest activity first.

        Raises BadNameError or UnknownError where there is no such project.
        """
        folders = [(project, self._places.folder(project))] if project is not None else list(self._places.folders())
        with self._lock:
            listed = [one for name, folder in folders for one in self._listed(name, folder)]
            if project is None:
                self._forget({path for path in self._summaries if not path.exists()})
        wanted = q.casefold() if q else ""
        fitting = [one for one in listed if wanted in (one.title or "").casefold()]
        return sorted(fitting, key=lambda one: (one.last_activity_at, one.project, one.session_id), reverse=True)

    def transcript(
        self, project: str, session_id: str, *, agent: str | None = None, offset: int, limit: int
    ) -> Transcript:
        """Return a page of a conversation, or of the subagent `agent`. Raises BadNameError or UnknownError."""
        folder = self._places.folder(project)
        path = self._places.conversation(folder, session_id)
        with self._lock:
            try:
                found = _Found(project, session_id, path, self._agents(folder, session_id))
                if agent is not None and agent not in found.agents:
                    raise UnknownError(f'there is no subagent "{agent}" in this conversation')
                return self._page(found, agent, offset, limit)
            except OSError as error:
                raise UnknownError(f'the conversation "{session_id}" cannot be read: {error.strerror}') from error

    def _page(self, found: _Found, agent: str | None, offset: int, limit: int) -> Transcript:
        path = found.path if agent is None else found.agents[agent]
        index = self._index(path)
        with open_file(path) as file:
            known = index.read_on(file)
            lines = known.page(file, offset, limit)
        after = offset + len(lines)
        conversation = self._conversation(found)
        subagents = [self._subagent(name, place) for name, place in found.agents.items()]
        return Transcript(
            conversation, subagents, agent, len(known), offset, after if lines and after < len(known) else None, lines
        )

    def _listed(self, project: str, folder: Path) -> Iterator[Conversation]:
        beside = self._agents_beside(folder)
        for session_id, path in self._places.conversations(folder):
            agents = dict(self._places.agents_below(folder, session_id)) | beside.get(session_id, {})
            try:
                conversation = self._conversation(_Found(project, session_id, path, agents))
            except OSError:  # gone, or not ours to read
                continue
            if conversation.messages or conversation.skipped_lines:
                yield conversation

    def _agents(self, folder: Path, session_id: str) -> dict[str, Path]:
        below = dict(self._places.agents_below(folder, session_id))
        return below | self._agents_beside(folder).get(session_id, {})

    def _agents_beside(self, folder: Path) -> dict[str, dict[str, Path]]:
        """Return, by session, the subagents whose files stand beside the conversations."""
        found: dict[str, dict[str, Path]] = {}
        for agent_id, path in self._places.agents_beside(folder):
            try:
                session_id = self._summary(path).session_id
            except OSError:
                continue
            if session_id:
                found.setdefault(session_id, {})[agent_id] = path
        return found

    def _conversation(self, found: _Found) -> Conversation:
        summary, status = self._summary(found.path), found.path.stat()
        first, last = _times(summary, status.st_mtime)
        return Conversation(
            found.session_id, found.project, summary.cwd, summary.title, _written(first), _written(last),
            round((last - first).total_seconds() * 1000), summary.requests, summary.messages,
            len(found.agents) + summary.sidechains, summary.lines, summary.skipped_lines, status.st_size,
            summary.git_branch, summary.client_version,
        )  # fmt: skip

    def _subagent(self, agent_id: str, path: Path) -> TranscriptAgent:
        summary, meta = self._summary(path), _meta(path)
        first, last = _times(summary, path.stat().st_mtime)
        return TranscriptAgent(
            agent_id, _text(meta.get("agentType")), _text(meta.get("description")), _text(meta.get("toolUseId")),
            _text(meta.get("parentAgentId")), _written(first), _written(last), summary.requests, summary.messages,
            summary.lines, summary.skipped_lines,
        )  # fmt: skip

    def _summary(self, path: Path) -> Summary:
        if path not in self._summaries:
            self._summaries[path] = Growing(path, Summary)
        return self._summaries[path].current()

    def _index(self, path: Path) -> Growing[Index]:
        """Return what is known of a file's lines; only the files that were asked for last are remembered."""
        index = self._indexes.pop(path, None) or Growing(path, Index)
        self._indexes[path] = index
        if len(self._indexes) > MAX_INDEXES:
            self._indexes.popitem(last=False)
        return index

    def _forget(self, paths: set[Path]) -> None:
        for path in paths:
            del self._summaries[path]


def _times(summary: Summary, modified: float) -> tuple[datetime, datetime]:
    otherwise = datetime.fromtimestamp(modified, UTC)
    return summary.first or otherwise, summary.last or otherwise


def _written(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def _meta(path: Path) -> dict[str, Any]:
    """Return what Claude Code noted about a subagent, beside its transcript; nothing where it did not."""
    try:
        with open_file(path.with_suffix(".meta.json")) as file:
            value = json_value(file.read(MAX_META_BYTES))
    except OSError:
        return {}
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
