"""`ccproxy db reset`: captures are deleted on purpose only."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner

from ccproxy.cli import main
from tests.cli.conftest import Captured, invoke, refusal
from tests.support.proxy import Proxy
from tests.support.standin import StandIn


@pytest.fixture
def store(captured: Captured, tmp_path: Path) -> Path:
    """A store of its own that may be deleted."""
    return Path(shutil.copy(captured.db, tmp_path / "requests.db"))


def test_nothing_is_deleted_without_a_yes(store: Path) -> None:
    """It asks, says how much it is about, and a no deletes nothing."""
    result = CliRunner().invoke(main, ["db", "reset", "--db", str(store)], input="n\n")
    assert "exchanges in" in result.output
    assert "nothing was deleted" in result.output
    assert store.exists()


def test_a_yes_deletes_store_and_journal(store: Path) -> None:
    """After a yes neither the store nor what was on its way to it is left."""
    journal = store.with_name("requests.journal")
    journal.mkdir()
    (journal / "w-00000001.journal").write_bytes(b"frames")
    result = CliRunner().invoke(main, ["db", "reset", "--db", str(store)], input="y\n")
    assert result.exit_code == 0
    assert not store.exists()
    assert not list(journal.glob("*.journal"))


def test_it_can_be_told_not_to_ask(store: Path) -> None:
    """`--yes` is for scripts; where there is nothing to delete, that is fine too."""
    assert "deleted" in invoke("db", "reset", "--yes", "--db", store).stderr
    assert "nothing to delete" in invoke("db", "reset", "--yes", "--db", store).stderr


def test_a_file_of_another_program_is_left_alone(tmp_path: Path) -> None:
    """What is not a store of ours is never deleted."""
    foreign = tmp_path / "foreign.db"
    db = sqlite3.connect(foreign)
    db.execute("CREATE TABLE precious (x)")
    db.close()
    code, sentence = refusal("db", "reset", "--yes", "--db", foreign)
    assert (code, foreign.exists()) == (1, True)
    assert "some other program" in sentence


async def test_a_running_proxy_is_not_robbed(tmp_path: Path) -> None:
    """Under a running proxy it refuses."""
    async with StandIn([]) as up, Proxy(up.url, tmp_path) as proxy:
        await proxy.until(lambda: (proxy.journal / "ingest.lock").exists() and proxy.db.stat().st_size > 0)
        code, sentence = refusal("db", "reset", "--yes", "--db", proxy.db)
        assert (code, proxy.db.exists()) == (1, True)
        assert "stop it first" in sentence
