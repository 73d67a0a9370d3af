"""The demo, made once for all tests that look at it."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ccproxy import demo
from ccproxy.demo.line import Line
from ccproxy.demo.proxy import Ask, Heard, Proxy
from ccproxy.stores.contract import Record
from ccproxy.stores.sqlite import SqliteStore


@dataclass(frozen=True)
class Made:
    """The demo as a store, its rows in the order of time, and what its clients sent."""

    path: Path
    store: SqliteStore
    rows: list[Record]
    asked: Counter[str]

    def where(self, **wanted: Any) -> list[Record]:
        """Return the rows with these values."""
        return [row for row in self.rows if all(row[name] == value for name, value in wanted.items())]

    def request(self, row: Record) -> dict[str, Any]:
        """Return a request's body."""
        body = self.store.body(row["id"], "request")
        assert body
        found: dict[str, Any] = json.loads(body)
        return found

    def said(self, row: Record, side: str = "request") -> dict[str, str]:
        """Return one side's headers."""
        return dict(self.store.headers(row["id"], side) or ())

    def project(self, row: Record) -> str:
        """Return the session's project."""
        cwd = next(r["cwd"] for r in self.rows if r["session_id"] == row["session_id"] and r["cwd"])
        return str(cwd).rsplit("/", 1)[1]

    def threads(self) -> list[list[Record]]:
        """Return the exchanges of each conversation that were answered with a message, in the order of time."""
        found: dict[tuple[str, str | None], list[Record]] = {}
        for row in self.rows:
            if row["kind"] in ("main", "subagent", "compaction") and row["message_id"]:
                found.setdefault((row["session_id"], row["agent_id"]), []).append(row)
        return list(found.values())


def digest(body: bytes | None) -> str:
    """Return what tells a body from others."""
    return sha256(body or b"").hexdigest()


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """Make the demo, and note what its clients send."""
    path = tmp_path_factory.mktemp("demo") / "demo.db"
    asked: Counter[str] = Counter()
    send = Proxy.ask

    async def noting(self: Proxy, ask: Ask, line: Line) -> Heard:
        asked[digest(ask.body)] += 1
        return await send(self, ask, line)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Proxy, "ask", noting)
        assert demo.make(path)
    with contextlib.closing(SqliteStore(path)) as store:
        yield Made(path, store, sorted(store.exchanges(limit=10_000), key=lambda row: row["id"]), asked)
