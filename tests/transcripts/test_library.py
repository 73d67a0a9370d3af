"""The library: every conversation listed once, the newest first, and each line given as it stands in its file."""

from __future__ import annotations

import json
import os
import shutil
import time
import tracemalloc
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ccproxy.transcripts import BadNameError, Library, UnknownError, growing, thread
from tests.support import wire
from tests.support.transcripts import CWD, PROJECT, assistant, line, put, talk, text, user, uuid


def _at(minute: int) -> str:
    return f"2026-01-02T03:{minute:02}:00.000Z"


def _raw(record: msgspec.Raw) -> Any:
    return json.loads(bytes(record))


def test_a_conversation_is_summed_up(tmp_path: Path) -> None:
    """Who, where, when, what about and how much."""
    lines = [
        user("Fix it", timestamp=_at(1)),
        assistant([text("Done")], "m1", timestamp=_at(3)),
        b"broken\n",
        line("ai-title", aiTitle="Fixing it", timestamp=None, cwd=None),
    ]
    path = put(tmp_path, "s1", lines)
    put(tmp_path, "s1/subagents/agent-a1", [user("x", isSidechain=True, agentId="a1")])
    [found] = Library(tmp_path).conversations()
    started = 1767322860_000_000
    assert msgspec.structs.asdict(found) == {
        "session_id": "s1", "project": PROJECT, "cwd": CWD, "title": "Fixing it", "started_at": started,
        "last_activity_at": started + 120_000_000, "duration_ms": 120_000, "requests": 1, "messages": 2, "subagents": 1,
        "lines": 3, "skipped_lines": 1, "bytes": path.stat().st_size, "git_branch": "main", "client_version": "2.1.330",
    }  # fmt: skip


def test_the_newest_activity_comes_first(tmp_path: Path) -> None:
    """Over all projects, by the last thing that happened, in an order that does not change."""
    put(tmp_path, "old", talk("x", timestamp=_at(1)), project="a")
    put(tmp_path, "new", talk("x", timestamp=_at(9)), project="b")
    put(tmp_path, "long", [*talk("x", timestamp=_at(0)), *talk("x", timestamp=_at(8))], project="c")
    put(tmp_path, "same", talk("x", timestamp=_at(8)), project="a")
    assert [one.session_id for one in Library(tmp_path).conversations()] == ["new", "long", "same", "old"]


def test_a_conversation_without_times_has_those_of_its_file(tmp_path: Path) -> None:
    """Where no line has a time that can be read, the file's is taken."""
    path = put(tmp_path, "s1", [user("x", timestamp="whenever")])
    os.utime(path, (1_700_000_000, 1_700_000_000))
    [found] = Library(tmp_path).conversations()
    assert (found.started_at, found.last_activity_at, found.duration_ms) == (1_700_000_000_000_000,) * 2 + (0,)


def test_files_in_which_nothing_was_said_are_not_listed(tmp_path: Path) -> None:
    """Titles without a conversation, empty files and files of other kinds are none; a broken conversation is one."""
    put(tmp_path, "title", [line("ai-title", aiTitle="Lonely")])
    put(tmp_path, "empty", [])
    put(tmp_path, "broken", [b"not json\n"])
    (tmp_path / PROJECT / "notes.txt").write_text("x")
    (tmp_path / "stray.jsonl").write_text("{}")
    [found] = Library(tmp_path).conversations()
    assert (found.session_id, found.skipped_lines, found.title) == ("broken", 1, None)


def test_a_long_line_hides_nothing(tmp_path: Path) -> None:
    """A line of 12 MiB, as images make them, is a line like others."""
    put(tmp_path, "s1", [user("short"), user("x" * (12 << 20)), assistant([text("ok")], "m")])
    library = Library(tmp_path)
    [found] = library.conversations()
    assert (found.title, found.messages, found.skipped_lines) == ("short", 3, 0)
    page = library.transcript(PROJECT, "s1", offset=1, limit=1)
    assert len(_raw(page.lines[0].record)["message"]["content"]) == 12 << 20


def test_filters_narrow_the_list(tmp_path: Path) -> None:
    """By project, by a piece of the title in any case, by both."""
    put(tmp_path, "s1", talk("Straße bauen"), project="a")
    put(tmp_path, "s2", talk("Build a road"), project="a")
    put(tmp_path, "s3", talk("build a bridge"), project="b")
    library = Library(tmp_path)

    def ids(**filters: str) -> set[str]:
        return {one.session_id for one in library.conversations(**filters)}

    assert ids(q="BUILD") == {"s2", "s3"}
    assert ids(project="a", q="build") == {"s2"}
    assert ids(q="STRASSE") == {"s1"}
    assert ids(project="b") == {"s3"}
    with pytest.raises(UnknownError):
        ids(project="c")
    with pytest.raises(BadNameError):
        ids(project="../a")


