"""`ccproxy doctor`: each line is fine or says what to do, and the exit code sums them up."""

from __future__ import annotations

import contextlib
import http.server
import json
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from analysis import opening
from ccproxy.cli import main, showing
from tests.cli.conftest import Captured
from tests.support.command import ccproxy, silent_port
from tests.support.proxy import Proxy
from tests.support.standin import StandIn


def doctor(*arguments: object) -> tuple[int, dict[str, list[str]]]:
    """Return the exit code and the lines, by what was looked at, each with its sign."""
    result = CliRunner().invoke(main, ["doctor", *map(str, arguments)])
    assert result.stderr == ""
    lines: dict[str, list[str]] = {}
    for line in result.stdout.splitlines():
        sign, name, text = line.split(None, 2)
        assert sign in ("ok", "!!")
        lines.setdefault(name, []).append(f"{sign} {text}")
    assert result.exit_code == any(line.startswith("!!") for found in lines.values() for line in found)
    return result.exit_code, lines


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Leave the machine's own client and proxy out of it: nothing on the port, and only our programs on the PATH."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    with silent_port() as port, silent_port() as other:
        monkeypatch.setenv("PORT", str(port))
        monkeypatch.setenv("DASHBOARD_PORT", str(other))
        yield programs  # type: ignore[misc]


def url() -> str:
    """Return where clients should go."""
    from ccproxy.settings import load

    return f"http://localhost:{load().server.port}"


def test_a_fresh_machine_is_fine() -> None:
    """Where nothing has been started yet, every line is fine and says what comes next."""
    code, lines = doctor()
    assert code == 0
    assert list(lines) == ["versions", "config", "store", "journal", "disk", "proxy", "analysis", "dashboard", "client"]
    assert lines["config"] == ["ok no config.yaml; defaults and environment"]
    assert lines["store"][0].endswith("does not exist yet; `ccproxy serve` makes it")
    assert lines["proxy"] == [f"ok none is running at {url()}; start it with `ccproxy serve`"]
    assert lines["client"][0].startswith("ok Claude Code is not on the PATH")
    assert lines["client"][1].endswith(f"use `ccproxy run -- claude`, or: export ANTHROPIC_BASE_URL={url()}")


def test_a_broken_configuration_is_told(alone: Path) -> None:
    """A mistake in config.yaml is the line to mend, and nothing is guessed behind it."""
    (alone / "config.yaml").write_text("server: {prot: 1}")
    code, lines = doctor()
    assert (code, list(lines)) == (1, ["versions", "config"])
    assert lines["config"] == ['!! config.yaml line 1: unknown key "server.prot"; did you mean "server.port"?']


def test_the_file_that_counts_is_named(alone: Path) -> None:
    """Doctor says which config.yaml is read, and which is another program's."""
    (alone / "config.yaml").write_text("services: {}\n")
    foreign = f"ok {alone / 'config.yaml'} has none of ccproxy's keys and is passed over"
    assert doctor()[1]["config"] == ["ok no config.yaml; defaults and environment", foreign]
    (alone / "config.yaml").write_text("logging: {level: debug}\n")
    assert doctor()[1]["config"] == [f"ok {alone / 'config.yaml'}"]


def test_the_store_is_looked_at(captured: Captured, tmp_path: Path) -> None:
    """Doctor counts what is in the store, and warns when others can read it, or when it is not ours."""
    db = tmp_path / "copy.db"
    shutil.copy(captured.db, db)
    db.chmod(0o600)
    code, lines = doctor("--db", db)
    assert code == 0
    assert lines["store"][0].startswith(f"ok {db}: {len(captured.rows)} exchanges, ")
    db.chmod(0o644)
    code, lines = doctor("--db", db)
    assert (code, lines["store"][1]) == (1, f"!! others on this machine can read it (mode 644); run: chmod 600 {db}")
    db.write_text("just text, long enough to be looked at as a database header, and then some")
    code, lines = doctor("--db", db)
    assert (code, lines["store"]) == (1, [f"!! {db} is not a SQLite database; choose another storage.db_path"])


