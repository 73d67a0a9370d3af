"""The demo is there with one line, wherever it is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

import analysis
from tests.support import handmade
from tests.support.captures import filled


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a home in which nobody has ever made a demo, and no configuration of the developer's own."""
    found = tmp_path / "home"
    found.mkdir()
    for name in ("DATABASE_URL", "DB_PATH", "DB_TYPE", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(found))
    monkeypatch.chdir(tmp_path)
    return found


def test_it_is_made_once(home: Path) -> None:
    """The first call makes the file in the user's data folder, the second one opens it as it is, with the same week in it."""
    with analysis.demo() as cap:
        path = Path(cap.place)
        assert path.is_relative_to(home)
        made = path.stat()
        first = cap.exchanges().select("exchange_id", "started_at", "output_tokens").collect()
    assert first.height > 400
    assert len(set(first["started_at"].dt.date())) == 7
    with analysis.demo() as cap:
        assert Path(cap.place) == path
        assert cap.exchanges().select("exchange_id", "started_at", "output_tokens").collect().equals(first)
    again = path.stat()
    assert (again.st_ino, again.st_mtime_ns) == (made.st_ino, made.st_mtime_ns)
    assert [file.name for file in path.parent.iterdir() if not file.name.startswith(path.name)] == []


def test_it_is_made_where_it_is_wanted(tmp_path: Path, home: Path) -> None:
    """A path is where it is made, in a folder that may be missing; nothing is put into the home then."""
    place = tmp_path / "some" / "where" / "week.db"
    with analysis.demo(place) as cap:
        assert cap.place == str(place)
        assert cap.sql("SELECT count(DISTINCT project) AS n FROM sessions").item() == 4
    assert place.is_file()
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("given", [True, False], ids=["named", "home"])
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: bool) -> None:
    """Where no file can be made it says so in a sentence, with the place and what is wrong with it."""
    (tmp_path / "file").write_text("not a folder")
    place = tmp_path / "file" / "week.db"
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    with pytest.raises(analysis.AnalysisError) as caught:
        analysis.demo(place if given else None)
    path = place if given else tmp_path / "file" / ".local" / "share" / "ccproxy" / "demo.db"
    assert str(caught.value) == f"cannot make the demo at {path}: {path.parent} is no folder"


def test_captures_of_ones_own_are_left_alone(tmp_path: Path) -> None:
    """A store that holds anything else is neither changed nor taken for the demo."""
    path = filled(tmp_path / "captures.db", handmade.exchanges())
    before = path.read_bytes()
    with pytest.raises(analysis.AnalysisError, match=r"captures\.db holds captures that are no demo"):
        analysis.demo(path)
    assert path.read_bytes() == before


def test_a_database_is_no_place_for_it() -> None:
    """A connection string is refused with what to do instead, and its password is not told."""
    with pytest.raises(analysis.AnalysisError, match="ccproxy db copy") as caught:
        analysis.demo("postgresql://me:geheim@127.0.0.1:1/captures")
    assert "geheim" not in str(caught.value)
