"""Errors of providers that speak Chat Completions, said as Anthropic's.

Knows where providers put the message, which of their codes say more than the status, and how Anthropic words what Claude Code
recovers from. Types and statuses are those of https://docs.anthropic.com/en/api/errors. Refuses to know headers: `retry-after` is
the caller's to pass on.
"""

from __future__ import annotations

import re
from typing import Any

from ccproxy.protocol.demotion import error_status
from ccproxy.protocol.openai import overflow
from ccproxy.protocol.openai.json_text import NotJson, mended, read

Object = dict[str, Any]

MOST_OF_A_MESSAGE = 2000
_DEEPEST = 5

_BY_STATUS = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",  # clients try again, as they do after OpenAI's
    409: "api_error",  # OpenAI: try again
    413: "request_too_large",
    429: "rate_limit_error",
    498: "overloaded_error",  # Groq: no capacity for this tier
    503: "overloaded_error",
    504: "timeout_error",
    524: "timeout_error",  # Cloudflare: the server behind it took too long
    529: "overloaded_error",
}
# No more money: trying again does not help, so it is no rate limit, whatever its status (OpenAI's is 429).
_BILLING = {"insufficient_quota", "billing_not_active", "billing_hard_limit_reached", "exceeded_current_quota_error"}
# Names in the middle of a stream, where there is no status.
_BY_NAME = {
    "invalid_api_key": "authentication_error",
    "model_not_found": "not_found_error",
    "rate_limit_exceeded": "rate_limit_error",
    "too_many_requests": "rate_limit_error",
    "toomanyrequests": "rate_limit_error",
    "ratelimiterror": "rate_limit_error",
    "service_unavailable": "overloaded_error",
    "service_unavailable_error": "overloaded_error",
    "overloaded": "overloaded_error",
    "engine_overloaded": "overloaded_error",
    "server_overloaded": "overloaded_error",
    "timeout": "timeout_error",
    "bad_request": "invalid_request_error",
    "badrequesterror": "invalid_request_error",
    **{
        kind: kind
        for kind in (
            "authentication_error", "billing_error", "permission_error", "not_found_error", "request_too_large",
            "rate_limit_error", "timeout_error", "overloaded_error", "invalid_request_error",
        )
    },
}  # fmt: skip
_MAY_BE_OVERFLOW = {None, 400, 413, 422}
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.DOTALL | re.IGNORECASE)
_TEXT_MEMBERS = ("message", "error", "detail", "msg", "Message", "title", "errors")


def payload(kind: str, message: str) -> Object:
    """Return the payload of an error: the body of an answer, or the data of an `error` event. Half characters are replaced."""
    return {"type": "error", "error": {"type": kind, "message": mended(message)}}


def to_error(status: int, body: bytes, provider: str) -> tuple[int, Object]:
    """Return the status and the payload that Anthropic would answer with, for an error answer of a provider.

    The message is the provider's own, after its name. A request that is too long is worded as Anthropic words it, since clients
    recover by that. Anything is an error here, also a status below 400. Never raises.
    """
    try:
        value = read(body)
    except NotJson:
        value = _plain(body)
    found = _payload(status, value, provider)
    return error_status(found), found


def stream_error(error: Any, provider: str) -> Object:
    """Return the payload for an error that a provider sends in place of an answer, or in the middle of one; any JSON value."""
    return _payload(None, error, provider)


def by(provider: str, sentence: str) -> str:
    """Return a sentence that names the provider, where it has a name."""
    return f"{provider}: {sentence}" if provider else sentence


def _payload(status: int | None, value: Any, provider: str) -> Object:
    text, names = _text(value)[:MOST_OF_A_MESSAGE], _names(value)
    answered = "the provider gave no reason" if status is None else f"the provider answered with status {status}"
    sentence = by(provider, text or answered)
    if status is None:
        status = _status(value)
    if _BILLING.intersection(names):
        return payload("billing_error", sentence)
    if status in _MAY_BE_OVERFLOW and (wording := overflow.wording(text, names)):
        return payload("invalid_request_error", f"{wording} ({sentence})")
    if status is None:
        return payload(next((_BY_NAME[name] for name in names if name in _BY_NAME), "api_error"), sentence)
    return payload(_BY_STATUS.get(status, "invalid_request_error" if 400 <= status < 500 else "api_error"), sentence)


def _plain(body: bytes) -> str:
    """Return what a body says that is no JSON: of a page only its title."""
    text = body.decode("utf-8", "replace").strip()
    if not text.startswith("<"):
        return text
    title = _TITLE.search(text)
    return " ".join(title[1].split()) if title else ""


def _text(value: Any, depth: int = 0) -> str:
    """Return the message in an error: the first text where messages stand; of several errors all of them."""
    if isinstance(value, str):
        return value.strip()
    if depth == _DEEPEST:
        return ""
    if isinstance(value, list):
        return "; ".join(filter(None, (_text(entry, depth + 1) for entry in value)))
    if not isinstance(value, dict):
        return ""
    found = next(filter(None, (_text(value.get(member), depth + 1) for member in _TEXT_MEMBERS)), "")
    place, metadata = value.get("loc"), value.get("metadata")
    if found and isinstance(place, list):  # FastAPI
        return f"{'.'.join(map(str, place))}: {found}"
    # OpenRouter: "Provider returned error", and what that provider said.
    raw = _text(metadata.get("raw"), depth + 1) if isinstance(metadata, dict) else ""
    return ": ".join(filter(None, (found, raw)))


def _inner(value: Any) -> Object:
    """Return the object that has an error's code: the first of several, the one inside, or the value itself."""
    while True:
        if isinstance(value, list) and value:
            value = value[0]
        elif isinstance(value, dict) and isinstance(value.get("error"), dict | list) and value["error"]:
            value = value["error"]
        else:
            return value if isinstance(value, dict) else {}


def _names(value: Any) -> list[str]:
    """Return what an error is called, its code before its type, which is more general."""
    inner = _inner(value)
    return [name.lower() for name in (inner.get("code"), inner.get("type")) if isinstance(name, str)]


def _status(value: Any) -> int | None:
    """Return the status that stands in an error itself."""
    inner = _inner(value)
    for code in (inner.get("code"), inner.get("status_code"), inner.get("status")):
        if isinstance(code, int | str) and re.fullmatch(r"[45]\d\d", str(code)):
            return int(code)
    return None
