"""The OpenAPI document: every route that the proxy serves, whichever of its processes answers.

Routes of the data API describe themselves; those of the proxy itself stand in `outside`. No page that would load scripts from
elsewhere is served beside it. Refuses to answer anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import msgspec
import msgspec.yaml
from quart import Blueprint, Quart, Response
from quart_schema import Info, OpenAPIProvider, QuartSchema, Tag, tag
from quart_schema.extension import SecurityScheme
from quart_schema.openapi import APIKeySecurityScheme, HttpSecurityScheme
from werkzeug.routing import Rule

from ccproxy import __version__
from ccproxy.web.api import outside
from ccproxy.web.api.answering import JSON, answer
from ccproxy.web.api.shapes import Failure

Json = dict[str, Any]
YAML = "application/yaml"
_REFERENCE = "#/components/schemas/{name}"
_ANYTHING = "*/*"
# Answers that are no JSON of a shape of ours.
_OTHER_ANSWERS: dict[str, tuple[str, str]] = {
    "/api/live": ("text/event-stream", "Server-sent events, without end."),
    "/api/requests/{exchange}/request": (_ANYTHING, "The bytes, with the type that they had."),
    "/api/requests/{exchange}/sent": (JSON, "The bytes."),
    "/api/requests/{exchange}/response": (_ANYTHING, "The bytes, with the type that they had."),
    "/openapi.json": (JSON, "The document."),
    "/openapi.yaml": (YAML, "The document."),
}
# What the proxy, which stands before the data API, may answer in its place; and what anything may come to.
_REFUSALS = {
    "401": "The proxy's token, or the dashboard's password, is missing or wrong.",
    "403": "The host or the origin is not one from which the data API may be asked.",
    "500": "The store is damaged, or ccproxy itself failed.",
    "503": "The store is busy; `retry-after` says when to try again.",
}
_INFO = Info(
    title="ccproxy",
    version=__version__,
    description="A transparent proxy for Claude Code, and what it captured. Times are microseconds since 1970 (UTC), durations"
    " milliseconds. Errors have the shape of the Anthropic API's.",
)
_TAGS: list[Tag | dict[str, Any]] = [
    Tag("proxy", "What is forwarded."),
    Tag("exchanges", "Single requests and their answers."),
    Tag("sessions", "Conversations, with their subagents."),
    Tag("conversations", "Claude Code's own transcript files."),
    Tag("live", "What is running now."),
    Tag("stats", "Figures."),
    Tag("health", "How the proxy is, and this document."),
]
_SCHEMES: dict[str, SecurityScheme | dict[str, Any]] = {
    "password": HttpSecurityScheme("basic"),
    "bearer": HttpSecurityScheme("bearer"),
    "token": APIKeySecurityScheme("x-ccproxy-token", "header"),
}
# The first: nothing, where neither password nor token is set, or for clients on this machine.
_SECURITY: list[dict[str, list[str]]] = [{}, {"password": []}, {"bearer": []}, {"token": []}]


class Provider(OpenAPIProvider):
    """Describes a route: its answers with all their parts, and the errors that may come in their place."""

    def operation_id(self, method: str, path: str, func: Callable[..., Any]) -> str:
        """Return the name of an operation."""
        return func.__name__

    def build_response_object(self, model: Any, headers_model: Any) -> tuple[Json, Json]:
        """Return an answer, and the parts that it refers to."""
        (schema,), components = msgspec.json.schema_components([model], ref_template=_REFERENCE)
        return _answer(model.__doc__.splitlines()[0], JSON, schema), components

    def build_querystring_parameters(self, model: Any) -> tuple[list[Json], Json]:
        """Return the parameters of a query, and the parts that they refer to."""
        (reference,), components = msgspec.json.schema_components([model], ref_template=_REFERENCE)
        query = components.pop(reference["$ref"].rpartition("/")[2])
        parameters = [
            _parameter(name, schema, query.get("required", ())) for name, schema in query["properties"].items()
        ]
        return parameters, components

    def build_paths(self, rule: Rule) -> tuple[Json, Json]:
        """Return the operations of a route, and the parts that they refer to."""
        paths, components = super().build_paths(rule)
        (error,), parts = msgspec.json.schema_components([Failure], ref_template=_REFERENCE)
        for path, operations in paths.items():
            for operation in operations.values():
                operation["responses"] = {**_given(path, operation), **_errors(path, operation, error)}
        return paths, {**components, **parts}

    def schema(self) -> Json:
        """Return the document."""
        document = super().schema()
        document["paths"] = dict(sorted({**document["paths"], **outside.PATHS}.items()))
        document["components"]["schemas"] |= outside.SCHEMAS
        return document


def _parameter(name: str, schema: Json, required: Collection[str]) -> Json:
    """Return a parameter; what a type says about itself as one stands beside its schema, not in it."""
    found: Json = {"name": name, "in": "query", "required": name in required, "schema": schema}
    found |= {key: schema.pop(key) for key in ("description", "required", "deprecated") if key in schema}
    if found["required"] and schema.get("type") == "string":
        schema.setdefault("minLength", 1)
    return found


def _given(path: str, operation: Json) -> Json:
    """Return the good answers of an operation."""
    if path in _OTHER_ANSWERS:
        media, description = _OTHER_ANSWERS[path]
        return {"200": _answer(description, media, {})}
    given = {str(status): response for status, response in operation["responses"].items()}
    return given or {"200": _answer("The answer.", JSON, {})}


def _errors(path: str, operation: Json, error: Json) -> Json:
    if not path.startswith("/api/"):
        return {}
    errors = dict(_REFUSALS)
    if operation["parameters"]:
        errors["400"] = "What is asked for makes no sense; the message says why."
    if "{" in path:
        errors["404"] = "There is no such thing."
        errors["409"] = "More than one thing is meant, or it still runs and is kept."
    return {status: _answer(description, JSON, error) for status, description in sorted(errors.items())}


def _answer(description: str, media: str, schema: Json) -> Json:
    return {"description": description, "content": {media: {"schema": schema}}}


def publish(app: Quart) -> None:
    """Serve the document of an application that has all its routes."""
    schema = QuartSchema(
        openapi_path=None,
        redoc_ui_path=None,
        scalar_ui_path=None,
        swagger_ui_path=None,
        info=_INFO,
        tags=_TAGS,
        security_schemes=_SCHEMES,
        security=_SECURITY,
        conversion_preference="msgspec",
        openapi_provider_class=Provider,
    )
    schema.init_app(app)
    routes = Blueprint("documents", __name__)

    @routes.get("/openapi.json")
    @tag(["health"])
    async def openapi_json() -> Response:
        """Describe every route, as JSON."""
        return answer(schema.openapi_provider.schema())

    @routes.get("/openapi.yaml")
    @tag(["health"])
    async def openapi_yaml() -> Response:
        """Describe every route, as YAML."""
        document = msgspec.yaml.encode(schema.openapi_provider.schema(), order="deterministic")
        return Response(document, content_type=YAML)

    app.register_blueprint(routes)
