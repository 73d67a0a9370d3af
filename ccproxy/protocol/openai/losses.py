"""What of an answer could not be said in the other protocol: sentences, each once.

Knows when there are enough of them, and how to name what a provider sent without repeating much of it. Refuses to know what they
are about.
"""

from __future__ import annotations

MOST_LOSSES = 100
_MOST_OF_A_NAME = 80


class Losses(list[str]):
    """A list of sentences, to which one is added once and only while there is room."""

    def note(self, sentence: str) -> None:
        """Add a sentence."""
        if sentence not in self and len(self) < MOST_LOSSES:
            self.append(sentence)


def named(name: object) -> str:
    """Return what the provider gave as it may stand in a sentence: a text in quotes, in one line and not endless."""
    text = ascii(name) if isinstance(name, str) else f"a value of type {type(name).__name__}"
    return text if len(text) <= _MOST_OF_A_NAME else text[:_MOST_OF_A_NAME] + "…"
