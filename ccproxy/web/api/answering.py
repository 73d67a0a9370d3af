"""How the data API answers: JSON, errors in one shape, and headers that keep captured text from ever being a page.

Refuses to know what is asked.
"""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from quart import Quart, Response, request
from quart_schema import RequestSchemaValidationError
from werkzeug.exceptions import HTTPException

from ccproxy.errors import StoreBusyError, StoreError
from ccproxy.web.answers import ERROR_TYPES
from ccproxy.web.api.asking import BadQuestionError

log = logging.getLogger("ccproxy")
JSON = "application/json"
BUSY_SECONDS = "1"
_SAFE = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'",
}
_SENTENCES = {
    404: "there is nothing here; /openapi.json lists what there is",
    405: "this path does not know that method",
}


class NotFoundError(Exception):
    """What is asked for does not exist: the message is one clear sentence."""


class ConflictError(Exception):
    """What is asked for cannot be done as things stand: the message is one clear sentence."""


def answer(value: Any, status: int = 200) -> Response:
    """Return a value as JSON."""
    return Response(msgspec.json.encode(value), status, content_type=JSON)


def failure(status: int, message: str) -> Response:
    """Return an error in the API's shape."""
    kind = ERROR_TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    return answer({"type": "error", "error": {"type": kind, "message": f"ccproxy: {message}"}}, status)


def keep_safe(app: Quart) -> None:
    """Give every answer of an application its headers, and every error its shape."""

    @app.after_request
    async def protect(response: Response) -> Response:
        """Add the headers."""
        response.headers.update(_SAFE)
        length = response.headers.get("content-length")
        if request.method == "HEAD" and length is not None:
            response.set_data(b"")
            response.headers["content-length"] = length
        return response

    app.register_error_handler(HTTPException, _http_failure)
    app.register_error_handler(BadQuestionError, lambda error: failure(400, str(error)))
    app.register_error_handler(NotFoundError, lambda error: failure(404, str(error)))
    app.register_error_handler(ConflictError, lambda error: failure(409, str(error)))
    app.register_error_handler(StoreError, _store_failure)
    app.register_error_handler(Exception, _own_failure)


def _http_failure(error: HTTPException) -> Response:
    status = error.code or 500
    if isinstance(error, RequestSchemaValidationError):
        message = f"the query cannot be read: {error.validation_error}"
    else:
        message = _SENTENCES.get(status) or error.description or "the request cannot be answered"
    response = failure(status, message)
    for name, value in error.get_headers():
        if name.lower() in ("allow", "retry-after"):
            response.headers[name] = value
    return response


def _store_failure(error: StoreError) -> Response:
    if not isinstance(error, StoreBusyError):
        log.error("the data API cannot answer: %s", error)
        return failure(500, str(error))
    response = failure(503, str(error))
    response.headers["retry-after"] = BUSY_SECONDS
    return response


def _own_failure(error: Exception) -> Response:
    log.error("the data API failed", exc_info=error)
    return failure(500, f"the data API failed: {type(error).__name__}")
