"""hypercorn as we need it: a connection whose client is gone is let go at once.

hypercorn keeps the timer of an idle connection running after the client has closed it in the middle of a request, and with it
the socket, for as long as an idle connection may be kept: with ours that would be minutes, and a proxy out of descriptors.
Refuses to know requests.
"""

from __future__ import annotations

from hypercorn.asyncio import run, serve
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.events import Event, Updated

__all__ = ["serve"]


class LettingGo(TCPServer):
    """A connection that is not idle when nobody is at its other end."""

    async def protocol_send(self, event: Event) -> None:
        """Do what the protocol asks for; a connection that is over gets no timer."""
        if isinstance(event, Updated) and self.reader.at_eof():
            await self.idle_task.stop()
        else:
            await super().protocol_send(event)

    async def _read_data(self) -> None:
        await super()._read_data()
        await self.idle_task.stop()


run.TCPServer = LettingGo  # type: ignore[attr-defined]
