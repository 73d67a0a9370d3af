"""What fits which tool: a template, the line that sums a call up, and what of its input the template wants.

Tools are known by name; one that is not is shown by the names and values of its input. Refuses to make markup.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from dashboards.blocks import Json, worded
from dashboards.lines import Row, counts, difference, language, place_of, unnumbered
from dashboards.shown import RESULT, Clip

DIFF_ROWS = 160  # of a difference that are shown before `show all`
CODE = 6_000  # characters
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
EXIT = re.compile(r"\A(?:Error: )?Exit code (\d+)\n?")
_TASK = re.compile(r"^\s*#(\S+) \[(\w+)\] (.+)$", re.MULTILINE)
STATUSES = {"in_progress": "in progress", "pending": "open", "completed": "done", "deleted": "deleted"}


class Shown(NamedTuple):
    """How a call is shown: a template of `tools/`, a line, and what the template wants."""

    template: str
    line: str
    fields: Json


@dataclass(frozen=True, slots=True)
class Difference:
    """An edit: its lines, and how many came and went."""

    rows: list[Row]
    new: str
    limit: int = DIFF_ROWS

    @property
    def added(self) -> int:
        """Lines that came."""
        return counts(self.rows)[0]

    @property
    def removed(self) -> int:
        """Lines that went."""
        return counts(self.rows)[1]

    @property
    def shown(self) -> list[Row]:
        """The rows that are shown."""
        return self.rows[: self.limit]

    @property
    def cut(self) -> bool:
        """Whether that is not all."""
        return len(self.rows) > self.limit

    def whole(self) -> Difference:
        """Return the same, all of it shown."""
        return replace(self, limit=len(self.rows))


def first_line(text: str, most: int = 160) -> str:
    """Return the first line with something in it."""
    line = next((line.strip() for line in text.split("\n") if line.strip()), "")
    return line if len(line) <= most else line[: most - 1] + "…"


def _text(given: Json, *names: str) -> str:
    return next((worded(given[name]) for name in names if given.get(name) is not None), "")


def _name(path: str) -> str:
    return path.replace("\\", "/").rsplit("/", 1)[-1] or "file.txt"


def _terminal(given: Json, result: str) -> Shown:
    command, output = _text(given, "command", "code"), EXIT.sub("", _COLOURS.sub("", result))
    about = _text(given, "description")
    notes = [
        f"{name.replace('_', ' ')} {worded(given[name])}"
        for name in ("timeout", "run_in_background", "bash_id", "task_id")
        if given.get(name)
    ]
    fields = {
        "command": Clip(command, "terminal", CODE, name="command.sh"), "about": about, "notes": notes,
        "output": Clip(output, "terminal", name="output.txt"),
    }  # fmt: skip
    return Shown("terminal", first_line(command) or ", ".join(notes), fields)


def _edit(given: Json, result: str) -> Shown:
    path, edits = _text(given, "file_path", "path", "notebook_path"), given.get("edits")
    pairs = [edit for edit in edits if isinstance(edit, dict)] if isinstance(edits, list) else [given]
    found = []
    for pair in pairs:
        old, new = _text(pair, "old_string", "old_str"), _text(pair, "new_string", "new_str")
        found.append(Difference(difference(old, new, place_of(new, result)), new))
    added, removed = sum(edit.added for edit in found), sum(edit.removed for edit in found)
    fields = {
        "path": path,
        "edits": found,
        "all": any(pair.get("replace_all") is True for pair in pairs),
        "added": added,
        "removed": removed,
    }
    return Shown("diff", path, fields)


def _write(given: Json, result: str) -> Shown:
    path, text = _text(given, "file_path", "path"), _text(given, "content", "file_text")
    return _code(path, path, text, {})


def _code(line: str, path: str, text: str, notes: Json) -> Shown:
    code = Clip(text, "code", CODE, name=_name(path), language=language(path))
    number = text.count("\n") + (not text.endswith("\n")) if text else 0
    return Shown("code", line, {"path": path, "code": code, "notes": notes, "lines": number})


def _read(given: Json, result: str) -> Shown:
    path = _text(given, "file_path", "path", "notebook_path")
    text, numbers = unnumbered(result)
    notes = {name: worded(given[name]) for name in ("offset", "limit", "pages") if given.get(name) is not None}
    line = path + "".join(f" · {name} {value}" for name, value in notes.items())
    code = Clip(text, "code" if numbers else "plain", CODE, tuple(numbers), _name(path), language(path))
    return Shown("read", line, {"path": path, "code": code, "lines": len(numbers)})


def _notebook(given: Json, result: str) -> Shown:
    path, source = _text(given, "notebook_path"), _text(given, "new_source")
    notes = {
        name: worded(given[name])
        for name in ("edit_mode", "cell_type", "cell_id", "cell_number")
        if given.get(name) is not None
    }
    line = path + "".join(f" · {value}" for value in notes.values())
    shown = _code(line, path, source, notes)
    clip = replace(shown.fields["code"], language="Python" if notes.get("cell_type", "code") == "code" else "Markdown")
    return shown._replace(fields={**shown.fields, "code": clip})


def _search(given: Json, result: str) -> Shown:
    wanted, where = _text(given, "pattern", "query"), _text(given, "path")
    options = {name: worded(value) for name, value in given.items() if name not in ("pattern", "query", "path")}
    found = [line for line in result.split("\n") if line.strip()]
    line = " in ".join(filter(None, (wanted, where)))
    return Shown(
        "search",
        line,
        {
            "wanted": wanted,
            "where": where,
            "options": options,
            "found": Clip(result, limit=RESULT),
            "lines": len(found),
        },
    )


class Item(NamedTuple):
    """A thing to be done. `priority` and `id` may be empty."""

    words: str
    priority: str = ""
    id: str = ""


def _list(given: Json, result: str) -> Shown:
    todos = given.get("todos")
    groups = dict[str, list[Item]]()
    for todo in todos if isinstance(todos, list) else []:
        if isinstance(todo, dict):
            words = _text(todo, "content", "subject", "title")
            groups.setdefault(_text(todo, "status") or "pending", []).append(
                Item(words, _text(todo, "priority"), _text(todo, "id"))
            )
        else:
            groups.setdefault("pending", []).append(Item(worded(todo)))
    if not groups:
        for number, status, words in _TASK.findall(result):
            groups.setdefault(status, []).append(Item(words, id=number))
    order = [name for name in STATUSES if name in groups] + [name for name in groups if name not in STATUSES]
    named = [(STATUSES.get(name, name), name, groups[name]) for name in order]
    line = ", ".join(f"{len(items)} {name}" for name, _, items in named)
    return Shown(
        "list" if named else "any", line or first_line(result), {"groups": named, "rows": _rows(given), "broken": False}
    )


def _task(given: Json, result: str) -> Shown:
    words, status, number = _text(given, "subject", "title"), _text(given, "status"), _text(given, "taskId", "task_id")
    line = " · ".join(filter(None, (f"#{number}" if number else "", words, STATUSES.get(status, status))))
    return Shown("any", line, {"rows": _rows(given), "broken": False})


def _agent(given: Json, result: str) -> Shown:
    kind, about = _text(given, "subagent_type", "agent_type"), _text(given, "description")
    line = " — ".join(filter(None, (kind, f'"{about}"' if about else "")))
    prompt = Clip(_text(given, "prompt", "message"), "prose", name="prompt.md")
    return Shown("agent", line, {"prompt": prompt, "report": Clip(result, "prose", name="report.md")})


def _web(given: Json, result: str) -> Shown:
    line = _text(given, "url", "query")
    fields = {
        "url": _text(given, "url"),
        "query": _text(given, "query"),
        "prompt": _text(given, "prompt"),
        "report": Clip(result, "prose", name="report.md"),
    }
    return Shown("web", line, fields)


def _plan(given: Json, result: str) -> Shown:
    plan = _text(given, "plan")
    if not plan:
        return anything(given, result)
    return Shown(
        "agent",
        first_line(plan),
        {"prompt": Clip(plan, "prose", name="plan.md"), "report": Clip(result, "prose", name="answer.md")},
    )


def _rows(given: Json) -> list[tuple[str, Clip]]:
    return [(name, Clip(worded(value), limit=RESULT)) for name, value in given.items()]


def anything(given: Json, result: str) -> Shown:
    """Show names and values; the line is the first value that is a text."""
    line = next((first_line(value) for value in given.values() if isinstance(value, str) and value.strip()), "")
    return Shown("any", line, {"rows": _rows(given), "broken": False})


TOOLS: dict[str, Callable[[Json, str], Shown]] = {
    **dict.fromkeys(("Bash", "BashOutput", "KillShell", "KillBash", "TaskOutput", "TaskStop"), _terminal),
    **dict.fromkeys(("bash", "bash_code_execution", "code_execution"), _terminal),
    **dict.fromkeys(("Edit", "MultiEdit"), _edit),
    **dict.fromkeys(("Read", "NotebookRead"), _read),
    **dict.fromkeys(("Grep", "Glob", "LS", "ToolSearch", "tool_search_tool_regex", "tool_search_tool_bm25"), _search),
    **dict.fromkeys(("TodoWrite", "TodoRead", "TaskList"), _list),
    **dict.fromkeys(("TaskCreate", "TaskUpdate", "TaskGet"), _task),
    **dict.fromkeys(("Agent", "Task", "SendMessage"), _agent),
    **dict.fromkeys(("WebFetch", "WebSearch", "web_search", "web_fetch"), _web),
    "Write": _write, "NotebookEdit": _notebook, "ExitPlanMode": _plan,
}  # fmt: skip
