"""One answer on its way to the proxy: each piece is written, and the next one waits until the client has heard it.

Knows HTTP's framing. Refuses to know what is told, and sets no clock but for the moment between a head and its body.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from ccproxy.demo.answers import Headers, head
from ccproxy.demo.line import Line
from ccproxy.demo.week import Clock

BODY_AFTER_US = 400


@dataclass(slots=True)
class Telling:
    """The provider's end of one exchange."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    line: Line
    clock: Clock
    told: int = 0

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """Give an answer of known length."""
        self.writer.write(head(status, headers, len(body)))
        await self.line.heard()
        self.clock.now += BODY_AFTER_US
        self.writer.write(body)
        await self.line.heard(len(body))

    async def head(self, headers: Headers) -> None:
        """Begin a stream."""
        self.writer.write(head(200, headers, None))
        await self.line.heard()

    async def piece(self, data: bytes) -> None:
        """Give a piece of a stream."""
        self.told += len(data)
        self.writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        await self.line.heard(self.told)

    def finish(self) -> None:
        """End a stream."""
        self.writer.write(b"0\r\n\r\n")

    async def hung_up(self, cause: asyncio.Event) -> None:
        """Let something happen that ends the connection, and wait until it has."""
        cause.set()
        await self.reader.read()
