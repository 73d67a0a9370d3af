"""How a value is read of its text.

Knows what a duration, a size, a switch, a host, an origin or a path looks like. A reader raises `ValueError` for any other
text. Refuses to know which setting it reads, and to word the refusal: `RefusalError` is for the few that need words of their own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from ccproxy.protocol.headers import HOP_BY_HOP, mask_query

LONGEST_DURATION = 365 * 86400.0  # beyond a year it is a slip of the pen, and event loops overflow somewhere above
LONGEST_AGE = 3653 * 86400.0  # ten years: nothing waits for it, and captures may be kept for long
LARGEST_SIZE = 2**53  # exact in every JSON reader

HEADER_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# These belong to a connection or frame a body, so whoever sends the request says them.
_NOT_ONES_OWN = {name.decode() for name in HOP_BY_HOP} | {"content-length", "host"}

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d)\s*")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(?:([kmgt])(i)?)?b?", re.IGNORECASE)
_SWITCH = dict.fromkeys(("true", "yes", "on", "1"), True) | dict.fromkeys(("false", "no", "off", "0"), False)


class RefusalError(ValueError):
    """A value that deserves a sentence of its own: the message goes on after the setting's key."""


def whole(low: int, high: int, text: str) -> int:
    """Read a whole number between two bounds."""
    if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
        raise ValueError
    return int(text)


def duration(text: str, longest: float = LONGEST_DURATION) -> float:
    """Read a number of seconds, or numbers with units."""
    text = text.lower()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        text += "s"
    if not re.fullmatch(rf"(?:{_DURATION_PART.pattern})+", text):
        raise ValueError
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(text))
    if seconds > longest:
        raise ValueError
    return seconds


def positive_duration(text: str) -> float:
    """Read a duration that is not zero."""
    seconds = duration(text)
    if seconds <= 0:
        raise ValueError
    return seconds


def size(text: str) -> int:
    """Read a number of bytes, or a number with a unit; KiB counts by 1024, KB by 1000."""
    match = _SIZE.fullmatch(text)
    if not match:
        raise ValueError
    number, unit, binary = match.groups()
    amount = float(number) * (1024 if binary else 1000) ** (" kmgt".index((unit or " ").lower()))
    if amount > LARGEST_SIZE:
        raise ValueError
    return int(amount)


def switch(text: str) -> bool:
    """Read yes or no, in the words that people use for them."""
    if text.lower() not in _SWITCH:
        raise ValueError
    return _SWITCH[text.lower()]


def choice(choices: tuple[str, ...], text: str) -> str:
    """Read one of a few words, in any case."""
    if text.lower() not in choices:
        raise ValueError
    return text.lower()


def matching(pattern: str, text: str) -> str:
    """Read a text that has this form."""
    if not re.fullmatch(pattern, text):
        raise ValueError
    return text


def base_url(text: str) -> str:
    """Read an address to which paths are added: a slash at its end means nothing."""
    parts = urlsplit(matching(r"[!-~]+", text))
    if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"[@?#\\]", text):
        raise ValueError
    if parts.port == 0:  # reading the port checks its range
        raise ValueError
    return text.rstrip("/")


def api_url(text: str, path: str = "") -> str:
    """Read an address to which paths are added, and whose query stays; `path` is the one that is meant where it has none."""
    address, _, query = text.partition("?")
    base = base_url(address)
    if not re.fullmatch(r"[!-~]*", query) or re.search(r"[@#\\]", query):
        raise ValueError
    if mask_query(query.encode()) != query:
        raise RefusalError(
            "must not hold a key in its query: a key stands under api_key or headers, where it never shows"
        )
    base += "" if urlsplit(base).path else path
    return f"{base}?{query}" if query else base


def path(text: str) -> Path:
    """Read a path; ~ is the user's home."""
    if "\0" in text or not text.encode():  # encode() raises a ValueError where bytes of the environment are not UTF-8
        raise ValueError
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ValueError from error


def lower(pattern: str, text: str) -> str:
    """Read a text that has this form and means the same in any case."""
    return matching(pattern, text).lower()


def origin(text: str) -> str:
    """Read an origin as a browser writes it: in lower case, without the port that its scheme has anyway."""
    if "*" in text:
        raise RefusalError("must name each origin: with a * any web page could read what was captured")
    url = base_url(text).lower()
    parts = urlsplit(url)
    if parts.path:
        raise ValueError
    return url.removesuffix({"http": ":80", "https": ":443"}[parts.scheme])


def expression(text: str) -> str:
    """Read a regular expression; one that matches nothing at all would match everywhere."""
    try:
        if re.compile(text).match(""):
            raise ValueError
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError from error
    return text


def printable(text: str) -> str:
    """Read a line of text."""
    if not text.isprintable():
        raise ValueError
    return text


def plain(pattern: str, text: str) -> str:
    """Read a line of text that has this form."""
    return printable(matching(pattern, text))


def header_name(text: str) -> str:
    """Read the name of a header that one may send of one's own."""
    name = lower(HEADER_NAME, text)
    if name in _NOT_ONES_OWN:
        raise RefusalError(f"must not hold {name}: ccproxy says it itself, for each connection or body")
    return name


def header_value(text: str) -> str:
    """Read the value of a header."""
    return matching(r"[!-~](?:[ -~]*[!-~])?", text)


def optional(read: Callable[[str], str], text: str) -> str:
    """Read a text, or none."""
    return read(text) if text else ""


def commas(text: str) -> list[str]:
    """Take a text apart at its commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def undivided(text: str) -> list[str]:
    """Take a text as the one member of its list, commas and all."""
    return [text] if text else []


def lines(text: str) -> list[str]:
    """Take a text apart into its lines."""
    return [line.strip() for line in text.split("\n") if line.strip()]


def pair(text: str) -> tuple[str, str]:
    """Take a text apart into a name and a value: at the first = where it has one, else at the first colon."""
    return _parted("=" if "=" in text else ":", text)


def header_pair(text: str) -> tuple[str, str]:
    """Take a line apart into a header's name and value."""
    return _parted(":", text)


def _parted(mark: str, text: str) -> tuple[str, str]:
    name, found, value = text.partition(mark)
    if not found:
        raise ValueError
    return name.strip(), value.strip()
