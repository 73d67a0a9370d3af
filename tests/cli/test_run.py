"""`ccproxy run`: a client of any sort, its terminal, its signals, its exit code, and a proxy that is there for it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ccproxy.cli.launch import variables
from tests.cli.conftest import invoke, refusal
from tests.support.command import Done, ccproxy, children, line, silent_port, started
from tests.support.proxy import FINAL, Proxy, client, request
from tests.support.standin import Gate, StandIn, stream_answer, text_stream

CLIENT = """
import json, os, signal, sys, time, urllib.request

opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

def say(words):
    print(words, flush=True)

def ask():
    url = os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages"
    body = json.dumps({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}).encode()
    while True:
        try:
            with opener.open(urllib.request.Request(url, body, {"content-type": "application/json"}), timeout=30) as got:
                return got.read()
        except ConnectionError:
            pass
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionError):
                raise
        time.sleep(0.05)
"""


def program(home: Path, code: str) -> list[str]:
    """Write a client that runs this code, and return the command for it."""
    home.mkdir(parents=True, exist_ok=True)
    path = home / "client.py"
    path.write_text(CLIENT + code)
    return [sys.executable, str(path)]


def place(up: StandIn | None, home: Path, port: int) -> dict[str, str]:
    """Return the environment in which `ccproxy run` finds provider, store and port."""
    upstream = {"ANTHROPIC_FORWARD_URL": up.url} if up else {}
    return {**upstream, "DB_PATH": str(home / "requests.db"), "PORT": str(port)}


async def run(up: StandIn | None, home: Path, *command: str, port: int, **environ: str) -> Done:
    """Run a command through ccproxy to its end."""
    return await ccproxy("run", "--", *command, home=home, environ={**place(up, home, port), **environ})


def rows(home: Path) -> list[dict[str, Any]]:
    """Return what is in the store that `place` names."""
    return Proxy("", home).rows()


def answers(number: int) -> list[Any]:
    """Return a script of that many short answers."""
    return [stream_answer(text_stream("hi")) for _ in range(number)]


async def test_a_client_is_run_and_captured(tmp_path: Path) -> None:
    """Without a running proxy one is started, and what it captured is stored when the command has ended, and told."""
    command = program(tmp_path, "ask(); ask(); say('done'); sys.exit(3)")
    with silent_port() as port:
        async with StandIn(answers(2)) as up:
            done = await run(up, tmp_path, *command, port=port)
    assert (done.code, done.out) == (3, b"done\n")
    stored = rows(tmp_path)
    assert [row["state"] for row in stored] == ["complete", "complete"]
    assert "ccproxy: captured 2 exchanges: 22 tokens in (0 from the cache), 14 out\n" in done.err
    assert f"look with `ccproxy tail -n 2`; the newest with `ccproxy show {stored[-1]['id'][-12:]}`" in done.err
    assert (tmp_path / "requests.log").stat().st_mode & 0o777 == 0o600


async def test_only_this_session_is_counted(tmp_path: Path) -> None:
    """What was in the store before is not in the report."""
    command = program(tmp_path, "ask()")
    with silent_port() as port:
        async with StandIn(answers(2)) as up:
            await run(up, tmp_path, *command, port=port)
            done = await run(up, tmp_path, *command, port=port)
            quiet = await run(up, tmp_path, "true", port=port)
    assert len(rows(tmp_path)) == 2
    assert "captured 1 exchange:" in done.err
    assert quiet.err == f"ccproxy: nothing was captured in {tmp_path / 'requests.db'}\n"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("sys.exit(0)", 0),
        ("sys.exit(77)", 77),
        ("os.kill(os.getpid(), signal.SIGKILL)", 128 + signal.SIGKILL),
        ("os.kill(os.getpid(), signal.SIGSEGV)", 128 + signal.SIGSEGV),
    ],
)
async def test_the_exit_code_is_passed_on(tmp_path: Path, code: str, expected: int) -> None:
    """Whatever a client ends with, run ends with: also with a signal, as a shell would say it."""
    with silent_port() as port:
        assert (await run(None, tmp_path, *program(tmp_path, code), port=port)).code == expected


def test_what_cannot_be_run_is_told_as_a_shell_does(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that is not there is 127, and no proxy is started for it."""
    assert refusal("run", "no-such-command-anywhere", "-x") == (127, "there is no command no-such-command-anywhere")
    assert refusal("run", "./none.sh") == (127, "there is no command ./none.sh")
    assert not list(alone.parent.rglob("requests.db"))


