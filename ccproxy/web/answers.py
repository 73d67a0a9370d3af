"""The answers that the proxy gives itself: errors in Anthropic's shape.

Knows statuses and error types (https://docs.anthropic.com/en/api/errors). Refuses to know why one is given.
"""

from __future__ import annotations

import msgspec

from ccproxy.wire import Header

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    502: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
}


def error_body(status: int, message: str) -> bytes:
    """Return an error body as the API words it; the message says that it is ccproxy who speaks."""
    error = {"type": ERROR_TYPES.get(status, "api_error"), "message": f"ccproxy: {message}"}
    return msgspec.json.encode({"type": "error", "error": error})


def json_headers(body: bytes) -> list[Header]:
    """Return the headers of a JSON answer."""
    return [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
