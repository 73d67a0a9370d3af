"""`ccproxy serve`: what it says, what it refuses, how it stops."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sqlite3
from pathlib import Path

import pytest

from ccproxy.stores.sqlite import SqliteStore
from tests.cli.conftest import refusal
from tests.cli.test_commands import make_foreign
from tests.support.command import ccproxy
from tests.support.proxy import Proxy, client, request
from tests.support.standin import Gate, StandIn, stream_answer, text_stream


async def test_the_banner_says_all_one_needs(tmp_path: Path) -> None:
    """The banner has the URL, where requests go, where captures go, and the line to export."""
    async with StandIn() as up, Proxy(up.url, tmp_path) as proxy:
        said = proxy.said()
    url = f"http://localhost:{proxy.port}"
    assert f"listens on {url}\n" in said
    assert f"forwards to   {up.url}\n" in said
    assert f"captures in   {proxy.db}\n" in said
    assert f"\n  export ANTHROPIC_BASE_URL={url} ENABLE_TOOL_SEARCH=true CLAUDE_CODE_GATEWAY_HINT_HEADERS=1\n" in said
    assert "passes over" not in said


async def test_the_banner_exempts_us_from_a_forward_proxy(tmp_path: Path) -> None:
    """Where the environment names a forward proxy, the line to export keeps Claude Code from asking it for us."""
    environ = {"HTTPS_PROXY": "http://me:hunter2@127.0.0.1:1", "NO_PROXY": "127.0.0.1"}
    async with StandIn() as up, Proxy(up.url, tmp_path, environ=environ) as proxy:
        said = proxy.said()
    assert "HEADERS=1 NO_PROXY=127.0.0.1,localhost no_proxy=127.0.0.1,localhost\n" in said
    assert "hunter2" not in said


async def test_the_banner_tells_of_a_file_that_is_not_ours(tmp_path: Path) -> None:
    """A config.yaml that is passed over is named, so that a slip in its only key does not go unseen."""
    (tmp_path / "config.yaml").write_text("sever: {port: 1}\n")
    async with StandIn() as up, Proxy(up.url, tmp_path) as proxy:
        said = proxy.said()
    assert f"passes over   {tmp_path / 'config.yaml'}: it has none of ccproxy's keys\n" in said


def test_a_port_in_use_is_one_sentence() -> None:
    """Where the port is taken, serve says so, and what to do, with exit code 1."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        sentence = f"port {port} on 127.0.0.1 is in use; stop what uses it, or choose another with --port"
        assert refusal("serve", "--port", port) == (1, sentence)


async def test_a_second_proxy_on_the_port_is_refused(tmp_path: Path) -> None:
    """A running ccproxy keeps its port, and goes on."""
    async with StandIn() as up, Proxy(up.url, tmp_path / "one") as proxy:
        done = await ccproxy("serve", "--port", str(proxy.port), home=tmp_path / "two")
        assert (done.code, done.err.count("\n")) == (1, 1)
        assert (await proxy.health())["status"] == "healthy"


def test_an_address_that_is_not_ours_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address of another machine is refused with exit code 1."""
    monkeypatch.setenv("TRUST_PROXY", "true")
    code, sentence = refusal("serve", "--host", "192.0.2.1", "--port", 0)
    assert code == 1
    assert sentence.startswith("cannot listen on 192.0.2.1 port 0: ")
    code, sentence = refusal("serve", "--host", "no-such-host.invalid", "--port", 0)
    assert (code, sentence.startswith("cannot listen on no-such-host.invalid port 0: ")) == (1, True)


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store or a journal that cannot be written is found out before the start, with exit code 1."""
    code, sentence = refusal("serve", "--port", 0, "--db", "/dev/null/requests.db")
    assert code == 1
    assert sentence.startswith("cannot write the store at /dev/null/requests.db: ")
    assert sentence.endswith("; choose another storage.db_path")
    code, sentence = refusal("serve", "--port", 0, "--db", tmp_path)
    assert (code, sentence.startswith(f"cannot write the store at {tmp_path}: ")) == (1, True)
    monkeypatch.setenv("JOURNAL_DIR", "/dev/null/journal")
    code, sentence = refusal("serve", "--port", 0, "--db", tmp_path / "requests.db")
    assert code == 1
    assert sentence.startswith("cannot write the journal in /dev/null/journal: ")
    assert sentence.endswith("; choose another storage.journal_dir")


def test_a_database_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    """Another program's database, a newer ccproxy's, and what is no database: a sentence each, and not a byte changed."""
    path = tmp_path / "some.db"
    make_foreign(path)
    before = path.read_bytes()
    assert refusal("serve", "--port", 0, "--db", path) == (
        1, f"{path} is a database of some other program; choose another storage.db_path",
    )  # fmt: skip
    assert path.read_bytes() == before
    text = tmp_path / "text.db"
    text.write_text("just text, long enough to be looked at as a database header, and then some")
    code, sentence = refusal("serve", "--port", 0, "--db", text)
    assert (code, sentence) == (1, f"{text} is not a SQLite database; choose another storage.db_path")
    newer = tmp_path / "newer.db"
    SqliteStore(newer, write=True).close()
    with sqlite3.connect(newer) as db:
        db.execute("PRAGMA user_version = 999")
    db.close()
    code, sentence = refusal("serve", "--port", 0, "--db", newer)
    assert code == 1
    assert sentence.startswith(f"{newer} was written by a newer ccproxy (schema 999, this one knows ")
    assert "999" in refusal("tail", "--db", newer)[1]


async def test_three_workers_record_everything_once(tmp_path: Path) -> None:
    """With several workers every request is forwarded and stored once, and each worker takes its share of them."""
    number = 30
    script = [stream_answer(text_stream("hi")) for _ in range(number)]
    async with StandIn(script) as up, Proxy(up.url, tmp_path, "--workers", "3") as proxy, client() as http:
        assert len(proxy.children("ccproxy.web.worker")) == 3
        asked = [http.post(f"{proxy.url}/v1/messages", json=request(f"number {i}")) for i in range(number)]
        assert {answer.status_code for answer in await asyncio.gather(*asked)} == {200}
        rows = await proxy.ended(number)
        assert len(up.messages) == len(rows) == number
        assert {row["state"] for row in rows} == {"complete"}
        bodies = sorted(proxy.body(row, "request") or b"" for row in rows)
        assert bodies == sorted(request.body for request in up.messages)
        assert await proxy.stop() == 0
        assert len(proxy.rows()) == number


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_stores_everything(tmp_path: Path, number: int) -> None:
    """At SIGTERM, and at Ctrl-C on all of its processes, a running stream comes to its end and all is in the store."""
    gate = Gate()
    events = text_stream("to the end")
    script = [stream_answer(text_stream("one")), stream_answer([*events[:3], gate, *events[3:]])]
    async with StandIn(script) as up, Proxy(up.url, tmp_path) as proxy, client() as http:
        await http.post(f"{proxy.url}/v1/messages", json=request())
        running = asyncio.create_task(http.post(f"{proxy.url}/v1/messages", json=request()))
        await gate.reached()
        assert proxy.process is not None
        os.killpg(proxy.process.pid, number) if number == signal.SIGINT else proxy.process.send_signal(number)
        gate.open()
        assert (await running).content == b"".join(events)
        assert await asyncio.to_thread(proxy.process.wait, 60) == 0
        assert [row["state"] for row in proxy.rows()] == ["complete", "complete"]
        assert not list(proxy.journal.glob("*.seg*"))