async def test_what_is_no_program_is_told_as_a_shell_does(tmp_path: Path) -> None:
    """A file that cannot be executed is 126."""
    (tmp_path / "data.txt").write_text("just data")
    with silent_port() as port:
        done = await run(None, tmp_path, "./data.txt", port=port)
    assert (done.code, done.err) == (126, "ccproxy: cannot run ./data.txt: Permission denied\n")


async def test_the_environment_is_set(tmp_path: Path) -> None:
    """A client finds the three variables and an exemption from any forward proxy, and all that was there before."""
    code = "say(json.dumps(dict(os.environ)))"
    with silent_port() as port:
        done = await run(None, tmp_path, *program(tmp_path, code), port=port, KEPT="1", NO_PROXY="a.example")
    told: Mapping[str, str] = json.loads(done.out)
    base_url = told["ANTHROPIC_BASE_URL"]
    assert base_url.startswith("http://127.0.0.1:")
    assert variables(base_url).items() <= told.items()
    assert (told["KEPT"], told["NO_PROXY"], told["no_proxy"]) == ("1", "a.example,127.0.0.1", "a.example,127.0.0.1")


async def test_standard_input_is_the_clients(tmp_path: Path) -> None:
    """What is typed or piped reaches the client."""
    command = program(tmp_path, "say(sys.stdin.readline().strip())")
    with silent_port() as port:
        async with started("run", *command, home=tmp_path, environ=place(None, tmp_path, port)) as process:
            out, _ = await asyncio.wait_for(process.communicate(b"typed\n"), 60)
    assert out == b"typed\n"


async def test_options_behind_the_command_are_its_own(tmp_path: Path) -> None:
    """Everything that follows the command belongs to it, with or without a `--`, whatever it looks like."""
    command = program(tmp_path, "say(json.dumps(sys.argv[1:]))")
    with silent_port() as port:
        done = await ccproxy(
            "run", *command, "--print", "-h", "--config", "x", "--", "y", home=tmp_path, environ=place(None, tmp_path, port)
        )  # fmt: skip
    assert json.loads(done.out) == ["--print", "-h", "--config", "x", "--", "y"]


async def test_a_running_proxy_is_used(tmp_path: Path) -> None:
    """Where a ccproxy listens on the configured port, the client goes through it, and it runs on."""
    command = program(tmp_path / "home", "ask()")
    async with StandIn(answers(2)) as up, Proxy(up.url, tmp_path / "proxy") as proxy:
        async with client() as http:
            await http.post(f"{proxy.url}/v1/messages", json=request())
        await proxy.ended()
        done = await run(None, tmp_path / "home", *command, port=proxy.port, DB_PATH=str(proxy.db))
        assert done.code == 0
        assert f"captured 1 exchange through {proxy.url}, all clients counted: 11 tokens in" in done.err
        assert [row["state"] for row in proxy.rows()] == ["complete", "complete"]
        assert (await proxy.health())["status"] == "healthy"
        assert not list((tmp_path / "home").glob("requests.*"))


async def test_a_proxy_that_is_behind_is_not_waited_for_long(tmp_path: Path) -> None:
    """Where the store of a running proxy does not catch up, run ends all the same, and nothing is lost."""
    command = program(tmp_path / "home", "ask()")
    async with StandIn(answers(1)) as up, Proxy(up.url, tmp_path / "proxy") as proxy:
        await proxy.until(lambda: bool(proxy.db.exists() and proxy.children("ccproxy.ingest.process")))
        (ingest,) = proxy.children("ccproxy.ingest.process")
        os.kill(ingest, signal.SIGSTOP)
        done = await run(None, tmp_path / "home", *command, port=proxy.port, DB_PATH=str(proxy.db))
        os.kill(ingest, signal.SIGCONT)
        hint = f"the proxy at {proxy.url} may keep its captures in another store, or be behind"
        assert (done.code, done.err) == (0, f"ccproxy: nothing was captured in {proxy.db}; {hint}\n")
        (row,) = await proxy.ended()
        assert row["state"] == "complete"


async def test_a_proxy_with_another_store_is_told(tmp_path: Path) -> None:
    """Where a running proxy keeps its captures elsewhere, the report says that this may be so."""
    command = program(tmp_path / "home", "ask()")
    async with StandIn(answers(1)) as up, Proxy(up.url, tmp_path / "proxy") as proxy:
        done = await run(None, tmp_path / "home", *command, port=proxy.port)
        assert done.err.startswith("ccproxy: there is no store at ")
        await proxy.ended()


