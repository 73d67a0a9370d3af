"""The OpenAPI document: it tells of every route that there is and of none that there is not, and the routes do what it says.

Schemathesis makes requests of the document, valid ones and odd ones, and holds each answer against it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import re
import socket
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec.yaml
import pytest
import requests
import schemathesis
from hypercorn.asyncio import serve
from hypercorn.config import Config
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from quart import Quart
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from ccproxy import settings as configuration
from ccproxy.lifecycle.board import Board
from ccproxy.stores.sqlite import SqliteStore
from ccproxy.web.api import application
from ccproxy.web.app import create_app
from ccproxy.web.status import Status
from tests.support.api import Api, exchange, user
from tests.support.entries import Session, exchange_id, fill

EXAMPLES = 20  # of each operation, and as many odd ones
LONG_S = 20.0
NOT_ASKED = ("/v1/{path}", "/api/live")  # the provider's own answers, and one that has no end
NAMED = (
    "/api/conversations/project",
    "/api/conversations/{conversation}",
)  # no schema can say what names a folder may have
STEP = re.compile(r"<(?:[^:<>]*:)?([^<>]+)>")


def _apps(folder: Path) -> tuple[Quart, Quart, Callable[[], Awaitable[None]]]:
    """Return the application of the proxy's worker, that of the data API with all its routes, and what ends its streams."""
    chosen = {"storage.db_path": str(folder / "store.db"), "claude.config_dir": str(folder)}
    settings = configuration.load(cli=chosen, cwd=folder, config_home=folder, data_home=folder)
    status = Status(Board(folder / "board", 1), settings.storage.journal_dir, lambda: 1_760_000_000_000_000)
    api, end_streams = application.create(settings)
    return create_app(status), api, end_streams


@functools.cache
def _document() -> dict[str, Any]:
    """Return the document of the whole proxy, without serving anything."""
    with tempfile.TemporaryDirectory() as folder:
        _, api, _ = _apps(Path(folder))
        found: dict[str, Any] = api.extensions["QUART_SCHEMA"].openapi_provider.schema()
    return found


@dataclass(frozen=True, slots=True)
class _Served:
    """Both applications on one loopback port, as the proxy shows them, over the store in a folder."""

    url: str
    folder: Path

    def fill(self) -> None:
        """Put captures into the store, where they were deleted again."""
        with contextlib.closing(SqliteStore(self.folder / "store.db", write=True)) as store:
            fill(store, [*Session(preamble_bytes=2000).exchanges(12), exchange(50, [user("still running")], None)])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Served]:
    """Serve both applications."""
    folder = tmp_path_factory.mktemp("served")
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    started, stopped = threading.Event(), threading.Event()
    serving = threading.Thread(target=lambda: asyncio.run(_serve(folder, listening, started, stopped)))
    serving.start()
    assert started.wait(LONG_S)
    yield _Served(url, folder)
    stopped.set()
    serving.join(LONG_S)
    assert not serving.is_alive()


async def _serve(folder: Path, listening: socket.socket, started: threading.Event, stopped: threading.Event) -> None:
    worker, api, end_streams = _apps(folder)
    workers_own = {rule.rule for rule in worker.url_map.iter_rules()}
    config = Config()
    config.bind = [f"fd://{listening.detach()}"]
    config.accesslog = config.errorlog = None

    async def both(scope: Any, receive: Any, send: Any) -> None:
        await (worker if scope.get("path") in workers_own else api)(scope, receive, send)

    async def stopping() -> None:
        started.set()
        await asyncio.to_thread(stopped.wait)
        await end_streams()

    await serve(both, config, shutdown_trigger=stopping)  # type: ignore[arg-type]


def _operations(kind: str = "") -> list[Any]:
    """Return the operations that can be asked, all or those with parameters of a kind."""
    operations = [found.ok() for found in schemathesis.openapi.from_dict(_document()).get_all_operations()]
    asked = [operation for operation in operations if operation.path not in NOT_ASKED]
    told = [(operation, _document()["paths"][operation.path][operation.method]["parameters"]) for operation in asked]
    return [operation for operation, parameters in told if not kind or kind in {one["in"] for one in parameters}]


