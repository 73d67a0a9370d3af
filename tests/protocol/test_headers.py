"""Header rules: what travels on, and that no credential is ever shown."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccproxy.protocol.headers import end_to_end, header, is_secret, mask, mask_query, masked
from tests.support import wire

KEY = "sk-ant-" + "api03-" + "Zq7" * 12


def digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()[:12]


def test_hop_by_hop_headers_stay_behind() -> None:
    """Everything between two neighbours is left out, in any case; the rest keeps its order, spelling and duplicates."""
    kept = [(b"X-One", b"1"), (b"Set-Cookie", b"a"), (b"x-one", b"2"), (b"Set-Cookie", b"b"), (b"Content-Length", b"3")]
    dropped = [
        (name, b"x")
        for name in (
            b"Connection",
            b"KEEP-ALIVE",
            b"Proxy-Authenticate",
            b"Proxy-Authorization",
            b"Proxy-Connection",
            b"TE",
        )
    ]
    dropped += [(b"Trailer", b"x"), (b"Transfer-Encoding", b"chunked"), (b"Upgrade", b"websocket")]
    mixed = [pair for pairs in zip(kept, dropped, strict=False) for pair in pairs] + dropped
    assert end_to_end(mixed) == kept


def test_what_connection_names_stays_behind() -> None:
    """A Connection header takes along what it names, however it is spelled and however many there are."""
    headers = [
        (b"Connection", b"close, X-Hop ,, x-other"),
        (b"connection", b"X-Third"),
        (b"x-hop", b"1"),
        (b"X-OTHER", b"2"),
    ]
    assert end_to_end([*headers, (b"x-third", b"3"), (b"x-stay", b"4")]) == [(b"x-stay", b"4")]


def test_framing_cannot_be_taken_away() -> None:
    """Content-Length and Content-Encoding go on even if Connection names them, because the body goes on as it came."""
    framing = [(b"Content-Length", b"5"), (b"Content-Encoding", b"gzip")]
    assert end_to_end([(b"Connection", b"content-length, content-encoding"), *framing]) == framing


@settings(deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=12), st.binary(max_size=12)), max_size=8))
def test_any_bytes_are_headers(headers: list[tuple[bytes, bytes]]) -> None:
    """Whatever stands in headers, they can be passed on and written down, and nothing is made up."""
    assert set(end_to_end(headers)) <= set(headers)
    assert [name.encode("latin-1") for name, _ in masked(headers)] == [name for name, _ in headers]


def test_one_header() -> None:
    """A header is found in any case; the first of several counts; none is None."""
    headers = [(b"X-App", b"cli"), (b"x-app", b"other"), (b"Name", "é".encode("latin-1"))]
    assert (header(headers, "x-APP"), header(headers, "name"), header(headers, "missing")) == ("cli", "é", None)


@pytest.mark.parametrize(
    "name",
    [
        "Authorization", "Proxy-Authorization", "x-api-key", "API-KEY", "api_key", "Cookie", "Set-Cookie", "x-goog-api-key",
        "Ocp-Apim-Subscription-Key", "x-amz-security-token", "x-auth-token", "Helicone-Auth", "cf-aig-authorization",
        "cf-access-client-secret", "x-portkey-virtual-key", "x-litellm-api-key", "x-session-key", "x-my-password",
        "x-credential", "x-bearer", "x-amz-signature", "x-goog-iap-jwt-assertion", "x-forwarded-access-token", "my-private-key",
        "x-vault-token", "x-apikey", "x-hub-signature-256", "x-key", "x-master-key", "x-ratelimit-api-key", "private-token",
        "x-clerk-auth-token", "x-authentication", "x-passwd",
    ],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    """The headers in which providers and gateways take credentials are secrets."""
    assert is_secret(name.encode())


@pytest.mark.parametrize(
    "name",
    [
        "anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-input-tokens-limit", "anthropic-ratelimit-unified-reset",
        "x-ratelimit-remaining-tokens", "x-ratelimit-renewalperiod-tokens", "x-claude-code-session-id", "anthropic-beta",
        "x-claude-code-agent-id", "x-claude-code-prompt-id", "anthropic-version", "request-id", "user-agent", "x-token-count",
        "content-length", "idempotency-key", "sec-websocket-key", "surrogate-key", "access-control-allow-credentials",
        "www-authenticate", "anthropic-organization-id", "anthropic-dangerous-direct-browser-access", "x-app", "keep-alive",
        "max_tokens", "x-stainless-retry-count", "x-monkey", "x-author", "x-path", "x-passage",
    ],
)  # fmt: skip
def test_names_that_only_sound_like_secrets(name: str) -> None:
    """Counts, ids and permissions stay readable."""
    assert not is_secret(name.encode())


@pytest.mark.parametrize("sent", ["{}", "Bearer {}", "bearer   {}", " Bearer {} ", "Basic {}", "Token {}"])
def test_a_key_shows_the_same_however_it_is_sent(sent: str) -> None:
    """The hash is that of the key, not of its scheme."""
    assert mask(sent.format(KEY).encode()) == digest(KEY)


def test_masks_tell_keys_apart() -> None:
    """Two keys show differently; an empty value shows that it is empty; a scheme alone is taken for the key."""
    assert mask(b"one") != mask(b"two")
    assert mask(b"") == mask(b"  ") == ""
    assert mask(b"Bearer") == digest("Bearer")


def test_masked_headers() -> None:
    """Secrets are masked, all else is as it was, order, spelling and duplicates too."""
    given_headers = [
        (b"X-Api-Key", KEY.encode()),
        (b"Accept", b"*/*"),
        (b"Cookie", b"a=1"),
        (b"accept", b"\xe9"),
        (b"X-Api-Key", b""),
    ]
    assert masked(given_headers) == [
        ("X-Api-Key", digest(KEY)),
        ("Accept", "*/*"),
        ("Cookie", digest("a=1")),
        ("accept", "é"),
        ("X-Api-Key", ""),
    ]


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("x-upstream", f"route=a; key {KEY}", f"route=a; key {digest(KEY)}"),
        ("x-custom", f"Bearer {KEY}", f"Bearer {digest(KEY)}"),
        ("x-custom", "Bearer plainlongtoken", f"Bearer {digest('plainlongtoken')}"),
        ("x-custom", "AKIA" + "ABCDEFGH23456789", digest("AKIA" + "ABCDEFGH23456789")),
        ("referer", "https://a.example/p?token=abc&x=1", f"https://a.example/p?token={digest('abc')}&x=1"),
        ("x-target", "https://me:pass@a.example/p", f"https://{digest('me:pass')}@a.example/p"),
        ("location", "/next?page=2", "/next?page=2"),
        ("anthropic-beta", "token-efficient-tools-2025-02-19,fine-grained-tool-streaming-2025-05-14", None),
        ("anthropic-beta", "task-budgets-2026-03-13,mid-conversation-tool-changes-2026-07-01", None),
        ("user-agent", "claude-cli/2.1.330 (external, sdk-cli)", None),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", None),
    ],
)
def test_keys_in_other_headers(name: str, value: str, shown: str | None) -> None:
    """What looks like a key is masked wherever it stands, and what does not is left alone."""
    assert masked([(name.encode(), value.encode())]) == [(name, value if shown is None else shown)]


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        (b"", ""),
        (b"beta=true", "beta=true"),
        (b"beta=true&&limit=%20&x", "beta=true&&limit=%20&x"),
        (b"api_key=abc&beta=true", f"api_key={digest('abc')}&beta=true"),
        (b"API-Key=a%20b", f"API-Key={digest('a b')}"),
        (b"%61pi_key=abc", f"%61pi_key={digest('abc')}"),
        (b"a=1;token=x;y&b=2", f"a=1;token={digest('x;y')}&b=2"),
        (b"token=x;a=1", f"token={digest('x;a=1')}"),
        (b"flag;token=x", f"flag;token={digest('x')}"),
        (b"max_tokens=5&prompt_tokens=6", "max_tokens=5&prompt_tokens=6"),
        (b"session=" + KEY.encode(), f"session={digest(KEY)}"),
        (KEY.encode(), digest(KEY)),
        (b"key=", "key="),
        (b"name=\xff", "name=ÿ"),
    ],
)
def test_queries(query: bytes, shown: str) -> None:
    """The values of secret parameters are masked, the rest stays byte for byte."""
    assert mask_query(query) == shown


@pytest.mark.parametrize(
    "name",
    [
        "api_key", "apikey", "key", "token", "access_token", "refreshToken", "secret", "client_secret", "password", "signature",
        "sig", "auth", "code", "sessionKey", "X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token", "sas", "jwt",
    ],
)  # fmt: skip
def test_secret_parameters(name: str) -> None:
    """The parameters in which keys travel are masked."""
    assert mask_query(f"a=b&{name}=value".encode()) == f"a=b&{name}={digest('value')}"


@settings(deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_are_a_query(query: bytes) -> None:
    """Any query can be shown, and a secret before or behind it never shows."""
    secret = b"TOPSECRETVALUE"
    shown = mask_query(b"token=" + secret + b"&" + query + b"&api_key=" + secret)
    assert secret.decode() not in shown


def test_headers_that_are_named_are_masked_too() -> None:
    """A header that is said to be secret is masked whatever its name is, in any case; no other is."""
    given_headers = [(b"X-Door", b"open"), (b"x-doors", b"2"), (b"accept", b"*/*")]
    shown = masked(given_headers, frozenset({b"x-door", b"absent"}))
    assert shown == [("X-Door", mask(b"open")), ("x-doors", "2"), ("accept", "*/*")]
    assert masked(given_headers)[0] == ("X-Door", "open")


@wire.needs_wire
def test_recorded_requests_show_no_key() -> None:
    """In recorded requests exactly the credentials are masked, and every other header is as it was."""
    changed = set()
    for request in wire.requests():
        pairs = [
            (name.encode("latin-1", "replace"), value.encode("latin-1", "replace")) for name, value in request.headers
        ]
        changed |= {
            name for (name, value), (_, shown) in zip(request.headers, masked(pairs), strict=True) if value != shown
        }
    assert changed <= {"authorization", "x-api-key", "cookie"}
    assert changed