async def test_a_port_that_another_program_has_is_no_obstacle(tmp_path: Path) -> None:
    """Where something else listens on the configured port, run starts its own proxy on a free one."""
    command = program(tmp_path, "ask(); say(os.environ['ANTHROPIC_BASE_URL'])")
    async with StandIn(answers(1)) as other, StandIn(answers(1)) as up:
        done = await run(up, tmp_path, *command, port=other.port)
        assert (len(up.messages), len(other.messages)) == (1, 0)
    assert done.code == 0
    assert str(other.port) not in done.out.decode()
    assert "captured 1 exchange:" in done.err


async def test_a_proxy_that_cannot_start_is_one_sentence(tmp_path: Path) -> None:
    """Where the store is not ours, the command is not even started, and the reason is told."""
    (tmp_path / "requests.db").write_text("just text, long enough to be looked at as a database header, and then some")
    with silent_port() as port:
        done = await run(None, tmp_path, *program(tmp_path, "say('started')"), port=port)
    assert (done.code, done.out) == (1, b"")
    sentence = (
        "ccproxy: the proxy did not start: {0} is not a SQLite database; choose another storage.db_path (its log is "
    )
    assert done.err.startswith(sentence.format(tmp_path / "requests.db"))


async def test_a_proxy_that_dies_comes_back_on_its_port(tmp_path: Path) -> None:
    """When all processes of the proxy are killed under a session, the client's next request works again, on the same port."""
    command = program(tmp_path, "while sys.stdin.readline(): ask(); say('asked')")
    with silent_port() as port:
        async with StandIn(answers(2)) as up:
            async with started("run", *command, home=tmp_path, environ=place(up, tmp_path, port)) as process:
                assert process.stdin is not None
                for number in range(2):
                    process.stdin.write(b"ask\n")
                    assert await line(process.stdout) == "asked\n"
                    if number == 0:
                        (proxy,) = [pid for pid in children(process.pid) if b"serve" in cmdline(pid)]
                        os.killpg(proxy, signal.SIGKILL)
                process.stdin.close()
                _, err = await asyncio.wait_for(process.communicate(), 60)
            assert process.returncode == 0
            assert len(up.messages) == 2
    stored = rows(tmp_path)
    assert len(stored) == 2
    assert {row["state"] for row in stored} <= set(FINAL)
    assert stored[-1]["state"] == "complete"
    assert b"captured 2 exchanges" in err


def cmdline(pid: int) -> bytes:
    """Return how a process was started."""
    return Path(f"/proc/{pid}/cmdline").read_bytes()


