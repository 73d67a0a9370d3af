"""The real Claude Code and the official TypeScript SDK, as test clients.

Knows their pinned versions, where they are kept between runs, how they are installed there, and in which environment
they run: nothing of the developer's own set-up reaches them. Refuses to download anything during a test unless told to
with `CCPROXY_INSTALL_CLIENT=1`; `.ci/install-client` is the usual way, and runs this module.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
import pytest

FOLDER_VARIABLE = "CCPROXY_TEST_CLIENT_DIR"
INSTALL_VARIABLE = "CCPROXY_INSTALL_CLIENT"
VERSION_VARIABLE = "CCPROXY_TEST_CLIENT_VERSION"
FIRST_WITH_HINTS = (2, 1, 273)
INSTALL_SECONDS = 600  # about 400 MB to fetch
TS_STREAMS_SCRIPT = Path(__file__).with_name("ts_streams.mjs")
TS_SDK_SCRIPT = Path(__file__).with_name("ts_sdk.mjs")


@dataclass(frozen=True, slots=True)
class Package:
    """One npm package at one version, in a folder of its own."""

    name: str
    version: str
    proof: str  # the file that is there once it is installed
    smallest: int  # and the size that tells it from a placeholder
    after: str | None = None  # the package's script to run by hand, as npm may refuse to

    @property
    def prefix(self) -> Path:
        """The folder into which npm installs it."""
        return client_folder() / f"{self.name.rpartition('/')[2]}-{self.version}"

    @property
    def root(self) -> Path:
        """The package's own folder."""
        return self.prefix / "node_modules" / self.name

    @property
    def installed(self) -> bool:
        """Whether all of it is there."""
        proof = self.root / self.proof
        return proof.is_file() and proof.stat().st_size >= self.smallest


CLAUDE_CODE = Package(
    name="@anthropic-ai/claude-code",
    version=os.environ.get(VERSION_VARIABLE) or "2.1.330",
    proof="bin/claude.exe",  # so called on every system
    smallest=1_000_000,
    after="install.cjs",
)
TS_SDK = Package("@anthropic-ai/sdk", version="1.12.0", proof="package.json", smallest=1)


