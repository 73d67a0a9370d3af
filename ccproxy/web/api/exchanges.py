"""`/api/requests`: exchanges as lists, one by one, as their bytes, and deleted.

Refuses to know SQL.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from quart import Blueprint, Response, request
from quart_schema import document_querystring, document_response, tag

from ccproxy.stores.contract import Page, Record, Selection, Store
from ccproxy.web.api import asking, contents
from ccproxy.web.api.answering import ConflictError, NotFoundError, answer
from ccproxy.web.api.deleting import delete
from ccproxy.web.api.opening import Stores
from ccproxy.web.api.shapes import Deleted, Exchange, Listed

T = TypeVar("T")


def blueprint(stores: Stores) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("exchanges", __name__)

    @routes.get("/api/requests")
    @document_querystring(asking.ListQuery)
    @document_response(Listed)
    @tag(["exchanges"])
    async def list_requests() -> Response:
        """List exchanges, newest first, without what is in them."""
        wanted, place = asking.wanted(request.args), asking.place(request.args)

        def look(store: Store) -> Page:
            """Ask one store, as of one moment."""
            return store.listing(wanted, limit=place.limit, offset=place.offset, before=place.before)

        page = await stores.read(look, Page([], 0, False))
        rows = [contents.summary(row) for row in page.rows]
        return answer(Listed(rows, page.total, place.page, place.limit, rows[-1].id if page.more else None))

    @routes.get("/api/requests/<exchange>")
    @document_querystring(asking.IncludeQuery)
    @document_response(Exchange)
    @tag(["exchanges"])
    async def show_request(exchange: str) -> Response:
        """Give all that is known of an exchange.

        A beginning or an end of the id is enough, where it is the only one.
        """
        included = asking.included(request.args)
        return answer(await _one(stores, exchange, lambda store, row: contents.whole(store, row, included)))

    @routes.get("/api/requests/<exchange>/request")
    @tag(["exchanges"])
    async def download_request(exchange: str) -> Response:
        """Give the exact bytes of a request's body, as a download."""
        return await _download(stores, exchange, "request")

    @routes.get("/api/requests/<exchange>/sent")
    @tag(["exchanges"])
    async def download_sent(exchange: str) -> Response:
        """Give the exact bytes that went up in a request's place, as a download.

        There are some where the request was translated for another provider.
        """
        return await _download(stores, exchange, "sent")

    @routes.get("/api/requests/<exchange>/response")
    @tag(["exchanges"])
    async def download_response(exchange: str) -> Response:
        """Give the exact bytes of an answer's body, as a download."""
        return await _download(stores, exchange, "response")

    @routes.delete("/api/requests/<exchange>")
    @document_response(Deleted)
    @tag(["exchanges"])
    async def delete_request(exchange: str) -> Response:
        """Delete an exchange, unless it still runs."""
        chosen: str = await _one(stores, exchange, lambda _, row: row["id"])
        return answer(await delete(stores, Selection(exchange=chosen)))

    @routes.delete("/api/requests")
    @document_response(Deleted)
    @tag(["exchanges"])
    async def delete_requests() -> Response:
        """Delete all exchanges but those that still run."""
        return answer(await delete(stores, Selection(everything=True)))

    return routes


async def _download(stores: Stores, id_part: str, side: str) -> Response:
    found = await _one(stores, id_part, lambda store, row: contents.download(store, row, side))
    response = Response(found.data, content_type=found.content_type)
    response.headers["content-disposition"] = f'attachment; filename="{found.name}"'
    return response


async def _one(stores: Stores, id_part: str, question: Callable[[Store, Record], T]) -> T:
    """Ask about the one exchange that an id, or an end of it, names."""

    def look(store: Store) -> T:
        """Ask one store, as of one moment."""
        with store.snapshot():
            return question(store, _named(store, id_part))

    found = await stores.read(look, None)
    if found is None:
        raise NotFoundError("nothing is captured yet")
    return found


def _named(store: Store, id_part: str) -> Record:
    rows = store.named(id_part)
    if not rows:
        raise NotFoundError("no exchange has this id; /api/requests lists them")
    if len(rows) > 1:
        raise ConflictError("more than one exchange has an id like this; give more of it")
    return rows[0]
