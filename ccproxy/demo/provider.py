"""A stand-in for the Anthropic API: real HTTP over a private socket, answers from a script, usage from what really came.

Tokens and the prompt cache are counted on the request's own bytes. Knows just enough HTTP for one client, one request at a time.
Refuses to be reached by anybody else.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from ccproxy.demo import events, pace
from ccproxy.demo.answers import Answers
from ccproxy.demo.caching import Counted, PromptCache
from ccproxy.demo.chance import Chance
from ccproxy.demo.counting import tokens, weight
from ccproxy.demo.line import Line
from ccproxy.demo.replies import Fate, Figure, Listing, Nothing, Refused, Spoken
from ccproxy.demo.telling import Telling
from ccproxy.demo.week import Clock

READ_LIMIT = 1 << 20
FIRST_EVENTS = 4  # of an answer that breaks off, so many come in any case


class Provider:
    """The provider. `line` is the exchange that it is to answer next."""

    def __init__(self, clock: Clock, chance: Chance) -> None:
        self.line: Line | None = None
        self._clock = clock
        self._chance = chance
        self._cache = PromptCache()
        self._answers = Answers(chance)

    @contextlib.asynccontextmanager
    async def listening(self, socket: str) -> AsyncIterator[None]:
        """Answer whoever connects to this path."""
        server = await asyncio.start_unix_server(self._serve, socket, limit=READ_LIMIT)
        try:
            yield
        finally:
            server.close()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                headers = _headers(await reader.readuntil(b"\r\n\r\n"))
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                assert self.line is not None, "nobody said what to answer"
                if not await self._answer(Telling(reader, writer, self.line, self._clock), headers, body):
                    break
        writer.close()

    async def _answer(self, telling: Telling, asked: dict[str, str], body: bytes) -> bool:
        """Answer one request; return whether the connection goes on."""
        request: dict[str, Any] = json.loads(body) if body else {}
        match telling.line.reply:
            case Nothing():
                self._wait(self._chance.between(900, 2500))
                return False
            case Refused() as refused:
                self._wait(self._chance.about(refused.after))
                await telling.whole(refused.status, *self._answers.error(refused, asked, self._clock.now))
            case Figure():
                self._wait(self._chance.about(210))
                await self._plain(telling, asked, {"input_tokens": self._cache.count(request)})
            case Listing(value):
                self._wait(self._chance.about(95))
                await self._plain(telling, asked, value)
            case Spoken() as spoken:
                return await self._speak(telling, asked, spoken, request)
        return True

    async def _speak(self, telling: Telling, asked: dict[str, str], spoken: Spoken, request: dict[str, Any]) -> bool:
        began, model = self._clock.now, request["model"]
        taken = self._cache.take(request, began)
        message = self._message(spoken, model, taken.counted)
        telling.line.tokens = taken.counted.total + message["usage"]["output_tokens"]
        stream = events.stream(message, spoken.hidden, self._chance)
        stalled = (len(stream) * 2 // 3, spoken.stall) if spoken.stall else (-1, 0.0)
        planned = pace.plan(model, taken.counted, stream, began, self._chance, stalled)
        self._cache.keep(taken, began + planned.head)
        if not request.get("stream"):
            self._clock.now = began + planned.end
            await self._plain(telling, asked, message)
            return True
        self._clock.now = began + planned.head
        await telling.head(self._answers.stream(asked, self._clock.now))
        for offset, data in planned.events[: _heard_of(spoken, len(planned.events))]:
            self._clock.now = began + offset
            await telling.piece(data)
        if spoken.fate is Fate.WHOLE:
            self._clock.now = began + planned.end
        return await self._fate(telling, spoken.fate)

    async def _fate(self, telling: Telling, fate: Fate) -> bool:
        """Let an answer's fate come true; return whether the connection goes on."""
        match fate:
            case Fate.ERROR:
                self._wait(self._chance.between(800, 2600))
                await telling.piece(events.error_event("overloaded_error", "Overloaded", self._answers.request_id))
            case Fate.CUT:
                self._wait(self._chance.between(4000, 9000))
                return False
            case Fate.LEFT:
                self._wait(self._chance.between(200, 900))
                await telling.hung_up(telling.line.left)
                return False
            case Fate.DARK:
                await telling.hung_up(telling.line.dark)
                return False
        telling.finish()
        return True

    def _message(self, spoken: Spoken, model: str, counted: Counted) -> dict[str, Any]:
        thoughts = [block for block in spoken.blocks if block["type"] == "thinking" and block["thinking"]]
        thought = tokens(sum(map(weight, thoughts))) + spoken.hidden
        output = tokens(sum(map(weight, spoken.blocks))) + spoken.hidden
        return self._answers.message(spoken, model, counted, output, thought, self._clock.now)

    async def _plain(self, telling: Telling, asked: dict[str, str], value: Any) -> None:
        body = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
        await telling.whole(200, self._answers.plain(asked, self._clock.now), body)

    def _wait(self, milliseconds: float) -> None:
        self._clock.now += round(milliseconds * 1000)


def _heard_of(spoken: Spoken, count: int) -> int:
    """Return how many of an answer's events come."""
    return count if spoken.fate is Fate.WHOLE else min(count - 2, max(FIRST_EVENTS, round(count * spoken.until)))


def _headers(head: bytes) -> dict[str, str]:
    """Return a request's headers, by their names in lower case."""
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name}
