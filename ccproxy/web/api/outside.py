"""The routes that the proxy answers itself, as the OpenAPI document tells of them.

Written by hand: these live in processes that know nothing of documents. A test compares them with what is really served.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
METHODS = ("get", "post", "put", "patch", "delete")
_FAILURE = {"$ref": "#/components/schemas/Failure"}
_COUNT = {"type": "integer", "minimum": 0}

_REPORT: Json = {
    "type": "object",
    "description": "How the proxy is.",
    "required": ["status", "in_flight", "draining", "timestamp"],
    "properties": {
        "status": {"enum": ["healthy", "draining"]},
        "in_flight": {**_COUNT, "description": "Exchanges that run now, in all workers."},
        "draining": {"type": "boolean"},
        "timestamp": {"type": "string", "format": "date-time"},
        "exchanges": {**_COUNT, "description": "Exchanges since the start."},
        "journal": {"type": "object", "description": "How far the store is behind."},
        "ingest": {"type": "object", "description": "What brings captures into the store, and how it is."},
        "dropped": {"type": "object", "description": "What could not be captured."},
    },
}
SCHEMAS: Json = {"Report": _REPORT}


def _json(description: str, schema: Json) -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _report(description: str) -> Json:
    return _json(description, {"$ref": "#/components/schemas/Report"})


def _get(name: str, tag: str, summary: str, description: str, responses: Json) -> Json:
    return {
        "get": {
            "operationId": name, "tags": [tag], "summary": summary, "description": description, "parameters": [],
            "responses": responses, "security": [],
        }
    }  # fmt: skip


def _passed_on() -> Json:
    """Describe what goes to the provider: its answers are whatever they are."""
    anything = {"description": "The provider's answer, as it is.", "content": {"*/*": {"schema": {}}}}
    responses = {
        "default": anything,
        "401": _json("The proxy's token is missing or wrong.", _FAILURE),
        "413": _json("The request's body is larger than `server.max_body`.", _FAILURE),
        "502": _json("The provider gave no answer; the message names the cause.", _FAILURE),
        "503": _json("The proxy is draining; `retry-after` says when another will be there.", _FAILURE),
        "504": _json("The provider took too long.", _FAILURE),
    }
    path = {
        "name": "path", "in": "path", "required": True, "schema": {"type": "string"},
        "description": "Any path below /v1/, slashes included: messages, messages/count_tokens, models, files, batches …",
    }  # fmt: skip
    body = {"required": False, "content": {"*/*": {"schema": {}}}}
    description = (
        "Everything below /v1/ goes to the provider with the client's own bytes, query and headers, and comes back as the "
        "provider sent it, event by event where it streams; both are recorded. Only `POST /v1/chat/completions` is refused, "
        "with 400 and a pointer to /v1/messages."
    )
    common = {
        "tags": ["proxy"], "summary": "Ask the provider.", "description": description, "parameters": [path],
        "responses": responses,
    }  # fmt: skip
    return {
        method: {
            **common,
            "operationId": f"{method}_v1",
            **({"requestBody": body} if method in ("post", "put", "patch") else {}),
        }
        for method in METHODS
    }


PATHS: Json = {
    "/": _get(
        "get_index",
        "health",
        "Say who is here.",
        "Also the client's first probe (`HEAD /`).",
        {"200": _json("Name, version, and where things are.", {"type": "object"})},
    ),
    "/api/hello": _get(
        "get_hello",
        "health",
        "Answer the client's probe.",
        "Newer clients send `HEAD /api/hello`.",
        {"200": _json("A greeting.", {"type": "object"})},
    ),
    "/health": _get(
        "get_health",
        "health",
        "Say whether new requests are welcome.",
        "503 while the proxy drains: running exchanges finish, new ones are refused.",
        {"200": _report("New requests are welcome."), "503": _report("The proxy is draining.")},
    ),
    "/livez": _get(
        "get_livez",
        "health",
        "Say that the process lives, and what it is doing.",
        "200 while the proxy drains, too.",
        {"200": _report("It lives.")},
    ),
    "/v1/{path}": _passed_on(),
}
