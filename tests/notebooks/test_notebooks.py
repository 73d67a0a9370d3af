"""The notebooks run from top to bottom as they are: in this environment's own kernel, without the internet, on a demo that is made for
them; and what Jupyter opens is what the sources say.

Refuses to know what they tell.
"""

from __future__ import annotations

import json
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.proxy import isolated_environment

needed = ("jupytext", "nbformat", "nbmake", "ipykernel", "altair", "vl_convert")
jupytext, nbformat, *_ = [
    pytest.importorskip(name, reason=f"notebooks need {name}; the extra dev has it") for name in needed
]

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
SOURCES = sorted(FOLDER.glob("[0-9]*.py"))
SECONDS = 60  # a notebook's, of the processor: what a clock shows depends on what else runs here
PATIENCE_S = 240
FIRST = "cap = analysis.demo()  # analysis.open() for your own captures"
# What a page would fetch from elsewhere, were it shown.
FETCHED = re.compile(
    r"<script|<iframe|(?:src|href)\s*=\s*[\"']?(?:https?:)?//|cdn\.|jsdelivr|unpkg|cloudflare|googleapis", re.IGNORECASE
)
GUARD = """
import socket
connect, names = socket.socket.connect, socket.getaddrinfo

def guarded(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6) and not str(address[0]).startswith(("127.", "::1")):
        raise AssertionError(f"a connection to {address} was tried")
    return connect(self, address)

def local(host, *given, **named):
    if host not in (None, "localhost", "127.0.0.1", "::1"):
        raise AssertionError(f"the name {host} was looked up")
    return names(host, *given, **named)

socket.socket.connect = socket.socket.connect_ex = guarded
socket.getaddrinfo = local
"""
Cell = dict[str, Any]


@pytest.fixture(scope="session")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Give an environment with an empty home, a guard against the internet, and this Python as the only kernel."""
    home = tmp_path_factory.mktemp("home")
    (home / "sitecustomize.py").write_text(GUARD)
    kernel = home / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernel / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "this one", "language": "python"}))
    paths = {"JUPYTER_PATH": str(home / "jupyter"), "PYTHONPATH": f"{home}:{FOLDER.parent}"}
    return isolated_environment(home, {**paths, "PYTHONDONTWRITEBYTECODE": "1"})


def run(source: Path, folder: Path, environ: dict[str, str]) -> list[Cell]:
    """Run a notebook in a copy of its folder, and return its cells with their outputs."""
    shutil.copytree(FOLDER, folder, dirs_exist_ok=True)
    place = folder / f"{source.stem}.ipynb"
    nbmake = ["--nbmake", "--overwrite", f"--nbmake-timeout={PATIENCE_S}"]
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", f"--rootdir={folder}", *nbmake, place],
        env=environ, cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout[-4000:] + found.stderr[-1000:]
    cells: list[Cell] = json.loads(place.read_text())["cells"]
    return cells


def text(cell: Cell) -> str:
    """Return what a cell says."""
    return "".join(cell["source"])


def test_there_are_six() -> None:
    """They are numbered from 00 to 05, and each source has its notebook."""
    assert [path.name[:2] for path in SOURCES] == [f"0{number}" for number in range(6)]
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == [path.stem for path in SOURCES]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_notebook_agrees_with_its_source(source: Path) -> None:
    """What is committed is made of the source, without outputs: `jupytext --update --to ipynb notebooks/0*.py` makes it."""
    written, notebook = jupytext.read(source), nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    assert [(cell.cell_type, cell.source) for cell in notebook.cells] == [
        (cell.cell_type, cell.source) for cell in written.cells
    ]
    assert all(not cell.outputs and cell.execution_count is None for cell in notebook.cells if cell.cell_type == "code")
    assert notebook.metadata.kernelspec.name == "python3"


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_notebook_begins_with_the_demo(source: Path) -> None:
    """Whoever has captures of their own changes one line, which is in the first cell of code."""
    first = next(cell for cell in jupytext.read(source).cells if cell.cell_type == "code")
    assert FIRST in first.source.splitlines()


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_notebook_runs(source: Path, environ: dict[str, str], tmp_path: Path) -> None:
    """It runs to its end within a minute of the processor's time, without the internet, an error or a warning; what it shows needs no
    internet either, and each of its charts asks a question that the sentence below it answers."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    cells = run(source, tmp_path / "notebooks", environ)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < SECONDS
    assert all(cell["execution_count"] for cell in cells if cell["cell_type"] == "code")
    pictures = [number for number, cell in enumerate(cells) if see_that_it_needs_nothing(cell)]
    assert pictures
    for number in pictures:
        assert re.search(r'title="[^"]+\?"', text(cells[number])), text(cells[number])
        below = cells[number + 1]
        assert below["cell_type"] == "markdown", text(cells[number])
        assert re.match(r"[^#].*[.]$", text(below), re.DOTALL), text(below)


def see_that_it_needs_nothing(cell: Cell) -> bool:
    """See that what a cell shows is whole, and return whether there is a picture in it."""
    shown: set[str] = set()
    for output in cell.get("outputs", ()):
        assert output["output_type"] != "error", text(cell)
        assert output.get("name") != "stderr", (text(cell), output["text"])
        shown |= set(output.get("data", {}))
        assert not FETCHED.search("".join(output.get("data", {}).get("text/html", ""))), text(cell)
    assert shown <= {"text/plain", "text/html", "image/png"}, text(cell)
    return "image/png" in shown
