"""The dashboard's door, over the wire: every kind of URL, as its own server and under plain `panel serve`."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.dashboard import running

PASSWORD = "pässword:1"
BASIC = {"Authorization": f"Basic {base64.b64encode(f'me:{PASSWORD}'.encode()).decode()}"}
# Page, document of its own, assets of Bokeh and Panel, extensions, favicon, what there is for embedding and asking, nothing at all.
PATHS = (
    "/", "/dashboards", "/?page=exchanges&item=x", "/autoload.js?bokeh-autoload-element=1",
    "/dashboards/autoload.js?bokeh-autoload-element=1", "/metadata", "/dashboards/metadata", "/ws", "/dashboards/ws",
    "/static/js/bokeh.min.js", "/static/extensions/panel/panel.min.js", "/favicon.ico", "/liveness", "/login", "/logout",
    "/rest/session_info", "/components/x", "/nothing", "//", "/%2e%2e/main.py",
)  # fmt: skip


@pytest.fixture(scope="module", params=[False, True], ids=["own", "panel-serve"])
def guarded(
    request: pytest.FixtureRequest, handmade_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Run a dashboard with a password; give its URL."""
    home = tmp_path_factory.mktemp("guarded")
    with running(handmade_store, home, {"DASHBOARD_PASSWORD": PASSWORD}, plain=request.param) as url:
        yield url


@pytest.fixture(scope="module", params=[False, True], ids=["own", "panel-serve"])
def unguarded(
    request: pytest.FixtureRequest, handmade_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Run a dashboard without a password; give its URL."""
    home = tmp_path_factory.mktemp("unguarded")
    with running(handmade_store, home, {"ALLOWED_HOSTS": "named.example.org"}, plain=request.param) as url:
        yield url


def _asked(url: str, path: str, headers: dict[str, str] | None = None, method: str = "GET") -> http.client.HTTPResponse:
    """Return the head of an answer, its body read."""
    place = urlsplit(url).netloc
    with contextlib.closing(http.client.HTTPConnection(place, timeout=30)) as connection:
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        answer.body = b"" if answer.status == 101 else answer.read()  # type: ignore[attr-defined]
        if answer.status == 101:
            answer.close()
        return answer


def _page(url: str) -> str:
    return urlsplit(url).path or "/"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS", "PUT"])
def test_nothing_is_answered_without_the_password(guarded: str, path: str, method: str) -> None:
    """Whatever is asked, in whatever way: 401, with a challenge that makes a browser ask, and nothing of the content."""
    got = _asked(guarded, path, method=method)
    assert got.status == 401
    assert got.headers["www-authenticate"].startswith('Basic realm="ccproxy')
    assert got.headers["set-cookie"] is None
    assert b"bokeh" not in got.body.lower()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Basic " + base64.b64encode(b"me:wrong").decode()},
        {"Authorization": "Basic"},
        {"Authorization": "Basic %%%"},
        {"Authorization": f"Bearer {BASIC['Authorization'][6:]}"},
        {"Cookie": "ccproxy-dashboard="},
        {"Cookie": "ccproxy-dashboard=guessed; is_guest=1; user=me"},
    ],
)
def test_what_is_not_the_password_lets_nobody_in(guarded: str, headers: dict[str, str]) -> None:
    """Another password, another scheme, and cookies of one's own making are refused."""
    assert _asked(guarded, _page(guarded), headers).status == 401


def test_with_the_password_page_assets_and_socket_open(guarded: str) -> None:
    """Any user name will do; the cookie that comes with the page is enough for the rest, and scripts of other sites do not see it."""
    got = _asked(guarded, _page(guarded), BASIC)
    assert got.status == 200
    cookie = got.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    for headers in (BASIC, {"Cookie": cookie.split(";")[0]}):
        assert _asked(guarded, "/static/js/bokeh.min.js", headers).status == 200


def _socket(url: str, headers: dict[str, str]) -> int:
    """Return the status with which a web socket is answered: 101 where it opens."""
    wanted = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Protocol": f"bokeh, {_token()}",
    }  # fmt: skip
    return _asked(url, f"{urlsplit(url).path.rstrip('/')}/ws", {**wanted, **headers}).status


def _token() -> str:
    """Return a token as a page has one: any session's, as they are not signed."""
    written = json.dumps({"session_id": "x" * 44, "session_expiry": 32503680000}).encode()
    return base64.b64encode(written).decode().rstrip("=")


def test_the_web_socket_opens_for_our_own_page_alone(guarded: str) -> None:
    """Without the password it does not open, nor with it for the page of another site."""
    own = {"Origin": f"http://{urlsplit(guarded).netloc}"}
    assert _socket(guarded, own) == 401
    assert _socket(guarded, {**BASIC, "Origin": "http://evil.example.org"}) == 403
    assert _socket(guarded, {**BASIC, "Origin": "null"}) == 403
    assert _socket(guarded, {**BASIC, **own}) == 101


HOSTS = {
    "localhost": 200, "127.0.0.1:5174": 200, "named.example.org": 200, "evil.example.org": 403, "evil.example.org:5174": 403, "": 403,
}  # fmt: skip


@pytest.mark.parametrize(("host", "status"), HOSTS.items())
def test_it_answers_under_its_own_names(unguarded: str, host: str, status: int) -> None:
    """A page elsewhere that reaches in by a name of its own gets nothing: neither page nor asset."""
    for path in (_page(unguarded), "/static/js/bokeh.min.js"):
        got = _asked(unguarded, path, {"Host": host})
        assert got.status == status
        assert got.status == 200 or b"bokeh" not in got.body.lower()  # type: ignore[attr-defined]


def test_no_socket_for_other_sites(unguarded: str) -> None:
    """A page of another site opens no web socket, though there is no password."""
    evil = {"Origin": "http://evil.example.org"}
    for headers in (evil, {"Origin": "http://localhost:1"}, {"Host": "evil.example.org", **evil}):
        assert _socket(unguarded, headers) == 403
    assert _socket(unguarded, {"Origin": f"http://{urlsplit(unguarded).netloc}"}) == 101


def test_every_answer_keeps_the_browser_at_home(unguarded: str) -> None:
    """Pages and assets forbid frames, guessing of types, and going anywhere else."""
    for path in (_page(unguarded), "/static/js/bokeh.min.js"):
        headers = _asked(unguarded, path).headers
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "connect-src 'self'" in headers["content-security-policy"]
        assert "http" not in headers["content-security-policy"]


def test_the_page_loads_no_more_than_it_needs(unguarded: str) -> None:
    """Formulas, WebGL and modules of others are left out: nothing captured is taken for a formula, and no script comes from a blob."""
    body = _asked(unguarded, _page(unguarded)).body.decode()  # type: ignore[attr-defined]
    assert "bokeh.min.js" in body
    assert "panel.min.js" in body
    for name in ("mathjax", "bokeh-gl", "es-module-shims", "esms-options", "//cdn", "https://"):
        assert name not in body
