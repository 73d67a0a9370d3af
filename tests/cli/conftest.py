"""What the tests of the command line share: an empty set-up, and a store with one exchange of every sort."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from ccproxy.cli import main
from ccproxy.settings import SETTINGS
from ccproxy.stores.contract import Record
from tests.support.proxy import Proxy, client, request
from tests.support.standin import (
    Answer,
    StandIn,
    Usage,
    error,
    json_answer,
    message,
    stream_answer,
    stream_of,
    text,
    text_stream,
    thinking,
    tool_use,
)

NASTY = "\x1b[31mred\x1b]0;title\x07 \x9b2J\x7f \u202egnol\u2066"  # what must not reach a terminal
BINARY = b"\x00\x1b[2J\xff garbage \xc2\x9b2J"
SESSION = "11111111-2222-4333-8444-555555555555"


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the test into a working folder and a home of its own, with nothing set."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    others = ["ANTHROPIC_BASE_URL", "ENABLE_TOOL_SEARCH", "CLAUDE_CONFIG_DIR", "NO_COLOR"]
    proxies = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"]
    for name in [row.env for row in SETTINGS] + others + proxies + [name.lower() for name in proxies]:
        monkeypatch.delenv(name, raising=False)
    return folder


def invoke(*arguments: object) -> Result:
    """Run a command inside this process to a good end; an exception that it does not expect fails the test."""
    result = _result(*arguments)
    assert result.exit_code == 0, result.stderr
    return result


def refusal(*arguments: object) -> tuple[int, str]:
    """Run a command that cannot work, and return its exit code and the one sentence it says."""
    result = _result(*arguments)
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stderr.startswith("ccproxy: ")
    return result.exit_code, result.stderr.removeprefix("ccproxy: ").rstrip()


def _result(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@dataclass(frozen=True, slots=True)
class Captured:
    """A store, and its rows by what they are."""

    db: Path
    rows: dict[str, Record]
    bodies: dict[str, bytes]

    def id(self, name: str) -> str:
        """Return an exchange's id."""
        found: str = self.rows[name]["id"]
        return found


def _told(answer: Any, **fields: Any) -> Answer:
    return json_answer(message([text(answer)], usage=Usage.numbered(1), **fields))


CALL = tool_use("Bash", {"command": "ls"}, "toolu_1")
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [text("a xylophone lies here")]}
HEADERS = {"user-agent": "claude-cli/2.1.330 (external, cli)", "x-claude-code-session-id": SESSION}
AGENT = {"x-claude-code-agent-id": "a1b2c3d4e5f6", "x-claude-code-agent-type": "general-purpose"}
HINT = "x-claude-code-request-class"
ERROR = json.dumps(error("overloaded_error", "Overloaded")).encode()

# name: (what is asked, with which headers, what is answered)
SCRIPT: dict[str, tuple[Any, dict[str, str], Answer]] = {
    "first": (
        request("hello there"),
        {**HEADERS, HINT: "main"},
        stream_answer(stream_of(message([thinking("deep thought"), text("a plain needle"), CALL]))),
    ),
    "second": (
        {**request("hello there"), "messages": [
            {"role": "user", "content": "hello there"},
            {"role": "assistant", "content": [thinking("deep thought"), text("a plain needle"), CALL]},
            {"role": "user", "content": [RESULT]},
        ]},
        {**HEADERS, HINT: "main"},
        stream_answer(text_stream("and a double-decker bus", usage=Usage.numbered(7), model="claude-opus-4-8")),
    ),
    "agent": (request("for the agent"), {**HEADERS, **AGENT, HINT: "subagent"}, stream_answer(text_stream("done"))),
    "nasty": (request(f"nasty {NASTY}", model=f"evil{NASTY}\nmodel"), {}, _told(f"answer {NASTY} end", model=f"m{NASTY}\nm")),
    "half": (request("half a character \ud83d"), {}, _told("cut here \ud83d off")),
    "wide": (request("wide", model="模型" * 20), {}, _told("宽", model="模型" * 20)),
    "overloaded": (
        request("too much"),
        HEADERS,
        Answer(529, [("content-type", "application/json"), ("content-encoding", "gzip")], [gzip.compress(ERROR)],
               framing="length"),
    ),
    "binary": (BINARY, {}, Answer(400, [("content-type", "text/plain")], [BINARY], framing="length")),
    "broken": (request("breaks"), {}, stream_answer(text_stream("never whole")[:4], end="cut")),
    "models": (None, {}, json_answer({"data": []})),
}  # fmt: skip


async def _fill(folder: Path) -> Captured:
    async with StandIn([answer for _, _, answer in SCRIPT.values()]) as up, Proxy(up.url, folder) as proxy:
        async with client() as http:
            for number, (body, headers, answer) in enumerate(SCRIPT.values(), start=1):
                method, path = ("POST", "messages") if body else ("GET", "models")
                content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
                asked = http.build_request(method, f"{proxy.url}/v1/{path}", content=content, headers=headers)
                with pytest.raises(httpx.RemoteProtocolError) if answer.end == "cut" else contextlib.nullcontext():
                    await http.send(asked)
                await proxy.ended(number)
        assert await proxy.stop() == 0
        rows = dict(zip(SCRIPT, proxy.rows(), strict=True))
        bodies = dict(zip(SCRIPT, (got.body for got in up.requests), strict=True))
        return Captured(proxy.db, rows, bodies)


@pytest.fixture(scope="session")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Captured:
    """A store with one exchange of every sort, made by a proxy that has stopped."""
    return asyncio.run(_fill(tmp_path_factory.mktemp("captured")))
