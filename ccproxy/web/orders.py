"""The parent's orders, as a worker's event loop hears them.

Knows the pipe on which they come. Refuses to know what is done about them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

GONE = "gone"


async def listen(on_order: Callable[[str], None]) -> None:
    """Call `on_order` with each order, and with GONE when the parent is no more."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    with open(0, "rb", buffering=0, closefd=False) as pipe:  # noqa: ASYNC230 (standard input is open already)
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
        try:
            while line := await reader.readline():
                on_order(line.decode().strip())
            on_order(GONE)
        finally:
            transport.close()
