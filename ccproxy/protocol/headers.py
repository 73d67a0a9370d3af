"""Header rules: which headers travel on, and which values are never written down.

Knows the hop-by-hop headers of HTTP and how credentials are named and spelled in headers, queries and gateways. Refuses
to know where a record goes. When in doubt a value is masked: its hash still tells two keys apart.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Set
from functools import lru_cache
from urllib.parse import unquote_to_bytes

Header = tuple[bytes, bytes]

# RFC 9110, 7.6.1, the older `keep-alive` and `proxy-connection`, and what authenticates towards a proxy (11.7).
HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# They frame the body that is passed on as it came, so a `Connection` header cannot take them away.
_NEVER_DROPPED = frozenset({b"content-length", b"content-encoding"})

HASH_DIGITS = 12
_REMEMBERED_NAMES = 2048
_REMEMBERED_VALUES = 256

# A name with one of these inside is a secret's ...
_SECRET_INSIDE = re.compile(
    r"api-?key|authori[sz]ation|authentication|bearer|cookie|credential|jwt|passphrase|passw|secret|session-?key|signature"
    r"|(?:access|auth|master|private|signing|subscription)-?key|token(?!s)"
)
# ... or with one of these as a whole word between dashes, or as its last word ...
_SECRET_WORDS = frozenset({"assertion", "auth", "pass", "pat", "pwd", "sig"})
_SECRET_LAST_WORDS = frozenset({"key", "keys"})
# ... of what is left of the name without these, which count, name or allow something.
_NO_SECRET = re.compile(
    r"^access-control-.*|(?:idempotency|cache|surrogate|partition|ratelimit|sec-websocket)-key$"
    r"|token-(?:count|usage|limit|budget)"
)
# In a query a name stands alone, so a few short ones are telling that would not be in a header.
_SECRET_PARAMETERS = frozenset({"code", "key", "keys", "otp", "sas", "sig", "state", "ticket"})

_SCHEME = re.compile(rb"^(?:bearer|basic|token|apikey|api-key|key)[ \t]+(?=\S)", re.IGNORECASE)
# How keys look wherever they stand: of model providers, AWS, GitHub, Google and Slack, JSON web tokens, spoken schemes.
_KEY_SHAPE = re.compile(
    rb"\b(?:sk-[A-Za-z0-9_-]{16,}|(?:AKIA|ASIA)[A-Z0-9]{16}|gh[oprsu]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}"
    rb"|AIza[\w-]{30,}|ya29\.[\w-]{16,}|xox[abeoprs]-[\w-]{10,}|hf_[A-Za-z0-9]{20,}|gsk_[A-Za-z0-9]{20,}|xai-[\w-]{20,}"
    rb"|r8_[A-Za-z0-9]{20,}|pplx-[A-Za-z0-9]{20,}|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*)"
    rb"|(?<=\bbearer )[^\s,;\"']{8,}|(?<=\bbasic )[^\s,;\"']{8,}",
    re.IGNORECASE,
)
_SHORTEST_KEY = 8  # the shortest value in which one of the two finds anything
_USER_INFO = re.compile(rb"(?<=://)[^/\s?#@]+(?=@)")
# Headers that hold a URL, and so perhaps a query with a key in it.
_URL_HEADERS = frozenset(
    {
        b"content-location",
        b"link",
        b"location",
        b"origin",
        b"referer",
        b"refresh",
        b"x-forwarded-uri",
        b"x-original-uri",
        b"x-original-url",
        b"x-rewrite-url",
        b"x-url",
    }
)


def end_to_end(headers: Iterable[Header]) -> list[Header]:
    """Return the headers that are meant for the far end, in their order, duplicates kept.

    Left out are the hop-by-hop headers and every header that a `Connection` header names (RFC 9110, 7.6.1), but never
    `Content-Length` and `Content-Encoding`: the body goes on as it came.
    """
    headers = list(headers)
    named = {
        option.strip().lower()
        for name, value in headers
        if name.lower() == b"connection"
        for option in value.split(b",")
    }
    dropped = (HOP_BY_HOP | named) - _NEVER_DROPPED
    return [(name, value) for name, value in headers if name.lower() not in dropped]


def header(headers: Iterable[Header], name: str) -> str | None:
    """Return the first value of the header `name` (in any case), decoded as latin-1, or None where there is none."""
    wanted = name.lower().encode("latin-1", "replace")
    for given, value in headers:
        if given.lower() == wanted:
            return value.decode("latin-1")
    return None


@lru_cache(maxsize=_REMEMBERED_NAMES)
def is_secret(name: bytes) -> bool:
    """Return whether a header or parameter of this name carries a credential.

    `x-auth-token` is one, `anthropic-ratelimit-tokens-remaining` and `x-claude-code-session-id` are none. A name that
    is not known but sounds like a secret is taken for one.
    """
    words = name.strip().lower().decode("latin-1").replace("_", "-").replace(".", "-")
    words = _NO_SECRET.sub("", words)
    parts = words.split("-")
    return bool(_SECRET_INSIDE.search(words)) or not _SECRET_WORDS.isdisjoint(parts) or parts[-1] in _SECRET_LAST_WORDS


def mask(value: bytes) -> str:
    """Return `sha256:` and the first 12 hex digits of the key's SHA-256; an empty value stays empty.

    A scheme before the key (`Bearer`, `Basic`) is not part of it, so a key sent as `x-api-key` and the same key sent as
    `Authorization: Bearer` show the same.
    """
    key = _SCHEME.sub(b"", value.strip())
    return f"sha256:{hashlib.sha256(key).hexdigest()[:HASH_DIGITS]}" if key else ""


def masked(headers: Iterable[Header], extra: Set[bytes] = frozenset()) -> list[tuple[str, str]]:
    """Return the headers as text (latin-1) that may be written down: order and names as they were, secrets masked.

    Masked are the values of headers with a secret's name, or with one that is in `extra` (in lower case), and in all others
    what looks like a key: custom headers of gateways, and URLs with a key in their query or a password before their host.
    """
    return [(name.decode("latin-1"), _shown(name.lower(), value, extra)) for name, value in headers]


def _shown(name: bytes, value: bytes, extra: Set[bytes]) -> str:
    if is_secret(name) or name in extra:
        return mask(value)
    if name in _URL_HEADERS:
        path, mark, query = value.partition(b"?")
        return _scrubbed(path).decode("latin-1") + mark.decode() + mask_query(query)
    return _scrubbed(value).decode("latin-1")


def _scrubbed(value: bytes) -> bytes:
    """Return `value` with everything that looks like a key masked."""
    return value if len(value) < _SHORTEST_KEY else _searched(value)


@lru_cache(maxsize=_REMEMBERED_VALUES)
def _searched(value: bytes) -> bytes:
    """Look for keys, once for each of the values that come with every request."""
    if b"://" in value:
        value = _USER_INFO.sub(_mask_match, value)
    return _KEY_SHAPE.sub(_mask_match, value)


def _mask_match(match: re.Match[bytes]) -> bytes:
    return mask(match.group()).encode()


def mask_query(query: bytes) -> str:
    """Return a query (without its question mark) as text: secret parameters masked, the rest byte for byte.

    The hash is that of the value after percent-decoding, so the same key shows the same in a header.
    """
    return "&".join(_shown_parameter(parameter) for parameter in query.split(b"&"))


def _shown_parameter(parameter: bytes) -> str:
    name, equals, value = parameter.partition(b"=")
    before, semicolon, last = name.rpartition(b";")
    if equals and _is_secret_parameter(last):
        return (_scrubbed(before) + semicolon + last + equals).decode("latin-1") + mask(unquote_to_bytes(value))
    if b";" in value:
        # Some servers part parameters by semicolons: look at what follows one as at a parameter of its own.
        first, _, rest = value.partition(b";")
        return _scrubbed(name + equals + first).decode("latin-1") + ";" + _shown_parameter(rest)
    return _scrubbed(parameter).decode("latin-1")


def _is_secret_parameter(name: bytes) -> bool:
    plain = unquote_to_bytes(name).strip().lower()
    return plain.decode("latin-1") in _SECRET_PARAMETERS or is_secret(plain)
