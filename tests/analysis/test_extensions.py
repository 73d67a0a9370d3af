"""Where DuckDB's scanners come from: only what is here and signed, and only of the same version."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis import AnalysisError, extensions
from analysis.engine import VERSION, Engine
from analysis.extensions import Extension, find
from tests.support.captures import Places, opened

NAMES = ("sqlite_scanner", "postgres_scanner")
LAYOUTS = ("{version}/linux_amd64/{file}", "{version}/{file}", "{file}")


def wheel(name: str) -> Path:
    """Return the file in the installed wheel."""
    spec = importlib.util.find_spec(f"duckdb_extension_{name}")
    assert spec is not None
    assert spec.submodule_search_locations
    [path] = Path(spec.submodule_search_locations[0]).glob(f"extensions/v{VERSION}/**/{name}.duckdb_extension")
    return path


def put(root: Path, layout: str, name: str = "sqlite_scanner", version: str = f"v{VERSION}") -> Path:
    """Put a file where a scanner may be looked for, and return its place."""
    path = root / layout.format(version=version, file=f"{name}.duckdb_extension")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@pytest.fixture
def without_wheels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no wheel installed."""
    monkeypatch.setattr(extensions, "_wheel", lambda _name: None)


@pytest.fixture
def engine() -> Iterator[Engine]:
    """Give an engine that nothing is loaded into."""
    with contextlib.closing(Engine()) as found:
        yield found


@pytest.mark.parametrize("name", NAMES)
def test_the_wheel_of_the_same_version_goes_first(name: str, tmp_path: Path) -> None:
    """Where a wheel is installed, its file is taken, whatever lies in the folder and in the user's home."""
    for layout in LAYOUTS:
        put(tmp_path / "folder", layout, name)
        put(tmp_path / ".duckdb" / "extensions", layout, name)
    assert find(name, VERSION, tmp_path / "folder", tmp_path) == Extension(wheel(name), "wheel")


@pytest.mark.usefixtures("without_wheels")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_then_the_configured_folder_then_what_is_installed(tmp_path: Path, layout: str) -> None:
    """A folder may hold the file itself or DuckDB's own layout; without one, what this machine's DuckDB installed counts."""
    installed = put(tmp_path / ".duckdb" / "extensions", LAYOUTS[0])
    assert find("sqlite_scanner", VERSION, None, tmp_path) == Extension(installed, "installed")
    assert find("sqlite_scanner", VERSION, tmp_path / "folder", tmp_path) == Extension(installed, "installed")
    mine = put(tmp_path / "folder", layout)
    assert find("sqlite_scanner", VERSION, tmp_path / "folder", tmp_path) == Extension(mine, "folder")
    assert find("postgres_scanner", VERSION, tmp_path / "folder", tmp_path) is None


