"""One turn of ingest: read what is new in the journal, make rows of it, store them with the position.

Knows what must be written together, and what to do when the store cannot take it: wait and try again where it is busy, and
where one entry is refused, store the rest, and of that entry its bytes and its place. Refuses to know time; the process
around it waits.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import replace

from ccproxy.errors import StoreBusyError, StoreError, StoreSweptError
from ccproxy.ingest.assembler import Assembler, Running
from ccproxy.ingest.memory import Memory
from ccproxy.ingest.request import request_entry
from ccproxy.ingest.response import add_response
from ccproxy.journal.reader import JournalReader, Step
from ccproxy.records import Body, Entry, Position, State
from ccproxy.stores import compression
from ccproxy.stores.contract import Freed, Store

log = logging.getLogger("ccproxy")


class Pipeline:
    """From one journal into one store. Without `raw_responses` the bytes of an answer that was understood are not kept."""

    def __init__(self, reader: JournalReader, store: Store, *, raw_responses: bool = True) -> None:
        self.reader = reader
        self.store = store
        self.stored = 0
        self._raw_responses = raw_responses
        self._assembler = Assembler()
        self._memory = Memory(store.part)
        self._ended: deque[Running] = deque()  # no entry is made of them yet
        self._waiting: list[Entry] = []  # made, and not in the store yet
        self._positions: dict[str, Position] = {}  # to be written
        self._written: dict[str, Position] = {}
        self._finished: set[str] = set()

    @property
    def unreadable_frames(self) -> int:
        """How many whole frames made no sense."""
        return self._assembler.unreadable

    def turn(self) -> bool:
        """Do what there is to do; return whether there was anything. Raises StoreBusyError when the store must be waited for."""
        self._settle()
        steps = self.reader.steps()
        for step in steps:
            self._take(step)
        self._settle()
        return bool(steps)

    def sweep(self) -> Freed | None:
        """Let the store free a piece of what deletions left; None where something still waits to be stored.

        That would point to parts to which nothing in the store does. What runs is in the store as an open row, so its parts
        stay; all others are taken for unknown from then on.
        """
        if self._ended or self._waiting:
            return None
        try:
            return self.store.sweep()
        finally:
            self._memory.forget()

    def _settle(self) -> None:
        """Make entries of what has ended or begun, and store them; all of it stays to be done where the store fails."""
        while self._ended:
            self._waiting.append(self._finish(self._ended[0]))
            self._ended.popleft()
        for running in self._assembler.unshown():
            self._waiting.append(self._entry(running))
            running.shown = True
        if self._waiting or self._positions:
            self._write()

    def _take(self, step: Step) -> None:
        for frame, position in step.frames:
            ended = self._assembler.take(step.writer, frame, position)
            if ended:
                self._ended.append(ended)
        if step.finished:
            self._ended += self._assembler.orphans(step.writer)
            self._finished.add(step.writer)
        position = self._assembler.resume_at(step.position)
        if step.finished or self._written.get(step.writer) != position:
            self._positions[step.writer] = position

    def _entry(self, running: Running) -> Entry:
        """Return what the request comes to; it is made once, and the request's bytes are let go."""
        if running.entry is None:
            captured = running.captured
            captured.request = b"".join(running.request_pieces)
            captured.sent_body = b"".join(running.sent_pieces)
            try:
                running.entry = request_entry(captured, self._memory)
            except StoreError:
                self._memory.forget_nodes()  # of the entry that is now made later, some were asked about already
                raise
            except Exception as error:
                self._memory.forget_nodes()
                log.exception("exchange %s: its request could not be understood and is kept as bytes", captured.id)
                running.entry = _plain_entry(running, f"ccproxy failed on the request: {error!r}")
            running.request_pieces, captured.request = [], b""
            running.sent_pieces, captured.sent_body = [], b""
        return running.entry

    def _finish(self, running: Running) -> Entry:
        entry = self._entry(running)
        try:
            add_response(entry, running.captured, self._memory, raw_responses=self._raw_responses)
        except StoreError:
            raise
        except Exception as error:
            log.exception("exchange %s: its answer could not be understood and is kept as bytes", running.captured.id)
            _add_plain_response(entry, running, f"ccproxy failed on the answer: {error!r}")
        return entry

    def _write(self) -> None:
        try:
            self.store.write(self._waiting, self._positions.values())
        except (StoreBusyError, StoreSweptError):
            raise
        except StoreError:
            self._write_one_by_one()
        self.stored += sum(entry.columns["state"] != State.OPEN for entry in self._waiting)
        self._waiting = []
        self._memory.trim()
        self._release()

    def _release(self) -> None:
        """Let go of the journal that the store has now."""
        for position in self._positions.values():
            self.reader.release(position, finished=position.writer in self._finished)
        self._written |= self._positions
        self._positions = {}
        while self._finished:
            writer = self._finished.pop()
            self._written.pop(writer, None)
            self.store.forget_writer(writer)

    def _write_one_by_one(self) -> None:
        """Store each entry alone, and of one that the store refuses what it cannot refuse."""
        for entry in self._waiting:
            try:
                self.store.write([entry], [])
            except (StoreBusyError, StoreSweptError):
                raise
            except StoreError as error:
                log.error("exchange %s is stored without its details: %s", entry.id, error)
                self.store.write([_reduced(entry, str(error))], [])
        self.store.write([], self._positions.values())


def _plain_entry(running: Running, note: str) -> Entry:
    captured = running.captured
    opening = captured.opening
    columns = {
        "id": captured.id, "writer": captured.writer, "state": State.OPEN, "started_at": captured.opened_at,
        "method": opening.method, "path": opening.path, "query": opening.query, "provider": opening.provider,
        "kind": "other", "stream": 0, "request_bytes": len(captured.request), "response_bytes": 0, "capture_note": note,
    }  # fmt: skip
    bodies = [*_plain_bodies("request", captured.request), *_plain_bodies("sent", captured.sent_body)]
    return Entry(captured.id, columns, bodies=bodies)


def _plain_bodies(side: str, raw: bytes) -> list[Body]:
    encoding, data = compression.compress(raw)
    return [Body(side, encoding, data, len(raw))] if raw else []


def _add_plain_response(entry: Entry, running: Running, note: str) -> None:
    captured = running.captured
    raw = b"".join(data for _, data in captured.chunks)
    entry.columns.update(
        state=captured.ending.state if captured.ending else State.INTERRUPTED,
        ended_at=captured.ended_at,
        status=captured.heading.status if captured.heading else None,
        response_bytes=len(raw),
        capture_note="; ".join(filter(None, [entry.columns.get("capture_note"), note])),
    )
    entry.bodies = [body for body in entry.bodies if body.side != "response"] + _plain_bodies("response", raw)


_SAFE = (
    "id", "writer", "state", "started_at", "ended_at", "method", "provider", "status", "billing_line", "request_bytes",
    "response_bytes", "tip", "reply", "preamble",
)  # fmt: skip


def _reduced(entry: Entry, note: str) -> Entry:
    """Return an entry that no store can refuse: figures, bytes, and the place in the tree on which other entries build."""
    columns = {name: entry.columns.get(name) for name in _SAFE}
    columns |= {"path": "", "query": "", "kind": "other", "stream": 0, "capture_note": f"the store refused it: {note}"}
    nodes = [replace(node, blocks=()) for node in entry.nodes]
    return Entry(entry.id, columns, entry.parts, nodes, entry.preamble, entry.bodies, entry.headers)
