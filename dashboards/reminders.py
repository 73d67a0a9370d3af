"""What the client puts into texts beside what a person or a tool said: system reminders, and lists of functions.

Knows their tags alone. Refuses to know what is in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

_TAGGED = re.compile(r"<(system-reminder|functions)>(.*?)</\1>", re.DOTALL)
NAMES = {"system-reminder": "system reminder", "functions": "block of functions"}


class Reminder(NamedTuple):
    """A piece that is folded away: what it is called, and its text without the tags."""

    name: str
    text: str


def parted(text: str) -> tuple[str, list[Reminder]]:
    """Return a text without its reminders, and these."""
    if "<" not in text:
        return text, []
    found = [Reminder(NAMES[match[1]], match[2].strip("\n")) for match in _TAGGED.finditer(text)]
    return (_TAGGED.sub("", text).strip("\n") if found else text), found


def only_reminders(blocks: Iterable[dict[str, Any]]) -> bool:
    """Tell whether blocks hold nothing but reminders."""
    return all(
        block.get("type") == "text" and isinstance(block.get("text"), str) and not parted(block["text"])[0].strip()
        for block in blocks
    )
