"""`/api/stats`: how much there is, and what it used.

Refuses to know what a token costs.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta
from quart import Blueprint, Response, request
from quart_schema import document_querystring, document_response, tag

from ccproxy.stores.contract import Store
from ccproxy.web.api import asking
from ccproxy.web.api.answering import answer
from ccproxy.web.api.opening import Stores


class Usage(msgspec.Struct):
    """What one model was used for on one day."""

    day: Annotated[str, Meta(description="YYYY-MM-DD, in UTC.")]
    model: Annotated[str | None, Meta(description="Null for requests that name none.")]
    exchanges: int
    errors: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    cache_write_5m_tokens: int
    cache_write_1h_tokens: int
    web_searches: int


class Holdings(msgspec.Struct):
    """What the store holds."""

    bytes: int
    schema: int
    blobs: int
    nodes: int
    blocks: int
    preambles: int


class Stats(msgspec.Struct):
    """Counts and tokens of the exchanges that were asked for, and the size of the whole store."""

    exchanges: Annotated[dict[str, int], Meta(description="How many there are in each state.")]
    usage: Annotated[list[Usage], Meta(description="By day and model, newest day first.")]
    store: Annotated[Holdings | None, Meta(description="Null while nothing was captured yet.")]


def blueprint(stores: Stores) -> Blueprint:
    """Return the route."""
    routes = Blueprint("stats", __name__)

    @routes.get("/api/stats")
    @document_querystring(asking.FilterQuery)
    @document_response(Stats)
    @tag(["stats"])
    async def stats() -> Response:
        """Count exchanges and tokens."""
        wanted = asking.wanted(request.args)

        def look(store: Store) -> Stats:
            """Read all figures as of one moment."""
            with store.snapshot():
                usage = [msgspec.convert(row, Usage) for row in store.usage(wanted)]
                return Stats(store.states(wanted), usage, msgspec.convert(store.stats(), Holdings))

        return answer(await stores.read(look, Stats({}, [], None)))

    return routes
