"""`GET /api/live`: what the running exchanges say, as server-sent events.

Knows the wire format and how long a line may stay silent. Refuses to know where the events come from.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType
from quart import Blueprint, Response, request
from quart_schema import document_querystring, document_response, tag

from ccproxy.live import Follower, Listener, Wanted
from ccproxy.live.events import LiveSnapshot
from ccproxy.live.listener import Change

KEEP_ALIVE_S = 15.0
RETRY_MS = 1000
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


class LiveQuery(msgspec.Struct):
    """What to hear about; without either, everything."""

    session: str | UnsetType = UNSET
    agent: Annotated[str, Meta(description="An agent's id, or `main` for what no agent asked.")] | UnsetType = UNSET


def blueprint(follower: Follower) -> Blueprint:
    """Return the route. Its owner calls `follower.close()` when the process stops, which ends every stream."""
    routes = Blueprint("live", __name__)

    @routes.get("/api/live")
    @document_querystring(LiveQuery)
    @document_response(LiveSnapshot)
    @tag(["live"])
    async def live() -> Response:
        """Follow the running exchanges.

        A stream of server-sent events (text/event-stream). The first is `snapshot`: all that runs, with what it has said so far.
        Then come `exchange` (begun; and again when its request is complete), `retry`, `head`, `message`, `block`, `text`,
        `thinking`, `tool_input`, `usage`, `stop_reason`, `api_error`, `other` (as it came, where this version does not know it)
        and `ended`. Who is too slow hears `lagging`, and then a fresh `snapshot`. Each event's data is one line of JSON.
        """
        wanted = Wanted(request.args.get("session") or None, request.args.get("agent") or None)
        body = b"" if request.method == "HEAD" else _stream(follower, wanted)
        response = Response(body, headers=HEADERS, content_type="text/event-stream")
        response.timeout = None  # Quart would cut the stream after a minute
        return response

    return routes


async def _stream(follower: Follower, wanted: Wanted) -> AsyncIterator[bytes]:
    """Yield events, and comments where there are none, until nothing will follow."""
    async with follower.listen(wanted) as listener:
        yield b"retry: %d\n\n" % RETRY_MS
        while True:
            try:
                change = await _next(listener)
            except TimeoutError:
                yield b": still here\n\n"
                continue
            if change is None:
                return
            yield b"id: %d\nevent: %s\ndata: %s\n\n" % (change.number, change.name.encode(), change.data)


async def _next(listener: Listener) -> Change | None:
    async with asyncio.timeout(KEEP_ALIVE_S):
        return await listener.next()
