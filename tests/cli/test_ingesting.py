"""`ccproxy ingest` beside a proxy that leaves its journal to it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.proxy import Proxy, client, isolated_environment, request
from tests.support.standin import StandIn, message_answer, text


def _command(proxy: Proxy) -> list[str]:
    return [sys.executable, "-m", "ccproxy", "ingest", "--db", str(proxy.db)]


@pytest.mark.parametrize(("arguments", "environ"), [(["--no-ingest"], {}), ([], {"INGEST": "false"})])
async def test_it_brings_what_a_proxy_captured_into_the_store(
    tmp_path: Path, arguments: list[str], environ: dict[str, str]
) -> None:
    """A proxy with --no-ingest only writes its journal; an ingest beside it stores everything, and stops in order."""
    async with StandIn(lambda asked: message_answer(asked, [text("hi")])) as up, client() as http:
        async with Proxy(up.url, tmp_path, *arguments, environ=environ) as proxy:
            await http.post(f"{proxy.url}/v1/messages", json=request())
            health = await proxy.health()
            assert (health["ingest"]["state"], health["journal"]["lag_bytes"] > 0) == ("off", True)
            assert proxy.rows() == []
            alone = isolated_environment(tmp_path)
            process = await asyncio.create_subprocess_exec(*_command(proxy), env=alone, cwd=tmp_path)
            try:
                await proxy.ended()
                assert (await proxy.health())["ingest"]["state"] == "elsewhere"
                await http.post(f"{proxy.url}/v1/messages", json=request("again"))
                await proxy.ended(2)
            finally:
                process.terminate()
                assert await process.wait() == 0
            assert (await proxy.health())["ingest"]["state"] == "off"


async def test_two_on_one_journal_are_refused(tmp_path: Path) -> None:
    """Where a proxy brings its own journal into the store, another ingest is refused with a sentence."""
    async with StandIn([]) as up, Proxy(up.url, tmp_path) as proxy:
        await proxy.until(lambda: (proxy.journal / "ingest.lock").exists())
        while (await proxy.health())["ingest"]["state"] != "running":  # noqa: ASYNC110 (another process is asked)
            await asyncio.sleep(0.01)
        done = await asyncio.to_thread(
            subprocess.run, _command(proxy), env=isolated_environment(tmp_path), cwd=tmp_path, capture_output=True, text=True
        )  # fmt: skip
        assert done.returncode == 1
        assert "another ingest reads the journal" in done.stderr
        assert len(done.stderr.splitlines()) == 1
