"""What every store owes, whatever its dialect.

The writing half belongs to ingest alone; the reading half to anyone, in any process, at any time. So does deleting, while
sweeping up behind it belongs to whoever holds the journal's ingest lock. Rows come out as plain dictionaries with the names
of the columns. Every method raises StoreError, with one clear sentence, where the store cannot do what was asked;
StoreBusyError where it may be able to in a moment.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ccproxy.records import Entry, Position, Timeline

Record = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which exchanges are asked for. What is left out asks nothing; times are microseconds since 1970.

    `model` (asked for, or routed to) and `project` (the working directory) ask for a piece of the name, in any case. `agent`
    is an agent's id or name, or `main` for everything that no agent asked. `words` must all stand in one content block; what
    matches is the exchange in which that block first stood: whose answer it is in, or whose request was the first to end with
    it or below it. Where a session is asked for as well, it is the first one of that session.
    """

    model: str | None = None
    statuses: tuple[range, ...] = ()
    state: str | None = None
    session: str | None = None
    agent: str | None = None
    kind: str | None = None
    provider: str | None = None
    project: str | None = None
    since: int | None = None
    until: int | None = None
    words: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some of what a filter lets through, how much that is in all, and whether there is more behind these rows."""

    rows: list[Record]
    total: int
    more: bool


@dataclass(frozen=True, slots=True)
class Branch:
    """A message of a session in its place in the tree: its node, and the part that holds its JSON."""

    digest: bytes
    parent: bytes | None
    role: str
    message: bytes


@dataclass(frozen=True, slots=True)
class Packed:
    """A part as it is stored: `data` gives its text of `size` bytes back, by `encoding`."""

    digest: bytes
    encoding: str
    data: bytes
    size: int


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


@dataclass(frozen=True, slots=True)
class Selection:
    """Which exchanges are meant: those for which all that is set holds. `before` is in µs since 1970, by `started_at`."""

    exchange: str | None = None
    session: str | None = None
    before: int | None = None
    everything: bool = False

    def __post_init__(self) -> None:
        if not self.everything and all(part is None for part in (self.exchange, self.session, self.before)):
            raise ValueError("a selection without a condition must say that it means everything")


@dataclass(frozen=True, slots=True)
class Counted:
    """What a selection comes to: exchanges that have ended, their bytes on the wire, and exchanges that still run."""

    exchanges: int
    bytes: int
    running: int


@dataclass(frozen=True, slots=True)
class Freed:
    """What a piece of sweeping has freed. `done` says that nothing is left to be freed."""

    nodes: int
    preambles: int
    blobs: int
    done: bool


class Leftover(StrEnum):
    """What deletions have left to be done."""

    ROWS = "rows"  # `sweep`: parts to which nothing points any more may still be there
    SPACE = "space"  # `shrink`: the room that they took is not given back yet


class Store(ABC):
    """One store. Reading and writing may go on at once, from different processes."""

    # Writing ----------------------------------------------------------------------------------------------------------

    @abstractmethod
    def write(self, entries: Sequence[Entry], positions: Iterable[Position]) -> None:
        """Put entries and reader positions into the store, all or nothing.

        Idempotent: an exchange that already stands in a final state stays as it is, a part that is known is not stored
        again. So a frame counts once however often it is read. An exchange that was deleted stays deleted.

        Raises StoreSweptError where an entry builds on messages that somebody else, such as another machine's ingest, has swept
        away since they were seen to be stored; nothing is written then. The caller lets go of all that it has read and made
        (reader, memory, entries that wait) and begins anew from `positions()`: an entry that is made with a new memory has all
        of its messages, and is never refused for this. Where only parts were swept the store puts them back by itself.
        """

    @abstractmethod
    def positions(self) -> dict[str, Position]:
        """Return up to where the journal of each writer is in the store; of the writers of this store's journal alone."""

    @abstractmethod
    def forget_writer(self, writer: str) -> None:
        """Drop the position of a writer whose journal is gone, all of it being in the store."""

    @abstractmethod
    def interrupt(self, living: Iterable[str]) -> int:
        """Close every open exchange of a writer that is not among `living` as interrupted; return how many there were.

        Only of writers of this store's journal: where several machines write into one store each has a journal of its own.
        """

    @abstractmethod
    def part(self, digest: bytes) -> bytes | None:
        """Return the JSON text of a part, or None where the store does not know it."""

    # Deleting ---------------------------------------------------------------------------------------------------------

    @abstractmethod
    def count(self, selection: Selection) -> Counted:
        """Return what a selection comes to."""

    @abstractmethod
    def delete(self, selection: Selection, *, most: int | None = None, wipe: bool = True) -> int:
        """Delete the selected exchanges that have ended, at most the oldest `most` of them; return how many there were.

        Any process may do this while ingest writes. What other exchanges share with them stays, and what nothing shares
        goes with the next `sweep`. `wipe` asks for no trace of them, once `shrink` has done its work, as far as that is in the
        store's power: a server's log and backups are not.
        """

    @abstractmethod
    def leftover(self) -> Leftover | None:
        """Return what deletions have left to be done, or None where all is done."""

    @abstractmethod
    def sweep(self) -> Freed:
        """Free a piece of what nothing points to any more.

        Only for the holder of the journal's ingest lock, who from then on takes no part and no node for stored. Raises
        StoreBusyError while another machine sweeps.
        """

    @abstractmethod
    def shrink(self, alive: Callable[[], None] | None = None) -> bool:
        """Give back a piece of the room that is free; return whether more is to be done. Calls `alive` now and then.

        For the same holder, when there is nothing to sweep. Raises StoreBusyError also while a reader is in the way.
        """

    @abstractmethod
    def used_bytes(self) -> int:
        """Return how many bytes the store takes, free room not counted."""

    @abstractmethod
    def excess(self, limit: int) -> int | None:
        """Return before which moment exchanges began that must go so that the store takes about `limit` bytes, or None."""

    @abstractmethod
    def session_named(self, beginning: str) -> str:
        """Return the one session whose id is, or begins with, `beginning`."""

    # Reading ----------------------------------------------------------------------------------------------------------

    @abstractmethod
    def exchanges(self, *, limit: int, before: str | None = None, changed_since: str | None = None) -> list[Record]:
        """Return exchange rows, newest first: at most `limit`, with ids below `before` and not below `changed_since`."""

    @abstractmethod
    def exchange(self, id_prefix: str) -> Record:
        """Return the one exchange whose id is, or begins or ends with, `id_prefix`."""

    @abstractmethod
    def body(self, exchange: str, side: str) -> bytes | None:
        """Return the exact bytes of one side's body; None where none was captured.

        A side is `request` (the client's), `response`, or `sent`: what went up where the request was translated.
        """

    @abstractmethod
    def headers(self, exchange: str, side: str) -> list[tuple[str, str]] | None:
        """Return one side's headers, secrets masked; None where none were captured."""

    @abstractmethod
    def conversation(self, node: bytes | None) -> list[bytes]:
        """Return the JSON of each message from the root down to `node`."""

    @abstractmethod
    def search(self, words: str, *, limit: int) -> list[Found]:
        """Return content blocks in which all of `words` stand, best first."""

    # Lists ------------------------------------------------------------------------------------------------------------

    @abstractmethod
    def snapshot(self) -> AbstractContextManager[None]:
        """Show the store as of one moment to everything that is read inside."""

    @abstractmethod
    def listing(self, wanted: Filter, *, limit: int, offset: int = 0, before: str | None = None) -> Page:
        """Return exchange rows, newest first, after `offset` of those with ids below `before`; the total knows neither."""

    @abstractmethod
    def named(self, id_part: str) -> list[Record]:
        """Return the exchange whose id this is, or up to two whose id begins or ends with it."""

    @abstractmethod
    def timeline(self, exchange: str) -> Timeline | None:
        """Return the arrival, kind and size of each stream event of an answer; None where it was no stream."""

    @abstractmethod
    def usage(self, wanted: Filter) -> list[Record]:
        """Return counts and tokens by day (UTC) and model, newest day first."""

    @abstractmethod
    def states(self, wanted: Filter) -> dict[str, int]:
        """Return how many exchanges there are in each state."""

    @abstractmethod
    def sessions(self, wanted: Filter, *, limit: int, offset: int = 0) -> Page:
        """Return sessions with an exchange that the filter lets through, the one with the newest exchange first.

        A row tells about the whole session: figures, `title` (the text of the answer in which the model named it) and
        `first_texts` (the texts of the first user message).
        """

    @abstractmethod
    def session_exchanges(self, session: str) -> list[Record]:
        """Return the exchange rows of a session, oldest first."""

    @abstractmethod
    def branches(self, session: str) -> list[Branch]:
        """Return every message of a session's conversations in its place, those that other sessions brought in included."""

    @abstractmethod
    def messages(self, digests: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the JSON of messages by the digests under which branches name them."""

    @abstractmethod
    def producers(self, digests: Sequence[bytes]) -> dict[bytes, Record]:
        """Return, by node, the row of the exchange whose answer it is, the first where there are several."""

    # Checking ---------------------------------------------------------------------------------------------------------

    @abstractmethod
    def parts(self) -> Iterator[Packed]:
        """Yield every part as it is stored."""

    @abstractmethod
    def tree(self) -> Iterator[tuple[bytes, bytes | None, bytes]]:
        """Yield every node: its digest, its parent's, and its message's."""

    @abstractmethod
    def dangling(self) -> dict[str, int]:
        """Return how many rows point at something that is not there, by `table.column`; only those where there are any."""

    # Figures ----------------------------------------------------------------------------------------------------------

    @abstractmethod
    def stats(self) -> Record:
        """Return counts (exchanges by state, blobs, nodes, blocks), size in bytes, schema version, place."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the store."""
