"""Who may come in: pages, assets, web socket and data are behind the password, also under plain `panel serve`.

The configured gate decides, as it does for the data API: HTTP basic with any user name; without a password, only names that are
ours are answered, so that no page elsewhere reaches in by a name of its own. Refuses to know what it guards.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from typing import Any

from bokeh.server.tornado import BokehTornado
from tornado.httputil import HTTPServerRequest
from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler

from analysis import Configuration

COOKIE = "ccproxy-dashboard"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Bokeh's own script makes functions of text; all else comes from here, and nothing may go anywhere else.
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none';"
    " form-action 'self'; frame-ancestors 'none'",
}
_ours: dict[str, Any] = {}


class RefusedHandler(RequestHandler):
    """Answers whoever may not come in."""

    def initialize(self, refusal: Any) -> None:
        """Take what the gate says."""
        self._refusal = refusal

    def prepare(self) -> None:
        """Refuse, whatever was asked."""
        self.set_status(self._refusal.status)
        if self._refusal.challenge:
            self.set_header("WWW-Authenticate", self._refusal.challenge)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        self.finish(f"{self._refusal.message}\n")


class Guard:
    """Asks the gate. Some browsers send no credentials with a web socket, so who came in by the password gets a cookie for it."""

    def __init__(self, configuration: Configuration) -> None:
        self.gate = configuration.gate
        self.guarded = bool(configuration.dashboard_password)
        self.ticket = secrets.token_urlsafe(32)

    def refusal(self, request: HTTPServerRequest) -> Any:
        """Return why a request does not come in, or None."""
        cookie = request.cookies.get(COOKIE)
        known = cookie is not None and hmac.compare_digest(cookie.value.encode(), self.ticket.encode())
        return self.gate.page(headers_of(request), known=known)


def headers_of(request: HTTPServerRequest) -> list[tuple[bytes, bytes]]:
    """Return the headers as the gate reads them."""
    return [(name.lower().encode("latin-1"), _bytes(value)) for name, value in request.headers.get_all()]


def _bytes(value: str) -> bytes:
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode()


def install(configuration: Configuration) -> None:
    """Put the guard in front of every server of this process; a second time changes what it goes by."""
    _ours["guard"] = Guard(configuration)
    if "find" not in _ours:
        _ours["find"] = BokehTornado.find_handler
        BokehTornado.find_handler = _guarded(_ours["find"])


def _guarded(find: Callable[..., Any]) -> Callable[..., Any]:
    def find_handler(self: BokehTornado, request: HTTPServerRequest, **options: Any) -> Any:
        """Find the handler of a request, or refuse it."""
        refusal = _ours["guard"].refusal(request)
        if refusal is not None:
            return self.get_handler_delegate(request, _with_headers(RefusedHandler), {"refusal": refusal})
        delegate = find(self, request, **options)
        if delegate.handler_class is not None and issubclass(delegate.handler_class, RequestHandler):
            delegate.handler_class = _with_headers(delegate.handler_class)
        return delegate

    return find_handler


def _with_headers(handler: type[RequestHandler]) -> type[RequestHandler]:
    """Return the handler with what every answer carries, and a web socket for none but our own pages."""
    known: dict[type[RequestHandler], type[RequestHandler]] = _ours.setdefault("handlers", {})
    if handler not in known:
        known[handler] = (
            _own_socket(_carrying(handler)) if issubclass(handler, WebSocketHandler) else _carrying(handler)
        )
    return known[handler]


def _carrying(handler: type[RequestHandler]) -> type[RequestHandler]:
    class Handler(handler):  # type: ignore[misc,valid-type]
        """The same, with our headers."""

        def set_default_headers(self) -> None:
            """Add them."""
            super().set_default_headers()
            for name, value in HEADERS.items():
                self.set_header(name, value)
            guard: Guard = _ours["guard"]
            if guard.guarded and not issubclass(handler, RefusedHandler):
                self.set_cookie(COOKIE, guard.ticket, httponly=True, samesite="Strict", path="/")

    Handler.__name__ = handler.__name__
    return Handler


def _own_socket(handler: type[RequestHandler]) -> type[RequestHandler]:
    class Socket(handler):  # type: ignore[misc,valid-type]
        """The same, for pages that came from here."""

        def check_origin(self, origin: str) -> bool:
            """Take what the gate takes for our own page, and what the server was told to allow."""
            guard: Guard = _ours["guard"]
            return guard.gate.is_own_page(headers_of(self.request)) or bool(super().check_origin(origin))

    Socket.__name__ = handler.__name__
    return Socket
