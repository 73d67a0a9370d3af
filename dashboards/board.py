"""What runs, and what has just ended, as the events of the live view make it.

Pure: it takes an event and the moment, and keeps bounded pieces. What is unknown, or makes no sense, changes nothing. Refuses to
know where events come from, and how any of it is shown; text stays text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

KEPT_CHARACTERS = 20_000  # of a block's text, from its end
MOST_ENDED = 50
SETTLED_S = 0.3  # a speed over less time than that would be chance
CHARACTERS_A_TOKEN = 4  # by which a speed in tokens is estimated while no count is known
_PIECES = {"text": "text", "thinking": "thinking", "tool_input": "tool_use"}
_SAID_BY_REQUEST = (
    "model", "session_id", "agent_id", "agent_type", "agent_name", "kind", "path", "provider", "routed_model",
)  # fmt: skip
_COUNTS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")


@dataclass(slots=True)
class Said:
    """A content block as far as it has come: `text` is the end of it, and `cut` how many characters stood before that."""

    type: str
    text: str = ""
    tool_name: str | None = None
    stopped: bool = False
    cut: int = 0

    def add(self, text: str) -> None:
        """Add a piece."""
        whole = self.text + text
        self.text = whole[-KEPT_CHARACTERS:]
        self.cut += len(whole) - len(self.text)


@dataclass(slots=True)
class Running:
    """An exchange. `first_at` is when its first piece was seen to arrive, `watched` when and with how many characters watching began.

    `over` tells that it runs no more; `state` how it ended, which nobody may have seen. Only a routed one has `provider` and
    `routed_model`. Moments are seconds.
    """

    id: str
    started_at: float
    model: str | None = None
    session_id: str | None = None
    agent_id: str | None = None
    agent_type: str | None = None
    agent_name: str | None = None
    provider: str | None = None
    routed_model: str | None = None
    kind: str | None = None
    path: str = ""
    status: int | None = None
    attempts: int = 1
    retry: str | None = None
    first_at: float | None = None
    last_at: float | None = None
    watched: tuple[float, int] | None = None
    characters: int = 0
    usage: dict[str, int] = field(default_factory=dict)
    stop_reason: str | None = None
    error: str | None = None
    note: str | None = None
    state: str | None = None
    duration_ms: float | None = None
    over: bool = False
    blocks: dict[int, Said] = field(default_factory=dict)

    @property
    def first_token_ms(self) -> float | None:
        """How long the first piece took; None where it came before anybody watched."""
        return None if self.first_at is None else (self.first_at - self.started_at) * 1000

    @property
    def tokens_per_second(self) -> float | None:
        """The speed since it was watched, estimated from characters; None as long as there is too little of it."""
        if self.watched is None or self.last_at is None or self.last_at - self.watched[0] < SETTLED_S:
            return None
        return (self.characters - self.watched[1]) / (self.last_at - self.watched[0]) / CHARACTERS_A_TOKEN


class Board:
    """Running exchanges, oldest first, and those that ended, newest first."""

    def __init__(self) -> None:
        self.running: dict[str, Running] = {}
        self.ended: list[Running] = []

    def __repr__(self) -> str:
        return f"<Board running={len(self.running)} ended={len(self.ended)}>"

    def take(self, name: str, data: Mapping[str, Any], now: float) -> None:
        """Take one event of the live view."""
        try:
            self._take(name, data, now)
        except (KeyError, TypeError, ValueError, AttributeError):
            return  # not as we know it

    def _take(self, name: str, data: Mapping[str, Any], now: float) -> None:
        if name == "snapshot":
            self._take_snapshot(data["exchanges"], now)
        elif name == "exchange":
            self.running[data["id"]] = _begun(self.running.get(data["id"]), data)
        elif (one := self.running.get(data["exchange"])) is None:
            return
        elif name in _PIECES:
            _take_piece(one, int(data["index"]), _PIECES[name], data["text"], now)
        elif name == "ended":
            self._end(one, data)
        else:
            _take_fact(one, name, data)

    def _take_snapshot(self, exchanges: list[Mapping[str, Any]], now: float) -> None:
        """Take all that runs. What ran before and is not there any more has ended unseen."""
        before, self.running = self.running, {}
        for data in exchanges:
            one = _begun(before.pop(data["exchange"]["id"], None), data["exchange"])
            self.running[one.id] = one
            _take_all(one, data, now)
        for one in before.values():
            one.over = True
            self.ended = [one, *self.ended][:MOST_ENDED]

    def _end(self, one: Running, data: Mapping[str, Any]) -> None:
        del self.running[one.id]
        self.ended = [one, *self.ended][:MOST_ENDED]
        one.over = True
        for name in ("state", "status", "error", "note", "duration_ms", "stop_reason"):
            if data.get(name) is not None:
                setattr(one, name, data[name])
        one.usage |= _counts(data)


def _begun(one: Running | None, data: Mapping[str, Any]) -> Running:
    one = one or Running(str(data["id"]), float(data["started_at"]) / 1e6)
    for name in _SAID_BY_REQUEST:
        if data.get(name) is not None:
            setattr(one, name, data[name])
    return one


def _take_all(one: Running, data: Mapping[str, Any], now: float) -> None:
    """Take an exchange of the snapshot, all that it has said so far included."""
    one.attempts, one.status = data.get("attempts", 1), data.get("status")
    one.stop_reason, one.usage = data.get("stop_reason"), _counts(data.get("usage") or {})
    _take_fact(one, "api_error", data.get("api_error") or {})
    one.model = (data.get("message") or {}).get("model") or one.model
    one.blocks.clear()
    one.characters = 0
    for block in data.get("blocks", ()):
        said = Said(block["type"], "", block.get("tool_name"), block.get("stopped", False), block.get("cut", 0))
        said.add(block["text"])
        one.blocks[block["index"]] = said
        one.characters += said.cut + len(said.text)
    one.watched = (now, one.characters) if one.characters else None


def _take_piece(one: Running, index: int, kind: str, text: str, now: float) -> None:
    block = one.blocks.setdefault(index, Said(kind))
    block.add(text)
    if not one.characters:
        one.first_at = now
    one.characters += len(text)
    one.watched = one.watched or (now, one.characters)
    one.last_at = now


def _take_fact(one: Running, name: str, data: Mapping[str, Any]) -> None:
    if name == "block" and data["phase"] == "start":
        one.blocks[int(data["index"])] = Said(str(data["type"]), "", data.get("tool_name"))
    elif name == "block" and data["phase"] == "stop" and data["index"] in one.blocks:
        one.blocks[data["index"]].stopped = True
    elif name == "usage":
        one.usage |= _counts(data)
    elif name == "head":
        one.status = data["status"]
    elif name == "retry":
        one.attempts += 1
        one.retry = str(data.get("error") or data.get("status") or data.get("kind"))
    elif name == "message":  # a second one takes the first one's place
        one.model = data.get("model") or one.model
        one.blocks.clear()
    elif name == "stop_reason":
        one.stop_reason = data["stop_reason"]
    elif name == "api_error":
        one.error = data.get("message") or data.get("type") or one.error


def _counts(data: Mapping[str, Any]) -> dict[str, int]:
    return {name: data[name] for name in _COUNTS if data.get(name) is not None}
