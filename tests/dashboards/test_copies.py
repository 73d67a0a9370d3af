"""An exchange as a command and as JSON: whole, without credentials, and safe to paste."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime
from typing import Any

from dashboards.data import copies

ROW = {"method": "POST", "path": "/v1/messages", "query": "beta=true", "stream": True}
HEADERS = [
    ("content-type", "application/json"), ("authorization", "sha256:2ba3fb16fa80"), ("x-custom-key", "sha256:2ba3fb16fa80"),
    ("anthropic-version", "2023-06-01"), ("host", "localhost:3001"), ("accept-encoding", "gzip, br"), ("content-length", "3"),
]  # fmt: skip


def _arguments(command: str) -> list[str]:
    """Return what curl would be given by a shell."""
    script = f"curl() {{ printf '%s\\0' \"$@\"; }}\n{command}"
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        check=True,
        env={"ANTHROPIC_API_KEY": "key", "PATH": "/usr/bin:/bin"},
    )
    return done.stdout.decode().split("\0")[:-1]


def test_the_command_sends_the_request_again() -> None:
    """It has the address, the headers that matter and the body; the key comes from the environment."""
    found = _arguments(copies.curl(ROW, HEADERS, b'{"a": "it\'s"}', "request.json"))
    assert found == [
        "https://api.anthropic.com/v1/messages?beta=true", "-H", "content-type: application/json", "-H", "anthropic-version: 2023-06-01",
        "-H", "x-api-key: key", "-N", "--data-raw", '{"a": "it\'s"}',
    ]  # fmt: skip


def test_no_credential_is_in_the_command() -> None:
    """Masked headers are left out, whatever they are called."""
    assert "sha256" not in copies.curl(ROW, HEADERS, b"{}", "request.json")


def test_a_long_body_comes_from_a_file() -> None:
    """A body that is long, or no text, is read from the file that is downloaded beside it."""
    for body in (b"x" * (copies.INLINE_BYTES + 1), b"\xff", b"a\0b"):
        assert _arguments(copies.curl(ROW, [], body, "request-1.json"))[-2:] == ["--data-binary", "@request-1.json"]


def test_captured_text_cannot_end_the_command() -> None:
    """Hostile paths, headers and bodies stay arguments."""
    evil = "'; touch /tmp/pwned #$(id)`id`\"\\\n"
    row = {"method": f"GET{evil}", "path": f"/{evil}", "query": evil, "stream": False}
    found = _arguments(copies.curl(row, [(f"x{evil}", evil)], b"", "f"))
    assert found == [
        f"https://api.anthropic.com/{evil}?{evil}",
        "-X",
        f"GET{evil}",
        "-H",
        f"x{evil}: {evil}",
        "-H",
        "x-api-key: key",
    ]
    assert _arguments(copies.curl(ROW, [], evil.encode(), "f"))[-1] == evil


def test_the_document_has_everything() -> None:
    """Facts, headers and all bodies are in the JSON: bodies as JSON where they are that, else as text."""
    row: dict[str, Any] = {"exchange_id": "x", "started_at": datetime(2025, 1, 2, tzinfo=UTC), "status": None}
    found = json.loads(
        copies.document(row, {"request": (HEADERS, b'{"a": 1}'), "sent": ([], b"{}"), "response": ([], b"data: x\n\n")})
    )
    assert found["request"]["body"] == {"a": 1}
    assert found["request"]["headers"][0] == ["content-type", "application/json"]
    assert found["sent"] == {"headers": [], "body": {}}
    assert found["response"] == {"headers": [], "body": "data: x\n\n"}
    assert (found["started_at"], found["status"]) == ("2025-01-02T00:00:00+00:00", None)
    assert json.loads(copies.document(row, {"request": ([], b"")}))["request"]["body"] is None
