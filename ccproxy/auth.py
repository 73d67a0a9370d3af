"""Who may come in: decisions about a request's headers and its peer, and about the address to listen on.

Knows the proxy's token and where it may stand, the dashboard's password and address, the localhost bypass, and which hosts
and origins are ours. Refuses to know HTTP: it takes headers and gives a refusal or none. Tokens are compared in constant time, and
nothing here ever puts one into a sentence.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ccproxy.errors import ConfigError
from ccproxy.settings import Settings
from ccproxy.wire import Header

OWN_HEADER = b"x-ccproxy-token"
CREDENTIALS = (b"authorization", b"x-api-key")  # the client's own towards Anthropic
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_BEARER = re.compile(rb"bearer[ \t]+", re.IGNORECASE)
_BASIC = re.compile(rb"basic[ \t]+", re.IGNORECASE)
# What a reverse proxy adds: with one of these, the peer is not the client. A proxy or a tunnel that adds none cannot be told from
# a client, which is why the bypass can be turned off.
_PASSED_ON = frozenset(
    {
        *(
            b"cdn-loop",
            b"cf-connecting-ip",
            b"fastly-client-ip",
            b"forwarded",
            b"true-client-ip",
            b"via",
            b"x-client-ip",
        ),
        *(b"x-cluster-client-ip", b"x-forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-port"),
        *(b"x-forwarded-proto", b"x-forwarded-server", b"x-original-forwarded-for", b"x-real-ip"),
    }
)
# They frame a message or say what is in it, and cannot carry a token besides.
_NO_CARRIERS = frozenset(
    {
        *(
            "accept",
            "accept-encoding",
            "anthropic-beta",
            "anthropic-version",
            "connection",
            "content-encoding",
            "content-length",
        ),
        *("content-type", "cookie", "expect", "host", "origin", "te", "transfer-encoding", "upgrade", "user-agent"),
    }
)


@dataclass(frozen=True, slots=True)
class Policy:
    """What the configuration says about access. Secrets do not show in its repr."""

    host: str = "127.0.0.1"
    enabled: bool = False
    token: str = field(default="", repr=False)
    header: str = "x-api-key"
    localhost_bypass: bool = True
    trust_proxy: bool = False
    password: str = field(default="", repr=False)
    public_url: str = ""
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    dashboard_port: int = 5174


def policy_of(settings: Settings) -> Policy:
    """Return who may come in."""
    server, auth = settings.server, settings.auth
    return Policy(
        host=server.host,
        enabled=auth.enabled,
        token=auth.token,
        header=auth.api_key_header,
        localhost_bypass=auth.allow_localhost_bypass,
        trust_proxy=server.trust_proxy,
        password=settings.dashboard.password,
        public_url=server.public_url,
        hosts=server.allowed_hosts,
        origins=server.cors_origins,
        dashboard_port=settings.dashboard.port,
    )


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why somebody does not come in: the HTTP status, the sentence, and the `www-authenticate` challenge of a 401."""

    status: int
    message: str
    challenge: str = ""


def check(policy: Policy) -> None:
    """Raise the ConfigError that says what to set, where a proxy with this policy would be open to strangers."""
    if policy.enabled and not policy.token:
        raise ConfigError("auth.enabled is true and auth.token is empty: set AUTH_TOKEN, or AUTH_ENABLED=false")
    if policy.enabled and not re.fullmatch(r"[!-~]+", policy.token):
        raise ConfigError("auth.token must be visible ASCII characters without spaces: it travels in a header")
    if policy.header.lower() in _NO_CARRIERS:
        raise ConfigError(f"auth.api_key_header cannot be {policy.header}: that header says something else already")
    if not is_loopback(policy.host) and not policy.enabled and not policy.trust_proxy:
        raise ConfigError(
            f"{policy.host} is open to other machines and nobody would be asked for a token: set AUTH_ENABLED=true and"
            " AUTH_TOKEN; or TRUST_PROXY=true where a reverse proxy checks who comes in; or SERVER_HOST=127.0.0.1"
        )


def dashboard_host(policy: Policy) -> str:
    """Return the address that the dashboard listens on: the proxy's own, but this machine alone where it has no password.

    The proxy's token, or a reverse proxy in front of it, guards the proxy's port and not the dashboard's.
    """
    return policy.host if policy.password or is_loopback(policy.host) else "127.0.0.1"


def is_loopback(host: str | None) -> bool:
    """Tell whether an address, or the name localhost, is this machine and no other."""
    if host is None:
        return False
    if host.lower() == "localhost":
        return True
    address = _address(host)
    return address is not None and address.is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


