"""Who comes in, and with which credential what goes up: through a running proxy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.proxy import Proxy, client, isolated_environment, request
from tests.support.standin import StandIn, json_answer, message_answer, text

TOKEN = "let-me-in"
LOCKED = {"AUTH_ENABLED": "true", "AUTH_TOKEN": TOKEN, "AUTH_ALLOW_LOCALHOST_BYPASS": "false"}


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"SERVER_HOST": "0.0.0.0"}, "AUTH_ENABLED=true and AUTH_TOKEN"),
        ({"SERVER_HOST": "::"}, "AUTH_ENABLED=true and AUTH_TOKEN"),
        ({"AUTH_ENABLED": "true"}, "auth.token is empty"),
        ({"SERVER_HOST": "0.0.0.0", "AUTH_ENABLED": "true", "AUTH_TOKEN": " "}, "auth.token is empty"),
    ],
)
def test_a_proxy_that_would_be_open_to_strangers_does_not_start(
    tmp_path: Path, environ: dict[str, str], said: str
) -> None:
    """It ends before it listens, with an exit code and one sentence that says what to set."""
    command = [sys.executable, "-m", "ccproxy", "serve", "--port", "0", "--db", str(tmp_path / "x.db")]
    done = subprocess.run(
        command, env=isolated_environment(tmp_path, environ), cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip
    assert done.returncode == 2
    assert said in done.stderr
    assert "listens on" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "x.db").exists()


async def test_without_the_token_nothing_goes_up_and_nothing_is_recorded(tmp_path: Path) -> None:
    """A stranger gets 401 in the API's shape, also for a large body; probes and health need no token."""
    async with StandIn([]) as up, Proxy(up.url, tmp_path, environ=LOCKED) as proxy, client() as http:
        for headers in ({}, {"x-api-key": "sk-ant-own"}, {"x-forwarded-for": "127.0.0.1"}):
            got = await http.post(f"{proxy.url}/v1/messages", json=request("x" * 500_000), headers=headers)
            assert got.status_code == 401
            assert got.json()["error"]["type"] == "authentication_error"
            assert "x-ccproxy-token" in got.json()["error"]["message"]
        for path in ("/", "/health", "/livez", "/api/hello", "/openapi.json", "/openapi.yaml"):
            assert (await http.get(f"{proxy.url}{path}")).status_code == 200, path
        assert (await http.get(f"{proxy.url}/api/requests")).status_code == 401
        await proxy.stop()
        assert not proxy.rows()
        assert not up.requests
        assert proxy.said().count("POST /v1/messages 401") == 3


async def test_the_token_opens_the_way_and_goes_no_further(tmp_path: Path) -> None:
    """Each way to show it works next to the client's own credential, which alone goes up; the token is nowhere on disk."""
    ways = [
        ({"x-ccproxy-token": TOKEN, "x-api-key": "sk-ant-own"}, {"x-api-key": "sk-ant-own"}),
        ({"x-ccproxy-token": TOKEN, "authorization": "Bearer sk-ant-oat"}, {"authorization": "Bearer sk-ant-oat"}),
        ({"authorization": f"Bearer {TOKEN}", "x-api-key": "sk-ant-own"}, {"x-api-key": "sk-ant-own"}),
        ({"x-team-key": TOKEN, "authorization": "Bearer sk-ant-oat"}, {"authorization": "Bearer sk-ant-oat"}),
        ({"x-api-key": TOKEN}, {}),
    ]
    environ = {**LOCKED, "AUTH_API_KEY_HEADER": "X-Team-Key"}
    async with StandIn(lambda asked: message_answer(asked, [text("hi")])) as up, client() as http:
        async with Proxy(up.url, tmp_path, environ=environ) as proxy:
            for headers, _ in ways:
                got = await http.post(f"{proxy.url}/v1/messages", json=request(), headers=headers)
                assert got.status_code == 200
            await proxy.ended(len(ways))
        for (_, expected), seen in zip(ways, up.messages, strict=True):
            names = ("authorization", "x-api-key", "x-team-key", "x-ccproxy-token")
            assert {name: value for name in names if (value := seen.header(name))} == expected
        for file in tmp_path.rglob("*"):
            assert not file.is_file() or TOKEN.encode() not in file.read_bytes(), file


