"""Tool calls with their results, and how they ended.

An input that broke off, or is none, is shown as what came of it. Refuses to know what fits which tool, and to make markup.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dashboards.blocks import Json, pretty, worded
from dashboards.shown import Clip, Result
from dashboards.tooling import EXIT, TOOLS, Shown, anything, first_line

OPEN_ROWS = 24  # a difference up to this long needs no click


@dataclass(slots=True)
class Call:
    """A tool call with its result. `agents` are what it started; `ms` is how long it took, `measured` by whom; `status` is ok, a
    word for the error, `no result`, or `running`."""

    id: str
    name: str
    server: str
    shown: Shown
    given: Clip
    result: Result | None
    status: str
    ms: float | None = None
    measured: str = ""
    agents: list[Any] = field(default_factory=list)
    kind: str = "call"

    @property
    def wrong(self) -> bool:
        """Whether the result is one of an error."""
        return self.result is not None and self.result.error

    @property
    def open(self) -> bool:
        """Whether it is shown unfolded: short edits, and lists of what is to be done."""
        rows = sum(len(edit.rows) for edit in self.shown.fields.get("edits", ()))
        return 0 < rows <= OPEN_ROWS or self.shown.template == "list"


def call(block: Json, result: Result | None, *, running: bool = False) -> Call:
    """Return a call as it is shown."""
    name, given = worded(block.get("name")) or "no name", block.get("input")
    server, _, tool = name.removeprefix("mcp__").partition("__") if name.startswith("mcp__") else ("", "", name)
    server = worded(block.get("server_name")) or server
    text = result.text if result else ""
    if isinstance(given, dict) and "_partial_json" not in given:
        shown = TOOLS.get(name, anything)(given, text)
    else:
        partial = worded(given.get("_partial_json")) if isinstance(given, dict) else worded(given)
        shown = Shown("any", first_line(partial), {"broken": isinstance(given, dict), "rows": []})
    status = "running" if running else "no result"
    if result is not None:
        code = EXIT.match(text)
        status = f"exit {code[1]}" if code else "error" if result.error else "ok"
    clip = Clip(pretty(given), name="input.json")
    return Call(worded(block.get("id")), tool or name, server, shown, clip, result, status)
