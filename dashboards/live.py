"""What runs at this moment: the proxy's live view, followed once for all tabs, and how the proxy says it is.

Reads `/api/live` and `/livez` on the proxy's own address, by tornado's client, in the server's loop. A proxy that is away is looked for
again. Refuses to know how any of it is shown; text stays text.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

from analysis import Configuration

RETRY_S = 2.0
SILENT_S = 40.0  # the view sends a comment every 15 s
KEPT_CHARACTERS = 200_000  # of an answer's text, from its end
MOST_ENDED = 50
_PIECES = {"text": "text", "thinking": "thinking", "tool_input": "tool_use"}


class State(NamedTuple):
    """How the connection to the proxy is: a word for the header, and a sentence for whoever asks."""

    on: bool
    word: str
    sentence: str


@dataclass(slots=True)
class Said:
    """A content block as far as it has come."""

    type: str
    text: str = ""
    tool_name: str | None = None
    stopped: bool = False


@dataclass(slots=True)
class Running:
    """An exchange as the live view tells it; once it has ended it stays for a while. `first_at` and `last_at` are seconds, of content."""

    id: str
    started_at: float
    model: str | None = None
    session_id: str | None = None
    agent_id: str | None = None
    agent_type: str | None = None
    kind: str | None = None
    path: str = ""
    status: int | None = None
    attempts: int = 1
    first_at: float | None = None
    last_at: float | None = None
    characters: int = 0
    usage: dict[str, Any] = field(default_factory=dict)
    stop_reason: str | None = None
    error: str | None = None
    state: str | None = None
    duration_ms: float | None = None
    blocks: dict[int, Said] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether it runs no more."""
        return self.duration_ms is not None or self.state is not None


class Board:
    """Running and just ended exchanges, as events make them. Pure: `take` gets an event and the moment."""

    def __init__(self) -> None:
        self.running: dict[str, Running] = {}
        self.ended: list[Running] = []

    def take(self, name: str, data: dict[str, Any], now: float) -> None:
        """Take one event of the live view. What is unknown changes nothing."""
        if name == "snapshot":
            self.running = {}
            for one in data.get("exchanges", ()):
                self._take_snapshot(one, now)
            return
        if name == "exchange":
            self._begin(data)
            return
        one = self.running.get(str(data.get("exchange")))
        if one is None:
            return
        if name in _PIECES:
            self._take_piece(one, int(data.get("index", 0)), _PIECES[name], str(data.get("text", "")), now)
        elif name == "ended":
            self._end(one, data, now)
        else:
            self._take_fact(one, name, data)

    def _begin(self, data: dict[str, Any]) -> Running:
        one = self.running.get(data["id"]) or Running(data["id"], data.get("started_at", 0) / 1e6)
        for name in ("model", "session_id", "agent_id", "agent_type", "kind", "path"):
            if data.get(name) is not None:
                setattr(one, name, data[name])
        self.running[one.id] = one
        return one

    def _take_snapshot(self, data: dict[str, Any], now: float) -> None:
        one = self._begin(data["exchange"])
        one.status, one.attempts = data.get("status"), data.get("attempts", 1)
        for block in data.get("blocks", ()):
            one.blocks[block["index"]] = Said(block["type"], "", block.get("tool_name"), block.get("stopped", False))
            if block.get("text"):
                self._take_piece(one, block["index"], block["type"], block["text"], now)
        one.usage = data.get("usage") or {}

    def _take_piece(self, one: Running, index: int, kind: str, text: str, now: float) -> None:
        block = one.blocks.setdefault(index, Said(kind))
        block.text = (block.text + text)[-KEPT_CHARACTERS:]
        one.characters += len(text)
        one.first_at = one.first_at or now
        one.last_at = now

    def _take_fact(self, one: Running, name: str, data: dict[str, Any]) -> None:
        if name == "block" and data.get("phase") == "start":
            one.blocks[int(data["index"])] = Said(str(data.get("type")), "", data.get("tool_name"))
        elif name == "block" and data.get("phase") == "stop" and data.get("index") in one.blocks:
            one.blocks[data["index"]].stopped = True
        elif name == "usage":
            one.usage |= {key: value for key, value in data.items() if key != "exchange" and value is not None}
        elif name == "head":
            one.status = data.get("status")
        elif name == "retry":
            one.attempts += 1
        elif name == "message":
            one.model = data.get("model") or one.model
        elif name == "stop_reason":
            one.stop_reason = data.get("stop_reason")
        elif name == "api_error":
            one.error = data.get("message") or data.get("type")

    def _end(self, one: Running, data: dict[str, Any], now: float) -> None:
        one.state = data.get("state") or "complete"
        one.status, one.error = data.get("status") or one.status, data.get("error") or one.error
        one.duration_ms = data.get("duration_ms") or (now - one.started_at) * 1000
        one.stop_reason = data.get("stop_reason") or one.stop_reason
        one.usage |= {key: data[key] for key in data if key.endswith("_tokens") and data[key] is not None}
        del self.running[one.id]
        self.ended = [one, *self.ended][:MOST_ENDED]


