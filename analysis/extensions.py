"""Where DuckDB's scanners for SQLite and PostgreSQL are found, without the internet.

In this order: an installed wheel of the same version, a configured folder, what this machine's DuckDB has installed already.
Refuses to load anything; DuckDB itself checks the signature when it does.
"""

from __future__ import annotations

import importlib.util
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

WAYS = ("wheel", "folder", "installed")


@dataclass(frozen=True, slots=True)
class Extension:
    """A file that was found, and by which way."""

    path: Path
    way: str


def find(name: str, version: str, folder: Path | None, home: Path) -> Extension | None:
    """Return the scanner called `name` (`sqlite_scanner`, `postgres_scanner`) for this DuckDB, or None.

    `folder` is the configured one: it holds the files themselves, or DuckDB's own layout. `home` is the user's home.
    """
    file = f"{name}.duckdb_extension"
    places = {"wheel": _wheel(name), "folder": folder, "installed": home / ".duckdb" / "extensions"}
    for way in WAYS:
        root = places[way]
        for path in _candidates(root, version, file) if root else ():
            if path.is_file():
                return Extension(path, way)
    return None


def _wheel(name: str) -> Path | None:
    found = importlib.util.find_spec(f"duckdb_extension_{name}")
    for place in (found.submodule_search_locations or ()) if found else ():
        return Path(place) / "extensions"
    return None


def _candidates(root: Path, version: str, file: str) -> Iterator[Path]:
    of_version = root / f"v{version.removeprefix('v')}"
    yield of_version / file
    yield from sorted(of_version.glob(f"*/{file}"), key=lambda path: path.parent.name not in _platforms())
    yield root / file


def _platforms() -> set[str]:
    """Return what DuckDB may call this machine, so that a folder for several goes by the right one first."""
    machine = sysconfig.get_platform().replace("-", "_")
    arch = "arm64" if machine.endswith(("arm64", "aarch64")) else "amd64"
    return {f"linux_{arch}"} if machine.startswith("linux") else {f"osx_{arch}", f"windows_{arch}"}
