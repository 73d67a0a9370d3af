"""What is shown of content: a text, of which a part at first, and the kinds of blocks there are to templates.

All of a text can be had, however much of it is shown. Refuses to know where blocks come from, and to make markup.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from dashboards import pictures, prose

# Characters of a text that are shown before `show all`.
SAID, RESULT, FOLDED = 12_000, 4_000, 8_000
LARGE_PICTURE = 400_000  # characters of base64 that come only when they are asked for


@dataclass(frozen=True, slots=True)
class Clip:
    """A text, of which at most `limit` characters are shown, up to the end of a line. `form` is plain, prose, terminal or code.

    `numbers` are those of its lines; `name` is what it is saved as."""

    text: str
    form: str = "plain"
    limit: int = RESULT
    numbers: tuple[int, ...] = ()
    name: str = "text.txt"
    language: str = ""

    @property
    def shown(self) -> str:
        """The characters that are shown."""
        if len(self.text) <= self.limit:
            return self.text
        end = self.text.rfind("\n", self.limit // 2, self.limit)
        return self.text[: self.limit if end < 0 else end]

    @property
    def cut(self) -> bool:
        """Whether that is not all."""
        return len(self.text) > self.limit

    @property
    def pieces(self) -> list[prose.Piece]:
        """What is shown, as it is read."""
        return prose.pieces(self.shown)

    @property
    def shown_numbers(self) -> str:
        """The numbers of the lines that are shown, one below the other."""
        lines = self.shown.count("\n") + 1
        return "\n".join(map(str, self.numbers[:lines] if self.numbers else range(1, lines + 1)))

    def whole(self) -> Clip:
        """Return the same, all of it shown."""
        return replace(self, limit=len(self.text))


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody said."""

    clip: Clip
    kind: str = "said"


@dataclass(frozen=True, slots=True)
class Thought:
    """Thinking. `why` says why there is none to be read."""

    clip: Clip
    why: str = ""
    kind: str = "thought"


@dataclass(frozen=True, slots=True)
class Folded:
    """What stands beside what was said: reminders, messages of the system."""

    title: str
    clips: list[Clip]
    kind: str = "folded"

    @property
    def characters(self) -> int:
        """How much it is."""
        return sum(len(clip.text) for clip in self.clips)


@dataclass(frozen=True, slots=True)
class Picture:
    """An image. `trouble` says why it is not shown; `url` is where it would be, and nobody goes there."""

    media_type: str
    data: str = ""
    trouble: str = ""
    url: str = ""
    kind: str = "picture"

    @property
    def bytes(self) -> int:
        """Its size."""
        return pictures.size(self.data)

    @property
    def large(self) -> bool:
        """Whether it is shown only when it is asked for."""
        return len(self.data) > LARGE_PICTURE


@dataclass(frozen=True, slots=True)
class Paper:
    """A document: a text of its own, or a file that is named."""

    title: str
    media_type: str
    bytes: int | None = None
    clip: Clip | None = None
    url: str = ""
    kind: str = "paper"


@dataclass(frozen=True, slots=True)
class Hit:
    """Something that a search on the web found."""

    title: str
    url: str
    age: str = ""
    kind: str = "hit"


@dataclass(frozen=True, slots=True)
class Odd:
    """A block of a kind that nobody here has heard of, as JSON."""

    type: str
    clip: Clip
    kind: str = "odd"


@dataclass(slots=True)
class Result:
    """A tool's result: its text, what else is in it, and what the client put into it."""

    text: str = ""
    views: list[Any] = field(default_factory=list)
    folded: Folded | None = None
    error: bool = False
    kind: str = "result"

    @property
    def bytes(self) -> int:
        """How much text it is."""
        return len(self.text.encode("utf-8", "replace"))
