"""A PostgreSQL server of a test's own, that can be stopped, started and troubled as no shared one may be.

Listens on loopback, in a folder that goes with the test. Skips the test where the server's programs are not installed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

PASSWORD = "geheim-4711"
OWNER = "postgres"
START_S = 60


class Cluster:
    """One server with one database, on a port that stays the same."""

    def __init__(self, programs: Path, folder: Path, port: int) -> None:
        self.port = port
        self._programs = programs
        self._folder = folder
        self.data = folder / "data"
        self.password = PASSWORD

    @property
    def dsn(self) -> str:
        """The connection string, with the password that is right."""
        return f"postgresql://{OWNER}:{self.password}@127.0.0.1:{self.port}/{OWNER}"

    def make(self) -> None:
        """Make the server's files."""
        secret = self._folder / "password"
        secret.write_text(PASSWORD)
        if os.geteuid() == 0:
            for path in (self._folder, secret):
                shutil.chown(path, OWNER)
        self._call(
            *("initdb", "--auth=scram-sha-256", f"--username={OWNER}", f"--pwfile={secret}", "--encoding=UTF8", "--no-locale"),
            *("--no-sync", f"--pgdata={self.data}"),
        )  # fmt: skip

    def start(self) -> None:
        """Start the server, and wait until it takes connections."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='{self._folder}'"
        options += " -c fsync=off -c max_connections=12 -c superuser_reserved_connections=1 -c max_wal_size=32MB"
        self._call(
            *("pg_ctl", f"--pgdata={self.data}", f"--log={self._folder}/log", "--wait", f"--timeout={START_S}", "--silent"),
            *("start", f"--options={options}"),
        )  # fmt: skip

    def stop(self, mode: str = "fast") -> None:
        """Stop the server; `immediate` is as if it had crashed."""
        self._call("pg_ctl", f"--pgdata={self.data}", "--wait", "--silent", "stop", f"--mode={mode}", check=False)

    def run(self, query: str) -> list[tuple[Any, ...]]:
        """Run SQL in the database."""
        with psycopg.connect(self.dsn, autocommit=True) as database:
            found = database.execute(query)
            return found.fetchall() if found.description else []

    def _call(self, program: str, *arguments: str, check: bool = True) -> None:
        command = [str(self._programs / program), *arguments]
        if os.geteuid() == 0:  # a server refuses to run as root
            command = ["runuser", "-u", OWNER, "--", *command]
        done = subprocess.run(
            command, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            timeout=2 * START_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0 or not check, f"{program} failed; see {self._folder}/log"


@contextlib.contextmanager
def cluster(folder: Path | None = None) -> Iterator[Cluster]:
    """Give a running server, in `folder` or one of its own; skip the test where there is none to be had."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = str(programs[-1]) if programs else shutil.which("initdb")
    if not found:
        pytest.skip("PostgreSQL's server programs are not installed")
    with tempfile.TemporaryDirectory(prefix="ccproxy-pg-", dir=folder) as place, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        server = Cluster(Path(found).parent, Path(place), probe.getsockname()[1])
        probe.close()
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
