"""Who may come in: every combination of auth, bind, TRUST_PROXY and bypass, and every way to show a token."""

from __future__ import annotations

import base64
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccproxy import auth
from ccproxy.auth import Gate, Policy
from ccproxy.errors import ConfigError
from ccproxy.wire import Header

TOKEN = "let-me-in"
HOST: Header = (b"host", b"localhost:3001")
LOOPBACKS = ("127.0.0.1", "127.8.9.10", "::1", "[::1]", "localhost", "LOCALHOST", "::ffff:127.0.0.1")
OTHERS = ("0.0.0.0", "::", "192.168.1.7", "10.0.0.1", "example.org", "127.0.0.1.example.org", "fe80::1%eth0")
WAYS: list[Header] = [
    (b"authorization", b"Bearer let-me-in"),
    (b"authorization", b"bearer  let-me-in"),
    (b"x-api-key", b"let-me-in"),
    (b"x-ccproxy-token", b" let-me-in "),
]
WRONG: list[Header] = [
    (b"authorization", b"Bearer let-me-out"),
    (b"authorization", b"Basic " + base64.b64encode(b"any:let-me-in")),
    (b"x-api-key", b""),
    (b"x-ccproxy-token", b"let-me-in-too"),
    (b"x-other", b"let-me-in"),
    (b"cookie", b"x-api-key=let-me-in"),
]


@pytest.mark.parametrize("enabled", [False, True])
@pytest.mark.parametrize("trust_proxy", [False, True])
@pytest.mark.parametrize("bypass", [False, True])
@pytest.mark.parametrize("host", [*LOOPBACKS, *OTHERS])
def test_only_an_open_bind_that_nobody_guards_is_refused(
    enabled: bool, trust_proxy: bool, bypass: bool, host: str
) -> None:
    """Beyond loopback a proxy starts with auth or behind a trusted proxy, and not otherwise; on loopback always."""
    policy = Policy(host=host, enabled=enabled, token=TOKEN, trust_proxy=trust_proxy, localhost_bypass=bypass)
    if host in LOOPBACKS or enabled or trust_proxy:
        auth.check(policy)
    else:
        with pytest.raises(ConfigError, match=r"AUTH_ENABLED=true and AUTH_TOKEN.*TRUST_PROXY=true.*127\.0\.0\.1"):
            auth.check(policy)


@pytest.mark.parametrize("name", ["Host", "content-length", "Connection", "Anthropic-Beta", "user-agent"])
def test_a_header_that_says_something_else_carries_no_token(name: str) -> None:
    """What frames a message, or is read from it, cannot be the header for the token."""
    with pytest.raises(ConfigError, match=f"cannot be {name}"):
        auth.check(Policy(header=name))


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize("trust_proxy", [False, True])
def test_auth_with_an_empty_token_is_refused(host: str, trust_proxy: bool) -> None:
    """An empty token would let in whoever sends none."""
    with pytest.raises(ConfigError, match=r"auth\.token is empty"):
        auth.check(Policy(host=host, enabled=True, token="", trust_proxy=trust_proxy))


@pytest.mark.parametrize("enabled", [False, True])
@pytest.mark.parametrize("trust_proxy", [False, True])
@pytest.mark.parametrize("bypass", [False, True])
@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "192.168.1.7", None])
@pytest.mark.parametrize(
    "passed_on", [None, b"x-forwarded-for", b"forwarded", b"via", b"x-real-ip", b"cf-connecting-ip"]
)
def test_who_needs_the_token(
    enabled: bool, trust_proxy: bool, bypass: bool, peer: str | None, passed_on: bytes | None
) -> None:
    """With auth on, only who sits on this machine, with nothing in between, may do without the token, and only where allowed."""
    gate = Gate(Policy(enabled=enabled, token=TOKEN, trust_proxy=trust_proxy, localhost_bypass=bypass))
    between: list[Header] = [(passed_on, b"127.0.0.1")] if passed_on else []
    local = peer in ("127.0.0.1", "::1") and not passed_on
    free = not enabled or (bypass and not trust_proxy and local)
    for refusal in (gate.proxy([HOST, *between], peer), gate.data("GET", [HOST, *between], peer)):
        assert (refusal is None) == free
        if refusal:
            assert (refusal.status, refusal.challenge.split()[0]) == (401, "Bearer")
            assert TOKEN not in refusal.message
    for way in WAYS:
        assert gate.proxy([HOST, *between, way], peer) is None
        assert gate.data("DELETE", [HOST, *between, way], peer) is None
    for wrong in WRONG:
        assert (gate.proxy([HOST, *between, wrong], peer) is None) == free