def _label(operation: Any) -> str:
    return str(operation.label)


def _ask(served: _Served, operation: Any, mode: GenerationMode, **fixed: Any) -> None:
    """Ask an operation many things, and hold each answer against the document."""
    excluded = [positive_data_acceptance] if operation.path in NAMED else []
    with requests.Session() as session:

        @given(case=operation.as_strategy(generation_mode=mode, **fixed))
        @effort(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        def keeps_to_it(case: schemathesis.Case) -> None:
            case.call_and_validate(base_url=served.url, session=session, excluded_checks=excluded)

        keeps_to_it()


@pytest.mark.parametrize("operation", _operations(), ids=_label)
def test_what_the_document_allows_is_taken(served: _Served, operation: Any) -> None:
    """No valid request is refused, and every answer has a status, a type and a shape that the document names."""
    served.fill()
    _ask(served, operation, GenerationMode.POSITIVE)


@pytest.mark.parametrize("operation", _operations("query"), ids=_label)
def test_what_the_document_does_not_allow_is_refused(served: _Served, operation: Any) -> None:
    """A parameter that the document forbids never passes for one that was not given."""
    served.fill()
    _ask(served, operation, GenerationMode.NEGATIVE)


@pytest.mark.parametrize("operation", _operations("path"), ids=_label)
def test_what_is_there_is_told_as_the_document_says(served: _Served, operation: Any) -> None:
    """Asked for exchanges and sessions that there are, every operation answers in the shapes of the document."""
    served.fill()
    known = {"exchange": exchange_id(3), "session": "session-1", "conversation": "none"}
    names = {name for name in known if f"{{{name}}}" in operation.path}
    assert names, f"{operation.path} has a parameter of which this test knows no value"
    _ask(served, operation, GenerationMode.POSITIVE, path_parameters={name: known[name] for name in names})


def _routes(app: Quart) -> dict[str, set[str]]:
    """Return the methods of each path of an application, as the document writes them."""
    found: dict[str, set[str]] = {}
    for rule in app.url_map.iter_rules():
        methods = {method.lower() for method in rule.methods or ()} - {"head", "options"}
        found.setdefault(STEP.sub(r"{\1}", rule.rule), set()).update(methods)
    return found


def test_the_document_and_the_routes_are_the_same(tmp_path: Path) -> None:
    """Every route of every process stands in the document with its methods, and nothing else does."""
    worker, api, _ = _apps(tmp_path)
    passed_on = {"/v1/{path}": {"get", "post", "put", "patch", "delete"}}
    served = _routes(worker) | _routes(api) | passed_on
    assert not set(_routes(worker)) & set(_routes(api))
    assert {path: set(operations) for path, operations in _document()["paths"].items()} == served


def test_every_operation_says_what_it_is_for() -> None:
    """Each has a name of its own, a sentence, a tag that is explained, and a good answer."""
    document = _document()
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))
    tags = {tag["name"] for tag in document["tags"]}
    for operation in operations:
        assert operation["summary"].endswith(".")
        assert set(operation["tags"]) <= tags
        assert operation["tags"]
        assert "200" in operation["responses"] or "default" in operation["responses"]


async def test_it_is_served_as_json_and_as_yaml(api: Api) -> None:
    """Both forms say the same, need nothing that was captured, and come under their own types."""
    found = await api.json("/openapi.json")
    response = await api.ask("/openapi.yaml")
    assert response.content_type == "application/yaml"
    assert msgspec.yaml.decode(await response.get_data(as_text=False)) == found
    assert found["openapi"].startswith("3.")
    assert not api.path.exists()


async def test_no_page_loads_anything_from_elsewhere(api: Api) -> None:
    """There is no page beside the document that would fetch scripts, and the document itself names no other host."""
    for path in ("/docs", "/redocs", "/scalar", "/swagger", "/static/x"):
        assert await api.problem(path, 404)
    assert not re.search(r"https?://|<script", json.dumps(await api.json("/openapi.json")))