class Gate:
    """Decides by one policy."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._token = _hashed(policy.token.encode())
        self._password = _hashed(policy.password.encode())
        self._carriers = frozenset({b"authorization", b"x-api-key", policy.header.lower().encode(), OWN_HEADER})
        self._hosts = _known_hosts(policy)
        self._named = frozenset(host for host in self._hosts if not is_loopback(host) and host != _host_of(policy.host))
        self._origins = frozenset(origin.lower() for origin in (*policy.origins, *_dashboards(policy)))

    def __repr__(self) -> str:
        return f"<Gate {self._policy}>"

    def proxy(self, headers: Sequence[Header], peer: str | None) -> Refusal | None:
        """Decide about a request to the provider."""
        if not self._policy.enabled or self._is_vouched(headers) or self._bypassed(headers, peer):
            return None
        return Refusal(
            401,
            "this proxy wants its token: send it as x-ccproxy-token, x-api-key or Authorization: Bearer (AUTH_TOKEN of the proxy)",
            'Bearer realm="ccproxy"',
        )

    def data(self, method: str, headers: Sequence[Header], peer: str | None) -> Refusal | None:
        """Decide about a request to the data API."""
        if method == "OPTIONS":  # a preflight carries no credential, and its answer holds no data
            return None
        vouched = self._knows_password(headers) if self._policy.password else self._is_vouched(headers)
        if not vouched and self._policy.password:
            return Refusal(401, "the data API wants the dashboard's password", 'Basic realm="ccproxy", charset="UTF-8"')
        if not vouched and (refusal := self.proxy(headers, peer)):
            return refusal
        if not vouched and not self._is_known_host(headers):
            return Refusal(
                403, "this Host is not one of the proxy's; name it in server.allowed_hosts (ALLOWED_HOSTS) if it is"
            )
        if method not in SAFE_METHODS and self._is_foreign(headers):
            return Refusal(
                403,
                "pages of other sites may not change captures; name this one in server.cors_origins (CORS_ORIGINS) if it may",
            )
        return None

    def page(self, headers: Sequence[Header], *, known: bool = False) -> Refusal | None:
        """Decide about a request for anything of the dashboard; `known` tells that it came in by its password before."""
        if self._policy.password:
            if known or self._knows_password(headers):
                return None
            sentence = "the dashboard wants its password (DASHBOARD_PASSWORD), with any user name"
            return Refusal(401, sentence, 'Basic realm="ccproxy dashboard", charset="UTF-8"')
        if not self._is_known_host(headers):
            return Refusal(
                403, "this Host is not one of the dashboard's; name it in server.allowed_hosts (ALLOWED_HOSTS) if it is"
            )
        return None

    def is_own_page(self, headers: Sequence[Header]) -> bool:
        """Tell whether a page that opens a web socket came from here: under the name that it asks, or one that is configured."""
        hosts = {value.decode("latin-1").lower() for name, value in headers if name == b"host"}
        origins = [value.decode("latin-1").lower() for name, value in headers if name == b"origin"]
        places = [origin.partition("://")[2] for origin in origins]
        return all(place in hosts or _host_of(place) in self._named for place in places)

    def lends(self, headers: Sequence[Header]) -> bool:
        """Tell whether the configured key may stand in for a credential that the client did not send.

        Not for web pages of other sites, which a browser would let send requests here, nor by a host name that is not ours.
        """
        if any(name in CREDENTIALS for name, _ in self.passed(headers)) or self._is_foreign(headers):
            return False
        return self._is_vouched(headers) or self._is_known_host(headers)

    def passed(self, headers: Iterable[Header]) -> list[Header]:
        """Return the headers without the proxy's own token, wherever it stands."""
        return [(name, value) for name, value in headers if name != OWN_HEADER and not self._carries_token(name, value)]

    def trusts(self, headers: Sequence[Header], peer: str | None) -> bool:
        """Tell whether somebody may see details of the proxy's own state: who is let in, or who is on this machine."""
        local = is_loopback(peer) and not self._policy.trust_proxy and not _is_passed_on(headers)
        return local or self._is_vouched(headers)

    def _is_vouched(self, headers: Iterable[Header]) -> bool:
        return any(self._carries_token(name, value) for name, value in headers)

    def _carries_token(self, name: bytes, value: bytes) -> bool:
        if name not in self._carriers or not self._policy.token:
            return False
        value = value.strip()
        candidates = (value, _BEARER.sub(b"", value, count=1)) if name == b"authorization" else (value,)
        return any(hmac.compare_digest(_hashed(candidate), self._token) for candidate in candidates)

    def _knows_password(self, headers: Iterable[Header]) -> bool:
        found = False
        for name, value in headers:
            if name == b"authorization" and (scheme := _BASIC.match(value.strip())):
                given = _decoded(value.strip()[scheme.end() :]).partition(b":")[2]
                found |= hmac.compare_digest(_hashed(given), self._password)
        return found

    def _bypassed(self, headers: Iterable[Header], peer: str | None) -> bool:
        allowed = self._policy.localhost_bypass and not self._policy.trust_proxy
        return allowed and is_loopback(peer) and not _is_passed_on(headers)

    def _is_known_host(self, headers: Iterable[Header]) -> bool:
        """A page that reaches us by a name of its own, rebound to our address, sends that name. An address is nobody's."""
        hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
        return len(hosts) == 1 and self._is_ours(_host_of(hosts[0]))

    def _is_ours(self, host: str) -> bool:
        return _address(host) is not None or host in self._hosts or host.endswith(".localhost")

    def _is_foreign(self, headers: Sequence[Header]) -> bool:
        origins = [value.decode("latin-1").lower() for name, value in headers if name == b"origin"]
        if not origins:
            return any(name == b"sec-fetch-site" and value == b"cross-site" for name, value in headers)
        own = {value.decode("latin-1").lower() for name, value in headers if name == b"host"}
        return not all(self._is_own_origin(origin, own) for origin in origins)

    def _is_own_origin(self, origin: str, hosts: set[str]) -> bool:
        place = origin.partition("://")[2]
        return origin in self._origins or (place in hosts and self._is_ours(_host_of(place)))


def _is_passed_on(headers: Iterable[Header]) -> bool:
    return any(name in _PASSED_ON for name, _ in headers)


def _hashed(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""


def _host_of(place: str) -> str:
    """Return the host of a `Host` header: lower case, without port and final dot."""
    match = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::[0-9]*)?", place.strip())
    return match[1].lower().rstrip(".") if match else ""


def _known_hosts(policy: Policy) -> frozenset[str]:
    public = urlsplit(policy.public_url).hostname or ""
    return frozenset({"localhost", _host_of(policy.host), public, *map(_host_of, policy.hosts)} - {""})


def _dashboards(policy: Policy) -> list[str]:
    return [f"http://{host}:{policy.dashboard_port}" for host in ("localhost", "127.0.0.1", "[::1]")]
