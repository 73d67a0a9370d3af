"""The password: pages, assets, web socket and data are behind it, also under plain `panel serve`.

HTTP basic, any user name, as at the data API. Refuses to know what it guards.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Callable
from typing import Any

from bokeh.server.tornado import BokehTornado
from tornado.httputil import HTTPServerRequest
from tornado.web import RequestHandler

COOKIE = "ccproxy-dashboard"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    # Bokeh's own script makes functions of text; all else comes from here, and nothing may go anywhere else.
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none';"
    " form-action 'self'; frame-ancestors 'none'",
}
_ours: dict[str, Any] = {}


class RefusedHandler(RequestHandler):
    """Answers whoever has not shown the password."""

    def prepare(self) -> None:
        """Refuse, whatever was asked."""
        self.set_status(401)
        self.set_header("WWW-Authenticate", 'Basic realm="ccproxy", charset="UTF-8"')
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish("the dashboard wants its password (DASHBOARD_PASSWORD), with any user name\n")


class Guard:
    """Says who may come in. Some browsers send no credentials with a web socket, so who came in gets a cookie for it."""

    def __init__(self, password: str) -> None:
        self._password = password.encode()
        self.ticket = secrets.token_urlsafe(32)

    def admits(self, request: HTTPServerRequest) -> bool:
        """Return whether a request shows the password, or the cookie that it brought."""
        if not self._password:
            return True
        cookie = request.cookies.get(COOKIE)
        if cookie is not None and hmac.compare_digest(cookie.value.encode(), self.ticket.encode()):
            return True
        kind, _, text = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "basic":
            return False
        try:
            shown = base64.b64decode(text, validate=True).partition(b":")[2]
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(shown, self._password)


def install(password: str) -> None:
    """Put the guard in front of every server of this process; a second time changes the password."""
    _ours["guard"] = Guard(password)
    if "find" not in _ours:
        _ours["find"] = BokehTornado.find_handler
        BokehTornado.find_handler = _guarded(_ours["find"])


def _guarded(find: Callable[..., Any]) -> Callable[..., Any]:
    def find_handler(self: BokehTornado, request: HTTPServerRequest, **options: Any) -> Any:
        """Find the handler of a request, or refuse it."""
        guard: Guard = _ours["guard"]
        if not guard.admits(request):
            return self.get_handler_delegate(request, RefusedHandler)
        delegate = find(self, request, **options)
        if delegate.handler_class is not None and issubclass(delegate.handler_class, RequestHandler):
            delegate.handler_class = _with_headers(delegate.handler_class, guard)
        return delegate

    return find_handler


def _with_headers(handler: type[RequestHandler], guard: Guard) -> type[RequestHandler]:
    """Return the handler with what every answer carries."""
    known: dict[type[RequestHandler], type[RequestHandler]] = _ours.setdefault("handlers", {})
    if handler not in known:

        class Handler(handler):  # type: ignore[misc,valid-type]
            """The same, with our headers."""

            def set_default_headers(self) -> None:
                """Add them."""
                super().set_default_headers()
                for name, value in HEADERS.items():
                    self.set_header(name, value)
                ours: Guard = _ours["guard"]
                if ours._password:
                    self.set_cookie(COOKIE, ours.ticket, httponly=True, samesite="Strict", path="/")

        Handler.__name__ = handler.__name__
        known[handler] = Handler
    return known[handler]
