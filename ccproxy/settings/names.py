"""Which keys and sections there are, and which of them somebody may have meant.

Refuses to know what a key stands for, and in which source it was written.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from ccproxy.settings import inherited
from ccproxy.settings.found import quoted
from ccproxy.settings.providers import owner, siblings, trouble
from ccproxy.settings.tree import BY_KEY, row_of


def sections(keys: Iterable[str]) -> list[str]:
    """Return the sections in which keys stand, outer before inner, each once."""
    parts = [key.split(".") for key in keys]
    return list(dict.fromkeys(".".join(part[:depth]) for part in parts for depth in range(1, len(part))))


KEYS = dict.fromkeys([*BY_KEY, *inherited.KEYS])
SECTIONS = sections(KEYS)
_TOP_LEVEL = "|".join(section for section in SECTIONS if "." not in section)
OUR_KEY = re.compile(rf"""^["'{{]?(?:{_TOP_LEVEL})(?:\.[\w.-]+)?["']?[ \t]*:""", re.MULTILINE)


def is_key(key: str) -> bool:
    """Tell whether there is a setting of this key, or one that does nothing."""
    return key in KEYS or row_of(key) is not None


def is_section(key: str) -> bool:
    """Tell whether keys stand below this one."""
    return key in SECTIONS or (bool(owner(key)) and key.count(".") == 1)


def unknown(key: str) -> str:
    """Return what to say of a key that there is not."""
    near = nearest(key)
    hint = f'did you mean "{near}"?' if near else "config.yaml.example has them all"
    return f"unknown key {quoted(key)}; {trouble(key) or hint}"


def nearest(key: str) -> str | None:
    """Return the valid key whose last name looks most like this one's: in the same section, else in any."""
    section, _, last = key.rpartition(".")
    names = [*KEYS, *SECTIONS, *(row.key for row in siblings(key))]
    for candidates in ([name for name in names if name.rpartition(".")[0] == section], names):
        by_last = {name.rpartition(".")[2]: name for name in reversed(candidates)}
        if close := difflib.get_close_matches(last, by_last, n=1):
            return by_last[close[0]]
    return None
