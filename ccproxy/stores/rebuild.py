"""How a request's body is kept against its parts, and given back byte for byte.

A body is mostly its parts, spelled as they were when they were first seen; those runs are kept as numbers. What stands
between them, and what is spelled in another way this time, is kept as bytes, packed against the texts of just those parts.
Writing and reading use this one module, so they cannot differ. Refuses to know SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from ccproxy.errors import StoreError
from ccproxy.stores import compression

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[list[int], bytes]).decode
_SEPARATOR = b","  # between the entries of a JSON list, as nearly every client writes it


def reference(billing_line: str | None, preamble: Iterable[bytes], messages: Iterable[bytes]) -> list[bytes]:
    """Return the texts against which a request body is packed, in their one order."""
    billing = [billing_line.encode()] if billing_line else []
    return [*billing, *preamble, *messages]


def pack(body: bytes, spelled: Sequence[bytes], texts: Sequence[bytes]) -> bytes:
    """Return what `unpack` needs to give the body back from `texts`; `spelled` is how each of them stands in the body."""
    literals: list[bytes] = []
    places: list[int] = []  # three a run: bytes between the run before and this one, its first part, how many follow
    done = 0
    for run in _runs(body, spelled, texts):
        literals.append(body[done : run.start])
        places += (run.start - done, run.first, run.last - run.first)
        done = run.end
    literals.append(body[done:])
    return _encode((places, compression.patch(b"".join(literals), _rest(texts, places))))


def unpack(data: bytes, texts: Sequence[bytes]) -> bytes:
    """Give back what `pack` was given. Raises StoreError where bytes or texts are not the same as then."""
    try:
        places, packed = _decode(data)
        runs = list(_triples(places))
    except (msgspec.MsgspecError, ValueError) as error:
        raise StoreError(f"a body in the store is damaged: {error}") from error
    literals = compression.apply(packed, _rest(texts, places))
    found: list[bytes] = []
    done = 0
    for size, first, more in runs:
        found += (literals[done : done + size], _SEPARATOR.join(texts[first : first + more + 1]))
        done += size
    return b"".join([*found, literals[done:]])


@dataclass(slots=True)
class _Run:
    """A stretch of a body that is parts and nothing else, `first` to `last`."""

    start: int
    end: int
    first: int
    last: int


def _runs(body: bytes, spelled: Sequence[bytes], texts: Sequence[bytes]) -> list[_Run]:
    runs: list[_Run] = []
    for start, number in sorted(_verbatim(body, spelled, texts)):
        end = start + len(texts[number])
        before = runs[-1] if runs else None
        if before and number == before.last + 1 and body[before.end : start] == _SEPARATOR:
            before.end, before.last = end, number
        elif before is None or start >= before.end:
            runs.append(_Run(start, end, number, number))
    return runs


def _verbatim(body: bytes, spelled: Sequence[bytes], texts: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Yield (offset, number) of each part that stands in the body letter by letter as its text."""
    place = 0
    for number, spelling in enumerate(spelled):
        start = _find(body, spelling, place)
        if start >= 0:
            place = start + len(spelling)
            if texts[number] == spelling:
                yield start, number


def _find(body: bytes, spelling: bytes, place: int) -> int:
    """Return where a part stands: most likely right behind the one before, that is behind `place`."""
    for start in (place + 1, place + 2):  # "," or ", "
        if body.startswith(spelling, start):
            return start
    start = body.find(spelling, place)
    return start if start >= 0 else body.find(spelling)  # its list may stand before that of the parts before it


def _rest(texts: Sequence[bytes], places: Sequence[int]) -> bytes:
    """Return the texts that are in no run: what is spelled in another way this time is like one of them."""
    used = {number for _, first, more in _triples(places) for number in range(first, first + more + 1)}
    return b"".join(text for number, text in enumerate(texts) if number not in used)


def _triples(places: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    return zip(places[::3], places[1::3], places[2::3], strict=True)


def fill(template: bytes, values: list[str]) -> list[tuple[str, str]]:
    """Return the header list that a template and its values stand for."""
    remaining = iter(values)
    names_and_values = msgspec.json.decode(template, type=list[tuple[str, str | None]])
    return [(name, next(remaining) if value is None else value) for name, value in names_and_values]


def dump(value: object) -> str:
    """Return a value as compact JSON text."""
    return msgspec.json.encode(value).decode()


def load(text: str) -> list[str]:
    """Return the list of texts that a piece of JSON holds."""
    return msgspec.json.decode(text, type=list[str])