async def test_ctrl_c_is_the_clients(tmp_path: Path) -> None:
    """Ctrl-C on the terminal reaches the client, which decides what it means, and leaves the proxy alone."""
    code = """
def interrupted(*_):
    ask(); say("still served"); sys.exit(7)
signal.signal(signal.SIGINT, interrupted)
say("ready")
while True: signal.pause()
"""
    with silent_port() as port:
        async with StandIn(answers(1)) as up:
            environ = place(up, tmp_path, port)
            async with started("run", *program(tmp_path, code), home=tmp_path, environ=environ) as process:
                assert await line(process.stdout) == "ready\n"
                os.killpg(process.pid, signal.SIGINT)
                assert await line(process.stdout) == "still served\n"
                assert await asyncio.wait_for(process.wait(), 60) == 7
    assert [row["state"] for row in rows(tmp_path)] == ["complete"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_other_signals_are_handed_on(tmp_path: Path, number: int) -> None:
    """A signal that is sent to run alone reaches the client, and no proxy is left behind."""
    with silent_port() as port:
        environ = place(None, tmp_path, port)
        async with started(
            "run", *program(tmp_path, "say('ready'); signal.pause()"), home=tmp_path, environ=environ
        ) as process:
            assert await line(process.stdout) == "ready\n"
            (proxy,) = [pid for pid in children(process.pid) if b"serve" in cmdline(pid)]
            process.send_signal(number)
            assert await asyncio.wait_for(process.wait(), 60) == 128 + number
            assert not Path(f"/proc/{proxy}").exists()


async def test_a_stream_that_outlives_the_client_is_stored(tmp_path: Path) -> None:
    """A client that ends in the middle of an answer leaves an exchange that says so, and run does not wait for the rest."""
    gate = Gate()
    code = """
import socket
host, port = os.environ["ANTHROPIC_BASE_URL"].removeprefix("http://").split(":")
raw = socket.create_connection((host, int(port)))
raw.sendall(b"POST /v1/messages HTTP/1.1\\r\\nhost: x\\r\\ncontent-length: 2\\r\\n\\r\\n{}")
raw.recv(10)
os._exit(0)
"""
    async with StandIn([stream_answer([*text_stream("hi")[:3], gate])]) as up:
        with silent_port() as port:
            done = await run(up, tmp_path, *program(tmp_path, code), port=port)
        gate.open()
    assert done.code == 0
    assert [row["state"] for row in rows(tmp_path)] == ["client_left"]


FAKE_CLAUDE = """#!{python}
import json, os, stat, sys
path = sys.argv[sys.argv.index("--settings") + 1]
mode = None if path.startswith("{{") else stat.S_IMODE(os.stat(path).st_mode)
text = path if mode is None else open(path).read()
print(json.dumps([sys.argv[1:], mode, json.loads(text)]))
"""


def fake_claude(home: Path) -> str:
    """Put a program named claude into a home that tells what it was started with, and return its path."""
    path = home / "claude"
    path.write_text(FAKE_CLAUDE.format(python=sys.executable))
    path.chmod(0o755)
    return str(path)


async def test_keys_in_settings_stay_out_of_the_command_line(tmp_path: Path) -> None:
    """Settings of the user's reach Claude Code merged with ours, in a file that only they can read and that is gone after."""
    own = {"model": "opus", "env": {"ANTHROPIC_API_KEY": "sk-hunter2", "ANTHROPIC_BASE_URL": "http://old"}}
    (tmp_path / "own.json").write_text(json.dumps(own))
    with silent_port() as port:
        done = await run(None, tmp_path, fake_claude(tmp_path), "--settings", "own.json", "-p", "hi", port=port)
    arguments, mode, settings = json.loads(done.out)
    assert "hunter2" not in str(arguments)
    assert mode == 0o600
    assert (settings["model"], settings["env"]["ANTHROPIC_API_KEY"]) == ("opus", "sk-hunter2")
    assert settings["env"]["ANTHROPIC_BASE_URL"].startswith("http://127.0.0.1:")
    assert arguments[2:] == ["-p", "hi"]
    assert not Path(arguments[1]).exists()
    assert not Path(arguments[1]).parent.exists()


async def test_without_settings_there_is_no_file(tmp_path: Path) -> None:
    """Where the user named no settings, our three variables stand in the command line, which holds nothing secret."""
    with silent_port() as port:
        done = await run(None, tmp_path, fake_claude(tmp_path), "-p", "hi", port=port)
    arguments, mode, settings = json.loads(done.out)
    assert (mode, set(settings), arguments[2:]) == (None, {"env"}, ["-p", "hi"])


def test_settings_that_cannot_be_read_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake in the user's settings is told before the client starts, with exit code 2."""
    with silent_port() as port:
        monkeypatch.setenv("PORT", str(port))
        code, sentence = refusal("run", "--print", "claude", "--settings", "none.json")
    assert (code, sentence) == (2, "Your settings file none.json cannot be read: No such file or directory")


# --print


def test_print_shows_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """--print shows what would be run, ready for a shell, and runs nothing."""
    monkeypatch.setenv("PORT", "3999")
    exports = "ANTHROPIC_BASE_URL=http://127.0.0.1:3999 ENABLE_TOOL_SEARCH=true CLAUDE_CODE_GATEWAY_HINT_HEADERS=1"
    assert invoke("run", "--print", "--", "python", "my agent.py").stdout == f"{exports} python 'my agent.py'\n"
    shown = invoke("run", "--print", "claude", "-p", "say hi").stdout
    inline = json.dumps({"env": variables("http://127.0.0.1:3999")})
    assert shown == f"{exports} claude --settings '{inline}' -p 'say hi'\n"
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hunter2@proxy.example")
    assert invoke("run", "--print", "x").stdout == f"{exports} NO_PROXY=127.0.0.1 no_proxy=127.0.0.1 x\n"


def test_print_shows_no_keys(alone: Path) -> None:
    """--print names a file in the place of settings that may hold keys."""
    (alone / "own.json").write_text('{"env": {"ANTHROPIC_API_KEY": "sk-hunter2"}}')
    for own in ("own.json", '{"env": {"ANTHROPIC_API_KEY": "sk-hunter2"}}'):
        result = invoke("run", "--print", "--", "claude", "--settings", own)
        assert result.stdout.endswith(" claude --settings MERGED-SETTINGS.json\n")
        assert result.stderr.startswith("ccproxy: MERGED-SETTINGS.json stands for a temporary file")
        assert "hunter2" not in result.stdout + result.stderr
