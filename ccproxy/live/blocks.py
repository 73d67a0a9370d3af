"""The content blocks of one answer, as far as they have come.

Keeps their text up to a limit; beyond it the oldest text goes first, so that what is kept joins on to what comes next.
Refuses to know events and JSON.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import msgspec

from ccproxy.live.events import SaidBlock

KEPT_CHARACTERS = 2_000_000  # four times the longest answer that any model gives today


@dataclass(slots=True)
class OpenBlock:
    """One block: what its start said, and the text since. `data` is whatever of the start the text does not say."""

    index: int
    type: str
    tool_name: str | None = None
    tool_use_id: str | None = None
    data: bytes | None = None
    given: bytes | None = None  # a tool's input that came with the start
    pieces: deque[str] = field(default_factory=deque)
    stopped: bool = False
    cut: int = 0

    def said(self) -> SaidBlock:
        """Return the block as the snapshot shows it."""
        data = None if self.data is None else msgspec.Raw(self.data)
        text = "".join(self.pieces)
        return SaidBlock(self.index, self.type, text, self.tool_name, self.tool_use_id, data, self.stopped, self.cut)


class Blocks:
    """The blocks of one message."""

    def __init__(self, limit: int = KEPT_CHARACTERS) -> None:
        self._limit = limit
        self._kept = 0
        self._all: list[OpenBlock] = []
        self._by_index: dict[int, OpenBlock] = {}

    def open(self, block: OpenBlock) -> OpenBlock:
        """Add a block. One whose index is taken gets the next free one, and deltas for either go to it."""
        wanted = block.index
        if wanted in self._by_index:
            block.index = max(self._by_index) + 1
        self._by_index[wanted] = self._by_index[block.index] = block
        self._all.append(block)
        self._count(len(block.data or b""))
        return block

    def get(self, index: int) -> OpenBlock | None:
        """Return the block to which deltas of that index go."""
        return self._by_index.get(index)

    def add(self, block: OpenBlock, text: str) -> None:
        """Add text to a block."""
        block.pieces.append(text)
        self._count(len(text))

    def said(self) -> list[SaidBlock]:
        """Return all blocks as the snapshot shows them."""
        return [block.said() for block in self._all]

    def _count(self, size: int) -> None:
        self._kept += size
        for block in self._all:
            if self._kept <= self._limit:
                return
            self._drop_from(block)

    def _drop_from(self, block: OpenBlock) -> None:
        """Forget as much of a block's beginning as there is too much."""
        if block.data is not None:
            self._kept -= len(block.data)
            block.data = None
        while block.pieces and self._kept > self._limit:
            piece = block.pieces.popleft()
            dropped = min(len(piece), self._kept - self._limit)
            if dropped < len(piece):
                block.pieces.appendleft(piece[dropped:])
            self._kept -= dropped
            block.cut += dropped
