"""All exchanges that run: journal frames in, events out.

Knows what a frame says, how a request introduces itself, and when an exchange is over: when it says so, when its writer is dead,
or when the journal has let go of the segment in which it began. Refuses to know files and listeners.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Set
from typing import NamedTuple

import msgspec

from ccproxy.ingest.encodings import ContentDecoder
from ccproxy.live.answer import SLICE_BYTES, Answer
from ccproxy.live.blocks import KEPT_CHARACTERS
from ccproxy.live.events import Ended, Event, Head, LiveExchange, Retry, RunningExchange, usage_of
from ccproxy.protocol.anatomy import read_anatomy
from ccproxy.protocol.parts import take_apart
from ccproxy.protocol.usage import Tokens
from ccproxy.records import Attempt, Ending, Frame, FrameKind, Heading, Opening, Position, Sending, State

MAX_REQUEST_BYTES = 64 << 20  # of a larger request only the headers are read
DIED = "the proxy died while this exchange was running"
CUT = "the journal could not be written, so the end of this record is missing"

_opening = msgspec.json.Decoder(Opening).decode
_sending = msgspec.json.Decoder(Sending).decode
_attempt = msgspec.json.Decoder(Attempt).decode
_heading = msgspec.json.Decoder(Heading).decode
_ending = msgspec.json.Decoder(Ending).decode
_ENDS = (FrameKind.END, FrameKind.END_CUT)


class Told(NamedTuple):
    """Events, and the exchange they are about."""

    exchange: LiveExchange
    events: list[Event]


class _Request:
    """A request body on its way in."""

    def __init__(self, opening: Opening) -> None:
        names = {name.lower(): value for name, value in opening.headers}
        self._decoder = ContentDecoder(None if opening.plain else names.get("content-encoding"))
        self._pieces: list[bytes] = []
        self._size = 0

    def add(self, data: bytes) -> None:
        """Take a piece; what is more than can be read is let go."""
        for place in range(0, len(data), SLICE_BYTES):
            if self._size > MAX_REQUEST_BYTES:
                self._pieces = []
                return
            piece = self._decoder.feed(data[place : place + SLICE_BYTES])
            self._size += len(piece)
            self._pieces.append(piece)

    def body(self) -> bytes:
        """Return the body; nothing where it cannot be read."""
        return b"" if self._decoder.problem or self._size > MAX_REQUEST_BYTES else b"".join(self._pieces)


class _Running:
    """One exchange."""

    def __init__(self, frame: Frame, first: Position, limit: int) -> None:
        self.first = first
        self.opened_at = frame.at
        self.opening = _opening(frame.data)
        self.request: _Request | None = _Request(self.opening)
        self.attempts = 1
        self.sending = Sending()
        self.status: int | None = None
        self.answer: Answer | None = None
        self._limit = limit
        name = str(uuid.UUID(bytes=frame.exchange))
        self.exchange = LiveExchange(name, frame.at, self.opening.method, self.opening.path)

    def take(self, frame: Frame) -> list[Event]:
        """Return what a frame says."""
        if frame.kind is FrameKind.REQUEST:
            if self.request is not None:
                self.request.add(frame.data)
            return []
        if frame.kind is FrameKind.CHUNK:
            return self.answer.feed(frame.data) if self.answer else []
        if frame.kind is FrameKind.SENT_BODY:
            return []
        if frame.kind is FrameKind.SENT and frame.data:
            self.sending = _sending(frame.data)
        found = self._complete()
        if frame.kind is FrameKind.RETRY:
            found.append(self._retry(_attempt(frame.data)))
        elif frame.kind is FrameKind.HEAD:
            found.append(self._head(_heading(frame.data)))
        elif frame.kind in _ENDS:
            found += self._end(frame, _ending(frame.data))
        return found

    def over(self, state: State | None, error: str | None = None) -> list[Event]:
        """Return how an exchange ended that did not say so itself."""
        return [*self._close(None), Event("ended", self._ended(None, Ending(state, error=error) if state else None))]

    def shown(self) -> RunningExchange:
        """Return how it stands, for the snapshot."""
        answer = self.answer
        if answer is None:
            return RunningExchange(self.exchange, self.attempts, self.status)
        return RunningExchange(
            self.exchange, self.attempts, self.status, answer.message, answer.blocks.said(),
            usage_of(self.exchange.id, answer.usage), answer.stop.stop_reason if answer.stop else None, answer.error,
        )  # fmt: skip

    def _complete(self) -> list[Event]:
        """Read the request, once it is there."""
        if self.request is None:
            return []
        opening, body, self.request = self.opening, self.request.body(), None
        said = read_anatomy(opening.method, opening.path, opening.headers, take_apart(body))
        self.exchange = msgspec.structs.replace(
            self.exchange, complete=True, model=said.model, session_id=said.session_id, agent_id=said.agent_id,
            parent_agent_id=said.parent_agent_id, agent_type=said.agent_type, kind=said.kind, stream=said.stream,
            agent_name=self.sending.agent, provider=self.sending.provider, routed_model=self.sending.model,
        )  # fmt: skip
        return [Event("exchange", self.exchange)]

    def _retry(self, attempt: Attempt) -> Event:
        self.attempts += 1
        said = Retry(self.exchange.id, attempt.kind, attempt.error, attempt.status, attempt.wait_ms)
        return Event("retry", said)

    def _head(self, heading: Heading) -> Event:
        self.status = heading.status
        self.answer = Answer(self.exchange.id, heading, self._limit, self.sending, self.exchange.model)
        return Event("head", Head(self.exchange.id, heading.status))

    def _end(self, frame: Frame, ending: Ending) -> list[Event]:
        if frame.kind is FrameKind.END_CUT:
            ending = msgspec.structs.replace(ending, note=CUT)
        return [*self._close(ending), Event("ended", self._ended(max(0, frame.at - self.opened_at) / 1000, ending))]

    def _close(self, ending: Ending | None) -> list[Event]:
        return self.answer.close(ending) if self.answer else []

    def _ended(self, duration: float | None, ending: Ending | None) -> Ended:
        counted = self.answer.usage if self.answer else Tokens()
        reason = self.answer.stop.stop_reason if self.answer and self.answer.stop else None
        state, error, kind, note = (
            (ending.state, ending.error, ending.error_kind, ending.note) if ending else (None,) * 4
        )
        return Ended(
            self.exchange.id, state, self.status, error, kind, note, duration, reason,
            counted.input, counted.output, counted.cache_read, counted.cache_write,
        )  # fmt: skip


class Watch:
    """The running exchanges of all writers."""

    def __init__(self, limit: int = KEPT_CHARACTERS) -> None:
        """Start with none; `limit` is how many characters of each answer are kept."""
        self._limit = limit
        self._running: dict[bytes, _Running] = {}

    def __len__(self) -> int:
        return len(self._running)

    def take(self, frame: Frame, position: Position) -> Told | None:
        """Return what a frame says; None where it says nothing, is unreadable, or belongs to no exchange that is known."""
        running = self._running.get(frame.exchange)
        try:
            if frame.kind is FrameKind.OPEN:
                return self._open(frame, position)
            if running is None:
                return None
            if frame.kind in _ENDS:
                del self._running[frame.exchange]
            events = running.take(frame)
        except msgspec.MsgspecError:
            events = running.over(None) if running and frame.kind in _ENDS else []
        return Told(running.exchange, events) if running and events else None

    def died(self, writer: str) -> Iterator[Told]:
        """Give up the exchanges of a writer that is dead, everything of which was read."""
        yield from self._give_up({writer: None}, State.INTERRUPTED, DIED)

    def released(self, kept: Mapping[str, int], behind: Set[str]) -> Iterator[Told]:
        """Give up the exchanges whose first segment is gone: they are over, and the store has them.

        `kept` is each writer's first segment that is left; a writer that is missing has none. Of the writers `behind` more may
        have to be read, among it the end of such an exchange.
        """
        writers = {running.first.writer for running in self._running.values()} - behind
        yield from self._give_up({writer: kept.get(writer) for writer in writers}, None, None)

    def shown(self) -> Iterator[RunningExchange]:
        """Yield how each exchange stands, oldest first."""
        for running in self._running.values():
            yield running.shown()

    def _open(self, frame: Frame, position: Position) -> Told | None:
        if frame.exchange in self._running:
            return None
        running = self._running[frame.exchange] = _Running(frame, position, self._limit)
        return Told(running.exchange, [Event("exchange", running.exchange)])

    def _give_up(self, gone: Mapping[str, int | None], state: State | None, error: str | None) -> Iterator[Told]:
        """End the exchanges that began before their writer's segment in `gone`, or anywhere where that is None."""
        for key, running in list(self._running.items()):
            writer = running.first.writer
            first = gone.get(writer)
            if writer in gone and (first is None or running.first.segment < first):
                del self._running[key]
                yield Told(running.exchange, running.over(state, error))


class Backlog:
    """What the journal held before anybody looked: kept unread, and let go with the exchange that it belongs to."""

    def __init__(self) -> None:
        self._frames: dict[bytes, list[tuple[Frame, Position]]] = {}

    def add(self, frame: Frame, position: Position) -> None:
        """Keep a frame as long as its exchange runs."""
        if frame.kind is FrameKind.OPEN:
            self._frames.setdefault(frame.exchange, []).append((frame, position))
        elif frame.kind in _ENDS:
            self._frames.pop(frame.exchange, None)
        elif frame.exchange in self._frames:
            self._frames[frame.exchange].append((frame, position))

    def read_by(self, watch: Watch) -> None:
        """Hand over what is left. Nobody is told: it comes before the first snapshot."""
        for frames in self._frames.values():
            for frame, position in frames:
                watch.take(frame, position)
        self._frames = {}
