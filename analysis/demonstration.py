"""The demo's captures: a made-up week, made where it is missing.

A process of its own makes it, by the command that a person would use: this one never opens a store with another SQLite library than
DuckDB's. Refuses to know what is in the week.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from analysis.capture import Capture
from analysis.errors import AnalysisError
from analysis.opening import open_captures

PATIENCE_S = 600.0


def demo(path: str | Path | None = None) -> Capture:
    """Open the demo's captures: some 450 exchanges of a week in November 2026, the same on every machine.

    `path` is where the store is, or is to be; else it is kept in your data folder, and made with the first use. Raises AnalysisError
    where it cannot be made.
    """
    place = ["--db", str(path)] if path is not None else []
    command = [sys.executable, "-m", "ccproxy", "demo", "--quiet", *place]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        raise AnalysisError("the demo could not be made in time; `ccproxy demo` shows how far it comes") from None
    if done.returncode:
        raise AnalysisError(
            done.stderr.strip().removeprefix("ccproxy: ") or "the demo could not be made; see `ccproxy demo`"
        )
    return open_captures(done.stdout.strip())
