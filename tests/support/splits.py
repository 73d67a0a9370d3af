"""Cuts of a byte string: whole, byte by byte, at random. A decoder must not care which.

Knows how to slice and how to feed; refuses to know what is decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Protocol, TypeVar

from hypothesis import strategies as st

E_co = TypeVar("E_co", covariant=True)
MOST_CUTS = 12


class Decoder(Protocol[E_co]):
    """The one shape of every decoder."""

    def feed(self, data: bytes) -> list[E_co]:
        """Take bytes, return what they completed."""

    def close(self) -> list[E_co]:
        """Say it is over, return what was left."""


def whole(data: bytes) -> list[bytes]:
    """Return the bytes in one piece."""
    return [data]


def byte_by_byte(data: bytes) -> list[bytes]:
    """Return the bytes one at a time, so that every line end and every character is cut in the middle."""
    return [data[place : place + 1] for place in range(len(data))]


def in_steps(size: int) -> Callable[[bytes], list[bytes]]:
    """Return a cut into pieces of `size` bytes."""
    return lambda data: [data[place : place + size] for place in range(0, len(data), size)]


def cut_at(data: bytes, places: list[int]) -> list[bytes]:
    """Return the pieces between `places`; some may be empty, as chunks on a network may be."""
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def random_cuts() -> st.SearchStrategy[list[int]]:
    """Return a hypothesis strategy for the places of `cut_at`."""
    return st.lists(st.integers(min_value=0, max_value=2**20), max_size=MOST_CUTS)


def fixed_cuts(data: bytes) -> Iterator[list[bytes]]:
    """Yield the cuts that every decoder test makes."""
    for cut in (whole, byte_by_byte, in_steps(2), in_steps(7), in_steps(1000)):
        yield cut(data)


def with_crlf(data: bytes) -> bytes:
    """Return the same lines with CRLF ends; `data` must use LF only."""
    return data.replace(b"\n", b"\r\n")


def with_cr(data: bytes) -> bytes:
    """Return the same lines with CR ends; `data` must use LF only."""
    return data.replace(b"\n", b"\r")


def decode(decoder: Decoder[E_co], pieces: list[bytes]) -> list[E_co]:
    """Feed all pieces, close, and return everything that came out."""
    found: list[E_co] = []
    for piece in pieces:
        found += decoder.feed(piece)
    return found + decoder.close()
