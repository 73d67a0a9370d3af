"""Taking over what the original proxy recorded."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path

from ccproxy.ingest.original import captured_of, take_over
from ccproxy.stores.sqlite import SqliteStore
from tests.support.proxy import Proxy, client, request
from tests.support.standin import StandIn, json_answer, message, text, text_stream

TABLE = """CREATE TABLE IF NOT EXISTS requests (
  id TEXT PRIMARY KEY, timestamp DATETIME DEFAULT CURRENT_TIMESTAMP, method TEXT NOT NULL, endpoint TEXT NOT NULL,
  headers TEXT NOT NULL, body TEXT NOT NULL, user_agent TEXT, content_type TEXT, prompt_grade TEXT, response TEXT,
  model TEXT, original_model TEXT, routed_model TEXT, created_at DATETIME DEFAULT CURRENT_TIMESTAMP)"""


def _row(number: int, body: object, response: object) -> tuple[str, ...]:
    headers = {
        "User-Agent": ["claude-cli/1.0.6 (external, cli)"],
        "Cookie": ["in-the-clear"],
        "X-Api-Key": ["sha256:abc"],
    }
    return (
        f"{number:016x}", f"2026-01-04T10:00:{number:02d}+02:00", "POST", "/v1/messages", json.dumps(headers),
        json.dumps(body), json.dumps(response) if response else None,
    )  # type: ignore[return-value]  # fmt: skip


def _original(path: Path) -> Path:
    """Make a `requests.db` as the original leaves it: a stream, a JSON answer, and a request without an answer."""
    lines = [
        line for event in text_stream("streamed") for line in event.decode().splitlines() if line.startswith("data:")
    ]
    rows = [
        _row(1, request("one"), {"statusCode": 200, "headers": {"Content-Type": ["text/event-stream"]}, "responseTime": 1500,
                                 "streamingChunks": lines, "isStreaming": True}),
        _row(2, request("two"), {"statusCode": 200, "headers": {"Content-Type": ["application/json"]}, "responseTime": 20,
                                 "body": message([text("plain")])}),
        _row(3, request("three"), None),
    ]  # fmt: skip
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute(TABLE)
        db.executemany(
            "INSERT INTO requests (id, timestamp, method, endpoint, headers, body, response) VALUES (?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        db.commit()
    return path


def test_every_row_becomes_an_exchange_once(tmp_path: Path) -> None:
    """The original's rows are exchanges with model, answer, times and state; taking over again adds nothing."""
    with contextlib.closing(SqliteStore(_original(tmp_path / "requests.db"), write=True)) as store:
        assert take_over(store) == 3
        assert take_over(store) == 0
        one, two, three = store.exchanges(limit=10)[::-1]
        assert [row["state"] for row in (one, two, three)] == ["complete", "complete", "interrupted"]
        assert (one["requested_model"], one["duration_ms"], one["status"]) == ("claude-opus-4-8", 1500.0, 200)
        assert json.loads(store.conversation(one["reply"])[-1])["content"][0]["text"] == "streamed"
        assert json.loads(store.conversation(two["reply"])[-1])["content"][0]["text"] == "plain"
        assert json.loads(store.body(three["id"], "request") or b"") == request("three")
        assert one["started_at"] == 1767513601000000
        headers = dict(store.headers(one["id"], "request") or [])
        assert headers["x-api-key"] == "sha256:abc"
        assert headers["cookie"].startswith("sha256:")


def test_a_row_that_says_nothing_is_survived() -> None:
    """Rows with broken JSON and times become exchanges as far as they can."""
    captured = captured_of(
        {
            "id": "x",
            "timestamp": "yesterday",
            "method": "POST",
            "endpoint": "/v1/messages",
            "headers": "{",
            "body": "[",
            "response": "{",
        }
    )
    assert (captured.opened_at, captured.opening.headers, captured.request) == (0, [], b"[")


async def test_serving_on_an_original_store_keeps_both(tmp_path: Path) -> None:
    """`ccproxy serve` on an original's file takes its rows over, adds its own, and leaves the original's table as it was."""
    _original(tmp_path / "requests.db")
    async with StandIn([json_answer(message([text("new")]))]) as up, Proxy(up.url, tmp_path) as proxy, client() as http:
        await http.post(f"{proxy.url}/v1/messages", json=request("four"))
        rows = await proxy.ended(4)
        assert [row["state"] for row in rows] == ["complete", "complete", "interrupted", "complete"]
        await proxy.stop()
    with contextlib.closing(sqlite3.connect(tmp_path / "requests.db")) as db:
        assert db.execute("SELECT count(*) FROM requests").fetchone() == (3,)
