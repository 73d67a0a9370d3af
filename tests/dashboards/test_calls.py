"""Tool calls as they are shown: each tool in its way, and anything at all in some way."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.blocks import result
from dashboards.calls import Call, call
from dashboards.shown import Result
from dashboards.tooling import TOOLS
from tests.dashboards.test_blocks import JSON
from tests.support.talks import came, use

Json = dict[str, Any]
FIELDS = (
    "command", "description", "file_path", "old_string", "new_string", "edits", "content", "pattern", "path", "todos", "subject", "status",
    "taskId", "subagent_type", "prompt", "url", "query", "new_source", "notebook_path", "cell_type", "plan", "offset", "limit",
    "_partial_json",
)  # fmt: skip


def _call(name: str, given: Any, came_back: Any = "done", **more: Any) -> Call:
    return call(use(1, name, given), result(came(1, came_back, **more)))


@given(
    name=st.sampled_from([*TOOLS, "mcp__a__b", "mcp__", "", "New"]),
    given_=st.dictionaries(st.sampled_from(FIELDS), JSON) | JSON,
    back=JSON,
)
def test_any_call_can_be_shown(name: str, given_: Any, back: Any) -> None:
    """No input and no result, however malformed, makes trouble."""
    shown = call(
        {"type": "tool_use", "id": given_, "name": name, "input": given_},
        result({"type": "tool_result", "content": back}),
    )
    assert shown.shown.template in ("terminal", "diff", "code", "read", "search", "list", "agent", "web", "any")
    assert isinstance(shown.open, bool)


def test_bash_is_a_terminal() -> None:
    """Bash shows its command, its output without colours, and how it ended."""
    shown = _call(
        "Bash", {"command": "\npytest -x\n", "description": "Run"}, "Exit code 2\n\x1b[31mred\x1b[0m", is_error=True
    )
    assert (shown.shown.template, shown.shown.line, shown.status, shown.wrong) == (
        "terminal",
        "pytest -x",
        "exit 2",
        True,
    )
    assert shown.shown.fields["output"].text == "red"
    assert shown.shown.fields["about"] == "Run"


def test_edits_are_differences() -> None:
    """Edit and MultiEdit show what came and went, also where something was only taken out."""
    shown = _call("Edit", {"file_path": "/a.py", "old_string": "a\nb", "new_string": "a\nc\nd"})
    assert (shown.shown.template, shown.shown.line) == ("diff", "/a.py")
    assert (shown.shown.fields["added"], shown.shown.fields["removed"]) == (2, 1)
    assert shown.open
    gone = _call("Edit", {"file_path": "/a.py", "old_string": "a\nb", "new_string": ""})
    assert (gone.shown.fields["added"], gone.shown.fields["removed"]) == (0, 2)
    several = _call(
        "MultiEdit",
        {
            "file_path": "/a.py",
            "edits": [{"old_string": "a", "new_string": "b"}, {"old_string": "", "new_string": "c"}],
        },
    )
    assert [(edit.added, edit.removed) for edit in several.shown.fields["edits"]] == [(1, 1), (1, 0)]
    long = _call("Edit", {"file_path": "/a.py", "old_string": "a\n" * 500, "new_string": "b\n" * 500})
    assert not long.open
    [edit] = long.shown.fields["edits"]
    assert edit.cut
    assert len(edit.whole().shown) == 1000


def test_an_edit_has_the_numbers_of_its_file() -> None:
    """Where the result shows the file, lines have its numbers."""
    shown = _call(
        "Edit",
        {"file_path": "/a.py", "old_string": "x", "new_string": "y"},
        "updated:\n    41\tw\n    42\ty\n    43\tz",
    )
    assert [(row.old, row.new) for row in shown.shown.fields["edits"][0].rows] == [(42, None), (None, 42)]


def test_files_are_code() -> None:
    """Write shows what was written; Read what was read, with the file's own numbers and its language."""
    written = _call("Write", {"file_path": "/a.py", "content": "x = 1\ny = 2\n"})
    assert (written.shown.template, written.shown.fields["code"].language, written.shown.fields["lines"]) == (
        "code",
        "Python",
        2,
    )
    assert written.shown.fields["code"].name == "a.py"
    read = _call("Read", {"file_path": "/a.go", "offset": 41, "limit": 2}, "    41\tx\n    42\ty")
    code = read.shown.fields["code"]
    assert (code.text, code.numbers, code.language) == ("x\ny", (41, 42), "Go")
    assert read.shown.line == "/a.go · offset 41 · limit 2"
    cell = _call(
        "NotebookEdit", {"notebook_path": "/n.ipynb", "new_source": "x", "cell_type": "markdown", "edit_mode": "insert"}
    )
    assert (cell.shown.template, cell.shown.fields["code"].language) == ("code", "Markdown")


