"""Texts and JSON in which whatever matches a pattern is masked.

In JSON each string is searched as the text that it stands for, so that no spelling hides a match and no match takes the JSON
apart; what matches across strings (`"password":\\s*"[^"]*"`) masks each string, number or word that it touches as a whole. A text
may come in pieces, and a match that is spread over them is masked in all. Refuses to know what is secret, and where texts go.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from ccproxy.protocol.fragment import closed
from ccproxy.protocol.surrogates import decoded

MASK = "[redacted]"

_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+'
_OPEN_STRING = re.compile(rf'{_STRING}(?:(?P<end>")|\\?\Z)', re.DOTALL)  # also one that broke off
_TOKEN = re.compile(rf'{_STRING}"|[^\s,:{{}}\[\]"]+', re.DOTALL)
_HALF = re.compile("[\ud800-\udfff]")  # no text in UTF-8
_decode = msgspec.json.Decoder(msgspec.Raw).decode

Span = tuple[int, int]
Edit = tuple[int, int, str]  # from, to, and what stands there instead


class Redaction:
    """Masks what matches one of the patterns. Two are equal where their patterns are."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = tuple(re.compile(pattern) for pattern in patterns)

    def __repr__(self) -> str:
        return f"<Redaction of {len(self._patterns)} patterns>"

    def text(self, text: str) -> str:
        """Return a plain text, such as a header's value, with every match masked."""
        for pattern in self._patterns:
            text = pattern.sub(MASK, text)
        return text

    def body(self, data: bytes) -> bytes:
        """Return a body, or a piece of one that is searched by itself, with every match masked. Other bytes stay as they are."""
        text = data.decode("utf-8", "surrogateescape")
        [masked] = self.pieces([text])
        return data if masked == text else masked.encode("utf-8", "surrogateescape")

    def pieces(self, pieces: Sequence[str]) -> Sequence[str]:
        """Return the pieces of one text with every match masked; what is masked stands in the piece in which it began."""
        for search in (self._in_strings, self._in_whole):
            edits = search("".join(pieces))
            if edits:
                pieces = list(_spread(pieces, edits))
        return pieces

    def _in_strings(self, text: str) -> list[Edit]:
        """Return what changes in the strings of JSON, and in what looks like such a string though it stands in no JSON."""
        json_like = _is_json(text) or closed(text) is not None
        edits = []
        for found in _OPEN_STRING.finditer(text):
            if json_like or "\\" in found[0]:
                plain = _plain(found)
                masked = self.text(plain)
                if masked != plain:
                    edits.append((*found.span(), _spelled(masked, whole=bool(found["end"]))))
        return edits

    def _in_whole(self, text: str) -> list[Edit]:
        """Return what changes where matches go beyond one string."""
        spans = list(_merged(found.span() for pattern in self._patterns for found in pattern.finditer(text)))
        if spans and _is_json(text):
            return _touched(text, spans)
        return [(start, end, MASK) for start, end in spans]


def _is_json(text: str) -> bool:
    """Return whether a text is a JSON object or list."""
    try:
        decoded(_decode, text.encode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        return False
    return text.lstrip()[:1] in ("{", "[")


def _plain(found: re.Match[str]) -> str:
    """Return the text that a string in JSON stands for, and of a string that is none what stands between the quotes."""
    inside = found[0][1:-1] if found["end"] else found[0][1:]
    if "\\" not in inside:
        return inside
    try:
        value: Any = json.loads(f'"{inside}"', strict=False)
    except ValueError:
        return inside
    return str(value)


def _spelled(plain: str, *, whole: bool) -> str:
    """Return a text as a string in JSON, without its last quote where it is not whole."""
    spelled = json.dumps(plain, ensure_ascii=_HALF.search(plain) is not None)
    return spelled if whole else spelled[:-1]


def _merged(spans: Iterable[Span]) -> Iterator[Span]:
    """Yield the spans in their order, those that overlap as one."""
    last: Span | None = None
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if last and start < last[1]:
            last = (last[0], max(last[1], end))
            continue
        if last:
            yield last
        last = (start, end)
    if last:
        yield last


def _touched(text: str, spans: Sequence[Span]) -> list[Edit]:
    """Return the strings, numbers and words of JSON that a span touches; strings by themselves have been searched before."""
    tokens = [found.span() for found in _TOKEN.finditer(text)]
    starts = [start for start, _ in tokens]
    edits: dict[int, Edit] = {}
    for start, end in spans:
        first = max(bisect_right(starts, start) - 1, 0)
        if tokens and _is_inside(text, tokens[first], start, end):
            continue
        for number in range(first, bisect_right(starts, end - 1)):
            if tokens[number][1] > start:
                edits[number] = (*tokens[number], f'"{MASK}"')
    return [edits[number] for number in sorted(edits)]


def _is_inside(text: str, token: Span, start: int, end: int) -> bool:
    """Return whether a span lies within one string, between its quotes."""
    return text[token[0]] == '"' and token[0] < start and end < token[1]


def _spread(pieces: Iterable[str], edits: Iterable[Edit]) -> Iterator[str]:
    """Yield the pieces with the edits made, each in the piece in which it begins."""
    waiting = list(reversed(list(edits)))
    begin = 0
    for piece in pieces:
        end, place, kept = begin + len(piece), begin, []
        while waiting and waiting[-1][0] < end:
            start, stop, instead = waiting[-1]
            if start >= begin:
                kept += [piece[place - begin : start - begin], instead]
            place = min(stop, end)
            if stop > end:
                break
            waiting.pop()
        yield "".join([*kept, piece[place - begin :]])
        begin = end