class Live:
    """Follows one proxy. `listeners` are called, in the loop, after anything has changed."""

    def __init__(self, configuration: Configuration) -> None:
        self.board = Board()
        self.listeners: set[Callable[[], None]] = set()
        self._configuration = configuration
        self._connected = False
        self._trouble = "nobody has looked yet"
        self._task: asyncio.Task[None] | None = None
        self._text = ""

    def start(self) -> None:
        """Begin to follow, where that has not begun; only within the server's loop."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._follow())

    def state(self) -> State:
        """Return how the connection is."""
        url = self._configuration.proxy_url
        if self._connected:
            return State(True, "live", f"connected to the proxy at {url}")
        return State(False, "not live", f"the proxy at {url} is not to be reached: {self._trouble}")

    async def health(self) -> dict[str, Any]:
        """Return what `/livez` says; where there is no answer, a dictionary with `error` alone."""
        try:
            answer = await AsyncHTTPClient().fetch(self._request("/livez", 3.0), raise_error=False)
            found = json.loads(answer.body)
            return found if isinstance(found, dict) else {"error": "no answer that makes sense"}
        except (OSError, HTTPClientError, ValueError) as error:
            return {"error": str(error) or type(error).__name__}

    async def _follow(self) -> None:
        while True:
            self._text = ""
            try:
                await AsyncHTTPClient(force_instance=True).fetch(self._request("/api/live", 0.0, self._take_bytes))
                self._trouble = "it has ended the live view"
            except (OSError, HTTPClientError) as error:
                self._trouble = str(error) or type(error).__name__
            self._connected = False
            self.board.running = {}
            self._tell()
            await asyncio.sleep(RETRY_S)

    def _request(self, path: str, patience: float, streaming: Callable[[bytes], None] | None = None) -> HTTPRequest:
        found, headers = self._configuration, {}
        if found.dashboard_password:
            headers["Authorization"] = (
                "Basic " + base64.b64encode(f"ccproxy:{found.dashboard_password}".encode()).decode()
            )
        elif found.auth_enabled:
            headers["X-CCProxy-Token"] = found.auth_token
        return HTTPRequest(
            found.proxy_url + path,
            headers=headers,
            streaming_callback=streaming,
            request_timeout=patience,
            connect_timeout=3.0,
        )

    def _take_bytes(self, data: bytes) -> None:
        self._connected = True
        self._text += data.decode("utf-8", "replace")
        *events, self._text = self._text.split("\n\n")
        for text in events:
            fields = dict(line.split(": ", 1) for line in text.split("\n") if ": " in line and not line.startswith(":"))
            if "event" in fields and "data" in fields:
                self.board.take(fields["event"], json.loads(fields["data"]), time.time())
        self._tell()

    def _tell(self) -> None:
        for listener in list(self.listeners):
            listener()
