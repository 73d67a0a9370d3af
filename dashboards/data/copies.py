"""An exchange in forms that others can use: a command for curl, and JSON with everything in it.

No credential is in either: masked headers are left out, and the key is taken from the environment. Whatever was captured is quoted,
so that it cannot end the command. Refuses to shorten anything.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

Headers = Sequence[tuple[str, str]]
INLINE_BYTES = 8000  # a longer body goes by a file
BASE = '"${ANTHROPIC_BASE_URL:-https://api.anthropic.com}"'
KEY = '-H "x-api-key: $ANTHROPIC_API_KEY"'
_LEFT_OUT = {
    "host", "connection", "content-length", "transfer-encoding", "accept-encoding", "keep-alive", "te", "trailer", "upgrade", "expect",
    "authorization", "x-api-key", "proxy-authorization", "proxy-connection", "cookie",
}  # fmt: skip


def curl(row: dict[str, Any], headers: Headers, body: bytes, filename: str) -> str:
    """Return a command that sends the request again. A body that is long or no text is read from the file of that name."""
    target = (row["path"] or "/") + (f"?{row['query']}" if row["query"] else "")
    parts = [f"curl {BASE}{shlex.quote(target)}"]
    if row["method"] != "POST" or not body:
        parts.append(f"-X {shlex.quote(row['method'] or 'POST')}")
    kept = [
        (name, value) for name, value in headers if name.lower() not in _LEFT_OUT and not value.startswith("sha256:")
    ]
    parts += [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in kept]
    parts.append(KEY)
    if row["stream"]:
        parts.append("-N")
    if body:
        parts.append(
            f"--data-raw {shlex.quote(body.decode())}" if _is_short(body) else f"--data-binary @{shlex.quote(filename)}"
        )
    return " \\\n  ".join(parts) + "\n"


def _is_short(body: bytes) -> bool:
    if len(body) > INLINE_BYTES or b"\0" in body:
        return False
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def document(row: dict[str, Any], sides: Mapping[str, tuple[Headers, bytes]]) -> str:
    """Return everything as one JSON document: facts, and of each side headers and body, as JSON where it is that, else as text."""
    facts = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
    told = {
        name: {"headers": [list(pair) for pair in headers], "body": _value(body)}
        for name, (headers, body) in sides.items()
    }
    return json.dumps({**facts, **told}, indent=2, ensure_ascii=False) + "\n"


def _value(body: bytes) -> Any:
    text = body.decode("utf-8", "replace")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text or None
