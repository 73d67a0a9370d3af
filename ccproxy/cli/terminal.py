"""How text and figures look on a terminal.

Promises that nothing captured speaks to the terminal: what leaves here has no control characters, no marks that turn the
direction of writing, and no half characters. Refuses to know what the text is about.
"""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from typing import Any

import click

from ccproxy.settings import environment

_DIRECTION = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_CONTROL = re.compile(rf"[\x00-\x08\x0b-\x1f\x7f-\x9f{_DIRECTION}]")  # all but line feed and tab
_HALF = re.compile("[\ud800-\udfff]")
_IN_JSON = re.compile(rf"[\x7f-\x9f\u2028\u2029\ud800-\udfff{_DIRECTION}]")


def clean(text: str) -> str:
    """Return text without what would speak to the terminal; lines and tabs stay."""
    return _HALF.sub("\ufffd", _CONTROL.sub("", text))


def clean_line(text: str) -> str:
    """Return text as one clean line, with one space for any white space."""
    return " ".join(clean(text).split())


def json_text(value: Any) -> str:
    """Return a value as readable JSON in which what would speak to the terminal is escaped, so that nothing is lost."""
    written = json.dumps(value, indent=2, ensure_ascii=False)
    return _IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", written)


def fit(text: str, width: int, align: str = "<") -> str:
    """Return text cut or filled up to so many columns; some characters are two wide, some none."""
    text = clean_line(text)
    while _width(text) > width:
        text = text[:-2].rstrip() + "…"
    space = " " * (width - _width(text))
    return text + space if align == "<" else space + text


def _width(text: str) -> int:
    return sum(0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF") for char in text)


def echo(text: str, **style: Any) -> None:
    """Print a line, in a style where standard output is a terminal whose owner did not ask for plain text."""
    click.echo(click.style(text, **style) if style and "NO_COLOR" not in environment() else text)


def write_bytes(body: bytes) -> None:
    """Print bytes as they are; on a terminal only what is text of them, and say so."""
    if sys.stdout.isatty():
        text = clean(body.decode("utf-8", "replace"))
        click.echo(text)
        if text.encode() != body:
            click.echo("ccproxy: shown without control characters; the exact bytes go to a file or a pipe", err=True)
    else:
        sys.stdout.buffer.write(body)
        sys.stdout.buffer.flush()


def tokens(number: int | None) -> str:
    """Return a number of tokens, short: 950, 12.3k, 1.2M."""
    if number is None:
        return "-"
    if number < 10_000:
        return str(number)
    return f"{number / 1000:.1f}k" if number < 999_950 else f"{number / 1e6:.1f}M"


def milliseconds(value: float | None) -> str:
    """Return a time, short: 85ms, 1.24s, 3m07s."""
    if value is None:
        return "-"
    if value < 999.5:
        return f"{value:.0f}ms"
    if value < 119_995:
        return f"{value / 1000:.2f}s"
    minutes, seconds = divmod(round(value / 1000), 60)
    return f"{minutes}m{seconds:02d}s"


def count(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
