"""What every store owes, whatever its dialect.

The writing half belongs to ingest alone; the reading half to anyone, in any process, at any time. Rows come out as plain
dictionaries with the names of the columns. Every method raises StoreError, with one clear sentence, where the store cannot
do what was asked; StoreBusyError where it may be able to in a moment.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ccproxy.records import Entry, Position

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """A search hit: the exchange in which the text first stood, the block, and a piece of the text around it."""

    exchange: str | None
    session_id: str | None
    started_at: int | None
    role: str
    type: str
    tool_name: str | None
    snippet: str


class Store(ABC):
    """One store. Reading and writing may go on at once, from different processes."""

    # Writing ----------------------------------------------------------------------------------------------------------

    @abstractmethod
    def write(self, entries: Sequence[Entry], positions: Iterable[Position]) -> None:
        """Put entries and reader positions into the store, all or nothing.

        Idempotent: an exchange that already stands in a final state stays as it is, a part that is known is not stored
        again. So a frame counts once however often it is read.
        """

    @abstractmethod
    def positions(self) -> dict[str, Position]:
        """Return up to where each writer's journal is in the store."""

    @abstractmethod
    def forget_writer(self, writer: str) -> None:
        """Drop the position of a writer whose journal is gone, all of it being in the store."""

    @abstractmethod
    def interrupt(self, living: Iterable[str]) -> int:
        """Close every open exchange of a writer that is not among `living` as interrupted; return how many there were."""

    @abstractmethod
    def part(self, digest: bytes) -> bytes | None:
        """Return the JSON text of a part, or None where the store does not know it."""

    # Reading ----------------------------------------------------------------------------------------------------------

    @abstractmethod
    def exchanges(self, *, limit: int, before: str | None = None, changed_since: str | None = None) -> list[Record]:
        """Return exchange rows, newest first: at most `limit`, with ids below `before` and not below `changed_since`."""

    @abstractmethod
    def exchange(self, id_prefix: str) -> Record:
        """Return the one exchange whose id is, or begins or ends with, `id_prefix`."""

    @abstractmethod
    def body(self, exchange: str, side: str) -> bytes | None:
        """Return the exact bytes of one side's body, `request` or `response`; None where none was captured."""

    @abstractmethod
    def headers(self, exchange: str, side: str) -> list[tuple[str, str]] | None:
        """Return one side's headers, secrets masked; None where none were captured."""

    @abstractmethod
    def conversation(self, node: bytes | None) -> list[bytes]:
        """Return the JSON of each message from the root down to `node`."""

    @abstractmethod
    def search(self, words: str, *, limit: int) -> list[Found]:
        """Return content blocks in which all of `words` stand, best first."""

    @abstractmethod
    def stats(self) -> Record:
        """Return counts (exchanges by state, blobs, nodes, blocks), size in bytes, schema version, place."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the store."""
