"""The kinds of settings: what a value must be, in words, how it is read, and how it is written.

Refuses to know which settings there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ccproxy.settings import readers


@dataclass(frozen=True, slots=True)
class Names:
    """How the name of a member is read, and how a member's text is taken apart into its name and its value."""

    read: Callable[[str], str]
    part: Callable[[str], tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Kind:
    """What values a setting takes: `what` completes the sentence "it must be …", `read` makes the value of its text.

    `write` makes a text of a value, which reads as the same value. A list has `item` and `split` as well: how one member is
    read, and how a text is taken apart into its members; where each member has a name, `names` tells how that is read.
    """

    what: str
    read: Callable[[str], Any]
    write: Callable[[Any], str] = str
    item: Callable[[str], Any] | None = None
    split: Callable[[str], list[str]] | None = None
    names: Names | None = None


def _list(what: str, item: Callable[[str], Any], split: Callable[[str], list[str]] = readers.commas) -> Kind:
    return Kind(what, lambda text: tuple(item(part) for part in split(text)), _members, item, split)


def _pairs(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())


def _header_lines(headers: Mapping[str, str]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in headers.items())


def _mapping(
    what: str,
    names: Names,
    item: Callable[[str], Any],
    write: Callable[[Any], str] = _pairs,
    split: Callable[[str], list[str]] = readers.commas,
) -> Kind:
    def read(text: str) -> dict[str, Any]:
        return {names.read(name): item(value) for name, value in map(names.part, split(text))}

    return Kind(what, read, write, item, split, names)


def _members(values: tuple[object, ...]) -> str:
    return ", ".join(map(str, values))


def _duration(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        if seconds and seconds % length == 0:
            return f"{seconds / length:.0f}{unit}"
    return f"{seconds:.6f}".rstrip("0") + "s" if seconds else "0"


def _size(number: int) -> str:
    for power, letter in ((4, "T"), (3, "G"), (2, "M"), (1, "K")):
        for base, rest in ((1000, "B"), (1024, "iB")):
            if number and number % base**power == 0:
                return f"{number // base**power}{letter}{rest}"
    return str(number)


def _switch(value: bool) -> str:
    return "true" if value else "false"


_HOST = r"[\w.-]+|[0-9a-fA-F:]*:[0-9a-fA-F]*:[0-9a-fA-F:.]*(?:%\w+)?"
_NAMES = Names(partial(readers.plain, r"[^,=]+"), readers.pair)  # so that names and values can be told apart in a text

PORT = Kind("a whole number from 0 to 65535", partial(readers.whole, 0, 65535))
WORKERS = Kind("a whole number from 1 to 64", partial(readers.whole, 1, 64))
RETRIES = Kind("a whole number from 0 to 20", partial(readers.whole, 0, 20))
STATUSES = _list("status codes from 400 to 599", partial(readers.whole, 400, 599))
DURATION = Kind("a duration such as 0, 600, 90s, 10m or 1h30m, of a year at most", readers.duration, _duration)
POSITIVE_DURATION = Kind(
    "a duration such as 600, 90s, 10m or 1h30m, above zero and of a year at most", readers.positive_duration, _duration
)
AGE = Kind(
    "an age such as 0, 12h or 90d, of ten years at most",
    partial(readers.duration, longest=readers.LONGEST_AGE),
    _duration,
)
SIZE = Kind("a size such as 0, 1024, 50MB or 1 GiB", readers.size, _size)
SWITCH = Kind("true or false", readers.switch, _switch)
LEVEL = Kind("one of debug, info, warning, error", partial(readers.choice, ("debug", "info", "warning", "error")))
FORMAT = Kind("text or json", partial(readers.choice, ("text", "json")))
STORE_TYPE = Kind("sqlite or postgres", partial(readers.choice, ("sqlite", "postgres")))
HOST = Kind("a host name or an address, without a port", partial(readers.matching, _HOST))
HOSTS = _list("host names or addresses, without ports", partial(readers.lower, _HOST))
ORIGINS = _list("web origins such as https://example.org or http://localhost:8080, without a path", readers.origin)
WORD = Kind("one word of visible characters", partial(readers.matching, r"[!-~]+"))
TOKEN = Kind(WORD.what, partial(readers.optional, WORD.read))
PASSWORD = Kind("one line of text", readers.printable)
HEADER = Kind("the name of a header", partial(readers.lower, readers.HEADER_NAME))
HEADERS = _mapping(
    "headers such as X-Title: mine, of visible characters",
    Names(readers.header_name, readers.header_pair),
    readers.header_value,
    _header_lines,
    readers.lines,
)
BASE_URL = Kind("an http or https address with a host, and without user, query and fragment", readers.base_url)
PUBLIC_URL = Kind(BASE_URL.what, partial(readers.optional, readers.base_url))
API_URL = Kind(
    "an http or https address with a host, which may have a path and a query, and without user and fragment",
    partial(readers.optional, readers.api_url),
)
OPENAI_URL = Kind(API_URL.what, partial(readers.api_url, path="/v1"))
PROTOCOL = Kind("anthropic or openai", partial(readers.choice, ("anthropic", "openai")))
LIMITS = _mapping(
    "models with the most tokens that they write, from 1 to 10000000, as in gpt-4o=16384, *=32768",
    _NAMES,
    partial(readers.whole, 1, 10_000_000),
)
AGENTS = _mapping(
    "agents with the model that answers each, as in code-reviewer:gpt-4o, data-analyst:openai:o3",
    _NAMES,
    partial(readers.plain, r"[^,]+"),
)
PATTERNS = _list(
    "patterns of paths such as /v1/*, each with / or * at its beginning", partial(readers.matching, r"[/*][!-~]*")
)
EXPRESSIONS = _list(
    "a regular expression, and one that needs something to match", readers.expression, readers.undivided
)
PATH = Kind("a path", readers.path)
PATHS = _list("paths", readers.path)
ANY_PATH = Kind(PATH.what, lambda text: readers.path(text) if text else None, lambda path: str(path or ""))