@pytest.mark.usefixtures("without_wheels")
def test_a_folder_for_several_machines_goes_by_this_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of files for several platforms the one for this machine is taken."""
    monkeypatch.setattr(extensions.sysconfig, "get_platform", lambda: "linux-aarch64")
    paths = {
        name: put(tmp_path, f"{{version}}/{name}/{{file}}") for name in ("linux_amd64", "linux_arm64", "osx_arm64")
    }
    assert find("sqlite_scanner", VERSION, tmp_path, Path("/nowhere")) == Extension(paths["linux_arm64"], "folder")


@pytest.mark.usefixtures("without_wheels")
def test_another_version_is_never_taken(tmp_path: Path) -> None:
    """Files of a DuckDB that is older or newer are as if they were not there."""
    for version in ("v1.5.4", "v1.5.50", "v2.0.0", f"{VERSION}", f"v{VERSION}.1"):
        put(tmp_path, LAYOUTS[0], version=version)
        put(tmp_path / ".duckdb" / "extensions", LAYOUTS[1], version=version)
    assert find("sqlite_scanner", VERSION, tmp_path, tmp_path) is None


@pytest.mark.parametrize("name", NAMES)
def test_a_scanner_that_is_whole_is_loaded(engine: Engine, name: str) -> None:
    """The wheel's file has DuckDB's signature, and is loaded without the internet."""
    engine.load(wheel(name))
    loaded = engine.frame("SELECT extension_name FROM duckdb_extensions() WHERE loaded AND installed_from IS NOT NULL")
    assert name in loaded["extension_name"].to_list()


def test_a_scanner_that_was_tampered_with_is_refused(engine: Engine, tmp_path: Path) -> None:
    """With one byte changed its signature is wrong, and nothing of it runs; that cannot be turned off."""
    data = bytearray(wheel("sqlite_scanner").read_bytes())
    data[len(data) // 2] ^= 1
    forged = tmp_path / "sqlite_scanner.duckdb_extension"
    forged.write_bytes(data)
    with pytest.raises(AnalysisError, match="signature is either missing or invalid"):
        engine.load(forged)
    with pytest.raises(AnalysisError, match=r"(?i)cannot change allow_unsigned_extensions"):
        engine.run("SET allow_unsigned_extensions = true")


@pytest.mark.usefixtures("without_wheels")
def test_a_tampered_scanner_in_the_folder_opens_nothing(tmp_path: Path, places: Places) -> None:
    """What lies in the configured folder is checked like any other; the error is one of analysis."""
    data = bytearray(wheel("sqlite_scanner").read_bytes())
    data[len(data) // 2] ^= 1
    put(tmp_path, "{file}").write_bytes(data)
    with pytest.raises(AnalysisError, match="signature"):
        opened(places.sqlite, ANALYSIS_EXTENSION_DIR=str(tmp_path))


def test_a_scanner_of_another_version_is_refused_by_duckdb_too(engine: Engine, tmp_path: Path) -> None:
    """A file that says it is for another DuckDB is not loaded."""
    data = wheel("sqlite_scanner").read_bytes()
    other = tmp_path / "sqlite_scanner.duckdb_extension"
    other.write_bytes(data.replace(f"v{VERSION}".encode().ljust(32, b"\0"), b"v9.9.9".ljust(32, b"\0")))
    assert other.read_bytes() != data
    with pytest.raises(AnalysisError):
        engine.load(other)


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the list of scanners that DuckDB is told to fetch; none of them comes."""
    names: list[str] = []

    def refused(_engine: Engine, name: str) -> None:
        """Note it, and find no server."""
        names.append(name)
        raise AnalysisError("no server")

    monkeypatch.setattr(Engine, "install", refused)
    return names


@pytest.mark.usefixtures("without_wheels")
def test_nothing_is_fetched_unless_a_setting_says_so(
    places: Places, fetched: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a scanner the store is copied by Arrow; only where downloads are allowed DuckDB is told to fetch one."""
    monkeypatch.setenv("HOME", "/nowhere")
    with opened(places.sqlite) as capture:
        assert capture.way == "copied by Arrow"
    assert fetched == []
    with pytest.raises(AnalysisError, match="no server"):
        opened(places.sqlite, ANALYSIS_ALLOW_DOWNLOAD="true")
    assert fetched == ["sqlite"]


def test_a_scanner_that_is_here_is_not_fetched(places: Places, fetched: list[str]) -> None:
    """Also where downloads are allowed, what is found is taken."""
    with opened(places.sqlite, ANALYSIS_ALLOW_DOWNLOAD="true") as capture:
        assert capture.way == "attached"
    assert fetched == []


def test_duckdb_fetches_nothing_by_itself(engine: Engine, places: Places) -> None:
    """An engine into which no scanner was loaded refuses to attach, at once and without looking for one."""
    settings = engine.frame("SELECT name, value FROM duckdb_settings() WHERE name LIKE 'auto%known_extensions'")
    assert dict(settings.iter_rows()) == {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    with pytest.raises(AnalysisError):
        engine.run(f"ATTACH '{places.sqlite}' AS store (TYPE sqlite)")


@pytest.mark.usefixtures("without_wheels")
def test_without_scanner_and_driver_it_says_what_to_install(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no way at all, the sentence names the package that brings both."""
    monkeypatch.setenv("HOME", "/nowhere")
    monkeypatch.setitem(sys.modules, "adbc_driver_sqlite.dbapi", None)
    with pytest.raises(AnalysisError, match=r"pip install 'ccproxy\[analysis\]'"):
        opened(places.sqlite)
