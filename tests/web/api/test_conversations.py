"""`/api/conversations`: Claude Code's transcripts over HTTP, page by page, and nothing from anywhere else."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from quart import Quart

from ccproxy.transcripts import Library
from ccproxy.web.api import conversations
from ccproxy.web.api.app import create_api
from tests.support.api import stores_of
from tests.support.transcripts import PROJECT, put, talk, user

FIELDS = {
    "session_id", "project", "cwd", "title", "started_at", "last_activity_at", "duration_ms", "requests", "messages", "subagents",
    "lines", "skipped_lines", "bytes", "git_branch", "client_version",
}  # fmt: skip


class Asked:
    """Asks the application, and checks that every answer has the API's shape."""

    def __init__(self, app: Quart, root: Path) -> None:
        self.root = root
        self.app = app

    async def __call__(self, path: str = "", status: int = 200, **params: Any) -> Any:
        response = await self.app.test_client().get(f"/api/conversations{path}", query_string=params)
        body = await response.get_data()
        assert response.status_code == status, body
        found = json.loads(body)
        if status >= 400:
            assert found["type"] == "error"
            assert found["error"]["message"].startswith("ccproxy: ")
        return found


@pytest.fixture
async def asked(tmp_path: Path) -> AsyncIterator[Asked]:
    """Give the data API over a folder of Claude Code's that is empty as yet."""
    app = create_api(stores_of(tmp_path / "store.db"), blueprints=[conversations.blueprint(tmp_path / "claude")])
    async with app.test_app():
        yield Asked(app, tmp_path / "claude" / "projects")


async def test_where_there_is_nothing_the_list_is_empty(asked: Asked) -> None:
    """Without a folder, or without a file in it, the list is a list."""
    empty = {"conversations": [], "total": 0, "page": 1, "limit": 10}
    assert await asked() == empty
    asked.root.mkdir(parents=True)
    assert await asked() == empty


async def test_conversations_are_listed_in_pages(asked: Asked) -> None:
    """The newest first, ten on a page, with the number of all of them."""
    for number in range(23):
        put(asked.root, f"s{number:02}", talk("x", timestamp=f"2026-01-02T03:{number:02}:00Z"))
    pages = [await asked(page=page) for page in (1, 2, 3, 4)]
    assert [page["total"] for page in pages] == [23] * 4
    seen = [one["session_id"] for page in pages for one in page["conversations"]]
    assert seen == [f"s{number:02}" for number in reversed(range(23))]
    assert [len(page["conversations"]) for page in pages] == [10, 10, 3, 0]
    assert pages[0]["conversations"][0].keys() == FIELDS


@pytest.mark.parametrize("bad", ["0", "-1", "x", "", "1.5", "9" * 30, "١"])
async def test_a_page_that_makes_no_sense_is_the_first(asked: Asked, bad: str) -> None:
    """Bad numbers fall back: page 1, ten rows."""
    put(asked.root, "s1", talk("x"))
    found = await asked(page=bad, limit=bad)
    assert (found["page"], found["limit"], found["total"], len(found["conversations"])) == (1, 10, 1, 1)


async def test_a_page_has_at_most_a_thousand_rows(asked: Asked) -> None:
    """However many are asked for."""
    assert (await asked(limit=5000))["limit"] == 1000


async def test_filters_count_too(asked: Asked) -> None:
    """The total is that of what the filter lets through; a project that is none lets nothing through."""
    put(asked.root, "s1", talk("Build a road"), project="a")
    put(asked.root, "s2", talk("Build a bridge"), project="b")
    put(asked.root, "s3", talk("Sleep"), project="b")
    assert (await asked(q="build", limit=1))["total"] == 2
    assert (await asked(project="b"))["total"] == 2
    assert (await asked(project="b", q="build"))["total"] == 1
    for nobody in ("c", "../a", "/", "a\0"):
        assert (await asked(project=nobody))["total"] == 0


async def test_the_conversations_of_a_project(asked: Asked) -> None:
    """`/project` lists one project's; it has to be named, and to be there."""
    put(asked.root, "s1", talk("x"), project="a")
    put(asked.root, "s2", talk("x"), project="b")
    found = await asked("/project", project="a")
    assert ([one["session_id"] for one in found["conversations"]], found["total"]) == (["s1"], 1)
    await asked("/project", 400)
    await asked("/project", 404, project="c")
    await asked("/project", 400, project="../a")


async def test_a_conversation_is_given_line_by_line(asked: Asked) -> None:
    """All lines as they are, each with its number and the one that it follows."""
    lines = talk("one", "two")
    for earlier, later in pairwise(lines):
        later["parentUuid"] = earlier["uuid"]
    put(asked.root, "s1", lines)
    found = await asked("/s1", project=PROJECT)
    assert [one["record"] for one in found["lines"]] == lines
    assert [(one["number"], one["parent"]) for one in found["lines"]] == [(1, None), (2, 1), (3, 2), (4, 3)]
    assert (found["total"], found["offset"], found["next_offset"], found["agent_id"]) == (4, 0, None, None)
    assert found["conversation"].keys() == FIELDS
    assert found["conversation"]["session_id"] == "s1"


async def test_a_conversation_comes_in_pages(asked: Asked) -> None:
    """`offset` and `limit` choose lines; bad ones fall back."""
    put(asked.root, "s1", [user(str(number)) for number in range(10)])
    found = await asked("/s1", project=PROJECT, offset=4, limit=3)
    assert ([one["number"] for one in found["lines"]], found["next_offset"], found["total"]) == ([5, 6, 7], 7, 10)
    for bad in ("-1", "x", "", "9" * 30):
        assert len((await asked("/s1", project=PROJECT, offset=bad, limit=bad))["lines"]) == 10


