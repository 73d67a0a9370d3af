"""A client's credential goes to the provider of the configuration, and to no other host."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.proxy import Proxy, client, request
from tests.support.standin import Answer, StandIn, json_answer

SECRETS = {"x-api-key": "sk-ant-api03-own", "authorization": "Bearer sk-ant-oat01-own", "cookie": "session=own"}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_another_host_is_passed_on_and_not_followed(tmp_path: Path, status: int) -> None:
    """The client decides about a redirect; the other host hears nothing of it from here."""
    async with StandIn(lambda _: json_answer({"from": "other"})) as other:
        away = Answer(status=status, headers=(("Location", f"{other.url}/v1/messages"),), chunks=[])
        async with StandIn(lambda _: away) as up, Proxy(up.url, tmp_path) as proxy, client() as http:
            got = await http.post(f"{proxy.url}/v1/messages", json=request(), headers=SECRETS)
            assert (got.status_code, got.headers["location"]) == (status, f"{other.url}/v1/messages")
            assert up.requests[0].header("x-api-key") == SECRETS["x-api-key"]
        assert not other.requests


async def test_a_client_cannot_name_another_host(tmp_path: Path) -> None:
    """Neither Host nor a forwarding header nor a target that is a whole URL leads anywhere else."""
    async with StandIn(lambda _: json_answer({"from": "other"})) as other, StandIn(lambda _: json_answer({})) as up:
        place = other.url.removeprefix("http://")
        async with Proxy(up.url, tmp_path) as proxy, client() as http:
            for name, value in (
                ("host", place),
                ("x-forwarded-host", place),
                ("forwarded", f"host={place}"),
                ("x-original-url", f"{other.url}/v1/messages"),
            ):
                await http.post(f"{proxy.url}/v1/messages", json=request(), headers={**SECRETS, name: value})
            for target in (f"{other.url}/v1/messages", f"//{place}/v1/messages", f"/v1/@{place}/x", f"/v1/{other.url}"):
                await _send(proxy.port, target)
            await proxy.stop()
            assert {one.header("host") for one in up.requests} == {up.url.removeprefix("http://")}
            assert not other.requests


async def _send(port: int, target: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    secrets = "".join(f"{name}: {value}\r\n" for name, value in SECRETS.items())
    writer.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n{secrets}Connection: close\r\n\r\n".encode())
    await reader.read()
    writer.close()


async def test_two_proxies_keep_their_clients_apart(tmp_path: Path) -> None:
    """Of two proxies on one machine, each takes its clients' credentials to its own provider."""
    async with (
        StandIn(lambda _: json_answer({})) as first,
        StandIn(lambda _: json_answer({})) as second,
        client() as http,
    ):
        async with Proxy(first.url, tmp_path / "a") as one, Proxy(second.url, tmp_path / "b") as two:
            await http.post(f"{one.url}/v1/messages", json=request(), headers={"x-api-key": "sk-first"})
            await http.post(f"{two.url}/v1/messages", json=request(), headers={"x-api-key": "sk-second"})
        assert [asked.header("x-api-key") for asked in first.requests] == ["sk-first"]
        assert [asked.header("x-api-key") for asked in second.requests] == ["sk-second"]
