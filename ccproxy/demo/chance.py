"""Chance that is the same at each run: numbers, ids and choices out of a seed and a name.

Every session, and the provider, draws from a stream of its own, so that a new story changes no other one. Uses nothing of the
random module but bits and fractions, which are the same in every version of Python. Refuses to be a secret.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")

_LETTERS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"  # as in the ids of the API


class Chance:
    """One stream."""

    def __init__(self, *names: object) -> None:
        self._random = Random("/".join(map(str, names)))

    def between(self, low: float, high: float) -> float:
        """Return a number of this range."""
        return low + (high - low) * self._random.random()

    def whether(self, share: float) -> bool:
        """Return true in this share of all cases."""
        return self._random.random() < share

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of these."""
        return choices[int(self._random.random() * len(choices))]

    def about(self, middle: float, spread: float = 0.25) -> float:
        """Return a number around `middle`: as often `1 + x` times as large as so many times smaller."""
        swing = spread * (sum(self._random.random() for _ in range(6)) - 3) * 1.4
        return middle * (1 + swing) if swing >= 0 else middle / (1 - swing)

    def hex(self, digits: int) -> str:
        """Return so many hexadecimal digits."""
        return f"{self._random.getrandbits(4 * digits):0{digits}x}"

    def letters(self, count: int) -> str:
        """Return so many letters and digits."""
        return "".join(self.pick(_LETTERS) for _ in range(count))

    def uuid(self) -> str:
        """Return a random UUID."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def uuid7(self, at: int) -> bytes:
        """Return the 16 bytes of a UUIDv7 for a moment, in microseconds since 1970."""
        value = (at // 1000) << 80 | 0x7 << 76 | self._random.getrandbits(12) << 64
        return (value | 0b10 << 62 | self._random.getrandbits(62)).to_bytes(16)