def client_folder() -> Path:
    """Return the folder that keeps the clients between test runs."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named) if named else platformdirs.user_cache_path("ccproxy") / "test-clients"


def claude_binary() -> Path | None:
    """Return the real Claude Code, or None where it is not installed and may not be."""
    return CLAUDE_CODE.root / CLAUDE_CODE.proof if _available(CLAUDE_CODE) else None


def claude_or_skip() -> Path:
    """Return the real Claude Code, or skip the test and say what is missing."""
    binary = claude_binary()
    if binary is None:
        pytest.skip(f"Claude Code {CLAUDE_CODE.version} is not installed: run .ci/install-client")
    return binary


def hint_headers_or_skip() -> None:
    """Skip the test where the client is too old to say what a request is for."""
    if tuple(map(int, CLAUDE_CODE.version.split("."))) < FIRST_WITH_HINTS:
        pytest.skip(f"Claude Code {CLAUDE_CODE.version} sends no hint headers")


def ts_sdk_or_skip() -> Path:
    """Return the folder from which Node finds the TypeScript SDK, or skip the test and say what is missing."""
    if shutil.which("node") is None:
        pytest.skip("the TypeScript SDK needs node, which is not on the PATH")
    if not _available(TS_SDK):
        pytest.skip(f"the TypeScript SDK {TS_SDK.version} is not installed: run .ci/install-client")
    return TS_SDK.prefix


def client_environment(base_url: str | None, home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the whole environment of a client: made-up credentials, no traffic but to `base_url`, `extra` on top."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "ANTHROPIC_API_KEY": "made-up-key-for-tests",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_ERROR_REPORTING": "1",
        "DISABLE_AUTOUPDATER": "1",
        "IS_SANDBOX": "1",
    }
    if base_url is not None:
        environment["ANTHROPIC_BASE_URL"] = base_url
    return environment | dict(extra or {})


async def run_claude(
    prompt: str,
    base_url: str,
    home: Path,
    extra_env: Mapping[str, str] | None = None,
    allowed_tools: Sequence[str] = ("Bash", "Agent"),
    arguments: Sequence[str] = (),
    timeout: float = 60,
) -> dict[str, Any]:
    """Run one prompt through the real Claude Code and return its JSON result; skip where there is no client.

    `home` is its home and its working folder, `arguments` are put in front of all others.
    """
    command = claude_command(prompt, allowed_tools)
    command[1:1] = arguments
    result = json.loads(await run(command, client_environment(base_url, home, extra_env), home, timeout))
    assert isinstance(result, dict)
    return result


def claude_command(prompt: str, allowed_tools: Sequence[str] = ("Bash", "Agent")) -> list[str]:
    """Return the command line that runs one prompt and prints a JSON result."""
    tools = ["--allowedTools", *allowed_tools] if allowed_tools else []
    return [str(claude_or_skip()), "-p", prompt, "--output-format", "json", *tools]


async def run_ts_sdk(base_url: str, mode: str, home: Path, timeout: float = 30) -> dict[str, Any]:
    """Make one call with the TypeScript SDK (`stream` or `create`) and return what it understood; see `ts_sdk.mjs`."""
    command = ["node", str(TS_SDK_SCRIPT), str(ts_sdk_or_skip()), base_url, mode]
    result = json.loads(await run(command, client_environment(None, home), home, timeout))
    assert isinstance(result, dict)
    return result


async def run_ts_streams(base_url: str, count: int, home: Path, timeout: float = 60) -> list[Any]:
    """Make so many streamed calls with the TypeScript SDK and return what it understood; see `ts_streams.mjs`."""
    command = ["node", str(TS_STREAMS_SCRIPT), str(ts_sdk_or_skip()), base_url, str(count)]
    told = json.loads(await run(command, client_environment(None, home), home, timeout))
    assert isinstance(told, list)
    return told


async def run(command: Sequence[str], environment: Mapping[str, str], folder: Path, timeout: float) -> bytes:
    """Run a command to its end and return its standard output; anything but success fails the test with all it said.

    Claude Code gets a scratch folder of its own, that is gone afterwards: with a short name, as it puts sockets there.
    """
    with tempfile.TemporaryDirectory(prefix="cc-", ignore_cleanup_errors=True) as scratch:
        process = await asyncio.create_subprocess_exec(
            *command,
            env={"CLAUDE_CODE_TMPDIR": scratch, **environment},
            cwd=folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        output, errors = await _ended(process, timeout)
    assert process.returncode == 0, f"{command[0]} ended with {process.returncode}\n{output!r}\n{errors!r}"
    return output


async def _ended(process: asyncio.subprocess.Process, timeout: float) -> tuple[bytes, bytes]:
    """Wait for a process and return its two outputs; one that takes too long is killed with all that it started."""
    try:
        return await asyncio.wait_for(process.communicate(), timeout)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()
        raise


def install(package: Package) -> None:
    """Install a package where it is not installed yet; only one process at a time does so."""
    with _lock(package.prefix):
        if package.installed:
            return
        npm = shutil.which("npm")
        if npm is None:
            raise FileNotFoundError("npm is not on the PATH")
        (package.prefix / "package.json").write_text('{"private": true}\n')
        wanted = f"{package.name}@{package.version}"
        _call([npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", wanted], package.prefix)
        if package.after:
            _call(["node", package.after], package.root)
        if not package.installed:
            raise FileNotFoundError(
                f"{wanted} is installed, but {package.root / package.proof} is not what it should be"
            )


def _available(package: Package) -> bool:
    if not package.installed and os.environ.get(INSTALL_VARIABLE) == "1":
        install(package)
    return package.installed


def _call(command: Sequence[str], folder: Path) -> None:
    subprocess.run(
        command, cwd=folder, check=True, timeout=INSTALL_SECONDS, stdin=subprocess.DEVNULL, stdout=sys.stderr
    )


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    for wanted in (CLAUDE_CODE, TS_SDK):
        install(wanted)
        sys.stdout.write(f"{wanted.name} {wanted.version} in {wanted.prefix}\n")
