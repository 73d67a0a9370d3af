"""What a tool of the client does with a call: the input that the model gave, the result that it gets, and how long that takes.

Files are worked on in the project's workspace; what a command prints stands in the screenplay. Refuses to know subagents, which are
conversations of their own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ccproxy.demo import pictures
from ccproxy.demo.beats import Call
from ccproxy.demo.chance import Chance
from ccproxy.demo.replies import Block
from ccproxy.demo.workspace import RefusedError, Workspace

Content = str | list[Block]

# Milliseconds, from and to, where the screenplay does not say.
USUAL = {
    "Read": (7, 45), "Grep": (30, 170), "Glob": (14, 60), "Edit": (18, 70), "Write": (14, 50), "TodoWrite": (2, 9),
    "Bash": (180, 2400), "WebFetch": (700, 1900), "mcp__db__query": (60, 900),
}  # fmt: skip
OTHERWISE = (250, 1100)
STATES = {"x": "completed", ">": "in_progress", " ": "pending"}
LONG_S = 120  # a command that may take longer is given a timeout


@dataclass(frozen=True, slots=True)
class Done:
    """A call and its result. `seconds` is what the client measures."""

    input: dict[str, Any]
    content: Content
    failed: bool
    seconds: float


def do(call: Call, workspace: Workspace, chance: Chance) -> Done:
    """Do what a call asks for. A failure that the screenplay does not announce is a mistake in it."""
    seconds = call.seconds
    if seconds is None:
        seconds = chance.between(*USUAL.get(call.tool, OTHERWISE)) / 1000
    try:
        content = _result(call, workspace)
    except RefusedError as error:
        if not call.failed:
            raise ValueError(f"{call.tool} {call.given}: {error}") from error
        content = f"<tool_use_error>{error}</tool_use_error>"
    return Done(given(call, workspace), content, call.failed, seconds)


def given(call: Call, workspace: Workspace) -> dict[str, Any]:
    """Return the input of a call."""
    place = workspace.place
    match call.tool, call.given.split():
        case "Bash", _:
            timeout = {"timeout": 600_000} if (call.seconds or 0) > LONG_S else {}
            return {
                "command": call.given.replace("\\n", "\n"),
                "description": call.about or "Run the command",
                **timeout,
            }
        case "Read", [path, first, count]:
            return {"file_path": place(path), "offset": int(first), "limit": int(count)}
        case "Read", [path]:
            return {"file_path": place(path)}
        case "Edit", [path]:
            return {"file_path": place(path), "old_string": _lines(call.removed), "new_string": _lines(call.added)}
        case "Write", [path]:
            return {"file_path": place(path), "content": _lines(call.added) + "\n"}
        case "Grep", _:
            pattern, below = _wanted(call.given)
            return {"pattern": pattern, "path": place(below), "output_mode": "content", "-n": True}
        case "Glob", [pattern]:
            return {"pattern": pattern}
        case "TodoWrite", _:
            return {"todos": [_todo(line) for line in call.added]}
        case "WebFetch", [url]:
            return {"url": url, "prompt": call.about}
        case _:
            found: dict[str, Any] = json.loads(call.given) if call.given.startswith("{") else {"sql": call.given}
            return found


def _result(call: Call, workspace: Workspace) -> Content:
    match call.tool, call.given.split():
        case "Read", [path, *_] if path.endswith(".png"):
            return [pictures.block(path)]
        case "Read", [path, *lines]:
            return workspace.numbered(path, *map(int, lines))
        case "Edit", [path]:
            workspace.edit(path, _lines(call.removed), _lines(call.added))
            return f"The file {workspace.place(path)} has been updated successfully."
        case "Write", [path]:
            verb = "updated" if path in workspace.files else "created"
            workspace.files[path] = _lines(call.added) + "\n"
            return f"File {verb} successfully at: {workspace.place(path)}"
        case "Grep", _:
            return "\n".join(workspace.found(*_wanted(call.given))) or "No matches found"
        case "Glob", [pattern]:
            return "\n".join(workspace.named(pattern)) or "No files found"
        case "TodoWrite", _:
            return "Todos have been modified successfully. Keep the list up to date while you work."
        case "WebFetch", _:
            return _lines(call.answer)
    content = _lines(tuple(line for written in call.output for line in _written(written, workspace)))
    if call.tool.endswith("__screenshot"):
        return [{"type": "text", "text": content}, pictures.block(call.about or content)]
    if call.tool.startswith("mcp__"):
        return [{"type": "text", "text": content}]
    return f"Exit code 1\n{content}" if call.failed else content


def _written(line: str, workspace: Workspace) -> list[str]:
    """Return what a line of output stands for: itself, or `<< path first last`, lines of a file."""
    if not line.startswith("<< "):
        return [line]
    path, first, last = line.split()[1:]
    return workspace.text(path).splitlines()[int(first) - 1 : int(last)]


def _wanted(given: str) -> tuple[str, str]:
    """Return pattern and path of `pattern in path`."""
    pattern, word, below = given.rpartition(" in ")
    return (pattern, "" if below == "." else below) if word else (below, "")


def _todo(line: str) -> dict[str, str]:
    text = line[4:]
    return {"content": text, "status": STATES[line[1]], "activeForm": f"Working on: {text}"}


def _lines(lines: tuple[str, ...]) -> str:
    return "\n".join(lines)
