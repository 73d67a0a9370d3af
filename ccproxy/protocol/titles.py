"""What a session is called: as the model named it, else how its first message begins, reminders of the client left out.

Refuses to cut a character in two.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ccproxy.protocol.parts import json_value

LONGEST = 80  # characters
_REMINDER = re.compile(r"<system-reminder>.*?(?:</system-reminder>|\Z)", re.DOTALL)


def title(named: str | None, first_texts: Sequence[str]) -> str:
    """Return a title of one line; empty where nothing was said."""
    for text in (_answered(named), *(_REMINDER.sub("", text) for text in first_texts)):
        line = " ".join(text.split())
        if line:
            return line if len(line) <= LONGEST else f"{line[: LONGEST - 1].rstrip()}…"
    return ""


def _answered(text: str | None) -> str:
    """Return the title in an answer, which may be JSON with the title in it."""
    if not text:
        return ""
    value = json_value(text.strip().encode("utf-8", "replace"))
    if isinstance(value, dict):
        found = value.get("title")
        return found if isinstance(found, str) else ""
    return text