async def test_subagents_are_given_with_their_session(asked: Asked) -> None:
    """They are listed beside the lines, and `agent` gives the lines of one."""
    put(asked.root, "s1", talk("main"))
    path = put(asked.root, "s1/subagents/agent-a1", talk("sub", isSidechain=True))
    path.with_suffix(".meta.json").write_text('{"agentType": "Explore", "toolUseId": "toolu_1"}')
    found = await asked("/s1", project=PROJECT)
    assert [(one["agent_id"], one["agent_type"], one["tool_use_id"]) for one in found["subagents"]] == [
        ("a1", "Explore", "toolu_1")
    ]
    sub = await asked("/s1", project=PROJECT, agent="a1")
    assert (sub["agent_id"], sub["lines"][0]["record"]["message"]["content"]) == ("a1", "sub")
    await asked("/s1", 404, project=PROJECT, agent="a2")


async def test_what_is_missing_is_said(asked: Asked) -> None:
    """Without a project 400; a project or conversation that is not there 404."""
    put(asked.root, "s1", talk("x"))
    assert "project" in (await asked("/s1", 400))["error"]["message"]
    await asked("/s1", 400, project="")
    await asked("/s1", 404, project="nowhere")
    await asked("/s2", 404, project=PROJECT)
    await asked("/agent-a1", 404, project=PROJECT)


_STEPS = ["..", ".", "/", "\\", "\0", "%2e%2e", "secret", "outside", "s1", PROJECT, "projects", "~", "\n"]
_NAMES = st.lists(st.sampled_from(_STEPS) | st.text(max_size=3), max_size=6).map("".join)


@pytest.fixture
def beside(tmp_path: Path) -> Asked:
    """Give the data API over a folder beside which something secret lies, and into which a link to it leads."""
    app = create_api(stores_of(tmp_path / "store.db"), blueprints=[conversations.blueprint(tmp_path / "claude")])
    asked = Asked(app, tmp_path / "claude" / "projects")
    put(asked.root, "s1", talk("x"))
    for project in ("outside", "."):
        put(tmp_path / "claude", "secret", [user("top secret")], project=project)
    (asked.root / "link").symlink_to(tmp_path / "claude" / "outside")
    return asked


async def _refused(asked: Asked, project: str, name: str) -> int:
    """Ask for a conversation by any name, and return the status; the secret never comes out."""
    path = f"/api/conversations/{quote(name, safe='%', errors='replace')}"
    response = await asked.app.test_client().get(path, query_string={"project": project})
    assert b"top secret" not in await response.get_data()
    return response.status_code


async def test_nasty_names_are_refused(beside: Asked) -> None:
    """Steps up, absolute paths, links and encoded separators reach nothing."""
    outside = str(beside.root.parent / "outside")
    for project in ("..", "../outside", "..\\outside", "/", outside, "link", "a\0b", "../../claude/outside", "."):
        for name in ("secret", "..%2foutside%2fsecret", "%2e%2e%2fsecret", "..%5csecret", "secret%00"):
            assert await _refused(beside, project, name) in (400, 404), (project, name)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(_NAMES, _NAMES)
def test_no_name_leads_out_of_the_folder(beside: Asked, project: str, name: str) -> None:
    """However project and id are spelled, what lies beside the folder never comes out, and nothing of ours fails."""
    assert asyncio.run(_refused(beside, project, name)) in (200, 400, 404)


async def test_slow_files_hold_nobody_up(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a disk is slow, the event loop goes on: files are read in threads."""
    put(asked.root, "s1", talk("x"))
    go, began = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    really = Library.conversations

    def slow(self: Library, *arguments: Any) -> Any:
        loop.call_soon_threadsafe(began.set)
        assert go.wait(10)
        return really(self, *arguments)

    monkeypatch.setattr(Library, "conversations", slow)
    waiting = asyncio.create_task(asked())
    await began.wait()
    go.set()
    assert (await waiting)["total"] == 1


async def test_the_routes_are_documented(asked: Asked) -> None:
    """The OpenAPI document names the three routes, their parameters and the shapes of their answers."""
    response = await asked.app.test_client().get("/openapi.json")
    document = json.loads(await response.get_data())
    shapes = document["components"]["schemas"]
    for path, shape in [("", "Conversations"), ("/project", "Conversations"), ("/{conversation}", "Transcript")]:
        route = document["paths"][f"/api/conversations{path}"]["get"]
        answer = route["responses"]["200"]["content"]["application/json"]["schema"]
        assert answer == {"$ref": f"#/components/schemas/{shape}"}
        project = next(one for one in route["parameters"] if one["name"] == "project")
        assert project.get("required", False) is bool(path)
    assert {"Conversations", "Conversation", "Transcript", "TranscriptLine", "TranscriptAgent"} <= shapes.keys()
    assert "404" in document["paths"]["/api/conversations/project"]["get"]["responses"]


async def test_nothing_can_be_changed(asked: Asked) -> None:
    """There is no other method than reading."""
    put(asked.root, "s1", talk("x"))
    for path in ("", "/project", "/s1"):
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            response = await asked.app.test_client().open(f"/api/conversations{path}", method=method)
            assert response.status_code == 405
    assert os.listdir(asked.root / PROJECT) == ["s1.jsonl"]
