"""All of it works on a machine without the internet, and without a home that it may write to."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.captures import Places
from tests.support.proxy import isolated_environment

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import socket, sys, urllib.request
connect = socket.socket.connect

def guarded(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6) and not str(address[0]).startswith(("127.", "::1")):
        raise AssertionError(f"a connection to {address} was tried")
    return connect(self, address)

socket.socket.connect = socket.socket.connect_ex = guarded
def unasked(*given, **named):
    raise AssertionError(f"the name {given[0]} was looked up")
socket.getaddrinfo = unasked

import analysis, analysis.dictionary
from polars.testing import assert_frame_equal
from tests.support.captures import frame
from tests.support.measuring import measured

store, folder = sys.argv[1:]
with analysis.open(store) as cap:
    assert cap.way == "attached", cap.way
    frames = {grain: frame(cap, grain) for grain in analysis.dictionary.GRAINS}
    measures = measured(cap)
    assert cap.body(frames["exchanges"]["exchange_id"][0], "request")
    assert cap.sql("SELECT count(*) AS n FROM blocks").item() == frames["blocks"].height
    cap.export(folder)
with analysis.open(folder) as cap:
    for grain, found in frames.items():
        assert_frame_equal(frame(cap, grain), found)
    for name, found in measured(cap).items():
        assert_frame_equal(found, measures[name], check_row_order=False, abs_tol=1e-9)
print(len(frames), len(measures))
"""


def run(places: Places, folder: Path, *before: str) -> None:
    """Run everything in a process of its own, which finds an empty home."""
    home = folder / "home"
    home.mkdir(mode=0o555)
    environ = isolated_environment(home, {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"})
    done = subprocess.run(
        [*before, sys.executable, "-W", "error", "-c", PROGRAM, places.sqlite, folder / "taken"],
        env=environ, cwd=folder, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stderr == ""
    grains, measures = map(int, done.stdout.split())
    assert grains == 8
    assert measures >= 15
    assert list(home.iterdir()) == []


def test_no_connection_is_tried(places: Places, tmp_path: Path) -> None:
    """Frames, queries, look-ups, measures and exports look up no name, connect to nobody, and write nothing into the home."""
    run(places, tmp_path)


def test_it_works_without_a_network(places: Places, tmp_path: Path) -> None:
    """The same in a name space in which there is no network at all, whatever library would use it."""
    inside = (shutil.which("unshare") or "unshare", "--map-root-user", "--net")
    if shutil.which("unshare") is None or subprocess.run([*inside, "true"], capture_output=True).returncode:
        pytest.skip("this machine lets nobody make a name space without a network")
    run(places, tmp_path, *inside)