def test_the_header_for_the_token_can_be_named() -> None:
    """A header of the configuration's choice carries the token as well as the usual ones do."""
    gate = Gate(Policy(enabled=True, token=TOKEN, header="X-Team-Key"))
    assert gate.proxy([(b"x-team-key", b"let-me-in")], "10.0.0.9") is None
    assert gate.proxy([(b"x-api-key", b"let-me-in")], "10.0.0.9") is None
    assert gate.proxy([(b"x-other-key", b"let-me-in")], "10.0.0.9") is not None
    assert gate.passed([(b"x-team-key", b"let-me-in"), (b"x-team-key", b"else")]) == [(b"x-team-key", b"else")]


@given(st.permutations([*WAYS, (b"authorization", b"Bearer sk-ant-oat01"), (b"x-api-key", b"sk-ant-api03"), HOST]))
def test_the_token_is_taken_out_and_nothing_else(headers: list[Header]) -> None:
    """Wherever the token stands it goes no further; the client's own credentials do, in their order."""
    own = [header for header in headers if header not in WAYS]
    for enabled in (False, True):
        assert Gate(Policy(enabled=enabled, token=TOKEN)).passed(headers) == own


def test_without_a_token_only_its_own_header_is_taken_out() -> None:
    """An empty value is not taken for an empty token."""
    gate = Gate(Policy())
    assert gate.passed([(b"x-api-key", b""), (b"x-ccproxy-token", b"x"), (b"authorization", b"Bearer ")]) == [
        (b"x-api-key", b""),
        (b"authorization", b"Bearer "),
    ]


def _basic(user: str, password: str) -> Header:
    return b"authorization", b"Basic " + base64.b64encode(f"{user}:{password}".encode())


@pytest.mark.parametrize(("enabled", "bypass"), list(itertools.product([False, True], repeat=2)))
def test_the_dashboards_password_guards_the_data_and_nothing_else(enabled: bool, bypass: bool) -> None:
    """With a password, captures open to it alone, whatever the user name and wherever from; the way to the provider is as before."""
    gate = Gate(Policy(enabled=enabled, token=TOKEN, localhost_bypass=bypass, password="pässword:1"))
    for user in ("", "me", "näme"):
        assert gate.data("GET", [HOST, _basic(user, "pässword:1")], "127.0.0.1") is None
    for headers in ([], [_basic("me", "other")], [(b"x-api-key", b"let-me-in")], [(b"authorization", b"Basic !!")]):
        refusal = gate.data("GET", [HOST, *headers], "127.0.0.1")
        assert refusal is not None
        assert (refusal.status, refusal.challenge.split()[0]) == (401, "Basic")
    assert gate.proxy([HOST, (b"x-api-key", b"let-me-in")], "10.0.0.9") is None
    assert (gate.proxy([HOST], "127.0.0.1") is None) == (not enabled or bypass)


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("localhost:3001", True), ("LOCALHOST", True), ("127.0.0.1:3001", True), ("[::1]:3001", True), ("10.1.2.3:80", True),
        ("app.localhost:3001", True), ("localhost.:3001", True), ("proxy.example.org", True), ("named.example.org:9", True),
        ("evil.example.net:3001", False), ("localhost.evil.example.net", False), ("127.0.0.1.evil.example.net", False),
        ("", False), ("proxy.example.org.evil.net", False), ("localhost:3001:1", False), ("a@localhost", False),
    ],
)  # fmt: skip
def test_a_name_that_is_not_ours_gets_no_data(host: str, known: bool) -> None:
    """A page whose own name was rebound to this address sends that name, and is refused; a token vouches for any name."""
    gate = Gate(Policy(token=TOKEN, public_url="https://proxy.example.org/x", hosts=("named.example.org",)))
    refusal = gate.data("GET", [(b"host", host.encode())], "127.0.0.1")
    assert (refusal is None) == known
    assert refusal is None or refusal.status == 403
    assert gate.data("GET", [(b"host", host.encode()), (b"x-ccproxy-token", b"let-me-in")], "127.0.0.1") is None
    assert gate.lends([(b"host", host.encode())]) == known


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ([], True),
        ([(b"origin", b"http://localhost:3001")], True),
        ([(b"origin", b"http://localhost:5174")], True),
        ([(b"origin", b"http://127.0.0.1:5174")], True),
        ([(b"origin", b"https://notebook.example.org")], True),
        ([(b"origin", b"https://evil.example.net")], False),
        ([(b"origin", b"http://localhost:3002")], False),
        ([(b"origin", b"null")], False),
        ([(b"origin", b"http://localhost:3001"), (b"origin", b"https://evil.example.net")], False),
        ([(b"sec-fetch-site", b"cross-site")], False),
        ([(b"sec-fetch-site", b"same-origin")], True),
    ],
)
def test_pages_of_other_sites_change_nothing(headers: list[Header], allowed: bool) -> None:
    """Only our own pages, the dashboard's and the configured origins' may delete, or use a key that the proxy lends."""
    gate = Gate(Policy(token=TOKEN, origins=("https://notebook.example.org",)))
    for method in ("DELETE", "POST", "PUT", "PATCH"):
        refusal = gate.data(method, [HOST, *headers], "127.0.0.1")
        assert (refusal is None) == allowed
        assert refusal is None or refusal.status == 403
    assert gate.data("GET", [HOST, *headers], "127.0.0.1") is None
    assert gate.lends([HOST, *headers]) == allowed


