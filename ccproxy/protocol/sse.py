"""Server-sent events: bytes in, events out.

Knows the event stream format of the HTML standard (lines, fields, comments, the byte order mark) and keeps what a torn
or oversized stream still says. Refuses to know what an event means: data stays bytes, JSON is somebody else's matter.
"""

from __future__ import annotations

from dataclasses import dataclass

# The most of one event that is kept. The largest real events are tool results of some megabytes; a stream that never
# ends a line must not take the process with it. (h11 bounds an incomplete event the same way, at 16 KiB.)
MAX_EVENT_BYTES = 64 * 1024 * 1024
# A reconnection time has a few digits; more is noise, and int() refuses thousands of them.
MAX_RETRY_DIGITS = 15

DEFAULT_NAME = "message"
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Event:
    """One dispatched event.

    `name` is "message" when the stream gave none; `data` is the data lines joined by line feeds. `id` and `retry` (in
    milliseconds) are those given in this very event, not the last ones seen. `truncated` says that the end is missing:
    the stream broke off inside the event, or the event was larger than MAX_EVENT_BYTES.
    """

    name: str
    data: bytes
    id: str | None = None
    retry: int | None = None
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Comment:
    """A line that starts with a colon, without it and one space after it. Servers send them to keep a line alive."""

    text: bytes


class Decoder:
    """Turns the bytes of one stream into events, however the bytes are cut.

    An event that carries no data line is not dispatched, as the standard says. Time is linear in the bytes fed, and
    memory is bounded by MAX_EVENT_BYTES for the line that is open and as much for the event that is open.
    """

    def __init__(self, limit: int = MAX_EVENT_BYTES) -> None:
        """Start at the beginning of a stream. `limit` is how many data bytes an event, and how many bytes a line, keeps."""
        self._limit = limit
        self._begin()

    def __repr__(self) -> str:
        """Tell how much is waiting for its end."""
        return f"<Decoder open_line={len(self._tail)} open_data={self._size}>"

    def feed(self, data: bytes) -> list[Event | Comment]:
        """Take the next bytes of the stream and return what they completed, in order."""
        if b"\r" in data or self._after_cr:
            data = self._with_line_feeds(data)
        if b"\n" not in data:
            self._hold(data)
            return []
        if self._tail:
            end = data.index(b"\n")
            self._hold(data[:end])
            data = b"".join((self._tail, data[end:]))
            self._tail.clear()
        lines = data.split(b"\n")
        if rest := lines.pop():
            self._hold(rest)
        return self._take(lines)

    def close(self) -> list[Event | Comment]:
        """Say that the stream is over and return what was left open.

        An event without its closing blank line is returned if it has data, marked as truncated. The decoder is then
        ready for another stream.
        """
        found = self._take([bytes(self._tail)] if self._tail else [])
        if self._data is not None:
            self._truncated = True
            found.append(self._event(self._data))
        self._begin()
        return found

    def _begin(self) -> None:
        """Stand at the beginning of a stream."""
        self._tail = bytearray()
        self._at_start = True
        self._after_cr = False
        self._clear()

    def _clear(self) -> None:
        """Forget the event that is open."""
        self._name = ""
        self._data: bytes | None = None
        self._more: bytearray | None = None
        self._size = 0
        self._id: str | None = None
        self._retry: int | None = None
        self._truncated = False

    def _with_line_feeds(self, data: bytes) -> bytes:
        """Turn CRLF and CR into LF; a CRLF that was cut in two counts once."""
        if not data:
            return data
        if self._after_cr and data.startswith(b"\n"):
            data = data[1:]
            self._after_cr = False
            if not data:
                return data
        self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _hold(self, data: bytes) -> None:
        """Keep the bytes of a line whose end is not here yet; one above the limit is enough to know it was crossed."""
        room = self._limit + len(_BOM) + 1 - len(self._tail)
        if room > 0:
            self._tail += data if len(data) <= room else data[:room]

    def _take(self, lines: list[bytes]) -> list[Event | Comment]:
        """Read complete lines."""
        if self._at_start and lines:
            self._at_start = False
            lines[0] = lines[0].removeprefix(_BOM)
        found: list[Event | Comment] = []
        limit = self._limit
        for line in lines:
            if not line:
                if self._data is not None:
                    found.append(self._event(self._data))
                self._clear()
            elif line.startswith(b"data:"):
                value = line[6:] if line.startswith(b"data: ") else line[5:]
                if self._data is None and len(line) <= limit:
                    self._data = value
                    self._size = len(value)
                else:
                    self._add_data(line, value)
            elif line.startswith(b"event: "):
                self._name = line[7:].decode("utf-8", "replace")
            elif line.startswith(b":"):
                found.append(Comment(line[2:limit] if line.startswith(b": ") else line[1:limit]))
            else:
                self._take_field(line[:limit])
        return found

    def _add_data(self, line: bytes, value: bytes) -> None:
        """Add a data line that is not the first, or one that is too long."""
        if len(line) > self._limit:
            self._truncated = True
            value = value[: self._limit - (len(line) - len(value))]
        piece = value if self._data is None else b"\n" + value
        room = self._limit - self._size
        if len(piece) > room:
            self._truncated = True
            piece = piece[:room]
        self._size += len(piece)
        if self._data is None:
            self._data = piece
        elif self._more is None:
            self._more = bytearray(piece)
        else:
            self._more += piece

    def _take_field(self, line: bytes) -> None:
        """Read a field that is neither a plain `data:` nor a plain `event: `; an unknown one is passed over."""
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._add_data(line, value)
        elif name == b"event":
            self._name = value.decode("utf-8", "replace")
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit() and len(value) <= MAX_RETRY_DIGITS:
            self._retry = int(value)

    def _event(self, data: bytes) -> Event:
        if self._more:
            data = b"".join((data, self._more))
        return Event(self._name or DEFAULT_NAME, data, self._id, self._retry, self._truncated)
