"""The way to a transcript: no name leads out of the folder, however it is spelled."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ccproxy.transcripts import BadNameError, UnknownError
from ccproxy.transcripts.places import Places, checked, open_file
from tests.support.transcripts import PROJECT, put, user

NASTY = [
    "", ".", "..", "../secrets", "..\\secrets", "/etc", "/etc/passwd", "a/b", "a\\b", "a\0b", "\0", "..%2f", "x/../..", "~/x", "a\nb",
    "\u2028", "‮gpj", "C:\\x", "\\\\host\\share", "x" * 300, "é" * 200, "..../", "./x", "x/", "/",
]  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a folder of projects, with something secret beside it."""
    root = tmp_path / "projects"
    put(root, "s1", [user("hello")])
    put(tmp_path, "secret", [user("secret")], project="outside")
    return root


def _reach(root: Path, project: str, session_id: str) -> Path | None:
    places = Places(root)
    try:
        return places.conversation(places.folder(project), session_id)
    except (BadNameError, UnknownError):
        return None


def test_a_conversation_is_found(root: Path) -> None:
    """The plain way leads to the file."""
    assert _reach(root, PROJECT, "s1") == root.resolve() / PROJECT / "s1.jsonl"


@pytest.mark.parametrize("name", NASTY)
def test_nasty_names_lead_nowhere(root: Path, name: str) -> None:
    """Neither as a project nor as a conversation do they reach a file."""
    assert _reach(root, name, "s1") is None
    assert _reach(root, PROJECT, name) is None
    assert _reach(root, name, "secret") is None


_PIECES = st.sampled_from(
    ["..", ".", "/", "\\", "\0", "outside", "secret", PROJECT, "s1", "%2e", "~", "\n", "projects", ".jsonl"]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(_PIECES | st.text(max_size=3), max_size=6).map("".join),
    st.lists(_PIECES | st.text(max_size=3), max_size=6).map("".join),
)
def test_whatever_is_reached_is_inside(root: Path, project: str, session_id: str) -> None:
    """Any two names reach a file of a project, or nothing."""
    found = _reach(root, project, session_id)
    assert found is None or found == root.resolve() / PROJECT / "s1.jsonl"


@given(st.text())
def test_a_checked_name_is_one_step(name: str) -> None:
    """What passes has no separator, is no step up, and is not nothing."""
    try:
        checked(name, "project")
    except BadNameError:
        return
    assert Path(name).name == name
    assert name not in ("", ".", "..")


def test_links_that_leave_are_not_followed(root: Path, tmp_path: Path) -> None:
    """A link to a folder or file outside reaches nothing, asked for or listed; one to a folder inside does."""
    (root / "away").symlink_to(tmp_path / "outside")
    (root / PROJECT / "away.jsonl").symlink_to(tmp_path / "outside" / "secret.jsonl")
    (root / PROJECT / "up.jsonl").symlink_to("../../outside/secret.jsonl")
    (root / "all").symlink_to(root)
    (root / "near").symlink_to(root / PROJECT)
    (root / "loop").symlink_to(root / "loop")
    (root / PROJECT / "dangling.jsonl").symlink_to(root / "nothing")
    for project, name in [
        ("away", "secret"),
        (PROJECT, "away"),
        (PROJECT, "up"),
        ("loop", "s1"),
        (PROJECT, "dangling"),
        ("all", "s1"),
    ]:
        assert _reach(root, project, name) is None, (project, name)
    assert _reach(root, "near", "s1") is not None
    places = Places(root)
    assert [name for name, _ in places.folders()] == [PROJECT, "near"]
    assert [name for name, _ in places.conversations(places.folder(PROJECT))] == ["s1"]


def test_the_folder_of_projects_may_itself_be_a_link(root: Path, tmp_path: Path) -> None:
    """People keep their configuration elsewhere."""
    (tmp_path / "link").symlink_to(root)
    assert _reach(tmp_path / "link", PROJECT, "s1") == root.resolve() / PROJECT / "s1.jsonl"


def test_only_regular_files_are_opened(root: Path) -> None:
    """A pipe or a folder with the right name is no transcript, and nobody waits for it."""
    os.mkfifo(root / PROJECT / "pipe.jsonl")
    (root / PROJECT / "folder.jsonl").mkdir()
    assert _reach(root, PROJECT, "pipe") is None
    assert _reach(root, PROJECT, "folder") is None
    with pytest.raises(OSError, match="no regular file"):
        open_file(root / PROJECT / "pipe.jsonl")


def test_a_subagents_file_is_no_conversation(root: Path) -> None:
    """Files of subagents are listed with their session, not beside it."""
    put(root, "agent-a1", [user("x")])
    put(root, "s1/subagents/agent-a2", [user("x")])
    put(root, "s1/subagents/workflows/w1/agent-a3", [user("x")])
    places = Places(root)
    folder = places.folder(PROJECT)
    assert [name for name, _ in places.conversations(folder)] == ["s1"]
    assert _reach(root, PROJECT, "agent-a1") is None
    assert [name for name, _ in places.agents_beside(folder)] == ["a1"]
    assert [name for name, _ in places.agents_below(folder, "s1")] == ["a2", "a3"]


def test_names_that_cannot_be_asked_for_are_not_listed(root: Path) -> None:
    """Names that are no UTF-8, or hold control characters, are passed over."""
    (root / "bad\nname").mkdir()
    os.mkdir(os.fsencode(root) + b"/\xff\xfe")
    assert [name for name, _ in Places(root).folders()] == [PROJECT]


def test_without_a_folder_there_is_nothing(tmp_path: Path) -> None:
    """Where Claude Code never ran there are no projects, and that is no error."""
    places = Places(tmp_path / "nowhere")
    assert list(places.folders()) == []
    with pytest.raises(UnknownError, match="no project"):
        places.folder("x")
