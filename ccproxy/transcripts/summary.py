"""A transcript summed up, line by line: its title, its times, what was said how often.

What it holds does not grow with the file. Refuses to know where lines come from.
"""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from typing import Any

import msgspec

from ccproxy.protocol.parts import json_value
from ccproxy.transcripts import titles
from ccproxy.transcripts.lines import Line, parse

_RECENT = 64  # the lines of one answer stand together, with at most the results of its tool calls between them
_MILLISECONDS_FROM = 100_000_000_000  # a number above this counts milliseconds, not seconds: the year 5138, or 1973


class _Answer(msgspec.Struct):
    """What of an assistant's message is looked at."""

    id: Any = None


_answer = msgspec.json.Decoder(_Answer).decode


class Summary:
    """What is known of a transcript so far."""

    def __init__(self) -> None:
        """Begin with an empty file."""
        self.lines = 0
        self.skipped_lines = 0
        self.messages = 0
        self.requests = 0
        self.sidechains = 0  # subagents whose lines stand among the others, as up to 2.0
        self.first: datetime | None = None
        self.last: datetime | None = None
        self.session_id: str | None = None
        self.cwd: str | None = None
        self.git_branch: str | None = None
        self.client_version: str | None = None
        self._titles: dict[str, str] = {}
        self._summaries: dict[str, str] = {}  # of a message that did not come (yet) -> what it says
        self._answers = _Recent()
        self._requests = _Recent()
        self._uuids = _Recent()

    def take(self, start: int, data: bytes) -> bool:
        """Take a line; return whether it could be read."""
        line = parse(data)
        if line is None:
            self.skipped_lines += 1
            return False
        self.lines += 1
        self._place(line)
        self._time(line.timestamp)
        match line.type:
            case "user":
                self._user(line)
            case "assistant":
                self._assistant(line)
            case "custom-title":
                self._title("custom", line.custom_title)
            case "ai-title":
                self._title("ai", line.ai_title)
            case "summary":
                self._summary(line)
        return True

    @property
    def title(self) -> str | None:
        """What the conversation was about: as its user, the client, or its first words name it; at last, whatever there is."""
        order = ("custom", "ai", "summary", "spoken", "foreign", "command")
        return next((self._titles[kind] for kind in order if kind in self._titles), None)

    def _place(self, line: Line) -> None:
        self.session_id = self.session_id or _text(line.session_id)
        self.cwd = self.cwd or _text(line.cwd)
        self.git_branch = _text(line.git_branch) or self.git_branch
        self.client_version = _text(line.version) or self.client_version
        if line.uuid is not None:
            self._uuids.add(str(line.uuid))
            if self._summaries:
                self._title("summary", self._summaries.pop(str(line.uuid), None))

    def _time(self, timestamp: Any) -> None:
        at = moment(timestamp)
        if at is not None:
            self.first = at if self.first is None else min(self.first, at)
            self.last = at if self.last is None else max(self.last, at)

    def _user(self, line: Line) -> None:
        self.messages += 1
        if line.is_sidechain is True:
            self.sidechains += line.parent_uuid is None
            return
        if "spoken" in self._titles or line.is_meta is True or line.is_compact_summary is True:
            return
        message = json_value(bytes(line.message))
        content = message.get("content") if isinstance(message, dict) else None
        self._title("spoken", titles.spoken(content))
        if "command" not in self._titles:
            self._title("command", titles.command(content))

    def _assistant(self, line: Line) -> None:
        """Count an answer once, though each of its blocks has a line of its own."""
        try:
            answer = _answer(line.message).id
        except (msgspec.MsgspecError, ValueError, RecursionError):
            answer = None
        name = str(answer if answer is not None else line.uuid)
        self.messages += self._answers.add(name)
        if line.is_api_error_message is not True:
            self.requests += self._requests.add(_text(line.request_id) or name)

    def _summary(self, line: Line) -> None:
        """Take a summary. Old versions wrote those of other sessions into the same file: it counts if its message is here."""
        leaf = line.leaf_uuid
        if leaf is None or str(leaf) in self._uuids:
            self._title("summary", line.summary)
            return
        self._title("foreign", line.summary)
        if len(self._summaries) < _RECENT and "foreign" in self._titles:
            self._summaries[str(leaf)] = self._titles["foreign"]

    def _title(self, kind: str, text: Any) -> None:
        title = titles.as_title(text)
        if title:
            self._titles[kind] = title


class _Recent:
    """Tells what is new from what was there a moment ago."""

    def __init__(self) -> None:
        self._names: deque[str] = deque(maxlen=_RECENT)

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def add(self, name: str) -> bool:
        """Take a name; return whether it is new."""
        if name in self._names:
            return False
        self._names.append(name)
        return True


def moment(timestamp: Any) -> datetime | None:
    """Return a time, in UTC where it names no zone; None where it is none."""
    try:
        if isinstance(timestamp, str):
            at = datetime.fromisoformat(timestamp)
            return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        if isinstance(timestamp, int | float) and not isinstance(timestamp, bool):
            seconds = timestamp / 1000 if timestamp >= _MILLISECONDS_FROM else timestamp
            return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
