"""What the stand-in for the provider is told to answer, and how much of it comes.

Knows the plan only: how long it takes is the pace's business, and what it costs the cache's. Refuses to know who asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Block = dict[str, Any]


class Fate(StrEnum):
    """What becomes of an answer."""

    WHOLE = "whole"
    ERROR = "error"  # an error event in the middle of the stream, and its end
    CUT = "cut"  # the connection breaks
    LEFT = "left"  # the client closes its connection
    DARK = "dark"  # the machine under the proxy goes dark


@dataclass(frozen=True, slots=True)
class Spoken:
    """A message. `hidden` are tokens that were thought and are not shown, `stall` seconds of silence in the middle.

    `until` is the share of the message after which its fate comes true.
    """

    blocks: tuple[Block, ...]
    hidden: int = 0
    stop_reason: str = ""
    stall: float = 0.0
    until: float = 0.5
    fate: Fate = Fate.WHOLE


@dataclass(frozen=True, slots=True)
class Refused:
    """An error of the API; `after` is how many milliseconds it takes, `headers` what it says beside."""

    status: int
    error: str
    sentence: str
    headers: tuple[tuple[str, str], ...] = ()
    after: float = 180.0


@dataclass(frozen=True, slots=True)
class Figure:
    """The answer to a request to count tokens."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A JSON answer that has nothing to do with messages."""

    value: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Nothing:
    """No answer: the connection is closed."""


Reply = Spoken | Refused | Figure | Listing | Nothing
