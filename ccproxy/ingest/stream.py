"""The events of a streamed answer, as they arrived: the message that they come to, and the time of each.

Refuses to know bytes and rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from ccproxy.protocol import sse
from ccproxy.protocol.message import MessageBuilder
from ccproxy.records import Timeline

_NO_CONTENT = frozenset({"message_delta", "signature_delta"})


@dataclass(slots=True)
class Stream:
    """What a stream of events comes to."""

    builder: MessageBuilder = field(default_factory=MessageBuilder)
    arrivals: list[int] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    content: list[int] = field(default_factory=list)  # arrival of each piece of content
    first_token: int | None = None
    counted: bool = True  # whether the counts in it are the provider's

    def take(self, at: int, events: list[sse.Event | sse.Comment]) -> None:
        """Take the events that a piece of the body completed."""
        for event in events:
            self.arrivals.append(at)
            if isinstance(event, sse.Comment):
                self.kinds.append("comment")
                self.sizes.append(len(event.text))
                continue
            kind = self.builder.feed(event)
            self.kinds.append(kind)
            self.sizes.append(len(event.data))
            if kind.endswith("_delta") and kind not in _NO_CONTENT:
                self.content.append(at)
                if self.first_token is None and self.builder.has_content:
                    self.first_token = at

    def timeline(self, start: int) -> Timeline:
        """Return the events as the store keeps them."""
        gaps = [later - earlier for earlier, later in pairwise([start, *self.arrivals])]
        runs: list[Any] = []
        for kind in self.kinds:
            if runs and runs[-1][0] == kind:
                runs[-1][1] += 1
            else:
                runs.append([kind, 1])
        return Timeline(gaps, runs, self.sizes)
