"""The command lines of `ccproxy.cli.launch` lead the real Claude Code to where they should.

The stand-in takes the place of the proxy: what counts here is only which base URL the client obeys.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ccproxy.cli.launch import merged_environment, with_settings
from tests.support.claude_code import claude_command, client_environment, hint_headers_or_skip, run
from tests.support.claude_script import FINAL_TEXT
from tests.support.standin import StandIn, claude_script

pytestmark = pytest.mark.client

DEAD = "http://127.0.0.1:1"  # nobody listens on port 1: a client that goes there has an error to tell


def reader(folder: Path) -> Callable[[str], str]:
    """Return what reads the user's files as seen from their working folder."""
    return lambda name: (folder / name).read_text()


def writer(folder: Path) -> Callable[[str], str]:
    """Return what writes merged settings into a folder."""

    def write(text: str) -> str:
        (folder / "merged.json").write_text(text)
        return str(folder / "merged.json")

    return write


def write_settings(home: Path, environment: Mapping[str, str]) -> None:
    """Give the user a settings file of their own that sets these variables."""
    (home / ".claude").mkdir()
    (home / ".claude" / "settings.json").write_text(json.dumps({"env": environment}))


async def launched(
    url: str, home: Path, options: Sequence[str] = (), environ: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Run one prompt as `ccproxy run -- claude OPTIONS` would and return the client's result."""
    command = claude_command("Do the steps.")
    command[1:1] = options
    command[0] = str(named_claude(Path(command[0]), home))
    environment = merged_environment(client_environment(None, home, environ), url)
    ready = with_settings(command, url, reader(home), writer(home))
    output = await run(ready, environment, home, timeout=60)
    result = json.loads(output)
    assert isinstance(result, dict)
    return result


def named_claude(binary: Path, home: Path) -> Path:
    """Return the client under the name it has for a user, whatever the package calls its file."""
    link = home / "claude"
    link.symlink_to(binary)
    return link


async def test_the_launcher_beats_the_users_settings_file(tmp_path: Path) -> None:
    """A base URL in the user's settings.json does not lead a launched client past the proxy."""
    write_settings(tmp_path, {"ANTHROPIC_BASE_URL": DEAD})
    async with StandIn(claude_script(turns=2)) as up:
        result = await launched(up.url, tmp_path)
    assert (result["result"], len(up.messages)) == (FINAL_TEXT, 2)


@pytest.mark.parametrize("form", [["--settings", "own.json"], ["--settings={}", "--settings=own.json"]])
async def test_the_users_own_settings_still_work(tmp_path: Path, form: list[str]) -> None:
    """Settings that the user names are obeyed in all but the base URL, and their file beats the user's settings.json."""
    write_settings(tmp_path, {"ANTHROPIC_BASE_URL": "http://127.0.0.1:2"})
    own = {"model": "claude-haiku-4-5", "env": {"ANTHROPIC_BASE_URL": DEAD, "ANTHROPIC_CUSTOM_HEADERS": "x-own: kept"}}
    (tmp_path / "own.json").write_text(json.dumps(own))
    async with StandIn(claude_script(turns=1)) as up:
        await launched(up.url, tmp_path, form)
    (request,) = up.messages
    assert request.json()["model"].startswith("claude-haiku-4-5")
    assert request.header("x-own") == "kept"


async def test_a_launched_client_defers_its_tools_and_gives_hints(tmp_path: Path) -> None:
    """Through the launcher the client keeps its tool search and names the class of each request, as without us."""
    hint_headers_or_skip()
    async with StandIn(claude_script(turns=1)) as up:
        await launched(up.url, tmp_path)
    (request,) = up.messages
    assert "ToolSearch" in {tool.get("name") for tool in request.json()["tools"]}
    assert request.header("x-claude-code-request-class") == "main"


@pytest.mark.parametrize("place", ["environment", "settings"])
async def test_a_company_proxy_is_not_in_the_way(tmp_path: Path, place: str) -> None:
    """A forward proxy in the user's environment or settings is not asked for a server on loopback."""
    environ = {"HTTP_PROXY": DEAD, "HTTPS_PROXY": DEAD}
    if place == "settings":
        write_settings(tmp_path, environ)
        environ = {}
    async with StandIn(claude_script(turns=1)) as up:
        result = await launched(up.url, tmp_path, environ=environ)
    assert (result["result"], len(up.messages)) == (FINAL_TEXT, 1)
