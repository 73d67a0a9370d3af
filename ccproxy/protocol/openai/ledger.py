"""What of a request could not be said in the other protocol, told in sentences for a person.

Knows how often and where. Refuses to know what was lost, and how bad that is.
"""

from __future__ import annotations


class Ledger:
    """The losses of one request's translation, each told once, in the order in which they first came up."""

    def __init__(self) -> None:
        """Start without any."""
        self._sentences: dict[str, None] = {}
        self._counted: dict[str, tuple[str, int]] = {}

    def add(self, sentence: str) -> None:
        """Tell something of the request as a whole."""
        self._sentences[sentence] = None

    def count(self, sentence: str, where: str) -> None:
        """Tell something of a place in the conversation, such as `messages[3]`; of several places the first is named."""
        first, times = self._counted.get(sentence, (where, 0))
        self._counted[sentence] = (first, times + 1)
        self._sentences[sentence] = None

    def sentences(self) -> tuple[str, ...]:
        """Return what was told."""
        return tuple(sentence + self._place(sentence) for sentence in self._sentences)

    def _place(self, sentence: str) -> str:
        if sentence not in self._counted:
            return ""
        first, times = self._counted[sentence]
        return f" ({first})" if times == 1 else f" ({times} times, first in {first})"
