"""Which keys and sections there are, and which of them somebody may have meant.

Refuses to know what a key stands for, and in which source it was written.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from ccproxy.settings import inherited
from ccproxy.settings.found import quoted
from ccproxy.settings.tree import BY_KEY


def sections(keys: Iterable[str]) -> list[str]:
    """Return the sections in which keys stand, outer before inner, each once."""
    parts = [key.split(".") for key in keys]
    return list(dict.fromkeys(".".join(part[:depth]) for part in parts for depth in range(1, len(part))))


KEYS = dict.fromkeys([*BY_KEY, *(row.key for row in inherited.INHERITED)])
SECTIONS = sections(KEYS)
_TOP_LEVEL = "|".join(section for section in SECTIONS if "." not in section)
OUR_KEY = re.compile(rf"""^["'{{]?(?:{_TOP_LEVEL})(?:\.[\w.]+)?["']?[ \t]*:""", re.MULTILINE)


def unknown(key: str) -> str:
    """Return what to say of a key that there is not."""
    near = nearest(key)
    return f"unknown key {quoted(key)}; " + (f'did you mean "{near}"?' if near else "config.yaml.example has them all")


def nearest(key: str) -> str | None:
    """Return the valid key whose last name looks most like this one's: in the same section, else in any."""
    section, _, last = key.rpartition(".")
    names = [*KEYS, *SECTIONS]
    for candidates in ([name for name in names if name.rpartition(".")[0] == section], names):
        by_last = {name.rpartition(".")[2]: name for name in reversed(candidates)}
        if close := difflib.get_close_matches(last, by_last, n=1):
            return by_last[close[0]]
    return None
