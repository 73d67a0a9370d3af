"""The Quart application: everything that is not forwarded.

Knows the probes that Claude Code sends and the health pages. Refuses to know the provider.
"""

from __future__ import annotations

import asyncio
from typing import Any

from quart import Quart, Response, jsonify, request

from ccproxy import __version__
from ccproxy.web.status import Status


def create_app(status: Status) -> Quart:
    """Return the application around a status."""
    app = Quart("ccproxy", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]

    async def _report() -> dict[str, Any]:
        details = bool(request.scope.get("ccproxy.trusted"))
        return await asyncio.to_thread(status.report, details=details)  # it looks at the journal's disk

    @app.get("/")
    async def index() -> Response:
        """Answer the client's probe (`HEAD /`), and a person who looks here with a browser."""
        return jsonify({"service": "ccproxy", "version": __version__, "health": "/health", "api": "/v1/"})

    @app.get("/api/hello")
    async def hello() -> Response:
        """Answer the newer client's probe (`HEAD /api/hello`)."""
        return jsonify({"message": "hello"})

    @app.get("/health")
    async def health() -> tuple[Response, int]:
        """Say whether new requests are welcome: 200, or 503 while draining."""
        report = await _report()
        return jsonify(report), 503 if report["draining"] else 200

    @app.get("/livez")
    async def livez() -> Response:
        """Say that the process lives, and what it is doing."""
        return jsonify(await _report())

    @app.errorhandler(404)
    async def not_found(_: Any) -> tuple[Response, int]:
        """Say where things are."""
        message = "ccproxy: there is nothing here; the Anthropic API is below /v1/, the state of the proxy at /health"
        return jsonify({"type": "error", "error": {"type": "not_found_error", "message": message}}), 404

    @app.errorhandler(405)
    async def wrong_method(_: Any) -> tuple[Response, int]:
        """Say that the path is right and the method is not."""
        message = "ccproxy: this path does not know that method"
        return jsonify({"type": "error", "error": {"type": "invalid_request_error", "message": message}}), 405

    return app
