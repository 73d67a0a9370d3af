"""What is shipped: the wheel, and what it needs."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_wheel_ships_the_three_packages_and_their_data(tmp_path: Path) -> None:
    """The built wheel holds `ccproxy`, `analysis` and `dashboards`, migrations and type marker included, and no tests."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"ccproxy/py.typed", "ccproxy/stores/migrations/sqlite/0001_exchanges.sql", "analysis/__init__.py"} <= names
    shipped = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "dashboards").rglob("*")
        if path.is_file() and not {"__pycache__", "screenshots"} & set(path.parts)
    }
    assert shipped <= names  # templates, styles, scripts and examples as well; the README's pictures are not
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"ccproxy", "analysis", "dashboards"}


def test_every_dependency_earns_its_line_in_the_readme() -> None:
    """The README names each dependency of the proxy in its table, and none that is not there."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {line.split(">")[0].split("=")[0].split(";")[0].strip() for line in project["dependencies"]}
    readme = (ROOT / "README.md").read_text()
    table = readme.split("| dependency | why |\n|---|---|\n")[1].split("\n\n")[0]
    named = {name.strip() for line in table.splitlines() for name in line.split("|")[1].split(",")}
    assert named == needed


def test_the_proxy_alone_stays_light() -> None:
    """Importing the worker loads neither frames nor DuckDB nor a dashboard."""
    script = "import sys, ccproxy.web.worker; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"duckdb", "polars", "pandas", "panel", "bokeh", "psycopg"} & set(loaded)


def test_the_command_line_is_light() -> None:
    """A command starts without what only the proxy, the analysis or the dashboard needs: it would wait for it each time."""
    heavy = ("aiohttp", "httpx", "quart", "hypercorn", "duckdb", "polars", "panel", "jinja2", "psycopg")
    code = f"import sys, ccproxy.cli.commands; print([name for name in {heavy!r} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
