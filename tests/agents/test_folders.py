"""Agents' definition files are found where Claude Code looks for them, and read again when they have changed."""

from __future__ import annotations

import os
from pathlib import Path

from ccproxy.agents.folders import Folders


def write(folder: Path, name: str, prompt: str) -> Path:
    """Write a definition file and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.md"
    path.write_text(f"---\nname: {name}\n---\n{prompt}\n")
    return path


def prompts(folders: Folders, cwd: Path | str | None) -> list[str]:
    """Return the prompts that are found, in order."""
    return [found.prompt for found in folders.definitions(None if cwd is None else str(cwd))]


def test_the_nearest_folder_comes_first(tmp_path: Path) -> None:
    """The session's project and those around it, then the configured folders in their order."""
    project, user, team = tmp_path / "work" / "app", tmp_path / "user", tmp_path / "team"
    write(user, "a", "of the user")
    write(team, "a", "of the team")
    write(project / ".claude" / "agents", "a", "of the project")
    write(project.parent / ".claude" / "agents", "a", "of the folder above")
    folders = Folders([team, user])
    assert prompts(folders, project) == ["of the project", "of the folder above", "of the team", "of the user"]
    assert prompts(folders, None) == ["of the team", "of the user"]


def test_folders_below_are_looked_at(tmp_path: Path) -> None:
    """People sort their agents into folders."""
    write(tmp_path / "review" / "deep", "b", "deep")
    write(tmp_path, "a", "flat")
    assert sorted(prompts(Folders([tmp_path]), None)) == ["deep", "flat"]


def test_an_edited_file_is_noticed(tmp_path: Path) -> None:
    """What was changed, added or removed counts from the next request on."""
    path = write(tmp_path, "a", "before")
    folders = Folders([tmp_path])
    assert prompts(folders, None) == ["before"]
    path.write_text(path.read_text().replace("before", "behind"))
    os.utime(path, ns=(1, 1))  # as an editor that keeps the size and whose clock is coarse
    assert prompts(folders, None) == ["behind"]
    write(tmp_path, "b", "more")
    path.unlink()
    assert prompts(folders, None) == ["more"]


def test_only_definition_files_of_a_sensible_size_are_read(tmp_path: Path) -> None:
    """Other names, folders with a file's name, pipes and huge files are passed over."""
    (tmp_path / "README.txt").write_text("You are nobody.")
    (tmp_path / "folder.md").mkdir()
    os.mkfifo(tmp_path / "pipe.md")
    (tmp_path / "huge.md").write_text("x" * (1 << 21))
    (tmp_path / "empty.md").write_text("")
    (tmp_path / "dangling.md").symlink_to(tmp_path / "nowhere")
    write(tmp_path, "a", "You are somebody.")
    assert prompts(Folders([tmp_path]), None) == ["You are somebody."]


def test_a_link_to_a_file_is_followed_and_a_link_to_a_folder_is_not(tmp_path: Path) -> None:
    """Agents are often linked from a shared place; a loop of folders has no end."""
    shared = write(tmp_path / "shared", "a", "linked")
    place = tmp_path / "agents"
    place.mkdir()
    (place / "a.md").symlink_to(shared)
    (place / "loop").symlink_to(place)
    assert prompts(Folders([place]), None) == ["linked"]


def test_odd_working_directories_find_nothing() -> None:
    """A client may say anything."""
    folders = Folders([])
    for cwd in ("relative/path", "", "/nul\0byte", "C:\\work", "/" + "x" * 5000, "/proc/self/mem/x"):
        assert prompts(folders, cwd) == []


def test_missing_agents_are_named(tmp_path: Path) -> None:
    """An agent that no file defines is told, by the file's name or the name in it."""
    write(tmp_path, "a", "here")
    assert Folders([tmp_path, tmp_path / "nowhere"]).missing(["a", "b"]) == ["b"]
