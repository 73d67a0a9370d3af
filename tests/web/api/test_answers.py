"""How the data API answers, whatever was asked: one shape of errors, safe headers, methods, origins, a store in trouble."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from quart import Blueprint, abort

from ccproxy.stores.sqlite import file
from tests.support.api import Api, exchange, serving, user
from tests.support.entries import exchange_id

HOME = "https://tools.example:8443"
OWN = [
    "/api/requests",
    "/api/requests/x",
    "/api/sessions",
    "/api/sessions/x",
    "/api/stats",
    "/openapi.json",
    "/openapi.yaml",
]


@pytest.mark.parametrize("path", [*OWN, "/api/requests?status=x", "/api/nothing", "/nowhere", "/api/"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PATCH"])
async def test_every_answer_is_safe(api: Api, path: str, method: str) -> None:
    """No answer is kept, guessed at or run by a browser, errors included."""
    response = await api.ask(path, method)
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-security-policy"] == "default-src 'none'"
    if method == "HEAD":
        assert await response.get_data(as_text=False) == b""


@pytest.mark.parametrize(
    "path", ["/api/nothing", "/api/requests/", "/api//requests", "/api/requests/x/headers", "/docs", "/"]
)
async def test_what_is_not_there_is_told_in_the_one_shape(api: Api, path: str) -> None:
    """A path that leads nowhere is a 404 with type and sentence; nothing is redirected."""
    assert "/openapi.json" in await api.problem(path, 404)


@pytest.mark.parametrize(
    ("path", "allowed"), [("/api/requests", "DELETE, GET, HEAD, OPTIONS"), ("/api/stats", "GET, HEAD, OPTIONS")]
)
async def test_a_wrong_method_is_told_with_the_right_ones(api: Api, path: str, allowed: str) -> None:
    """405 names the methods that there are, and OPTIONS names the same."""
    assert await api.problem(path, 405, "POST", data=b"{}")
    response = await api.ask(path, "PUT")
    assert ", ".join(sorted(response.headers["allow"].split(", "))) == allowed
    response = await api.ask(path, "OPTIONS")
    assert (response.status_code, ", ".join(sorted(response.headers["allow"].split(", ")))) == (200, allowed)


async def test_head_says_what_get_would(api: Api) -> None:
    """Same status, type and length, and no body."""
    await api.fill([exchange(1, [user("x")])])
    for path in (
        f"/api/requests/{exchange_id(1)}",
        "/api/requests",
        f"/api/requests/{exchange_id(1)}/response",
        "/api/nothing",
        "/openapi.json",
    ):
        got, body = await api.on_the_wire(path, "GET")
        head, nothing = await api.on_the_wire(path, "HEAD")
        assert (head, nothing) == (got, b"")
        assert int(head["content-length"]) == len(body) > 0


async def test_other_sites_may_not_read(api: Api) -> None:
    """Without named origins no answer says that a page of another origin may have it, and no preflight succeeds."""
    for origin in (HOME, "null", "http://localhost:3001"):
        for method in ("GET", "OPTIONS"):
            headers = {"origin": origin, "access-control-request-method": "DELETE"}
            response = await api.ask("/api/requests", method, headers=headers)
            assert not [name for name, _ in response.headers if name.lower().startswith("access-control-")]


async def test_named_origins_may_read_and_change(tmp_path: Path) -> None:
    """A named origin gets its answers, with credentials; the one next to it does not."""
    async with serving(tmp_path, origins=(HOME,)) as api:
        headers = {
            "origin": HOME,
            "access-control-request-method": "DELETE",
            "access-control-request-headers": "authorization",
        }
        preflight = await api.ask("/api/requests", "OPTIONS", headers=headers)
        assert preflight.headers["access-control-allow-origin"] == HOME
        assert preflight.headers["access-control-allow-credentials"] == "true"
        assert "DELETE" in preflight.headers["access-control-allow-methods"]
        assert preflight.headers["access-control-allow-headers"] == "authorization"
        for path in ("/api/requests", "/api/nothing", "/api/requests?status=x"):
            response = await api.ask(path, headers={"origin": HOME})
            assert response.headers["access-control-allow-origin"] == HOME
            assert "Origin" in response.headers["vary"]
        for other in ("https://tools.example", f"{HOME}.evil.example", "http://tools.example:8443", "null"):
            response = await api.ask("/api/requests", headers={"origin": other})
            assert "access-control-allow-origin" not in response.headers


async def test_a_locked_store_is_asked_again_later(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another process holds the store, deleting is a 503 that says when to try again; reading goes on."""
    monkeypatch.setattr(file, "BUSY_S", 0.01)
    await api.fill([exchange(1, [user("x")])])
    other = sqlite3.connect(api.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert "right now" in await api.problem(f"/api/requests/{exchange_id(1)}", 503, "DELETE")
    response = await api.ask("/api/requests", "DELETE")
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert (await api.json("/api/requests"))["total"] == 1
    other.execute("ROLLBACK")
    other.close()
    assert (await api.json("/api/requests", method="DELETE"))["deleted"] == 1


async def test_a_file_that_is_no_store_is_an_error(api: Api) -> None:
    """Some other program's file is told as that, never as an empty list, and the next one that is a store is read."""
    api.path.write_bytes(b"this is no database, and long enough to be told from one" * 100)
    assert "not a SQLite database" in await api.problem("/api/requests", 500)
    api.path.unlink()
    database = sqlite3.connect(api.path)
    database.execute("CREATE TABLE other (x)")
    database.close()
    assert "some other program" in await api.problem("/api/sessions", 500)
    api.path.unlink()
    await api.fill([exchange(1, [user("x")])])
    assert (await api.json("/api/requests"))["total"] == 1


async def test_a_store_of_the_original_that_was_not_taken_over_yet_is_empty(api: Api) -> None:
    """The original's file without a table of ours holds nothing that could be listed yet, and is left as it is."""
    database = sqlite3.connect(api.path)
    database.execute("CREATE TABLE requests (id, timestamp, method, endpoint, headers, body, response)")
    database.close()
    before = api.path.read_bytes()
    assert (await api.json("/api/requests"))["total"] == 0
    assert api.path.read_bytes() == before


async def test_a_failure_of_our_own_has_the_one_shape(tmp_path: Path) -> None:
    """A mistake in ccproxy, and an error that a route raises, are told in the one shape, without their insides."""
    routes = Blueprint("broken", __name__)

    @routes.get("/api/broken")
    async def broken() -> None:
        raise KeyError("a secret")

    @routes.get("/api/teapot")
    async def teapot() -> None:
        abort(418, "short and stout")

    async with serving(tmp_path, blueprints=[routes]) as api:
        assert await api.problem("/api/broken", 500) == "ccproxy: the data API failed: KeyError"
        assert "short and stout" in await api.problem("/api/teapot", 418)


async def test_many_may_ask_at_once(api: Api) -> None:
    """A reader is used by one request at a time, and all of them get their answers."""
    await api.fill([exchange(n, [user(f"word{n}")]) for n in range(1, 9)])
    asked = [api.json(f"/api/requests?q=word{n % 8 + 1}") for n in range(60)]
    for n, found in enumerate(await asyncio.gather(*asked)):
        assert [row["id"] for row in found["requests"]] == [exchange_id(n % 8 + 1)]
