"""Words as SQLite's full-text index finds them, for a store whose database sees words in another way.

A word is a run of letters and digits as `unicode61 remove_diacritics 2` takes them: no case, no accents; what stands between
words does not count. A text is turned into its words with one space between each two, so that words in a row are a piece of
it. What a character counts as stands in `unicode61.txt`, which a test compares with SQLite. Refuses to know SQL.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources

Phrase = list[str]  # words that stand in a row

LONGEST = 256  # characters of a word that are kept; a longer one is known by its digest
COMPARED_BYTES = 1 << 15  # of a word, as in SQLite
BETWEEN = "."  # stands between the words of two columns, and is no word
SNIPPET_WORDS = 24
_BEFORE = 8  # of them before the first hit
_STRETCH = 4000  # characters that are looked at in one go for a hit to show
_RUN = re.compile("[^ ]+")


def _letters() -> tuple[dict[int, str | None], dict[int, str]]:
    """Return what becomes of each character that is no word's as it is, and the separators among them."""
    file = resources.files("ccproxy.stores") / "unicode61.txt"
    separators, dropped, folded = file.read_text("utf-8").split("\n\n")
    apart = dict.fromkeys([*_characters(separators), *range(0xD800, 0xE000)], " ")  # half characters are replaced
    changes = {ord(letter): group[0] for group in folded.split() for letter in group[1:]}
    return {**apart, **dict.fromkeys(_characters(dropped)), **changes}, apart


def _characters(ranges: str) -> Iterator[int]:
    for part in ranges.split():
        first, _, last = part.partition("-")
        yield from range(int(first, 16), int(last or first, 16) + 1)


_FOLDED, _SEPARATED = _letters()


def words_of(text: str) -> Phrase:
    """Return the words of a text, in order."""
    words = text.translate(_FOLDED).split()
    if max(map(len, words), default=0) > LONGEST:
        return [_short(word) if len(word) > LONGEST else word for word in words]
    return words


def _short(word: str) -> str:
    return BETWEEN + hashlib.blake2b(word.encode()[:COMPARED_BYTES], digest_size=16).hexdigest()


def indexed(*columns: str | None) -> str:
    """Return the words of several columns as one text; none that stand in a row there stand in two columns."""
    return f" {BETWEEN} ".join(" ".join(words_of(text)) for text in columns if text)


def wanted(words: str) -> list[Phrase] | None:
    """Return what a search asks for: of each piece between blanks its words in a row; None where it asks for nothing.

    Pieces without a word ask for nothing; a search of such pieces alone gives an empty list, and finds nothing.
    """
    pieces = words.replace("\0", " ").split()
    return [phrase for phrase in map(words_of, pieces) if phrase] if pieces else None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a word stands in a text."""

    word: str
    start: int
    end: int


def snippet(text: str, phrases: Sequence[Phrase]) -> str:
    """Return a piece of a text around its first hit, with hits in brackets; its beginning where there is none."""
    start = _stretch(text, phrases)
    piece = text[start : start + 2 * _STRETCH]
    places = list(_places(piece))
    first = next((n for n in range(len(places)) if _hit(places, n, phrases)), 0)
    begin = max(0, first - _BEFORE)
    shown = places[begin : begin + SNIPPET_WORDS]
    if not shown:
        return ""
    before = " … " if start or begin else piece[: shown[0].start]
    after = " … " if start + shown[-1].end < len(text.rstrip()) else ""
    return f"{before}{_marked(piece, shown, phrases)}{after}"


def _stretch(text: str, phrases: Sequence[Phrase]) -> int:
    """Return where the stretch begins in which a hit stands: to place every word of a long text takes long."""
    wanted = [f" {' '.join(phrase)} " for phrase in phrases]
    for start in range(0, len(text), _STRETCH):
        words = f" {' '.join(words_of(text[start : start + 2 * _STRETCH]))} "
        if any(phrase in words for phrase in wanted):
            return start
    return 0


def _places(text: str) -> Iterator[_Place]:
    for run in _RUN.finditer(text.translate(_SEPARATED)):
        for word in words_of(run[0]):
            yield _Place(word, run.start(), run.end())


def _hit(places: Sequence[_Place], number: int, phrases: Sequence[Phrase]) -> int:
    """Return how many words of a hit begin with the word of that number."""
    lengths = (
        len(phrase) for phrase in phrases if phrase == [place.word for place in places[number : number + len(phrase)]]
    )
    return max(lengths, default=0)


def _marked(text: str, places: Sequence[_Place], phrases: Sequence[Phrase]) -> str:
    pieces: list[str] = []
    done, number = places[0].start, 0
    while number < len(places):
        if more := _hit(places, number, phrases):
            start, end = places[number].start, places[number + more - 1].end
            pieces += (text[done:start], "[", text[start:end], "]")
            done = end
        number += more or 1
    return "".join([*pieces, text[done : places[-1].end]])
