"""The one line that a failed forward leaves in the log, as `key=value` for whoever searches logs.

Knows its nine fields, and that a routed request has more. Refuses to show a body or a secret: of the request it tells sizes and names only.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping

from ccproxy.protocol import headers
from ccproxy.protocol.parts import RequestParts, take_apart
from ccproxy.wire import RequestHead

log = logging.getLogger("ccproxy")

MAX_READ_BYTES = 4 << 20  # a larger body is not read for the sake of a log line


def log_failure(
    request_id: str, head: RequestHead, body: bytes, elapsed_s: float, cause: str, route: Mapping[str, object]
) -> None:
    """Leave the line in the log; arguments as of `failure_fields`. `route` has fields of a request that was routed."""
    fields = {**failure_fields(request_id, head, body, elapsed_s, cause), **route}
    log.error("forward failed %s", failure_line(fields), extra={"fields": fields})


def failure_line(fields: Mapping[str, object]) -> str:
    """Return the fields as one line."""
    return " ".join(f"{key}={_value(value)}" for key, value in fields.items())


def failure_fields(request_id: str, head: RequestHead, body: bytes, elapsed_s: float, cause: str) -> dict[str, object]:
    """Return request_id, model, stream, body_bytes, has_thinking, anthropic_beta, query, elapsed, ctx_err.

    `request_id` is the exchange's own id, by which `ccproxy show` finds it; `cause` the short word for what happened.
    """
    parts = take_apart(body) if len(body) <= MAX_READ_BYTES else RequestParts()
    beta = ",".join(value.decode("latin-1") for name, value in head.headers if name.lower() == b"anthropic-beta")
    return {
        "request_id": request_id,
        "model": parts.value("model"),
        "stream": str(parts.value("stream") is True).lower(),
        "body_bytes": len(body),
        "has_thinking": str(parts.value("thinking") is not None).lower(),
        "anthropic_beta": beta,
        "query": headers.mask_query(head.query),
        "elapsed": f"{elapsed_s:.3f}s",
        "ctx_err": cause,
    }


def _value(value: object) -> str:
    """Return a value that is one word: quoted where it is not, a dash where there is none."""
    text = "" if value is None else str(value)
    if not text:
        return "-"
    return text if text.isascii() and text.isprintable() and not set(text) & set(' "') else json.dumps(text)
