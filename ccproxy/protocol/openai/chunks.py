"""The chunks of a stream: bytes in, JSON values out.

Knows where servers leave the standard: chunks without an empty line between them, JSON that only a lenient reader reads, events
that are none. Refuses to know what a chunk says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ccproxy.protocol import sse
from ccproxy.protocol.openai.json_text import NotJson, leniently, strictly
from ccproxy.protocol.openai.losses import Losses, named

DONE = b"[DONE]"


@dataclass(frozen=True, slots=True)
class Chunk:
    """One event of the stream: its name and the JSON value of its data."""

    name: str
    value: Any


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An event that cannot be read, though it may have said something."""

    name: str
    text: str


class Done:
    """The closing `[DONE]`."""


Item = Chunk | Unreadable | Done


class Chunks:
    """Reads one stream, however its bytes are cut. What is left out on the way is noted in `losses`."""

    def __init__(self, losses: Losses) -> None:
        """Start at the beginning of a stream."""
        self._decoder = sse.Decoder()
        self._losses = losses

    def feed(self, data: bytes) -> list[Item]:
        """Take the next bytes and return what they completed, in order."""
        found: list[Item] = []
        for event in self._decoder.feed(data):
            if isinstance(event, sse.Event):
                self._read(event.name, event.data.strip(), found)
        return found

    def close(self) -> list[Item]:
        """Say that the stream is over, and return what was left open and is whole. The half of a chunk is no chunk."""
        found: list[Item] = []
        for event in self._decoder.close():
            if isinstance(event, sse.Event):
                self._read(event.name, event.data.strip(), found)
        whole = [item for item in found if not isinstance(item, Unreadable) or item.name == "error"]
        if len(whole) < len(found):
            self._losses.note("the last event was cut off")
        return whole

    def _read(self, name: str, data: bytes, found: list[Item]) -> None:
        if data == DONE:
            found.append(Done())
        elif data:
            try:
                found.append(Chunk(name, strictly(data)))
            except NotJson:
                self._read_odd(name, data, found)

    def _read_odd(self, name: str, data: bytes, found: list[Item]) -> None:
        """Read data that is no JSON as the standard has it: readable all the same, several chunks, or noise."""
        text = data.decode("utf-8", "replace")
        if text.encode() != data:
            self._losses.note("a chunk has bytes that are no UTF-8")
        try:
            found.append(Chunk(name, leniently(data)))
        except NotJson:
            lines = data.split(b"\n")
            if len(lines) > 1:
                for line in lines:
                    self._read(name, line.strip(), found)
            elif name == "error" or text.startswith(("{", "[")):
                found.append(Unreadable(name, text))
            else:
                self._losses.note(f"an event that is no chunk was left out: {named(text)}")