def test_a_place_that_cannot_be_written_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full, or may not be written, is told before captures are lost."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 5_000_000})())
    assert doctor()[1]["disk"][0].startswith("!! only 5 MB free at ")
    monkeypatch.setattr("os.access", lambda *_: False)
    code, lines = doctor()
    assert (code, lines["disk"][0].endswith("cannot be written; choose another storage.journal_dir")) == (1, True)


async def test_a_running_proxy_is_asked(tmp_path: Path) -> None:
    """Doctor finds the proxy on the configured port and tells how it is; what a killed one left is told as well."""
    async with StandIn() as up, Proxy(up.url, tmp_path / "proxy") as proxy:
        environ = {"PORT": str(proxy.port), "DB_PATH": str(proxy.db)}
        await proxy.until(lambda: bool(proxy.rows() == [] and proxy.db.exists()))
        done = await ccproxy("doctor", home=tmp_path / "home", environ=environ)
        running = f"http://localhost:{proxy.port} is healthy, 0 in flight, ingest "
        assert f"ok  proxy      {running}" in done.out.decode()
        assert "0 exchanges dropped" in done.out.decode()
        assert "ok  journal    " in done.out.decode()


def user_settings(path: Path, **environ: str) -> None:
    """Write a settings file of Claude Code."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"env": environ}))


def test_a_client_that_is_pointed_here_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the variables that the banner shows, every line is fine; without the tool search it is told what that costs."""
    monkeypatch.setenv("ANTHROPIC_BASE_URL", f"{url()}/")
    code, lines = doctor()
    assert code == 1
    assert lines["client"][1:] == [
        f"ok ANTHROPIC_BASE_URL leads to {url()}",
        "!! behind a base URL it sends every MCP tool each time; run: export ENABLE_TOOL_SEARCH=true",
    ]
    monkeypatch.setenv("ENABLE_TOOL_SEARCH", "true")
    assert doctor()[0] == 0


def test_a_client_that_is_pointed_elsewhere_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A base URL that leads elsewhere is named, with the line that mends it."""
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://elsewhere:1")
    code, lines = doctor()
    expected = f"!! ANTHROPIC_BASE_URL leads to http://elsewhere:1; run: export ANTHROPIC_BASE_URL={url()}"
    assert (code, lines["client"][1]) == (1, expected)


@pytest.mark.parametrize("place", ["user", "elsewhere", "project", "local"])
def test_settings_that_beat_the_environment_are_told(
    place: str, alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A settings file of Claude Code that sends it elsewhere is named, because no export mends that."""
    file = {
        "user": tmp_path / "home" / ".claude" / "settings.json",
        "elsewhere": tmp_path / "claude" / "settings.json",
        "project": alone / ".claude" / "settings.json",
        "local": alone / ".claude" / "settings.local.json",
    }[place]
    if place == "elsewhere":
        monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(file.parent))
    monkeypatch.setenv("ANTHROPIC_BASE_URL", url())
    user_settings(file, ANTHROPIC_BASE_URL="http://elsewhere:1")
    code, lines = doctor()
    shown = file if place in ("user", "elsewhere") else file.relative_to(alone)
    assert (code, lines["client"][1]) == (
        1,
        f"!! {shown} sends it to http://elsewhere:1, whatever the environment says; use `ccproxy run -- claude`",
    )
    user_settings(file, ANTHROPIC_BASE_URL=url(), ENABLE_TOOL_SEARCH="true")
    assert doctor()[0] == 0


@pytest.mark.parametrize("text", ["", "[]", "{broken", '{"env": []}', '{"env": {"X": 1}}'])
def test_settings_of_any_shape_do_no_harm(text: str, tmp_path: Path) -> None:
    """A settings file that is broken or empty is the client's business."""
    user_settings(tmp_path / "home" / ".claude" / "settings.json")
    (tmp_path / "home" / ".claude" / "settings.json").write_text(text)
    assert doctor()[0] == 0


