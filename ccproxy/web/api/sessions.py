"""`/api/sessions`: sessions as a list, one as a thread with its subagents, and deleted.

Refuses to know SQL.
"""

from __future__ import annotations

from quart import Blueprint, Response, request
from quart_schema import document_querystring, document_response, tag

from ccproxy.protocol import titles
from ccproxy.protocol.parts import json_value
from ccproxy.stores.contract import Filter, Page, Record, Selection, Store
from ccproxy.web.api import asking
from ccproxy.web.api.answering import NotFoundError, answer
from ccproxy.web.api.deleting import delete
from ccproxy.web.api.lines import is_of_a_conversation
from ccproxy.web.api.opening import Stores
from ccproxy.web.api.shapes import Deleted
from ccproxy.web.api.thread import Session, Sessions, Tokens, Whole
from ccproxy.web.api.weaving import reference, weave


def blueprint(stores: Stores) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("sessions", __name__)

    @routes.get("/api/sessions")
    @document_querystring(asking.PageQuery)
    @document_response(Sessions)
    @tag(["sessions"])
    async def list_sessions() -> Response:
        """List sessions that have an exchange of the kind that is asked for, the one with the newest exchange first."""
        wanted, place = asking.wanted(request.args), asking.place(request.args)

        def look(store: Store) -> Page:
            """Ask one store, as of one moment."""
            with store.snapshot():
                return store.sessions(wanted, limit=place.limit, offset=place.offset)

        page = await stores.read(look, Page([], 0, False))
        return answer(Sessions([_session(row) for row in page.rows], page.total, place.page, place.limit))

    @routes.get("/api/sessions/<path:session>")
    @document_response(Whole)
    @tag(["sessions"])
    async def show_session(session: str) -> Response:
        """Give a session's conversation, with those of its subagents where they were started."""

        def look(store: Store) -> Whole | None:
            """Ask one store, as of one moment."""
            with store.snapshot():
                return _whole(store, session)

        whole = await stores.read(look, None)
        if whole is None:
            raise NotFoundError("no session has this id; /api/sessions lists them")
        return answer(whole)

    @routes.delete("/api/sessions/<path:session>")
    @document_response(Deleted)
    @tag(["sessions"])
    async def delete_session(session: str) -> Response:
        """Delete the exchanges of a session, all but those that still run."""
        known = await stores.read(lambda store: store.listing(Filter(session=session), limit=1).total, 0)
        if not known:
            raise NotFoundError("no session has this id; /api/sessions lists them")
        return answer(await delete(stores, Selection(session=session)))

    return routes


def _session(row: Record) -> Session:
    names = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")
    lists = {name: sorted(filter(None, json_value(row[name].encode()))) for name in ("models", "clients")}
    plain = {name: row[name] for name in Session.__struct_fields__ if name in row}
    named = titles.title(row["title"], row["first_texts"])
    return Session(**{**plain, **lists, "title": named}, tokens=Tokens(*(row[name] for name in names)))


def _whole(store: Store, session: str) -> Whole | None:
    rows = store.session_exchanges(session)
    if not rows:
        return None
    [figures] = store.sessions(Filter(session=session), limit=1).rows
    return Whole(
        session=_session(figures),
        thread=weave(rows, store.branches(session), store.messages, store.producers),
        other=[reference(row) for row in rows if not is_of_a_conversation(row)],
    )
