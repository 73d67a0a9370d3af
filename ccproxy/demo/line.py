"""What the two ends of one exchange know of each other: the provider says nothing more before the client has heard the last word.

That, and one exchange at a time, is what makes times exact: the clock stands still while bytes are on their way. Refuses to know
what is said.
"""

from __future__ import annotations

import asyncio

from ccproxy.demo.replies import Reply


class Line:
    """One exchange: what is to be answered, how much of it was heard, and whether somebody is gone."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.left = asyncio.Event()  # the client is to go
        self.dark = asyncio.Event()  # everything is
        self.tokens = 0  # of the answer and all that was asked
        self._head = False
        self._bytes = 0
        self._news = asyncio.Event()

    def hear(self, size: int | None) -> None:
        """Note the client's side: a piece of the body, or the head (None)."""
        self._head = True
        self._bytes += size or 0
        self._news.set()

    async def heard(self, size: int = 0) -> None:
        """Wait until the client has the head and so many bytes of the body."""
        while not self._head or self._bytes < size:
            self._news.clear()
            await self._news.wait()
