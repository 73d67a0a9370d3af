"""The events of one streamed answer, put together to the message they describe.

Knows the stream events of Anthropic's Messages API and how each delta continues its block. What nobody has heard of
yet is kept and named, what is malformed is told and survived: nothing here raises. Refuses to know bytes on a line
(sse.py), how counts merge (usage.py), and the time at which an event came.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from ccproxy.protocol import sse
from ccproxy.protocol.usage import merge

Object = dict[str, Any]
Value = TypeVar("Value")

# A stream of another protocol would be unknown from end to end; its bytes are stored anyway, so a part is enough here.
MAX_UNKNOWN_EVENTS = 1000
MAX_PROBLEMS = 100

MALFORMED = "malformed"  # the kind of an event whose data is not a JSON object
DONE = "done"  # the kind of `data: [DONE]`, with which some compatible servers end a stream

_FALLBACK_BLOCK = "fallback"
_KNOWN_BLOCKS = {
    "text", "thinking", "redacted_thinking", "tool_use", "server_tool_use", "mcp_tool_use", "mcp_tool_result",
    "mcp_list_tools", "web_search_tool_result", "web_fetch_tool_result", "code_execution_tool_result",
    "bash_code_execution_tool_result", "text_editor_code_execution_tool_result", "tool_search_tool_result",
    "advisor_tool_result", "container_upload", "compaction", _FALLBACK_BLOCK, "image", "document", "tool_result",
    "tool_reference", "search_result",
}  # fmt: skip

# The delta types whose payload is appended: the delta's key, and the block type it belongs to.
_APPENDED = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "input_json_delta": ("partial_json", "tool_use"),
}
# The delta types whose members replace the block's, and the block type they belong to. The official SDK does the same.
_REPLACED = {"signature_delta": "thinking", "compaction_delta": "compaction"}

_decode = msgspec.json.Decoder().decode


class _Block:
    """A content block that is being built: what `content_block_start` said, and the deltas since."""

    __slots__ = ("index", "opened", "parts", "unknown")

    def __init__(self, index: int, opened: Object) -> None:
        self.index = index
        self.opened = opened
        self.parts: dict[str, list[str]] = {}
        self.unknown: list[Object] = []

    def finished(self) -> Object:
        """Return the block as far as it has come."""
        block = dict(self.opened)
        for key, pieces in self.parts.items():
            text = "".join(pieces)
            if key == "partial_json":
                if text.strip():
                    block["input"] = _input(text)
            else:
                first = block.get(key)
                block[key] = first + text if isinstance(first, str) else text
        if str(block.get("type", "")).endswith("tool_use"):
            block.setdefault("input", {})
        if self.unknown:
            block["_unknown_deltas"] = list(self.unknown)
        return block

    def settle(self) -> None:
        """Join the pieces, so that they take no more room than the text."""
        for key, pieces in self.parts.items():
            self.parts[key] = ["".join(pieces)]


class MessageBuilder:
    """Builds the message of one stream, event by event, and stops nowhere.

    `error` is the whole payload of an `error` event, `complete` whether `message_stop` was seen, `has_content` whether
    any text, thinking or tool input has come. `earlier` holds messages that a second `message_start` in the same stream
    cut off: the last one is the message. `unknown` names event, block and delta types nobody has heard of (the events
    are in `unknown_events`, the deltas on their block under "_unknown_deltas"); `problems` says what was malformed.
    """

    def __init__(self) -> None:
        """Start without a message."""
        self.error: Object | None = None
        self.complete = False
        self.has_content = False
        self.earlier: list[Object] = []
        self.unknown: list[str] = []
        self.unknown_events: list[Object] = []
        self.problems: list[str] = []
        self._message: Object | None = None
        self._blocks: list[_Block] = []
        self._open: dict[int, _Block] = {}
        self._highest = -1
        self._mend = False

    def __repr__(self) -> str:
        """Tell how far the message is."""
        state = "complete" if self.complete else "failed" if self.error else "open"
        return f"<MessageBuilder {state} blocks={len(self._blocks)} problems={len(self.problems)}>"

    @property
    def message(self) -> Object | None:
        """The message as built so far, or None before the first `message_start`. Put together anew at each access.

        Tool input that is not complete JSON is `{"_partial_json": "<the text so far>"}`.
        """
        if self._message is None:
            return None
        message = dict(self._message)
        if self._blocks or "content" in message:
            message["content"] = [block.finished() for block in sorted(self._blocks, key=lambda block: block.index)]
        return self._fit(message)

    def feed(self, event: sse.Event) -> str:
        """Take one event and return its kind: for a `content_block_delta` the delta's type, otherwise the event's type.

        The kind is "malformed" where the data is not a JSON object, and "done" for a closing `[DONE]`.
        """
        payload = self._payload(event)
        if isinstance(payload, str):
            return payload
        kind = payload.get("type")
        if not isinstance(kind, str):
            kind = event.name
        try:
            kind = self._take(kind, payload)
        except RecursionError:
            self._problem(f"{kind}: nested too deeply")
        return self._fit(kind) if self._mend else kind

    def _take(self, kind: str, payload: Object) -> str:
        match kind:
            case "content_block_delta":
                return self._take_delta(payload)
            case "ping":
                pass
            case "content_block_start":
                self._start_block(payload)
            case "content_block_stop":
                self._stop_block(payload)
            case "message_start":
                self._start_message(payload)
            case "message_delta":
                self._change_message(payload)
            case "message_stop":
                self.complete = True
            case "error":
                self.error = self._fit(payload)
            case _:
                self._name_unknown(f"event {kind}")
                if len(self.unknown_events) < MAX_UNKNOWN_EVENTS:
                    self.unknown_events.append(self._fit(payload))
        return kind

    def _payload(self, event: sse.Event) -> Object | str:
        """Return the event's JSON object, or the kind of an event that has none."""
        try:
            payload = _decode(event.data)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            payload = self._leniently(event, error)
        if isinstance(payload, dict):
            return payload
        if event.data.strip() == b"[DONE]":
            return DONE
        self._problem(f"{event.name}: the data is not a JSON object" + (", it was cut off" if event.truncated else ""))
        return MALFORMED

    def _leniently(self, event: sse.Event, error: Exception) -> Any:
        """Decode what the strict decoder refuses though it can be read: lone surrogates, broken UTF-8, huge numbers."""
        if event.truncated or event.data.strip() == b"[DONE]":
            return None
        payload = _lenient_value(event.data.decode("utf-8", "replace"))
        if payload is not None:
            self._mend = True
            if isinstance(error, UnicodeDecodeError):
                self._problem(f"{event.name}: the data is not valid UTF-8")
        return payload

    def _start_message(self, payload: Object) -> None:
        before = self.message
        if before is not None:
            self.earlier.append(before)
            if not self.complete:
                self._problem("a second message_start before the first message was over")
        message = payload.get("message")
        if not isinstance(message, dict):
            self._problem("message_start without a message")
            message = {}
        self.complete = False
        self._message = message
        content = message.get("content")
        given = content if isinstance(content, list) else []
        # Content that is there from the start comes before whatever is streamed, so its place is below index 0.
        self._blocks = [_Block(-1, block if isinstance(block, dict) else {"_value": block}) for block in given]
        self._open = dict(enumerate(self._blocks))
        self._highest = len(given) - 1

    def _change_message(self, payload: Object) -> None:
        message = self._known_message("message_delta")
        delta, usage = payload.get("delta"), payload.get("usage")
        if isinstance(usage, dict):
            before = message.get("usage")
            message["usage"] = merge(before if isinstance(before, dict) else {}, usage)
        changes = {key: value for key, value in payload.items() if key not in {"type", "delta", "usage"}}
        for key, value in {**changes, **(delta if isinstance(delta, dict) else {})}.items():
            if value is not None or key not in message:
                message[key] = value

    def _known_message(self, what: str) -> Object:
        """Return the message that is being built, and one from nothing where the stream began in the middle."""
        if self._message is None:
            self._problem(f"{what} before message_start")
            self._message = {"type": "message", "role": "assistant", "content": []}
        return self._message

    def _start_block(self, payload: Object) -> None:
        message = self._known_message("content_block_start")
        opened = payload.get("content_block")
        if not isinstance(opened, dict):
            self._problem("content_block_start without a content block")
            opened = {}
        kind = opened.get("type")
        if not isinstance(kind, str) or kind not in _KNOWN_BLOCKS:
            self._name_unknown(f"block {kind}")
        elif kind == _FALLBACK_BLOCK:
            self._relabel(message, opened)
        index = self._index(payload)
        if index in self._open and self._open[index].index >= 0:
            # Recorded: a start that repeats the index before it, while its deltas and its stop carry the next one.
            self._problem(f"block {index} started twice")
            self._open[index] = self._add_block(self._highest + 1, opened)
            return
        if index > self._highest + 1:
            self._problem(f"block {index} started after block {self._highest}: a hole")
        self._add_block(index, opened)

    def _relabel(self, message: Object, opened: Object) -> None:
        """Name the model that answers after a fallback, as the API's own unstreamed message and the SDK do."""
        target = opened.get("to")
        if isinstance(target, dict) and isinstance(target.get("model"), str):
            message["model"] = target["model"]

    def _add_block(self, index: int, opened: Object) -> _Block:
        block = _Block(index, opened)
        self._blocks.append(block)
        self._open[index] = block
        self._highest = max(self._highest, index)
        return block

    def _stop_block(self, payload: Object) -> None:
        block = self._open.get(self._index(payload))
        if block is None:
            self._problem(f"content_block_stop for block {payload.get('index')}, which was never started")
            return
        block.settle()

    def _take_delta(self, payload: Object) -> str:
        delta = payload.get("delta")
        if not isinstance(delta, dict):
            self._problem("content_block_delta without a delta")
            return "content_block_delta"
        kind = delta.get("type")
        if not isinstance(kind, str):
            kind = "content_block_delta"
        index = payload.get("index")
        block = self._open.get(index) if type(index) is int else None
        if block is None:
            block = self._block_from_nothing(payload, kind)
        if kind in _APPENDED:
            self._append(block, kind, delta)
        elif kind == "citations_delta":
            self._cite(block, delta)
        elif kind in _REPLACED:
            self.has_content = self.has_content or kind == "compaction_delta"
            block.opened.update((key, value) for key, value in delta.items() if key != "type" and value is not None)
        else:
            self._name_unknown(f"delta {kind}")
            block.unknown.append(delta)
        return kind

    def _block_from_nothing(self, payload: Object, kind: str) -> _Block:
        """Make a block for a delta whose block was never started, of the type that the delta gives away."""
        self._known_message("content_block_delta")
        index = self._index(payload)
        self._problem(f"{kind} for block {index}, which was never started")
        known = _APPENDED[kind][1] if kind in _APPENDED else _REPLACED.get(kind, "unknown")
        return self._add_block(index, {"type": "text" if kind == "citations_delta" else known})

    def _append(self, block: _Block, kind: str, delta: Object) -> None:
        key = _APPENDED[kind][0]
        piece = delta.get(key)
        if not isinstance(piece, str):
            self._problem(f"{kind} without {key}")
            return
        if piece:
            self.has_content = True
        pieces = block.parts.get(key)
        if pieces is None:
            block.parts[key] = [piece]
        else:
            pieces.append(piece)

    def _cite(self, block: _Block, delta: Object) -> None:
        citations = block.opened.get("citations")
        if not isinstance(citations, list):
            citations = block.opened["citations"] = []
        citations.append(delta.get("citation"))

    def _index(self, payload: Object) -> int:
        index = payload.get("index")
        if type(index) is int and index >= 0:
            return index
        self._problem(f"{payload.get('type')} without an index")
        return max(self._highest, 0)

    def _fit(self, value: Value) -> Value:
        """Return `value` fit to be written as JSON."""
        mended: Value = _mended(value) if self._mend else value
        return mended

    def _name_unknown(self, name: str) -> None:
        name = self._fit(name)
        if name not in self.unknown and len(self.unknown) < MAX_UNKNOWN_EVENTS:
            self.unknown.append(name)

    def _problem(self, sentence: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(self._fit(sentence))


def build(events: Iterable[sse.Event | sse.Comment]) -> MessageBuilder:
    """Return a builder that was fed all `events`; comments are passed over."""
    builder = MessageBuilder()
    for event in events:
        if isinstance(event, sse.Event):
            builder.feed(event)
    return builder


def _input(text: str) -> Any:
    """Return the tool input that `text` stands for; where it is not (yet) JSON, the text itself."""
    try:
        return _decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        value = _lenient_value(text)
        return {"_partial_json": text} if value is None else _mended(value)


def _lenient_value(text: str) -> Any:
    """Decode JSON that the strict decoder refuses, but never NaN or Infinity, which are not JSON. None if it can't."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _mended(value: Any) -> Any:
    """Return `value` fit to be encoded: halves of surrogate pairs joined, and those that stay alone replaced."""
    try:
        return _mended_inside(value)
    except RecursionError:
        return value


def _mended_inside(value: Any) -> Any:
    if isinstance(value, str):
        if value.isascii():
            return value
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_mended_inside(key): _mended_inside(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_mended_inside(member) for member in value]
    return value
