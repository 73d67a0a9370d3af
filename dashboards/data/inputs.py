"""A tool call's input in one line, for tables: what it is about first, then what else is short.

Refuses to know tools; an input that is no JSON object is shown as it is.
"""

from __future__ import annotations

import json
from typing import Any

ABOUT = ("command", "file_path", "notebook_path", "pattern", "query", "url", "subject", "description", "prompt", "path")
LONGEST, SHORT, MOST = 160, 32, 3  # characters of the line, and of what else is told, and how many of these


def line(text: str | None) -> str:
    """Return an input, as its JSON, in one line."""
    if not text:
        return ""
    try:
        given = json.loads(text)
    except ValueError:
        return _cut(text)
    if not isinstance(given, dict):
        return _cut(text)
    about = next((name for name in ABOUT if isinstance(given.get(name), str) and given[name]), None)
    if about is None:
        return _cut(text)
    rest = [f"{name} {_said(value)}" for name, value in given.items() if name != about and len(_said(value)) <= SHORT]
    return " · ".join([_cut(given[about]), *rest[:MOST]])


def _said(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _cut(text: str) -> str:
    words = " ".join(text[: 4 * LONGEST].split())
    return words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"
