"""Who starts which agent: the calls of the tools `Agent` and `Task` in an answer, as it passes.

Reads streams and whole messages of the Messages API, however they are cut. Refuses to know whose answer it is, and what becomes of
the calls. What cannot be read is passed over: nothing here raises.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ccproxy.protocol import sse
from ccproxy.protocol.parts import digest, json_value

TOOLS = frozenset({"Agent", "Task"})
USUAL_AGENT = "general-purpose"  # who is started where the call names nobody
MAX_JSON_BYTES = 16 << 20
MAX_INPUT_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Spawn:
    """A call that starts an agent: the agent's name, and the prompt that becomes its first message."""

    agent: str
    prompt: str


class SpawnReader:
    """Finds such calls in the body of one answer, which is a stream of events or one JSON message."""

    def __init__(self, *, streamed: bool) -> None:
        self._lines = sse.Decoder(MAX_INPUT_BYTES) if streamed else None
        self._whole = bytearray()
        self._open: dict[Any, list[str]] = {}

    def feed(self, data: bytes) -> list[Spawn]:
        """Take the next bytes of the body, decoded, and return the calls that are complete with them."""
        if self._lines is None:
            self._whole += data[: max(0, MAX_JSON_BYTES - len(self._whole))]
            return []
        return [call for event in self._lines.feed(data) for call in self._take(event)]

    def close(self) -> list[Spawn]:
        """Say that the body is over and return the calls of a message that came whole."""
        message = json_value(bytes(self._whole)) if self._lines is None else None
        content = message.get("content") if isinstance(message, dict) else None
        blocks = content if isinstance(content, list) else []
        return [call for block in blocks if _starts(block) for call in _spawn(block.get("input"))]

    def _take(self, event: sse.Event | sse.Comment) -> Iterator[Spawn]:
        if isinstance(event, sse.Comment):
            return
        if b'"tool_use"' in event.data and event.name == "content_block_start":
            self._start(json_value(event.data))
        elif self._open and event.name == "content_block_delta":
            self._add(json_value(event.data))
        elif self._open and event.name == "content_block_stop":
            pieces = self._open.pop(_index(json_value(event.data)), None)
            if pieces is not None:
                yield from _spawn(json_value("".join(pieces).encode("utf-8", "surrogatepass")))

    def _start(self, payload: Any) -> None:
        block = payload.get("content_block") if isinstance(payload, dict) else None
        if _starts(block):
            self._open[_index(payload)] = []

    def _add(self, payload: Any) -> None:
        pieces = self._open.get(_index(payload))
        delta = payload.get("delta") if isinstance(payload, dict) else None
        piece = delta.get("partial_json") if isinstance(delta, dict) else None
        if pieces is not None and isinstance(piece, str):
            pieces.append(piece)


def prompt_key(session: str, prompt: str) -> bytes:
    """Return the 16 bytes under which a prompt of a session is known; space around it does not count."""
    return digest(f"spawn\0{session}\0{prompt.strip()}".encode("utf-8", "surrogatepass"))


def agent_key(session: str, agent_id: str) -> bytes:
    """Return the 16 bytes under which an agent of a session is known."""
    return digest(f"agent\0{session}\0{agent_id}".encode("utf-8", "surrogatepass"))


def _starts(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") == "tool_use" and block.get("name") in TOOLS


def _spawn(given: Any) -> Iterator[Spawn]:
    if isinstance(given, dict) and isinstance(given.get("prompt"), str):
        agent = given.get("subagent_type")
        yield Spawn(agent if isinstance(agent, str) and agent else USUAL_AGENT, given["prompt"])


def _index(payload: Any) -> Any:
    index = payload.get("index") if isinstance(payload, dict) else None
    return index if isinstance(index, int) else None