def test_a_key_is_lent_only_to_who_has_none() -> None:
    """A credential of the client's own is never replaced; the proxy's token does not count as one."""
    gate = Gate(Policy(enabled=True, token=TOKEN))
    for way in WAYS:
        assert gate.lends([HOST, way])
        assert not gate.lends([HOST, way, (b"x-api-key", b"sk-ant-own")])
        assert not gate.lends([HOST, way, (b"authorization", b"Bearer sk-ant-oat")])


def test_no_secret_shows_in_a_repr() -> None:
    """What a log line could show of a policy has neither token nor password in it."""
    shown = repr(Gate(Policy(enabled=True, token=TOKEN, password="geheim")))
    assert TOKEN not in shown
    assert "geheim" not in shown


BASIC = (b"authorization", b"Basic " + base64.b64encode(b"any:geheim"))


@pytest.mark.parametrize(
    ("headers", "known", "status"),
    [
        ([HOST], False, 401),
        ([HOST, (b"authorization", b"Basic " + base64.b64encode(b"geheim:other"))], False, 401),
        ([HOST, (b"authorization", b"Bearer geheim")], False, 401),
        ([HOST, (b"x-ccproxy-token", b"let-me-in")], False, 401),
        ([HOST, BASIC], False, None),
        ([HOST], True, None),
        ([(b"host", b"evil.example.org"), BASIC], False, None),
    ],
)
def test_the_dashboard_is_behind_its_password(headers: list[Header], known: bool, status: int | None) -> None:
    """With a password only who shows it, or came in by it before, sees a page, whatever else they show; the proxy's token is no way."""
    gate = Gate(Policy(enabled=True, token=TOKEN, password="geheim"))
    refusal = gate.page(headers, known=known)
    assert (refusal.status if refusal else None) == status
    if refusal:
        assert refusal.challenge.startswith("Basic ")
        assert "DASHBOARD_PASSWORD" in refusal.message
        assert "geheim" not in refusal.message


@pytest.mark.parametrize(
    ("host", "known"),
    [
        (b"localhost:5174", True),
        (b"127.0.0.1:5174", True),
        (b"[::1]:5174", True),
        (b"192.168.1.7:5174", True),
        (b"proxy.example.org", True),
        (b"named.example.org:8443", True),
        (b"evil.example.org:5174", False),
        (b"localhost.evil.example.org", False),
        (b"", False),
    ],
)
def test_the_dashboard_answers_under_its_names_alone(host: bytes, known: bool) -> None:
    """Without a password a page that has rebound its name to our address gets nothing: the name is not ours."""
    gate = Gate(Policy(public_url="https://proxy.example.org/x", hosts=("named.example.org",)))
    refusal = gate.page([(b"host", host)])
    assert (refusal is None) is known
    assert refusal is None or (refusal.status, "ALLOWED_HOSTS" in refusal.message) == (403, True)
    assert gate.page([]) is not None
    assert gate.page([(b"host", b"localhost"), (b"host", b"evil.example.org")]) is not None


@pytest.mark.parametrize(
    ("origin", "own"),
    [
        (b"http://localhost:5174", True),
        (b"https://named.example.org", True),
        (b"http://localhost:3001", False),
        (b"http://127.0.0.1:5174", False),
        (b"https://evil.example.org", False),
        (b"http://localhost:5174.evil.example.org", False),
        (b"null", False),
        (b"", False),
    ],
)
def test_a_web_socket_is_for_our_own_pages(origin: bytes, own: bool) -> None:
    """It opens for the page of the name that is asked, or of a configured one behind a reverse proxy; programs send no origin."""
    gate = Gate(Policy(hosts=("named.example.org",), public_url="http://localhost:3001"))
    assert gate.is_own_page([(b"host", b"localhost:5174"), (b"origin", origin)]) is own
    assert gate.is_own_page([(b"host", b"localhost:5174")])


@pytest.mark.parametrize("host", [*LOOPBACKS, *OTHERS])
@pytest.mark.parametrize("password", ["", "geheim"])
def test_beyond_this_machine_the_dashboard_needs_a_password(host: str, password: str) -> None:
    """It listens where the proxy does, but on this machine alone where it would be open to strangers, whatever guards the proxy."""
    for policy in (
        Policy(host=host, password=password, enabled=True, token=TOKEN),
        Policy(host=host, password=password, trust_proxy=True),
    ):
        expected = host if password or host in LOOPBACKS else "127.0.0.1"
        assert auth.dashboard_host(policy) == expected