@pytest.mark.parametrize("name", ["HTTP_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_forward_proxy_in_the_way_is_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a forward proxy would be asked for this machine, doctor says what to export, and keeps its password."""
    monkeypatch.setenv(name, "http://me:hunter2@proxy.example:8080")
    monkeypatch.setenv("NO_PROXY", "intern.example")
    code, lines = doctor()
    assert code == 1
    assert lines["client"][-1].endswith(
        "run: export NO_PROXY=intern.example,localhost no_proxy=intern.example,localhost"
    )
    assert "hunter2" not in str(lines)
    monkeypatch.setenv("NO_PROXY", "intern.example,localhost")
    assert doctor()[0] == 0


def test_the_client_is_asked_for_its_version(quiet: Path) -> None:
    """The version of Claude Code on the PATH is told, and also when it does not start."""
    program = quiet / "claude"
    program.write_text("#!/bin/sh\necho '2.1.330 (Claude Code)'\n")
    program.chmod(0o755)
    assert doctor()[1]["client"][0] == f"ok Claude Code 2.1.330 at {program}"
    program.write_text("#!/no/such/interpreter\n")
    assert doctor()[1]["client"][0] == f"ok Claude Code that does not start at {program}"


@pytest.mark.parametrize(
    ("way", "fine", "said"),
    [
        ("wheel", True, "by the scanner that is installed with it"),
        ("folder", True, "by the scanner in /scanners"),
        ("installed", True, "by the scanner in ~/.duckdb"),
        ("download", True, "will fetch its scanner"),
        ("copy", True, "copies the store first"),
    ],
)
def test_the_way_to_the_store_is_told(monkeypatch: pytest.MonkeyPatch, way: str, fine: bool, said: str) -> None:
    """How DuckDB comes to the store is a line, whichever way it is."""
    monkeypatch.setenv("ANALYSIS_EXTENSION_DIR", "/scanners")
    monkeypatch.setattr(opening, "way_to_the_store", lambda _settings: way)
    (line,) = doctor()[1]["analysis"]
    assert (line.startswith("ok "), said in line) == (fine, True)


def test_the_dashboard_is_looked_for(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """Nobody there, ours, another program on the port, and no extra are told apart, with what to do."""
    monkeypatch.setenv("DASHBOARD_PORT", str(free))
    where = f"http://localhost:{free}"
    assert doctor()[1]["dashboard"] == [f"ok none is running; `ccproxy serve` starts it at {where}"]
    monkeypatch.setenv("DASHBOARD_ENABLED", "false")
    assert doctor()[1]["dashboard"] == [f"ok none is running; `ccproxy dashboard` starts it at {where}"]
    for headers, line in (
        ({"X-Frame-Options": "DENY", "Content-Security-Policy": "x"}, f"ok it is at {where}"),
        ({}, f"!! another program has port {free}; choose another with DASHBOARD_PORT"),
    ):
        with serving(free, headers):
            assert doctor()[1]["dashboard"] == [line]
    monkeypatch.setattr(showing, "NEEDED", ("no_such_library",))
    assert doctor()[1]["dashboard"] == ["ok not installed: pip install 'ccproxy[dashboard]'"]


@contextlib.contextmanager
def serving(port: int, headers: dict[str, str]) -> Iterator[None]:
    """Answer every request on a port with these headers."""

    class Answering(http.server.BaseHTTPRequestHandler):
        """Answers."""

        def do_GET(self) -> None:
            """Answer."""
            self.send_response(200)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", port), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield
        server.shutdown()
        thread.join()


@pytest.fixture
def free() -> int:
    """Give a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_routes_are_told_and_a_missing_key_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each mapped agent is named with what answers it; one whose provider has no key is told with what to set."""
    monkeypatch.setenv("SUBAGENTS_ENABLE", "true")
    monkeypatch.setenv("SUBAGENT_MAPPINGS", "Explore:claude-haiku-4-5, code-reviewer:gpt-4o")
    code, lines = doctor()
    assert code == 1
    assert lines["routing"][0] == "ok Explore is answered by claude-haiku-4-5 at anthropic"
    assert lines["routing"][1].startswith(
        "!! code-reviewer is answered by gpt-4o at openai, and there is no key for it"
    )
    assert "OPENAI_API_KEY" in lines["routing"][1]
    assert 'no definition of the agent "code-reviewer"' in lines["routing"][2]
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert doctor()[0] == 0
