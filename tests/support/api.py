"""The data API over a store on disk, asked in the same process.

Knows how to fill a store and ask. Refuses to stand in for either.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quart import Quart, Response

from ccproxy.records import Captured
from ccproxy.stores.sqlite import SqliteStore
from ccproxy.stores.sqlite.presence import is_still_to_be_made
from ccproxy.web.api import opening
from ccproxy.web.api.app import create_api
from tests.support.entries import captured, fill, stream

Json = dict[str, Any]


@dataclass(slots=True)
class Api:
    """An application and the place of its store."""

    app: Quart
    path: Path

    async def ask(self, path: str, method: str = "GET", **options: Any) -> Response:
        """Send a request."""
        return await self.app.test_client().open(path, method=method, **options)

    async def on_the_wire(self, path: str, method: str) -> tuple[dict[str, str], bytes]:
        """Send a request, and return headers and body as the server is given them."""
        head: list[Any] = []
        body: list[bytes] = []
        asked = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> Json:
            return asked.pop() if asked else await asyncio.get_running_loop().create_future()

        async def send(message: Json) -> None:
            head.extend(message.get("headers", ()))
            body.append(message.get("body", b""))

        scope = {
            "type": "http", "http_version": "1.1", "asgi": {}, "method": method, "scheme": "http", "path": path,
            "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": [(b"host", b"localhost")],
        }  # fmt: skip
        await self.app(scope, receive, send)  # type: ignore[arg-type]
        return {name.decode().lower(): value.decode() for name, value in head}, b"".join(body)

    async def json(self, path: str, status: int = 200, method: str = "GET", **options: Any) -> Any:
        """Send a request, and return the JSON of an answer that has this status."""
        response = await self.ask(path, method, **options)
        body = await response.get_data(as_text=False)
        assert response.status_code == status, body
        return json.loads(body)

    async def problem(self, path: str, status: int, method: str = "GET", **options: Any) -> str:
        """Send a request that cannot be answered, and return the sentence that says why."""
        found = await self.json(path, status, method, **options)
        assert found["type"] == "error"
        assert set(found["error"]) == {"type", "message"}
        return str(found["error"]["message"])

    async def fill(self, exchanges: Sequence[Captured]) -> None:
        """Put exchanges into the store."""

        def put() -> None:
            with contextlib.closing(SqliteStore(self.path, write=True)) as store:
                fill(store, exchanges)

        await asyncio.to_thread(put)


def stores_of(path: Path) -> opening.Stores:
    """Return the stores of an SQLite file, which need not exist yet."""
    return opening.Stores(
        lambda: None if is_still_to_be_made(path) else SqliteStore(path), lambda: SqliteStore(path, write=True)
    )


@contextlib.asynccontextmanager
async def serving(folder: Path, **options: Any) -> AsyncIterator[Api]:
    """Give the data API over a store in this folder, which is not there yet."""
    path = folder / "store.db"
    app = create_api(stores_of(path), **options)
    async with app.test_app():
        yield Api(app, path)


def said(words: str) -> list[Json]:
    """Return a content that says this."""
    return [{"type": "text", "text": words}]


def user(words: str) -> Json:
    """Return a message of the user."""
    return {"role": "user", "content": words}


def assistant(*content: Json) -> Json:
    """Return a message of the model."""
    return {"role": "assistant", "content": list(content)}


def exchange(
    number: int,
    messages: Sequence[Json],
    answer: str | Sequence[Json] | None = "yes",
    *,
    session: str = "s",
    headers: Sequence[tuple[str, str]] = (),
    body: Json | None = None,
    **options: Any,
) -> Captured:
    """Return an exchange of a session with the model's answer, if any."""
    given = [("content-type", "application/json"), ("x-claude-code-session-id", session), *headers]
    content = said(answer) if isinstance(answer, str) else answer
    request = {"model": "claude-opus-4", "messages": list(messages), **(body or {})}
    return captured(number, request, stream(content) if content else None, request_headers=given, **options)