def test_files_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second list opens only what has changed, and forgets what is gone."""
    for number in range(20):
        put(tmp_path, f"s{number}", talk(f"number {number}"))
    library = Library(tmp_path)
    assert len(library.conversations()) == 20
    opened: list[str] = []
    really = growing.open_file
    monkeypatch.setattr(growing, "open_file", lambda path: (opened.append(path.stem), really(path))[1])
    put(tmp_path, "s3", talk("number 3", "and more"))
    (tmp_path / PROJECT / "s4.jsonl").unlink()
    found = {one.session_id: one for one in library.conversations()}
    assert opened == ["s3"]
    assert (len(found), found["s3"].messages) == (19, 4)
    assert len(library._summaries) == 19


def test_hundreds_of_files_are_listed_fast_the_second_time(tmp_path: Path) -> None:
    """A list over 400 files takes a moment once they are known."""
    for number in range(400):
        put(tmp_path, f"s{number}", talk("x", "y"), project=f"p{number % 20}")
    library = Library(tmp_path)
    library.conversations()
    began = time.perf_counter()
    assert len(library.conversations()) == 400
    assert time.perf_counter() - began < 1.0  # 0.06 s on a quiet machine


def test_every_line_comes_as_it_is(tmp_path: Path) -> None:
    """All members, also those nobody knows, in the file's order and spelling, broken lines left out."""
    raw = b'{"type" : "brand-new",  "big":123456789012345678901234567890, "half":"\\ud83d", "f":1.10}\n'
    put(tmp_path, "s1", [user("one"), b"broken\n", raw, b"\n", {"type": "mode", "mode": "plan"}])
    page = Library(tmp_path).transcript(PROJECT, "s1", offset=0, limit=10)
    assert bytes(page.lines[1].record) == raw.strip()
    assert [one.number for one in page.lines] == [1, 2, 3]
    assert (page.total, page.offset, page.next_offset) == (3, 0, None)
    assert page.conversation.skipped_lines == 1
    assert json.loads(msgspec.json.encode(page))["lines"][2]["record"] == {"type": "mode", "mode": "plan"}


def test_lines_that_are_not_utf8_are_mended(tmp_path: Path) -> None:
    """What is given out is JSON, whatever stands in the file."""
    put(tmp_path, "s1", [b'\xef\xbb\xbf{"type":"user","text":"\xff"}\r\n'])
    page = Library(tmp_path).transcript(PROJECT, "s1", offset=0, limit=10)
    assert json.loads(msgspec.json.encode(page))["lines"][0]["record"] == {"type": "user", "text": "\ufffd"}


def test_lines_name_the_line_that_they_follow(tmp_path: Path) -> None:
    """The thread is told by numbers, also backwards and over branches; a parent that is not there is none."""
    names = [uuid() for _ in range(5)]
    parents = [None, names[0], names[0], names[4], "missing"]
    lines = [user(str(number), uuid=names[number], parentUuid=parents[number]) for number in range(5)]
    page = Library(tmp_path)
    put(tmp_path, "s1", lines)
    found = page.transcript(PROJECT, "s1", offset=0, limit=10)
    assert [one.parent for one in found.lines] == [None, 1, 1, 5, None]


def test_a_long_transcript_comes_in_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages follow each other without a gap, and none is larger than allowed but for a line that is."""
    put(tmp_path, "s1", [user("x" * 1000 * (number % 3)) for number in range(50)])
    monkeypatch.setattr(thread, "MAX_PAGE_BYTES", 4000)
    library, offset, seen = Library(tmp_path), 0, []
    for _ in range(100):
        page = library.transcript(PROJECT, "s1", offset=offset, limit=7)
        assert 1 <= len(page.lines) <= 7
        assert len(page.lines) == 1 or sum(len(bytes(one.record)) for one in page.lines) <= 4000
        seen += [one.number for one in page.lines]
        if page.next_offset is None:
            break
        offset = page.next_offset
    assert seen == list(range(1, 51))
    beyond = library.transcript(PROJECT, "s1", offset=10**12, limit=7)
    assert (beyond.lines, beyond.next_offset, beyond.total) == ([], None, 50)


def test_a_page_of_a_large_transcript_needs_little_memory(tmp_path: Path) -> None:
    """Of a transcript of 40 MB, a page costs what stands on it."""
    put(tmp_path, "s1", [user("x" * 100_000)] * 400)
    library = Library(tmp_path)
    tracemalloc.start()
    try:
        page = library.transcript(PROJECT, "s1", offset=200, limit=10)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(page.lines) == 10
    assert peak < 8 << 20


def test_a_transcript_that_grows_is_read_on(tmp_path: Path) -> None:
    """A page asked for again shows what came since."""
    path = put(tmp_path, "s1", talk("one"))
    library = Library(tmp_path)
    assert library.transcript(PROJECT, "s1", offset=0, limit=10).total == 2
    with path.open("ab") as file:
        file.write(json.dumps(user("two")).encode() + b"\n")
    page = library.transcript(PROJECT, "s1", offset=2, limit=10)
    assert (page.total, len(page.lines), page.conversation.messages) == (3, 1, 3)


META = {
    "agentType": "Explore",
    "description": "look around",
    "toolUseId": "toolu_1",
    "parentAgentId": "a0",
    "isBuiltIn": True,
}


def test_subagents_belong_to_their_session(tmp_path: Path) -> None:
    """Those in the session's folder and, as older versions wrote them, those beside it, with what is noted about them."""
    put(tmp_path, "s1", talk("main"))
    below = put(tmp_path, "s1/subagents/agent-a1", talk("sub", isSidechain=True, agentId="a1"))
    below.with_suffix(".meta.json").write_text(json.dumps(META))
    put(tmp_path, "s1/subagents/deeper/agent-a2", talk("sub", isSidechain=True))
    put(tmp_path, "agent-a3", talk("beside", isSidechain=True))
    put(tmp_path, "agent-b1", talk("foreign", isSidechain=True, sessionId="s2"))
    library = Library(tmp_path)
    [found] = library.conversations()
    page = library.transcript(PROJECT, "s1", offset=0, limit=10)
    assert found.subagents == 3
    assert [one.agent_id for one in page.subagents] == ["a1", "a2", "a3"]
    first = page.subagents[0]
    assert (first.agent_type, first.description, first.tool_use_id, first.parent_agent_id) == (
        "Explore",
        "look around",
        "toolu_1",
        "a0",
    )
    assert (first.messages, first.lines, page.subagents[1].agent_type) == (2, 2, None)
    beside = library.transcript(PROJECT, "s1", agent="a3", offset=0, limit=10)
    assert beside.agent_id == "a3"
    assert _raw(beside.lines[0].record)["message"]["content"] == "beside"
    with pytest.raises(UnknownError, match="no subagent"):
        library.transcript(PROJECT, "s1", agent="b1", offset=0, limit=10)
    with pytest.raises(UnknownError, match="no subagent"):
        library.transcript(PROJECT, "s1", agent="../../../x", offset=0, limit=10)


