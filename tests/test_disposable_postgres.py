"""The server that tests of the PostgreSQL store get: there for one command, and gone with it, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / ".ci" / "postgres"
LONG_S = 60.0
TELL = 'echo "$TEST_POSTGRES_DSN"'

pytestmark = pytest.mark.skipif(
    not any(Path("/usr/lib/postgresql").glob("*/bin/initdb")), reason="no PostgreSQL server is installed here"
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give an empty folder into which the server's user can look, too."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def start(folder: Path, command: str) -> subprocess.Popen[str]:
    """Start a command with a server whose files are in this folder."""
    environment = {**os.environ, "TMPDIR": str(folder)}
    return subprocess.Popen(
        [str(SCRIPT), "bash", "-c", command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def is_served(dsn: str) -> bool:
    """Tell whether somebody listens where a DSN points to."""
    psycopg = pytest.importorskip("psycopg")
    try:
        with psycopg.connect(dsn, connect_timeout=5) as database:
            return bool(database.execute("SELECT 1").fetchone())
    except psycopg.OperationalError:
        return False


def test_a_command_has_a_server_of_its_own(folder: Path) -> None:
    """The server is reached by the DSN while the command runs; its exit code is the command's, and nothing is left."""
    process = start(folder, f"{TELL}; sleep 60")
    assert process.stdout
    dsn = process.stdout.readline().strip()
    assert is_served(dsn)
    assert list(folder.iterdir())
    os.kill(process.pid, signal.SIGTERM)
    process.communicate(timeout=LONG_S)
    assert process.returncode not in (0, None)
    assert not is_served(dsn)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(("command", "code"), [("true", 0), ("exit 7", 7), ("kill -KILL $$", 137)])
def test_it_ends_as_the_command_does(folder: Path, command: str, code: int) -> None:
    """The exit code is the command's, and of the server nothing is left."""
    process = start(folder, f"{TELL}; {command}")
    dsn, _ = process.communicate(timeout=LONG_S)
    assert process.returncode == code
    assert not is_served(dsn.strip())
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_passed_on_and_the_server_goes(folder: Path, number: signal.Signals) -> None:
    """The command is told, has its time, and then the server goes."""
    process = start(folder, f'trap "echo told; exit 3" TERM INT HUP; {TELL}; while :; do sleep 0.1; done')
    assert process.stdout
    dsn = process.stdout.readline().strip()
    process.send_signal(number)
    said, _ = process.communicate(timeout=LONG_S)
    assert (said, process.returncode) == ("told\n", 3)
    assert not is_served(dsn)
    assert list(folder.iterdir()) == []