async def test_a_configured_key_stands_in_for_none(tmp_path: Path) -> None:
    """A client without a credential uses the proxy's key; one with its own keeps it; a foreign page gets none."""
    environ = {"ANTHROPIC_FORWARD_API_KEY": "sk-ant-of-the-proxy"}
    cases = [
        ({}, "sk-ant-of-the-proxy", None),
        ({"x-api-key": "sk-ant-own"}, "sk-ant-own", None),
        ({"authorization": "Bearer sk-ant-oat"}, None, "Bearer sk-ant-oat"),
        ({"origin": "https://evil.example.net"}, None, None),
        ({"host": "evil.example.net"}, None, None),
    ]
    async with StandIn(lambda _: json_answer({"ok": True})) as up, client() as http:
        async with Proxy(up.url, tmp_path, environ=environ) as proxy:
            for headers, _, _ in cases:
                await http.post(f"{proxy.url}/v1/messages", json=request(stream=False), headers=headers)
        for (_, key, authorization), seen in zip(cases, up.messages, strict=True):
            assert (seen.header("x-api-key"), seen.header("authorization")) == (key, authorization)
        for file in tmp_path.rglob("*"):
            assert not file.is_file() or b"sk-ant-of-the-proxy" not in file.read_bytes(), file


async def test_the_bypass_is_for_this_machine_and_not_for_what_stands_in_front(tmp_path: Path) -> None:
    """A client on this machine needs no token, unless something passed it on, or a proxy in front is trusted."""
    locked = {"AUTH_ENABLED": "true", "AUTH_TOKEN": TOKEN}
    async with StandIn(lambda _: json_answer({"ok": True})) as up, client() as http:
        async with Proxy(up.url, tmp_path / "a", environ=locked) as proxy:
            url = f"{proxy.url}/v1/messages"
            assert (await http.post(url, json=request())).status_code == 200
            for name in ("x-forwarded-for", "forwarded", "via", "x-real-ip"):
                assert (await http.post(url, json=request(), headers={name: "127.0.0.1"})).status_code == 401
        async with Proxy(up.url, tmp_path / "b", environ={**locked, "TRUST_PROXY": "true"}) as proxy:
            url = f"{proxy.url}/v1/messages"
            assert (await http.post(url, json=request())).status_code == 401
            assert (await http.post(url, json=request(), headers={"x-api-key": TOKEN})).status_code == 200


async def test_the_data_api_is_for_the_right_host_origin_and_password(tmp_path: Path) -> None:
    """Other names and other sites' pages are refused; with a password, nothing but the password opens it."""
    environ = {"CORS_ORIGINS": "https://notebook.example.org"}
    async with StandIn([]) as up, client() as http:
        async with Proxy(up.url, tmp_path / "a", environ=environ) as proxy:
            url = f"{proxy.url}/api/requests"
            assert (await http.get(url)).status_code == 200
            assert (await http.get(url, headers={"host": "evil.example.net"})).status_code == 403
            foreign = {"origin": "https://evil.example.net"}
            assert (await http.delete(url, headers=foreign)).status_code == 403
            assert "access-control-allow-origin" not in (await http.get(url, headers=foreign)).headers
            ours = {"origin": "https://notebook.example.org", "access-control-request-method": "DELETE"}
            preflight = await http.options(url, headers=ours)
            assert preflight.headers["access-control-allow-origin"] == "https://notebook.example.org"
            assert (await http.delete(url, headers={"origin": "https://notebook.example.org"})).status_code == 200
        async with Proxy(up.url, tmp_path / "b", environ={"DASHBOARD_PASSWORD": "geheim"}) as proxy:
            url = f"{proxy.url}/api/requests"
            refused = await http.get(url)
            assert (refused.status_code, refused.headers["www-authenticate"].split()[0]) == (401, "Basic")
            assert (await http.get(url, auth=("anybody", "geheim"))).status_code == 200
            assert (await http.get(url, auth=("anybody", "wrong"))).status_code == 401
