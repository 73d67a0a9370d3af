"""The content blocks of one answer, written as the events of Anthropic's stream.

Knows that blocks come one after the other there, while pieces of calls may come in any order: official clients hold to it (the
TypeScript SDK reports each delta as one of the last block that began, Claude Code refuses a delta after its block's stop). So one
block is open, and its pieces are passed on at once; what belongs to another block waits until the open one may be closed: words
at once, a call when its arguments are whole. Refuses to know which piece belongs to which block.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Protocol

from ccproxy.protocol.openai.events import framed
from ccproxy.protocol.openai.json_text import written

Object = dict[str, Any]

TEXT = "text"
REASONING_CONTENT = "reasoning_content"
REASONING = "reasoning"

_END = b"}}\n\n"


class Block(Protocol):
    """One block that is told. `pieces` are those that wait; `member` is the delta's type and where a piece stands in it."""

    kind: str
    pieces: list[str]
    closed: bool

    @property
    def member(self) -> tuple[str, str]:
        """The type of the delta that tells a piece, and the member it is in."""

    @property
    def signature(self) -> str | None:
        """What is told before the block's stop, if anything."""

    @property
    def ready(self) -> bool:
        """Whether the block may begin."""

    @property
    def settled(self) -> bool:
        """Whether the block may be closed where something else waits."""

    def opening(self) -> Object:
        """Return the block as it begins."""

    def settle(self) -> bool:
        """Say that nothing more will come. Returns whether there is a block at all."""


class Words:
    """Text, or thinking: which of a provider's members it came in is the block's kind, and the thinking's signature."""

    ready = True
    settled = True

    __slots__ = ("closed", "kind", "pieces")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.pieces: list[str] = []
        self.closed = False

    @property
    def member(self) -> tuple[str, str]:
        """The type of the delta that tells a piece, and the member it is in."""
        return ("text_delta", "text") if self.kind == TEXT else ("thinking_delta", "thinking")

    @property
    def signature(self) -> str | None:
        """Where the thinking came from: the request side sends the one from `reasoning_content` back."""
        return None if self.kind == TEXT else f"ccproxy:{self.kind}"

    def opening(self) -> Object:
        """Return the block as it begins."""
        if self.kind == TEXT:
            return {"type": "text", "text": ""}
        return {"type": "thinking", "thinking": "", "signature": ""}

    def settle(self) -> bool:
        """Say that nothing more will come; a block of words is there because there was a word."""
        return True


class Blocks:
    """The blocks of one answer. Bytes go to the list that each method is given."""

    def __init__(self) -> None:
        self._waiting: deque[Block] = deque()
        self._index = 0
        self._delta = b""  # how a delta of the open block begins; nothing while none is open

    def __repr__(self) -> str:
        """Tell how far the answer is."""
        return f"<Blocks written={self._index} waiting={len(self._waiting)}>"

    def say(self, kind: str, piece: str, out: list[bytes]) -> None:
        """Add words to the last block, or to a new one where it is of another kind."""
        last = self._waiting[-1] if self._waiting else None
        if last is None or last.kind != kind:
            last = Words(kind)
            self._waiting.append(last)
        last.pieces.append(piece)
        self.write(out)

    def add(self, block: Block) -> None:
        """Add a block behind all others."""
        self._waiting.append(block)

    def write(self, out: list[bytes]) -> None:
        """Write what may be written now."""
        while self._waiting:
            block = self._waiting[0]
            if not self._delta:
                if not block.ready:
                    return
                self._open(block, out)
            self._tell(block, out)
            if len(self._waiting) == 1 or not block.settled:
                return
            self._close(out)

    def finish(self, out: list[bytes]) -> None:
        """Write everything that waits, and close it."""
        while self._waiting:
            block = self._waiting[0]
            if not block.settle():
                block.closed = True
                self._waiting.popleft()
                continue
            if not self._delta:
                self._open(block, out)
            self._tell(block, out)
            self._close(out)

    def _open(self, block: Block, out: list[bytes]) -> None:
        out.append(framed({"type": "content_block_start", "index": self._index, "content_block": block.opening()}))
        kind, member = block.member
        self._delta = (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"%s","%s":'
            % (self._index, kind.encode(), member.encode())
        )

    def _tell(self, block: Block, out: list[bytes]) -> None:
        pieces = block.pieces
        if pieces:
            out += (self._delta, written(pieces[0] if len(pieces) == 1 else "".join(pieces)), _END)
            pieces.clear()

    def _close(self, out: list[bytes]) -> None:
        block = self._waiting.popleft()
        block.closed = True
        if block.signature:
            delta = {"type": "signature_delta", "signature": block.signature}
            out.append(framed({"type": "content_block_delta", "index": self._index, "delta": delta}))
        out.append(framed({"type": "content_block_stop", "index": self._index}))
        self._index += 1
        self._delta = b""
