"""The answer of a provider that speaks Chat Completions, as the events and the message that the client is given.

The proxy translates by it while bytes pass, ingest and the live view once more from the record: the same bytes come to the same
words. Refuses to know how the two protocols differ, and rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ccproxy.protocol import sse
from ccproxy.protocol.demotion import error_status, unstreamed
from ccproxy.protocol.message import build
from ccproxy.protocol.openai.error import payload, to_error
from ccproxy.protocol.openai.ids import message_id
from ccproxy.protocol.openai.json_text import NotJson, read
from ccproxy.protocol.openai.reply import to_message
from ccproxy.protocol.openai.stream import ChatStream
from ccproxy.records import Ending, Sending, State

FORMAT = "openai"
OURS = "ccproxy: "  # how the proxy's own errors begin
_STREAM = "text/event-stream"
_EVENTS = (b"data:", b"event:", b":")
# Another attempt would come to the same: the request, the key, the model or the address is wrong.
_FINAL = frozenset({400, 401, 402, 403, 404, 405, 413, 422})

Object = dict[str, Any]


def is_chat(sending: Sending) -> bool:
    """Return whether a request went to a provider that answers in Chat Completions."""
    return sending.format == FORMAT


def is_streamed(status: int, content_type: str | None) -> bool:
    """Return whether an answer is a stream that is translated as it comes; any other is taken as a whole."""
    return status == 200 and (content_type or "").partition(";")[0].strip().lower() == _STREAM


def chat_stream(exchange: str, sending: Sending, model: str | None) -> ChatStream:
    """Return the translation of a streamed answer, at its beginning. `model` is the one that the client asked for."""
    return ChatStream(message_id(exchange), model or "", sending.tool_names, sending.provider or "")


def close(stream: ChatStream, ending: Ending | None) -> bytes:
    """Return what the client was told at the end: nothing where it, or the proxy, did not live to see one."""
    if ending is None or ending.state not in (State.COMPLETE, State.FAILED):
        return b""
    return stream.close(None if ending.state is State.COMPLETE else ending.error or "the stream broke off")


@dataclass(frozen=True, slots=True)
class Whole:
    """What an answer comes to that is taken as a whole: a message or an error, as the client sees it, with its status.

    `is_final` says that another attempt would come to the same; `model` is the provider's name for its model, `counted` whether
    it told how many tokens it took.
    """

    value: Object
    status: int
    is_final: bool = False
    model: str | None = None
    losses: tuple[str, ...] = ()
    counted: bool = False


def whole(
    exchange: str, sending: Sending, status: int, content_type: str | None, body: bytes, model: str | None
) -> Whole:
    """Return what a whole answer comes to; one that the proxy gave itself is left as it is."""
    value = _object(body)
    if _is_ours(value):
        return Whole(value, status)
    if status >= 400:
        told, error = to_error(status, body, sending.provider or "")
        return Whole(error, told, status in _FINAL, losses=_other_status(status, told))
    if status == 200 and body.lstrip().startswith(_EVENTS):
        return _of_stream(chat_stream(exchange, sending, model), body)
    reply = to_message(body, message_id(exchange), model or "", sending.tool_names, sending.provider or "")
    if reply.message is not None and status == 200:
        return Whole(reply.message, status, False, reply.model, reply.losses, reply.counted)
    if value and reply.error is not None:
        return Whole(reply.error, error_status(reply.error), False, reply.model, reply.losses, reply.counted)
    kind = content_type or "no content type"
    sentence = f"{sending.provider} answered {status} with {kind}, which is no answer in Chat Completions: is {sending.endpoint} right?"
    return Whole(payload("api_error", sentence), 502, True, losses=_other_status(status, 502))


def _of_stream(stream: ChatStream, body: bytes) -> Whole:
    """Return what a stream comes to that nobody announced as one."""
    built = build(sse.Decoder().feed(stream.open() + stream.feed(body) + stream.close()))
    losses = tuple(stream.losses)
    if built.error is not None:
        return Whole(built.error, error_status(built.error), False, stream.model, losses, stream.counted)
    return Whole(unstreamed(built.message or {}), 200, False, stream.model, losses, stream.counted)


def _other_status(own: int, told: int) -> tuple[str, ...]:
    return () if own == told else (f"the provider's status {own} was told as {told}",)


def _object(body: bytes) -> Object:
    try:
        value = read(body)
    except NotJson:
        return {}
    return value if isinstance(value, dict) else {}


def _is_ours(value: Object) -> bool:
    error = value.get("error")
    return value.get("type") == "error" and isinstance(error, dict) and str(error.get("message")).startswith(OURS)