def test_lists_are_grouped_and_counted() -> None:
    """What is to be done is grouped by how far it is; priority and id may be missing; a list can also come as a result."""
    todos = [
        {"content": "a", "status": "completed"}, {"content": "b", "status": "in_progress", "priority": "high", "id": "2"},
        {"content": "c", "status": "pending"}, {"content": "d"}, {"content": "e", "status": "blocked"},
    ]  # fmt: skip
    shown = _call("TodoWrite", {"todos": todos})
    assert shown.shown.line == "1 in progress, 2 open, 1 done, 1 blocked"
    groups = {
        name: [(item.words, item.priority, item.id) for item in items]
        for name, _, items in shown.shown.fields["groups"]
    }
    assert groups["in progress"] == [("b", "high", "2")]
    assert groups["open"] == [("c", "", ""), ("d", "", "")]
    tasks = _call("TaskList", {}, "#1 [completed] Read it\n#2 [pending] Mend it\n#3 [pending] Test it [blocked by #2]")
    assert tasks.shown.line == "2 open, 1 done"
    assert _call("TaskUpdate", {"taskId": "2", "status": "in_progress"}).shown.line == "#2 · in progress"


@pytest.mark.parametrize(
    ("name", "given_", "template", "line"),
    [
        ("Grep", {"pattern": "x", "path": "/a", "-n": True}, "search", "x in /a"),
        ("Glob", {"pattern": "**/*.py"}, "search", "**/*.py"),
        ("LS", {"path": "/a"}, "search", "/a"),
        ("Agent", {"subagent_type": "Explore", "description": "Look", "prompt": "p"}, "agent", 'Explore — "Look"'),
        ("Task", {"description": "Look", "prompt": "p"}, "agent", '"Look"'),
        ("WebFetch", {"url": "https://a", "prompt": "p"}, "web", "https://a"),
        ("WebSearch", {"query": "q"}, "web", "q"),
        ("ExitPlanMode", {"plan": "# One\n2"}, "agent", "# One"),
        ("Skill", {"skill": "notes", "args": "since"}, "any", "notes"),
        ("Unheard", {"deep": {"a": 1}, "then": "\n\nwords\nmore"}, "any", "words"),
    ],
)
def test_each_tool_has_its_view(name: str, given_: Json, template: str, line: str) -> None:
    """Each tool has a template and a line that sums the call up."""
    shown = _call(name, given_)
    assert (shown.shown.template, shown.shown.line) == (template, line)


def test_mcp_tools_are_told_by_server_and_tool() -> None:
    """The name of an MCP tool is shown as the server's and the tool's."""
    shown = _call("mcp__git_hub__find_it", {"q": "a"})
    assert (shown.server, shown.name) == ("git_hub", "find_it")


def test_an_input_that_broke_off_is_shown_as_that() -> None:
    """What came of an input before the connection ended is shown, and called so."""
    shown = _call("Bash", {"_partial_json": '{"command": "go ve'})
    assert (shown.shown.template, shown.shown.fields["broken"]) == ("any", True)
    assert "go ve" in shown.given.text


@pytest.mark.parametrize(
    ("came_back", "running", "status"),
    [(Result("x"), False, "ok"), (Result("x", error=True), False, "error"), (None, False, "no result"), (None, True, "running"),
     (Result("Exit code 3", error=True), False, "exit 3")],
)  # fmt: skip
def test_how_a_call_ended_is_told(came_back: Result | None, running: bool, status: str) -> None:
    """A call is ok, an error, without a result, or still running."""
    assert call(use(1, "New", {}), came_back, running=running).status == status
