"""What a screenplay is made of: what a person says, what the model says and does, and directions in between.

Shapes only. Refuses to know how they are written down and how they are played.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the person says. `pictures` are pasted, each by its name."""

    text: str
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool, as it is written: what stands behind the name, the lines below it by their sign, how long it takes.

    `about` is what the model says the call is for. `seconds` None leaves it to the tool, `failed` makes its result an error.
    """

    tool: str
    given: str
    about: str = ""
    seconds: float | None = None
    failed: bool = False
    removed: tuple[str, ...] = ()  # -
    added: tuple[str, ...] = ()  # +
    output: tuple[str, ...] = ()  # |
    answer: tuple[str, ...] = ()  # =


@dataclass(frozen=True, slots=True)
class Turn:
    """What the model thinks, says and calls."""

    thinking: str = ""
    text: str = ""
    calls: tuple[Call, ...] = ()


@dataclass(frozen=True, slots=True)
class Direction:
    """What happens otherwise: a word, what stands behind it, and the lines below it."""

    word: str
    rest: str = ""
    text: str = ""


Beat = Prompt | Turn | Direction


@dataclass(frozen=True, slots=True)
class Part:
    """A subagent's part: its type, what it is for, what it is told, what it does."""

    name: str
    type: str
    about: str
    prompt: str
    beats: tuple[Beat, ...]


@dataclass(frozen=True, slots=True)
class Story:
    """A session: its head, its beats, and the parts of its subagents. `name` tells it from all others."""

    name: str
    head: dict[str, str]
    beats: tuple[Beat, ...]
    parts: dict[str, Part] = field(default_factory=dict)

    def says(self, key: str, default: str = "") -> str:
        """Return what the head says under this word."""
        return self.head.get(key, default)
