"""Headers as the store keeps them: a list that many exchanges share, and the few values that are each exchange's own.

Refuses to know what the headers mean.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ccproxy.protocol.parts import digest
from ccproxy.records import HeaderList, Part

# Headers whose value differs from exchange to exchange. One that is missing here costs room, nothing else.
_OWN = {
    "age", "cf-ray", "content-length", "date", "etag", "idempotency-key", "request-id", "retry-after", "server-timing",
    "set-cookie", "traceparent", "traceresponse", "tracestate", "via", "x-amz-cf-id", "x-amzn-requestid", "x-bench",
    "x-claude-code-prev-tool-durations", "x-claude-code-prompt-id", "x-client-request-id", "x-envoy-upstream-service-time",
    "x-request-id", "x-stainless-retry-count", "x-stainless-timeout", "x-trace-id",
}  # fmt: skip
_OWN_PREFIXES = ("anthropic-ratelimit-", "x-ratelimit-")


def split(side: str, headers: Sequence[tuple[str, str]]) -> tuple[HeaderList, Part]:
    """Return the header list of one side, and the template that it refers to."""
    own = [name.lower() in _OWN or name.lower().startswith(_OWN_PREFIXES) for name, _ in headers]
    template = msgspec.json.encode(
        [(name, None if is_own else value) for (name, value), is_own in zip(headers, own, strict=True)]
    )
    values = [value for (_, value), is_own in zip(headers, own, strict=True) if is_own]
    part = Part(digest(template), template)
    return HeaderList(side, part.digest, values), part