def test_notes_about_a_subagent_may_be_broken(tmp_path: Path) -> None:
    """A note that cannot be read, or is of another kind, says nothing."""
    put(tmp_path, "s1", talk("main"))
    for name, note in [("a1", "{"), ("a2", "[]"), ("a3", '{"agentType": 5}')]:
        path = put(tmp_path, f"s1/subagents/agent-{name}", talk("sub"))
        path.with_suffix(".meta.json").write_text(note)
    page = Library(tmp_path).transcript(PROJECT, "s1", offset=0, limit=1)
    assert [one.agent_type for one in page.subagents] == [None, None, None]


def test_a_file_that_vanishes_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transcript that is deleted while it is asked for is not there; nothing else happens."""
    path = put(tmp_path, "s1", talk("x"))
    library = Library(tmp_path)
    really = Library._agents

    def vanish(self: Library, folder: Path, session_id: str) -> dict[str, Path]:
        path.unlink()
        return really(self, folder, session_id)

    monkeypatch.setattr(Library, "_agents", vanish)
    with pytest.raises(UnknownError, match="cannot be read"):
        library.transcript(PROJECT, "s1", offset=0, limit=1)


def test_nothing_is_written(tmp_path: Path) -> None:
    """Reading leaves every file and folder as it was."""
    put(tmp_path, "s1", talk("x"))
    put(tmp_path, "s1/subagents/agent-a1", talk("y"))

    def state() -> dict[Path, tuple[int, int]]:
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in tmp_path.rglob("*")}

    before = state()
    library = Library(tmp_path)
    library.conversations()
    library.transcript(PROJECT, "s1", offset=0, limit=10)
    assert state() == before


@wire.needs_wire
def test_recorded_transcripts_are_listed_and_read(tmp_path: Path) -> None:
    """Every recorded session is a conversation, and every line of it comes out as it stands in the file."""
    for path in wire.FOLDER.glob("transcripts/*.jsonl"):
        (tmp_path / "recorded").mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / "recorded" / path.name)
    for folder in wire.FOLDER.glob("claude_code_runs/transcripts_*/*"):
        shutil.copytree(folder, tmp_path / folder.name)
    library = Library(tmp_path)
    found = library.conversations()
    assert len(found) == len(list(tmp_path.glob("*/*.jsonl")))
    for one in found:
        lines = (tmp_path / one.project / f"{one.session_id}.jsonl").read_bytes().splitlines()
        page = library.transcript(one.project, one.session_id, offset=0, limit=1000)
        assert page.total == len(lines)
        assert [bytes(given.record) for given in page.lines] == lines
        uuids = [json.loads(given).get("uuid") for given in lines]
        for given in page.lines:
            parent = json.loads(bytes(given.record)).get("parentUuid")
            assert given.parent == (uuids.index(parent) + 1 if parent and parent in uuids else None)
    run = next(one for one in found if one.project == "-home-dev-wire1-proj")
    page = library.transcript(run.project, run.session_id, offset=0, limit=1)
    assert [(one.agent_type, one.tool_use_id) for one in page.subagents] == [("Explore", "toolu_mock1")]
